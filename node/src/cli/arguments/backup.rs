//! What `backup` and `restore` accept.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ClientArguments;

/// What `backup --help` adds.
pub(super) const BACKUP_HELP: &str = "\
  gitstratum backup /backup/git                   all that the catalog names, at one moment
  gitstratum backup /backup/git                   the next day: fetches what is new
  gitstratum backup /backup/git --keep 14         and forgets all but the latest 14
  gitstratum backup list /backup/git              what is in it
  gitstratum backup verify /backup/git            reads and hashes everything; needs no cluster
  gitstratum restore /backup/git                  into an empty cluster

The directory is one cluster's. A backup that breaks off leaves the earlier ones as they are; given
again it goes on. Nothing is removed from the directory unless --keep or `backup prune` says so.

In it: repositories with their refs, reflogs, settings and packs, those deleted ones whose deletion can
still be undone, access tokens (hashes of their secrets), members, layout and events. Not in it:
objects that were put without a name (`gitstratum put`), and the nodes' configurations, keys and
certificates.

What was pushed and the hashes of tokens can be read by whoever reads the directory: its files are
made for their owner alone.";

/// What `restore --help` adds.
pub(super) const RESTORE_HELP: &str = "\
  gitstratum restore /backup/git --peers n1.example:7400      the latest, into an empty cluster
  gitstratum restore /backup/git --at 20310504T030201Z        as it was then
  gitstratum restore /backup/git --repository team/project    one, beside others
  gitstratum restore /backup/git --repository team/project --as team/project-old

The cluster runs, and may have another number of nodes than the one that was backed up. All files are
verified first. Names are given last: until then nobody sees anything of it, and if it breaks off the
same command goes on; what nobody goes on with for a week is dropped.

Repositories come back with their refs, reflogs, settings and numbers; one that is restored alone gets
a new number. Access tokens come back with a whole backup. Members, layout and events are the
cluster's own.";

/// `backup`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backup {
    /// What to do with a backup that is there, instead of taking one
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// The directory: a new or an empty one, or one that has backups of the same cluster; write
    /// ./list for one that is named as a command
    #[arg(value_name = "DIR", required = true)]
    pub directory: Option<PathBuf>,
    /// Only this repository; may be repeated
    #[arg(long, value_name = "NAME")]
    pub repository: Vec<String>,
    /// Chunks that are fetched at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = jobs())]
    pub jobs: u16,
    /// Read and hash the files that are there already, and fetch again what is damaged
    #[arg(long)]
    pub verify: bool,
    /// Forget all positions but the latest N afterwards, and remove the files that only they needed
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "repository",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub keep: Option<u32>,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

/// What can be done with a backup that is there.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// List its positions: when each was taken, and what it has
    List {
        /// The directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Read and hash every file, and prove that every position has all it needs; exit code 1 and
    /// what is wrong, if anything is
    Verify {
        /// The directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Files that are read at the same time
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = jobs())]
        jobs: u16,
    },
    /// Forget all positions but the latest, and remove the files that no other one needs
    Prune {
        /// The directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// How many positions stay that have everything; of some repositories only, those that are
        /// younger than the oldest of these
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: u32,
    },
}

/// `restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// What `gitstratum backup` wrote
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The position to restore, as `gitstratum backup list` names it; the latest by default
    #[arg(long, value_name = "POSITION")]
    pub at: Option<String>,
    /// Only this repository, which may have been deleted when the backup was taken
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,
    /// The name that it is to have, if its own is taken
    #[arg(long = "as", value_name = "NAME", requires = "repository")]
    pub new_name: Option<String>,
    /// Parts of the backup that are read and put at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = jobs())]
    pub jobs: u16,
    /// The cluster
    #[command(flatten)]
    pub client: ClientArguments,
}

fn jobs() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=256)
}
