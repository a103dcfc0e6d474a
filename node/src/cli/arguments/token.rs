//! How commands show who gives them, where that is nobody with a certificate.

use std::path::PathBuf;

use clap::Args;

/// The access token of a command, which is in a file, or in the environment, and never an argument.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Access token, where the nodes ask for one")]
pub struct TokenArguments {
    /// A file with the secret of an access token, which not everybody may read. The secret itself may
    /// be in the environment instead, as GITSTRATUM_TOKEN
    #[arg(long, value_name = "FILE", env = "GITSTRATUM_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}
