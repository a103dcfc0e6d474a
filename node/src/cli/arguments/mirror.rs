//! What `mirror` accepts.

use std::time::Duration;

use clap::Args;

use super::{ClientArguments, Consistency};

/// What `mirror --help` adds.
pub(super) const MIRROR_HELP: &str = "\
  gitstratum mirror https://github.com/git/git mirrors/git               once
  gitstratum mirror https://git.example.org/a.git a --every 10m --prune  until it is stopped

Refs of the remote, and HEAD, are followed wherever they go, also where its history was rewritten.
Refs that hosts keep for themselves, such as refs/pull/ and refs/merge-requests/, are left out unless
--all or --refs asks for them. Refs that the remote has deleted stay unless --prune is said.

What the remote has never seen is not overwritten: if somebody pushed to the repository here, or if it
is another one altogether, the run stops and names the refs. --force has them follow the remote.

Nothing is kept on this machine. Only what is new is fetched; a run that breaks off changes nothing,
and the next one begins where this one did.

Credentials are part of the URL (https://USER:PASSWORD@HOST/...), or a token is in the environment as
GITSTRATUM_MIRROR_TOKEN; neither is ever printed. SSL_CERT_FILE names a file of certificate
authorities, if those that this machine trusts will not do.";

/// `mirror`
#[derive(Debug, Args)]
pub struct Mirror {
    /// The remote repository, over HTTP or HTTPS
    pub url: String,
    /// Its name in the cluster, such as mirrors/project; made if there is none
    pub name: String,
    /// Go on, with a round every so often: 90s, 10m, 2h or 1d. A round that fails is told and tried
    /// again, with growing pauses
    #[arg(long, value_name = "INTERVAL", value_parser = interval)]
    pub every: Option<Duration>,
    /// Follow only refs that match: full names, in which * stands for anything. May be repeated
    #[arg(long, value_name = "PATTERN")]
    pub refs: Vec<String>,
    /// Follow all refs, also those that hosts keep for themselves
    #[arg(long, conflicts_with = "refs")]
    pub all: bool,
    /// Delete refs here that the remote does not have any more
    #[arg(long)]
    pub prune: bool,
    /// Point refs elsewhere though the cluster has commits there that the remote does not have, and
    /// delete the last ref if --prune comes to that
    #[arg(long)]
    pub force: bool,
    /// Replicas that must have a chunk before it counts as stored
    #[arg(long, value_enum, default_value = "quorum")]
    pub consistency: Consistency,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

fn interval(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is no interval of a second or more, such as 90s, 10m, 2h or 1d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let (number, seconds) = match unit {
        's' => (&text[..text.len() - 1], 1),
        'm' => (&text[..text.len() - 1], 60),
        'h' => (&text[..text.len() - 1], 3600),
        'd' => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let seconds = u64::from(number) * seconds;
    if seconds == 0 { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_units() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("5", 5)] {
            assert_eq!(interval(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "m", "0s", "-1m", "1w", "1.5h", "9999999999s", "1ä"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
