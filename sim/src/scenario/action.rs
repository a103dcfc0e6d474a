//! Step actions.
//!
//! What a step of a scenario can do.
//!
//! Invariant: this is the only list of actions and of their fields. Files are read and written
//! by what serde derives from it, so a new action is a variant here and its execution in
//! `world`. What its values must be is looked up by the names of its fields (`check`): a field
//! that means what one of another action means has the same name.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{LayoutChange, MillisRange, Time, TimeRange};

/// Which way packets no longer go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Neither way.
    #[default]
    Both,
    /// Nothing that the named nodes send arrives.
    Outgoing,
    /// Nothing sent to the named nodes arrives.
    Incoming,
}

/// What a firewall does with packets of connections that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stray {
    /// Drops them.
    Drop,
    /// Answers them with a reset.
    Reset,
}

/// What a stranger at somebody's old address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speech {
    /// What a node says: it is one, of another cluster.
    Node,
    /// The same, under the id of the node that had the address, and with a newer layout.
    Namesake,
    /// Something else entirely.
    Banner,
    /// Nothing; it listens.
    Silence,
}

/// A file of a node's store, chosen by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreFile {
    /// The records of a sealed segment.
    Segment,
    /// Both the records of a sealed segment and its index.
    SegmentAndIndex,
    /// A large object.
    Large,
}

/// Operations of a disk that stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskOperations {
    /// Reads.
    Reads,
    /// Writes.
    Writes,
    /// Syncs, of files and directories.
    Syncs,
}

