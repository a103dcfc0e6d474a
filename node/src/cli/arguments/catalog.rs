//! What `repo`, `token` and `events` accept: names, who may use them, and who follows them.

use std::time::Duration;

use clap::{ArgAction, Args, Subcommand, ValueEnum};

use super::ClientArguments;

/// What `repo --help` adds.
pub(super) const REPO_HELP: &str = "\
  gitstratum repo create team/project
  gitstratum repo list team/                    those beneath a prefix
  gitstratum repo set team/project --public true   read without an access token
  gitstratum repo rename team/project old/project
  gitstratum repo delete old/project            can be undone for two weeks
  gitstratum repo undelete old/project
  gitstratum repo fork team/project me/project  as it is now; no byte is copied
  gitstratum repo verify team/project           reads all of it, on every replica

Names are paths of letters, digits, - _ and . in parts between slashes; no part begins with a dot
or ends in .git or .lock, and no repository lies beneath another.";

/// What `token --help` adds.
pub(super) const TOKEN_HELP: &str = "\
  gitstratum token create ci --scope write --prefix team --expires-days 90
  git clone http://ci@HOST:PORT/team/project.git     asks for the secret as the password

Nodes ask Git clients for tokens where their configuration says tokens = \"required\" under
[access], or with `serve --require-tokens`; and commands such as these, where they show no
certificate, with command_tokens = \"required\". A command reads a token's secret from a file:
  gitstratum status --token-file ~/.gitstratum-token --tls-authority authority.pem";

/// What `repo` can do.
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Make a repository; prints its id
    Create(RepoCreate),
    /// List repositories by name
    List(RepoList),
    /// Show a repository's settings and its refs
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Change a repository's settings; what is not said stays
    Set(RepoSet),
    /// Give a repository another name
    Rename {
        /// The name that it has
        name: String,
        /// The name that it is to have
        new_name: String,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Delete a repository; it can be undeleted for a time
    Delete {
        /// Its name
        name: String,
        /// For how many days that can be undone
        #[arg(long, value_name = "DAYS", default_value_t = 14)]
        keep_days: u16,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Make a repository that begins as another one is, which takes no room
    Fork {
        /// The name of the one that is there
        name: String,
        /// The name of the new one
        new_name: String,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Prove that everything is there and sound: each chunk on each of its replicas, each object,
    /// and all that refs reach; exit code 1 and what is wrong, if anything is
    Verify {
        /// Its name
        name: String,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Undo a deletion
    Undelete {
        /// The name that the repository had
        name: String,
        /// The name that it is to have, if its own is taken
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}

/// The hash of a repository's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectFormat {
    /// SHA-1, which all hosts and tools know
    Sha1,
    /// SHA-256
    Sha256,
}

/// `repo create`
#[derive(Debug, Args)]
pub struct RepoCreate {
    /// Its name, such as team/project
    pub name: String,
    /// The hash of its objects, for good
    #[arg(long, value_enum, default_value = "sha1")]
    pub object_format: ObjectFormat,
    /// The branch that HEAD points at
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub default_branch: String,
    /// What it says of itself
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub description: String,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `repo set`
#[derive(Debug, Args)]
#[group(id = "settings", required = true, multiple = true, args = ["public", "default_branch", "description"])]
pub struct RepoSet {
    /// Its name
    pub name: String,
    /// Whether it is read without an access token; once every node runs a version that knows this
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    pub public: Option<bool>,
    /// The branch that HEAD points at
    #[arg(long, value_name = "BRANCH")]
    pub default_branch: Option<String>,
    /// What it says of itself
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `repo list`
#[derive(Debug, Args)]
pub struct RepoList {
    /// How the names begin
    #[arg(default_value = "")]
    pub prefix: String,
    /// Those that were deleted and can be undeleted
    #[arg(long)]
    pub deleted: bool,
    /// Print a JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// `events`
#[derive(Debug, Args)]
pub struct Events {
    /// Begin after the event of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub since: u64,
    /// Go on as more happens
    #[arg(long)]
    pub follow: bool,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// What `token` can do.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make an access token; prints its secret, which nobody can show again
    Create(TokenCreate),
    /// List access tokens, without their secrets
    List {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// End an access token
    Revoke {
        /// Its number in the list
        id: u64,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Clone and fetch; commands that read
    Read,
    /// Push, too; store objects, create repositories
    Write,
    /// Rename, configure and delete repositories, too; without a prefix, administer the cluster
    Admin,
}

/// `token create`
#[derive(Debug, Args)]
pub struct TokenCreate {
    /// What its owner calls it
    pub description: String,
    /// What it allows
    #[arg(long, value_enum, default_value = "read")]
    pub scope: Scope,
    /// In which repositories: the one of this name, or those beneath it; all by default
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub prefix: String,
    /// After how many days it allows nothing any more; never by default
    #[arg(long, value_name = "DAYS")]
    pub expires_days: Option<u32>,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

impl TokenCreate {
    /// How long it lives.
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_days.map(|days| Duration::from_secs(u64::from(days) * 86_400))
    }
}
