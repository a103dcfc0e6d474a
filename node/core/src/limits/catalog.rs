//! Bounds of the catalog: what one command, one repository and the whole state may hold.
//!
//! All nodes apply the same commands to the same end, so all of them go by the same bounds: one
//! that changes, changes for a whole cluster at once.

use std::time::Duration;

use super::{LAYOUT_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, REF_NAME_BYTES_MAX};

/// An encoded command. One push fits one command, so this bounds the refs of an atomic push too.
pub const COMMAND_BYTES_MAX: usize = 1 << 20;
/// One frame of an encoded state, except where a single record is larger.
pub const CATALOG_FRAME_BYTES: usize = 256 << 10;
/// And such a record, or any line of a catalog's text form.
pub const CATALOG_RECORD_BYTES_MAX: usize = 4 << 20;
/// Repositories, deleted ones that are still kept included.
pub const REPOSITORIES_MAX: u64 = 10_000_000;
/// A repository's name, its slashes included.
pub const REPOSITORY_NAME_BYTES_MAX: usize = 512;
/// Between two slashes of it: what a file system takes.
pub const REPOSITORY_NAME_PART_BYTES_MAX: usize = 100;
/// Parts of a repository's name.
pub const REPOSITORY_NAME_PARTS_MAX: usize = 16;
/// Repositories of one page of a list, or refs.
pub const CATALOG_PAGE_MAX: usize = 1000;
/// What a repository says of itself.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Prefixes of refs that a repository hides.
pub const HIDDEN_REFS_MAX: usize = 64;
/// Refs that one push updates.
pub const REFS_PER_PUSH_MAX: usize = 10_000;
/// Refs of a repository.
pub const REFS_PER_REPOSITORY_MAX: u64 = 1_000_000;
/// Refs of a repository that is forked: one command copies them all.
pub const REFS_PER_FORK_MAX: u64 = 100_000;
/// Packs that one push brings.
pub const PACKS_PER_PUSH_MAX: usize = 64;
/// Packs of a repository.
pub const PACKS_PER_REPOSITORY_MAX: u64 = 100_000;
/// What a pack's descriptor says of where the pack came from.
pub const PACK_SOURCE_BYTES_MAX: usize = 256;
/// Last updates of a ref that are kept.
pub const REFLOG_ENTRIES_MAX: usize = 16;
/// The message of one of them.
pub const REFLOG_MESSAGE_BYTES_MAX: usize = 512;
/// Who asks for something.
pub const WHO_BYTES_MAX: usize = 255;
/// Refs and packs that one command purges, so that no command takes long.
pub const PURGED_AT_ONCE_MAX: usize = 10_000;
/// Nodes that ever belonged to a cluster, removed ones included.
pub const NODES_EVER_MAX: u64 = 100_000;
/// Bytes of the version that a node states of its program.
pub const PROGRAM_VERSION_BYTES_MAX: usize = 64;
/// Features that a node states.
pub const FEATURES_STATED_MAX: usize = 256;
/// Bytes of the name of a feature.
pub const FEATURE_NAME_BYTES_MAX: usize = 64;
/// Access tokens.
pub const TOKENS_MAX: u64 = 100_000;
/// Clients whose last answers are kept.
pub const ANSWERS_MAX: u64 = 10_000;
/// And what those answers take together when they are encoded.
pub const ANSWERS_BYTES_MAX: u64 = 64 << 20;
/// Events that are kept.
pub const EVENTS_MAX: u64 = 65_536;
/// Events that are given at once.
pub const EVENTS_PAGE_MAX: usize = 1000;

/// How long a node tries to have a command agreed on, or to learn what was. Less than a client
/// waits for it.
pub const CATALOG_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a node that is asked to stop waits for another to lead the catalog in its place.
pub const CATALOG_HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// From when a push began, by the clock of the node that takes it, until its command, by the
/// catalog's clock. What is older and nobody has named is litter. It bounds how long an upload may
/// take, and how far apart the clocks of nodes may be.
pub const PUSH_LEASE: Duration = Duration::from_secs(6 * 3600);

/// How long a repository that is being restored is kept for whoever goes on with it, from the last
/// step on.
pub const RESTORE_LEASE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Restored repositories that get their names at once.
pub const RESTORES_ENDED_AT_ONCE_MAX: usize = 1000;
/// The greatest number that a repository can have had where it is restored from. Each node looks for
/// litter at the place of every number up to the last one, so that must not come far out of sight.
pub const RESTORED_NUMBER_MAX: u64 = 1 << 30;

const _: () = assert!(2 * COMMAND_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(2 * CATALOG_FRAME_BYTES <= MESSAGE_BYTES_MAX);
const _: () = assert!(
    REPOSITORY_NAME_PARTS_MAX <= REPOSITORY_NAME_BYTES_MAX
        && REPOSITORY_NAME_PART_BYTES_MAX <= REPOSITORY_NAME_BYTES_MAX
);
/// What a verdict takes beside the name of a ref that is in the way, and that is cut.
const VERDICT_BYTES_BESIDE_NAME: usize = 64;
const _: () = assert!(
    REFS_PER_PUSH_MAX * (NAME_BYTES_MAX + VERDICT_BYTES_BESIDE_NAME) <= CATALOG_RECORD_BYTES_MAX,
    "the answer to a push is a record of a snapshot, and a message"
);
const _: () = assert!(2 * LAYOUT_BYTES_MAX <= CATALOG_RECORD_BYTES_MAX);
const _: () = assert!(EVENTS_MAX as usize >= 2 * REFS_PER_PUSH_MAX);
const _: () = assert!(
    REFLOG_ENTRIES_MAX * (REFLOG_MESSAGE_BYTES_MAX + WHO_BYTES_MAX + REF_NAME_BYTES_MAX + 128)
        <= CATALOG_FRAME_BYTES / 2,
    "a ref with its log fits a frame"
);