/// What a step does: a `[[step]]` names the variant in `action`, beside the variant's fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Cuts machines off from others.
    Cut {
        /// The machines cut off.
        nodes: Vec<String>,
        /// From these; every machine not in `nodes` when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        from: Vec<String>,
        /// Which way.
        #[serde(default)]
        direction: Direction,
    },
    /// Mends every cut and every link.
    Heal {},
    /// Kills the processes; the kernels live on.
    Crash {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Cuts the power.
    PowerOff {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Starts what does not run.
    Start {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Cuts the power of a node and starts it again under another address.
    Move {
        /// The node.
        node: String,
        /// How long it is off.
        down_for: TimeRange,
        /// How long after its start its name resolves to the new address.
        dns_after: TimeRange,
        /// Takes the address that this node had at the beginning, if it is free by now.
        takes_address_of: Option<String>,
        /// Who answers at the address it had, from the moment in which it is off.
        leaves_behind: Option<Speech>,
    },
    /// Lets a process end as `SIGTERM` asks it to, and starts it again.
    Restart {
        /// Of these nodes, one after another.
        nodes: Vec<String>,
        /// How long each is down.
        down_for: TimeRange,
    },
    /// Kills processes and starts them again, again and again.
    Flap {
        /// Of these nodes.
        nodes: Vec<String>,
        /// So many times.
        times: u32,
        /// How long they are down each time.
        down_for: TimeRange,
        /// And how long up.
        up_for: TimeRange,
    },
    /// Cuts the power of client machines, each time in the moment in which a put was
    /// acknowledged there, and starts them again.
    FlapClients {
        /// These clients.
        clients: Vec<String>,
        /// So many times.
        times: u32,
        /// How long they are down each time.
        down_for: TimeRange,
        /// How long they are up before the acknowledgement that it waits for.
        up_for: TimeRange,
    },
    /// Has the code that writes to nodes panic, on every client.
    PanicWrites {
        /// To these nodes.
        nodes: Vec<String>,
        /// So many times for each of them, on each client.
        times: u32,
    },
    /// Sets the time of day of machines.
    Clock {
        /// Of these nodes.
        nodes: Vec<String>,
        /// How far ahead of the others'; zero sets it right.
        ahead: Time,
    },
    /// Stops processes where they are; their kernels live on.
    Pause {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Gives processes one millisecond of the processor in so many.
    Throttle {
        /// Of these nodes.
        nodes: Vec<String>,
        /// In so many.
        factor: u32,
    },
    /// Ends pauses and throttling.
    Resume {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Makes links slow, or lets them lose packets.
    Link {
        /// Between these machines
        nodes: Vec<String>,
        /// and these; every machine not in `nodes` when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        from: Vec<String>,
        /// Which way.
        #[serde(default)]
        direction: Direction,
        /// Latency, where it changes.
        #[serde(rename = "latency_ms")]
        latency: Option<MillisRange>,
        /// Share of packets lost, 0.0 to 1.0, where it changes.
        loss: Option<f64>,
    },
    /// The firewall forgets every connection.
    Forget {},
    /// The name service answers so late.
    DnsDelay {
        /// How late; zero ends it.
        delay: Time,
    },
    /// No worker begins anything.
    Quiet {
        /// For so long.
        lasts: TimeRange,
    },
    /// Many callers put an object each in one moment.
    Burst {
        /// On these clients.
        clients: Vec<String>,
        /// So many on each.
        callers: usize,
    },
    /// Makes a node's name resolve to nothing, or again to where the node is.
    Dns {
        /// The node.
        node: String,
        /// Whether it resolves.
        resolves: bool,
    },
    /// Flips bits of files at rest.
    Rot {
        /// On these nodes.
        nodes: Vec<String>,
        /// In the files of this directory.
        dir: String,
        /// So many on each.
        bits: u32,
    },
    /// Loses a drawn file of stores at rest.
    LoseFile {
        /// On each of these nodes.
        nodes: Vec<String>,
        /// Which kind.
        file: StoreFile,
    },
    /// Cuts the end off a drawn file of stores at rest, now and then all of it.
    TruncateFile {
        /// On each of these nodes.
        nodes: Vec<String>,
        /// Which kind.
        file: StoreFile,
    },
    /// Cuts the power and replaces disks by empty ones.
    Wipe {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Makes disks slow.
    Slow {
        /// Of these nodes.
        nodes: Vec<String>,
        /// Latencies are multiplied by this.
        factor: u32,
    },
    /// Lets operations of disks wait until they are released.
    Stall {
        /// Of these nodes.
        nodes: Vec<String>,
        /// Which operations.
        operations: DiskOperations,
    },
    /// Leaves disks little room.
    Fill {
        /// Of these nodes.
        nodes: Vec<String>,
        /// How much.
        room_bytes: u64,
    },
    /// Leaves processes no descriptor to open a file with; what is open stays so.
    Exhaust {
        /// Of these nodes.
        nodes: Vec<String>,
    },
    /// Makes the next version of the layout, and tells nodes.
    Layout(LayoutChange),
    /// Makes a repository with many refs, which nobody updates, and which is read when all is over.
    Bulk {
        /// So many.
        refs: u32,
    },
    /// Deletes acknowledged objects on every node that runs, once nobody asks for them.
    Delete {
        /// Such a share of them, 0.0 to 1.0.
        share: f64,
    },
    /// Ends processes, or cuts the power, in the middle of a compaction, and starts them
    /// again.
    StrikeCompactions {
        /// Of each of these nodes.
        nodes: Vec<String>,
        /// So many times, if there are so many before the load ends.
        times: u32,
        /// How long they are down each time.
        down_for: TimeRange,
    },
    /// Ends slowness, stalls, and lack of room and of descriptors.
    Release {
        /// On the disks of these nodes.
        nodes: Vec<String>,
    },
}

impl Action {
    /// The nodes that it names and does something to once, if it does so to several.
    pub fn nodes_mut(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Action::Cut { nodes, .. }
            | Action::Link { nodes, .. }
            | Action::Crash { nodes }
            | Action::PowerOff { nodes }
            | Action::Restart { nodes, .. }
            | Action::Clock { nodes, .. }
            | Action::Pause { nodes }
            | Action::Throttle { nodes, .. }
            | Action::Wipe { nodes }
            | Action::Slow { nodes, .. }
            | Action::Stall { nodes, .. }
            | Action::Fill { nodes, .. }
            | Action::Exhaust { nodes } => Some(nodes),
            _ => None,
        }
    }

    /// The name by which a step has it in `action`.
    ///
    /// # Panics
    /// When a number in it is too large for TOML; no plan that was read has one.
    pub fn verb(&self) -> String {
        self.parts().expect("whatever was read can be written").0
    }

    /// Its name, and its fields as a file has them.
    ///
    /// # Errors
    /// When a number in it is too large for TOML.
    pub(super) fn parts(&self) -> Result<(String, Table), toml::ser::Error> {
        let Value::Table(tagged) = Value::try_from(self)? else {
            unreachable!("every action has fields, if none");
        };
        let (name, fields) = tagged.into_iter().next().expect("an action has a name");
        let Value::Table(fields) = fields else { unreachable!("fields have names") };
        Ok((name, fields))
    }
}
