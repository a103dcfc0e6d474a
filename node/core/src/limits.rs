//! Limits.
//!
//! Every bound of the node in one place, with units in the names and the relations
//! between them checked when the crate is compiled.

mod access;
mod catalog;
mod gateway;
mod git;
mod git_protocol;
mod mirror;
mod monitor;
mod pool;
mod reconcile;
mod repair;
mod server;
mod traces;
mod walk;

use std::time::Duration;

pub use access::*;
pub use catalog::*;
pub use gateway::*;
pub use git::*;
pub use git_protocol::*;
pub use mirror::*;
pub use monitor::*;
pub use pool::*;
pub use reconcile::*;
pub use repair::*;
pub use server::*;
pub use traces::*;
pub use walk::*;

/// Data of an object that travels and is held whole. Larger ones go in parts.
pub const OBJECT_BYTES_WHOLE_MAX: usize = 1 << 20;
/// One part of a large object.
pub const PART_BYTES_MAX: usize = 256 << 10;
/// Object data of one batch message, not counting a single object that is larger.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Objects or ids in one batch message.
pub const BATCH_OBJECTS_MAX: usize = 1024;
/// An encoded gRPC message, refused past this on both sides.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Batches of one stream that are worked on at once.
pub const STREAM_BATCHES_IN_FLIGHT: usize = 4;
/// Batch bytes waiting in a store's queue before puts are refused as overload.
pub const STORE_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Refusals of one kind are logged so often, with their number.
pub const REFUSALS_LOGGED_EVERY: Duration = Duration::from_secs(10);
/// A large object of which nothing comes for so long is given up, with the room it takes.
pub const LARGE_PART_TIMEOUT: Duration = Duration::from_secs(60);
/// A replica that takes no part of a large object for so long, or does not answer for so long after
/// the last one, is given up. Its sync of the whole is in that; and it has given up by then itself
/// if no part came.
pub const LARGE_ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// Snapshots of a store: each keeps the room of what is deleted after it.
pub const SNAPSHOTS_MAX: usize = 256;
/// Large objects that a store takes in at once.
pub const STORE_LARGE_WRITERS_MAX: usize = 16;
/// Past this a segment is sealed and a new one begun. A lookup asks the filter of one segment
/// after another, and opening looks at the files of each, so they are large; what bounds them is
/// the last one, whose records are scanned after a crash.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The least size at which a segment may be told to end.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// And past this number of records: just what maps of a million places take before they double.
pub const SEGMENT_RECORDS_MAX: usize = (1 << 20) / 8 * 7;
/// Segments whose files one thread looks at, one after another, when a store is opened: a
/// thread costs as much as a few of them.
pub const SEGMENTS_OPENED_BY_THREAD: usize = 32;
/// Threads that do so at once.
pub const SEGMENTS_OPENING_THREADS: usize = 8;
/// A segment of so many bytes is ended when the store is closed; a smaller one is gone on
/// with, and scanned in a few milliseconds.
pub const SEALED_AT_CLOSE_BYTES_MIN: u64 = 8 << 20;
/// Or of so many records.
pub const SEALED_AT_CLOSE_RECORDS_MIN: usize = 8 << 10;
/// Damaged objects that a store keeps a list of. Others are found damaged again when they are
/// read, and compaction leaves them where they are.
pub const QUARANTINED_MAX: usize = 50_000;
/// Files that lost records of which `status` tells; it counts all of them.
pub const LOST_FILES_NAMED_MAX: usize = 16;
/// Damaged objects that a scrub names; it counts all of them.
pub const SCRUB_DAMAGED_NAMED_MAX: usize = 16;
/// A scrub that the disk kept from going on is tried again after this.
pub const SCRUB_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// What a scrub reads in a second is told once it has read for this long.
pub const SCRUB_RATE_AFTER: Duration = Duration::from_millis(500);
/// How often a store looks whether there is something to compact, or time for a scrub: so
/// long after a start an interrupted one goes on.
pub const MAINTENANCE_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Room that puts leave on the disk, for compaction, for shutdown, and for the operator.
pub const STORE_RESERVE_BYTES: u64 = 640 << 20;
/// How often a store looks how much room there is, while nobody puts.
pub const ROOM_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// After a put was refused for want of room, puts are said to be refused for this long at least:
/// small ones may go on between large ones that do not.
pub const PUTS_REFUSED_FOR_MIN: Duration = Duration::from_secs(5);
/// A status waits no longer than this for the file system to say what room it has.
pub const ROOM_LOOK_TIMEOUT: Duration = Duration::from_millis(200);
/// Of an index, for each record, with ids of the longest kind.
const INDEX_BYTES_PER_RECORD: u64 = 48;
const _: () = assert!(
    STORE_RESERVE_BYTES
        >= SEGMENT_BYTES_MAX / 2 + SEGMENT_RECORDS_MAX as u64 * INDEX_BYTES_PER_RECORD,
    "a segment of which half is garbage can be rewritten on a full disk"
);
/// Bytes that one group commit writes at most (but always one record).
pub const GROUP_BYTES_MAX: usize = 8 << 20;
/// A group of so many bytes is flushed while the next one is written.
pub const FLIGHT_BYTES_MIN: u64 = 512 << 10;
/// Ids that are looked up, or entered, under one lock of a store.
pub const LOOKED_UP_AT_ONCE: usize = 256;
/// Bytes of a put after whose hashing and packing other tasks have their turn. Larger puts do
/// that one after another.
pub const PREPARED_BYTES_BEFORE_YIELD: usize = 256 << 10;
/// Zeros that are written behind a small group which reaches the end of its segment's file:
/// the groups written over them need no new metadata, and their flush is half as long.
pub const ZEROS_AHEAD_BYTES: u64 = 1 << 20;
/// A larger group is bound by bandwidth, and writes no zeros.
pub const ZEROS_AHEAD_GROUP_BYTES_MAX: u64 = 64 << 10;
/// Bytes of a peer's words that are shown or logged.
pub const WORDS_BYTES_MAX: usize = 384;
/// HTTP/2 streams of one connection that a caller may be configured to use. A server takes
/// [`SERVER_CONNECTION_STREAMS_MAX`]; more wait.
pub const CONNECTION_STREAMS_MAX: u32 = 1024;
/// Hints that `status` lists, and missed writes that a writer remembers.
pub const MISSED_LISTED_MAX: usize = 100;
/// Once a client has learned the layout from one of the peers that it was given, those that are
/// no members of it have so long to say that they are of another cluster.
pub const PEERS_COMPARE_TIMEOUT: Duration = Duration::from_secs(1);
/// Members of a cluster.
pub const MEMBERS_MAX: usize = 1024;
/// Bytes of a node id, a zone or an address.
pub const NAME_BYTES_MAX: usize = 255;
/// Object data that a writer keeps in flight, counted once whatever the number of replicas.
pub const WRITER_BYTES_IN_FLIGHT_MAX: usize = 32 << 20;
/// Small puts that are on their way from one client to one replica, each a request of its own or
/// many together; those that come meanwhile go together when one of them ended.
pub const REPLICA_PUTS_IN_FLIGHT: usize = 2;
/// Object data of a put that waits for others to go with it; a larger one goes alone, at once.
pub const BATCHED_PUT_BYTES_MAX: usize = 64 << 10;
/// Parts of a large object that wait for one replica.
pub const LARGE_PARTS_IN_FLIGHT: usize = 4;
/// The beginning of a large object that a put keeps for another attempt: what a connection takes
/// before the other side must have said something.
pub const LARGE_BYTES_KEPT_MAX: usize =
    STREAM_WINDOW_BYTES as usize + LARGE_PARTS_IN_FLIGHT * PART_BYTES_MAX;
