//! What `repair` and `scrub` accept: background jobs that nodes can be asked about and told.

use clap::Subcommand;

use super::ClientArguments;

/// What `repair --help` adds.
pub(super) const REPAIR_HELP: &str = "\
Repair needs nobody: nodes deliver what others missed, and compare what they hold soon after a
start, when damage was found, and from time to time. How fast is set in [repair] of each node's
configuration; it gives way to clients by itself.

  gitstratum repair status                      what lacks a replica, how fast, how long still
  gitstratum repair start                       compare everything with everyone now
  gitstratum repair pause                       until `start`, or until the node restarts

These orders go to every node that answers, and last until it restarts. `cancel` gives up the
comparisons that are under way; hints and dirty ranges stay.";

/// What `scrub --help` adds.
pub(super) const SCRUB_HELP: &str = "\
Scrub needs nobody: each node reads and verifies all it has once in scrub_interval_days, at
maintenance_bytes_per_second, both in [store] of its configuration. What it finds damaged is
fetched from another replica by itself; `status` counts what is not yet. An interrupted scrub goes
on where it stopped, a minute after the node starts. To look now, and to have it quiet for a while:

  gitstratum scrub start                        every node that answers begins, or goes on
  gitstratum scrub status                       how far each is, what it found, how long still
  gitstratum scrub pause                        until `start`, or until the node restarts

These orders go to every node that answers, and last until it restarts. `pause` keeps the place,
`cancel` forgets it: the next scrub then begins anew, an interval later.";

/// What a background job can be asked, and told.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// How far it is on each node, how fast, how long the rest will take, and what went wrong
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// End a pause, and begin now, or go on where it was interrupted
    Start {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Let what is under way come to its end, and begin nothing
    Pause {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Give up what is under way
    Cancel {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}
