//! What `repair` and `scrub` accept: work that nodes do by themselves, and can be asked about
//! and told.

use clap::{Args, Subcommand};

use super::ClientArguments;

const REPAIR_HELP: &str = "\
Repair needs nobody: nodes deliver what others missed, and compare what they hold soon after a
start, when damage was found, and from time to time. How fast is set in [repair] of each node's
configuration; it gives way to clients by itself. These orders go to every node that answers, and
last until it restarts.";

/// `repair`
#[derive(Debug, Args)]
#[command(after_help = REPAIR_HELP)]
pub struct RepairArguments {
    /// What to do
    #[command(subcommand)]
    pub command: RepairCommand,
}

/// What repair can be asked, and told.
#[derive(Debug, Subcommand)]
pub enum RepairCommand {
    /// How much lacks a replica, what is under way, how fast, and how long it will take
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// End a pause, and compare everything with everyone now
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
    /// Give up the comparisons that are under way; hints and dirty ranges stay
    Cancel {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}

const SCRUB_HELP: &str = "\
Scrub needs nobody: each node reads and verifies all it has once in scrub_interval_days, at
maintenance_bytes_per_second, both in [store] of its configuration. What it finds damaged is
fetched from another replica by itself; `status` counts what is not yet. An interrupted scrub goes
on where it stopped, a minute after the node starts. To look now, and to have it quiet for a while:

  gitstratum scrub start                        every node that answers begins, or goes on
  gitstratum scrub status                       how far each is, what it found, how long still
  gitstratum scrub pause                        until `start`, or until the node restarts

These orders go to every node that answers, and last until it restarts. `pause` keeps the place,
`cancel` forgets it: the next scrub then begins anew, an interval later.";

/// `scrub`
#[derive(Debug, Args)]
#[command(after_help = SCRUB_HELP)]
pub struct ScrubArguments {
    /// What to do
    #[command(subcommand)]
    pub command: ScrubCommand,
}

/// What scrub can be asked, and told.
#[derive(Debug, Subcommand)]
pub enum ScrubCommand {
    /// How much each node has read, how fast, how long the rest will take, what is damaged, and
    /// when it was last done and is done next
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// End a pause, and begin now, or go on where one was interrupted
    Start {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Stop reading, and keep the place; compaction and snapshots go on
    Pause {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Give up the scrub that is under way, and forget its place
    Cancel {
        /// The cluster
        #[command(flatten)]
        client: ClientArguments,
    },
}