/// Flow-control window of one HTTP/2 stream.
pub const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Flow-control window of one HTTP/2 connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Largest HTTP/2 frame.
pub const FRAME_BYTES_MAX: u32 = 256 << 10;
/// Ring points of a member of weight 1.
pub const VIRTUAL_NODES_PER_WEIGHT: u32 = 64;
/// Greatest weight of a member.
pub const WEIGHT_MAX: u32 = 100;
/// Weights of all members together: bounds the points of a ring.
pub const WEIGHT_SUM_MAX: u32 = 4096;
/// Earlier layouts in which readers still look for objects.
pub const LAYOUTS_UNSETTLED_MAX: usize = 16;
/// A layout may be so many versions ahead of the one that it follows, at most: those between
/// were each one step somewhere, so a greater number was made up or mistyped, and a cluster
/// that took it would soon have no number left for the next. It leaves room for versions that
/// are dates and times.
pub const LAYOUT_VERSIONS_AHEAD_MAX: u64 = 1 << 48;
/// The words of a layout with its history, as [`crate::placement::Layout::bytes`] counts them:
/// a node says all of it to whoever asks who it is, in one message.
pub const LAYOUT_BYTES_MAX: usize = 2 << 20;
/// Members that are asked at once for a newer layout.
pub const LAYOUT_ASKED_AT_ONCE: usize = 8;
/// Greatest replication factor.
pub const REPLICAS_MAX: usize = 15;
/// Text of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// Object ids in one list of a manifest.
pub const MANIFEST_LIST_IDS_MAX: usize = 16 << 10;
/// A ref name in a manifest.
pub const REF_NAME_BYTES_MAX: usize = 4096;
/// Objects after which an import ends a push and begins the next one.
pub const IMPORT_SLICE_OBJECTS: usize = 50_000;
/// Bytes of their packed entries after which it does so.
pub const IMPORT_SLICE_BYTES: u64 = 256 << 20;
/// Parts of an import's pack that wait to be taken.
pub const IMPORT_PARTS_WAITING_MAX: usize = 64;
/// Stored packs that follow each other go into one file of an export up to so many bytes.
pub const EXPORT_FILE_BYTES_MAX: u64 = 1 << 30;
/// And up to so many objects.
pub const EXPORT_FILE_OBJECTS_MAX: u64 = 1_000_000;
/// Parts of an export's pack that wait to be written.
pub const EXPORT_PARTS_WAITING_MAX: usize = 64;
/// Batches of an export that are fetched at once.
pub const EXPORT_GETS_IN_FLIGHT: usize = 6;
/// Batches and large objects that wait to be written to a pack.
pub const EXPORT_PACKS_WAITING_MAX: usize = 2;
/// Ids of one fetch, before it is known how large the objects are.
pub const EXPORT_BATCH_OBJECTS_MIN: usize = 16;
/// Ids of one fetch at most.
pub const EXPORT_BATCH_OBJECTS_MAX: usize = 512;
/// Past this a pack is completed and a new one begun.
pub const EXPORT_PACK_BYTES_MAX: u64 = 256 << 20;
/// Objects of one pack.
pub const EXPORT_PACK_OBJECTS_MAX: usize = 50_000;
/// Attempts at one put or get before an import or export gives up.
pub const TRANSFER_ATTEMPTS_MAX: u32 = 6;
/// Before the second attempt; doubled each time, up to the other.
pub const TRANSFER_BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Before the last attempts.
pub const TRANSFER_BACKOFF_MAX: Duration = Duration::from_secs(4);

