//! Trace events.
//!
//! What can happen in a run.

use serde::Serialize;

use super::{
    Call, CatalogCall, CatalogOutcome, GitCall, GitObject, GitOutcome, HeldPack, HintSample,
    Outcome, Phase, Progress, Setting, Stop, Wanted, WriterSample,
};

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first record: all that a checker must know of the scenario.
    Setting(Setting),
    /// The run enters a phase.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// A node's process was started.
    Started {
        /// Its machine's address.
        address: String,
    },
    /// A node listens.
    Ready,
    /// A node's process was ended from outside.
    Stopped {
        /// How.
        by: Stop,
    },
    /// A node's process ended by itself, which none should.
    Exited {
        /// What it said.
        reason: String,
    },
    /// A node did not listen in time after a start.
    NotReady,
    /// Packets no longer go from the actor to a machine.
    Cut {
        /// The machine.
        to: String,
    },
    /// They do again.
    Mended {
        /// The machine.
        to: String,
    },
    /// Packets from the actor to a machine take so long, and so many are lost.
    Link {
        /// The machine.
        to: String,
        /// Least and most latency in microseconds.
        latency_us: [u64; 2],
        /// Share of packets lost.
        loss: f64,
    },
    /// They do as they did at first.
    LinkRestored {
        /// The machine.
        to: String,
    },
    /// A node's process stands still; its kernel does not.
    Paused,
    /// A node's process gets one millisecond of the processor in so many.
    Throttled {
        /// In so many.
        factor: u32,
    },
    /// A node's process has the processor to itself again.
    Resumed,
    /// The time of day of the actor's machine was set.
    ClockSet {
        /// So far ahead of the others'.
        ahead_ms: u64,
    },
    /// The firewall forgot every connection.
    ConnectionsForgotten,
    /// The name service answers so much later than usual from now on.
    NameServiceDelay {
        /// In microseconds.
        delay_us: u64,
    },
    /// The workers of all clients begin nothing.
    Quiet,
    /// They do again.
    QuietEnded,
    /// So many callers on the actor begin a put in one moment.
    Burst {
        /// How many.
        callers: usize,
    },
    /// The code that writes to nodes panics the next so many times, on every client.
    WritesWillPanic {
        /// For each of these nodes.
        nodes: Vec<String>,
        /// How many times.
        times: u32,
    },
    /// It did, on the actor.
    WritePanicked {
        /// In the write to this node.
        node: String,
        /// Whether the node had taken what was written by then.
        sent: bool,
    },
    /// The actor, no machine of the cluster, answers at an address that a node had.
    Stranger {
        /// The address.
        address: String,
        /// What it says.
        speaks: String,
    },
    /// What a stranger took in that was meant for a node.
    StrangerHolds {
        /// Objects that it stores.
        objects: u64,
    },
    /// A process of the actor dials.
    Dialled {
        /// To where.
        address: String,
        /// Connections that it has open, this one included.
        open: usize,
    },
    /// The actor's name resolves differently from now on.
    Dns {
        /// To this, or to nothing.
        address: Option<String>,
    },
    /// Something is done to a node's disk.
    Disk {
        /// What, in words.
        trouble: String,
        /// Whether the node can store objects all the same.
        stores: bool,
    },
    /// A node drains in the first layout: it begins with nothing, while others serve.
    Idle,
    /// A node's disk is replaced by an empty one.
    DiskReplaced,
    /// A node's disk is well again. What rotted stays so.
    DiskReleased,
    /// A bit of a node's files flipped.
    Rotted {
        /// The file.
        path: String,
        /// The bit, counted from the file's beginning.
        bit: u64,
    },
    /// A file of a node's store was lost at rest, or its end.
    FileDamaged {
        /// The file.
        path: String,
        /// Bytes that it had.
        bytes: u64,
        /// Bytes that are left; none of the file is, not even its name, without.
        left: Option<u64>,
    },
    /// A step meant to damage a node's disk and found nothing that it could have damaged.
    FaultMissed {
        /// What was looked for, in words.
        wanted: String,
    },
    /// Acknowledged objects are to be deleted; no worker asks for them until it was tried.
    Condemned {
        /// Number of the deletion, from 0.
        deletion: u32,
        /// The objects.
        ids: Vec<String>,
    },
    /// The actor deleted all that it had of condemned objects, durably.
    Deleted {
        /// Number of the deletion.
        deletion: u32,
        /// Objects that it had.
        objects: u64,
    },
    /// The actor deleted all of them, or some, or none.
    NotDeleted {
        /// Number of the deletion.
        deletion: u32,
        /// Why.
        reason: String,
    },
    /// A compaction on the actor is struck.
    CompactionStruck {
        /// How far it had been seen to come.
        at: Progress,
        /// So long ago.
        late_us: u64,
    },
    /// What compaction did on the actor, as its disk shows.
    Compacted {
        /// Segments that others stand for now.
        replaced: u64,
    },
    /// A client begins a call.
    OpStarted {
        /// Number of the call, unique in the run.
        op: u64,
        /// Which call.
        call: Call,
        /// Its objects.
        objects: Vec<Wanted>,
    },
    /// A call returned.
    OpFinished {
        /// Number of the call.
        op: u64,
        /// One for each object, in order.
        outcomes: Vec<Outcome>,
        /// Its objects by the layouts that the client went by in the end, when these are others
        /// than in the beginning.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        moved: Vec<Wanted>,
    },
    /// The counters of a client's writer.
    Writer(WriterSample),
    /// What a node's status says about writes that others missed.
    Hints(HintSample),
    /// Ranges that a node says are dirty: the node that may lack objects, and what their ids
    /// begin with, as `n2:07`.
    Dirty {
        /// All of them.
        ranges: Vec<String>,
    },
    /// Who holds an object when the time allowed for convergence is over.
    Held {
        /// The object.
        id: String,
        /// Its replicas by the layout in force then.
        replicas: Vec<String>,
        /// Nodes that say they hold it.
        holders: Vec<String>,
    },
    /// An object as a fresh client finds it after the final power loss.
    Inspected {
        /// The object.
        id: String,
        /// Its replicas by the layout in force then.
        replicas: Vec<String>,
        /// Nodes that say they hold it.
        holders: Vec<String>,
        /// What a get returns.
        outcome: Outcome,
    },
    /// The inspection was cut short.
    InspectionFailed {
        /// Why.
        reason: String,
    },
    /// The run had not ended when it should have.
    Stuck {
        /// What it was doing.
        phase: Phase,
    },
    /// What went over the wire in all.
    Wire {
        /// Packets sent.
        packets_sent: u64,
        /// Packets that arrived.
        packets_delivered: u64,
        /// Packets that did not.
        packets_dropped: u64,
        /// Bytes sent.
        bytes_sent: u64,
        /// Digest of every packet and its time.
        digest: String,
    },
    /// A node was told a layout, and it is in force and durable there.
    LayoutTaken {
        /// Its version.
        version: u64,
        /// Members that take writes in it.
        active: Vec<String>,
    },
    /// A node was told a layout and did not take it.
    LayoutNotTaken {
        /// Its version.
        version: u64,
        /// Why.
        error: String,
    },
    /// A client begins to ask the catalog something.
    CatalogAsked {
        /// Number of the call, unique in the run.
        op: u64,
        /// The repository that it is about.
        repository: String,
        /// What it asks.
        call: CatalogCall,
    },
    /// It has an answer, or gave up.
    CatalogAnswered {
        /// Number of the call.
        op: u64,
        /// What it was told.
        outcome: CatalogOutcome,
    },
    /// The actor applied a command of the catalog.
    Applied {
        /// The command's position in the log.
        index: u64,
        /// A hash of the command.
        command: String,
        /// A hash of the reply.
        reply: String,
    },
    /// Other nodes vote on the catalog than before.
    Voters {
        /// These.
        voters: Vec<String>,
    },
    /// The catalog as the actor has it, when all nodes should have the same.
    CatalogState {
        /// The position of the last command.
        position: u64,
        /// A hash of all of it.
        digest: String,
        /// The version of the layout that it has.
        layout: Option<u64>,
    },
    /// The actor has no catalog then, or has it no longer.
    NoCatalog,
    /// The actor left the layout: whatever it has of the catalog, it need not be what others have.
    LeftCatalog,
    /// What is left of the repository that nobody updates.
    BulkRefs {
        /// Refs that it was made with.
        made: u32,
        /// Refs that are as they were made.
        found: u32,
        /// Refs that are not.
        others: u32,
    },
    /// A Git client made objects, which it is about to push.
    GitMade {
        /// All of them.
        objects: Vec<GitObject>,
    },
    /// A Git client begins a request.
    GitAsked {
        /// Number of the request, unique among those of Git clients.
        op: u64,
        /// The node that it goes to.
        node: String,
        /// The repository that it is about.
        repository: String,
        /// What it asks.
        call: GitCall,
    },
    /// It has an answer, or gave up.
    GitAnswered {
        /// Number of the request.
        op: u64,
        /// What it was told.
        outcome: GitOutcome,
    },
    /// The packs of all repositories, deleted ones that are kept included, as the actor's catalog
    /// has them when the time is over in which stores are swept.
    PacksOwned {
        /// Their ids, each once.
        packs: Vec<String>,
    },
    /// What the actor's store holds of packs then.
    PacksHeld {
        /// Those of which it has any chunk.
        packs: Vec<HeldPack>,
    },
    /// The run came to its end.
    Ended,
    /// A machine's code panicked; nothing follows.
    Panicked {
        /// The message and where it came from.
        message: String,
    },
}