/// A request without a deadline of its own.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time a server works on one request, whatever its caller asks for.
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// Interval of a server's pings, which free what a vanished caller held.
pub const SERVER_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// A read that is not answered by then is sent to the next replica too.
pub const HEDGE_AFTER: Duration = Duration::from_millis(200);
/// No replica is taken for late sooner than this.
pub const HEDGE_AFTER_MIN: Duration = Duration::from_millis(2);
/// Of a hundred reads, how many may be asked of a second replica before `HEDGE_AFTER`.
pub const HEDGE_PERCENT: u64 = 5;
/// And how many at once after a time in which none was.
pub const HEDGES_MAX: u64 = 20;
/// A replica whose reads take so many times as long as the best's is read from later.
pub const MUCH_SLOWER: u32 = 4;
/// Of so many reads one begins in the ring's order, slow replicas included.
pub const READS_BEFORE_A_TRIAL: u64 = 50;
/// A replica that failed is read from last for this long.
pub const SUSPECT_FOR: Duration = Duration::from_secs(2);
/// A node that does not say within this how it is, is shown as one that could not be asked.
pub const STATUS_TIMEOUT: Duration = Duration::from_millis(900);
/// How often a node asks its peers who they are.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// And one that did not answer the first time; doubled each time, up to that.
pub const PROBE_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A request that came with a newer layout waits so long until this node has it too.
pub const LAYOUT_CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two rounds of questions for a newer layout.
pub const LAYOUT_ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// What is in flight at shutdown may take this long.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// Room that a message needs beside object data: ids, lengths, kinds.
const BATCH_OVERHEAD_BYTES_MAX: usize = BATCH_OBJECTS_MAX * 64;

const _: () = assert!(WEIGHT_SUM_MAX as usize >= MEMBERS_MAX && WEIGHT_SUM_MAX >= WEIGHT_MAX);
const _: () = assert!(REPLICAS_MAX <= MEMBERS_MAX);
/// Words with what says that they were cut.
const REASON_BYTES_MAX: usize = WORDS_BYTES_MAX + 32;
/// What `status` says of a peer: its id, four times, its address, twice, three reasons, and
/// numbers.
const STATUS_BYTES_PER_PEER_MAX: usize = 6 * NAME_BYTES_MAX + 3 * REASON_BYTES_MAX + 1000;
/// Of hints: targets with their reasons, dirty ranges, and the oldest ones.
const STATUS_BYTES_OF_HINTS_MAX: usize = HINT_TARGETS_LISTED_MAX
    * (NAME_BYTES_MAX + REASON_BYTES_MAX + 32)
    + DIRTY_RANGES_LISTED_MAX * (NAME_BYTES_MAX + 16)
    + MISSED_LISTED_MAX * (NAME_BYTES_MAX + 128);
/// And of the store, its scrub, and the rest, with the names of the numbers.
const STATUS_BYTES_ELSE_MAX: usize = (SCRUB_DAMAGED_NAMED_MAX + 8) * (REASON_BYTES_MAX + 64) + 6144;
const _: () = assert!(
    MEMBERS_MAX * STATUS_BYTES_PER_PEER_MAX + STATUS_BYTES_OF_HINTS_MAX + STATUS_BYTES_ELSE_MAX
        <= MESSAGE_BYTES_MAX,
    "a node of the largest cluster says how it is in one message"
);
const _: () = assert!(2 * LAYOUT_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(LAYOUT_CATCH_UP_TIMEOUT.as_millis() < REQUEST_TIMEOUT.as_millis());
const _: () = assert!(BATCH_BYTES_MAX + BATCH_OVERHEAD_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(OBJECT_BYTES_WHOLE_MAX + BATCH_OVERHEAD_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(MANIFEST_LIST_IDS_MAX * 32 <= OBJECT_BYTES_WHOLE_MAX);
const _: () = assert!(PART_BYTES_MAX <= OBJECT_BYTES_WHOLE_MAX);
const _: () = assert!(GROUP_BYTES_MAX >= OBJECT_BYTES_WHOLE_MAX);
const _: () = assert!(STORE_QUEUE_BYTES_MAX >= GROUP_BYTES_MAX);
const _: () = assert!(FLIGHT_BYTES_MIN > ZEROS_AHEAD_GROUP_BYTES_MAX);
const _: () = assert!(BATCHED_PUT_BYTES_MAX <= BATCH_BYTES_MAX);
const _: () = assert!(WRITER_BYTES_IN_FLIGHT_MAX >= 2 * MESSAGE_BYTES_MAX);
const _: () = assert!(STREAM_WINDOW_BYTES as usize >= MESSAGE_BYTES_MAX);
const _: () = assert!(CONNECTION_WINDOW_BYTES >= STREAM_WINDOW_BYTES);
