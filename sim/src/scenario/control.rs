//! Controls.
//!
//! The broken pools, repair, writers, readers and gateways that a scenario can name as its controls.
//!
//! Only their names are here; what they lack is in `broken`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pool of the testbed's own that lacks one protection, or all of them; or a cluster that
/// lacks part of its repair, or of what keeps a push; or a client that writes or reads carelessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Control {
    /// Nothing is missing. No scenario can name it: it is what the others are held against.
    Whole,
    /// Connections have no greatest age.
    NoExpiry,
    /// A connection that is too old goes before its successor stands.
    NoOverlap,
    /// A connection on which a request failed is used again.
    NoEviction,
    /// A name is resolved once.
    ResolveOnce,
    /// Whoever answers is taken for the peer.
    NoIdentityCheck,
    /// No pings.
    NoKeepalive,
    /// Every caller without a connection dials.
    NoSingleFlight,
    /// A failed dial is tried again at once.
    NoBackoff,
    /// As many connections as there are peers.
    NoBound,
    /// The client goes by the layout that it met first.
    NoCatchingUp,
    /// All of these: a map from peer to connection.
    Naive,
    /// Hints that a witness is said to have, and was never told.
    LossyHints,
    /// Hints that nobody delivers.
    NoDelivery,
    /// Nodes that never compare what they hold.
    NoAntiEntropy,
    /// Nodes that compare what they hold with the active members of the layout in force alone.
    ActivePeersOnly,
    /// Nodes that never look through what they hold.
    NoScrub,
    /// Nodes that never compact.
    NoCompaction,
    /// Nodes whose compaction does not sync what it wrote before it removes what it read.
    UnsyncedCompaction,
    /// Nodes of other clusters have the id of the run's own, as if there were no such ids.
    NoClusterId,
    /// A writer that sends to W replicas and calls it N.
    FirstW,
    /// A writer that drops what was not acknowledged when W were.
    CancelAtW,
    /// A reader that leaves replicas as it finds them.
    NoReadRepair,
    /// A reader that takes every error for "absent".
    ErrorsAsAbsent,
    /// A reader to whom the "absent" of a replica that has not caught up is a proof.
    EmptyAsProof,
    /// A reader to whom an object that a replica calls damaged is absent there.
    DamagedAsAbsent,
    /// A client of the catalog that takes what one node has for what the cluster agreed on.
    LocalReads,
    /// A client of the catalog that gives a command another number when it sends it again.
    RenumberedRetry,
    /// A client of the catalog that reads from whoever says that it leads, without asking others
    /// whether it does.
    UnconfirmedReads,
    /// Nodes that are killed when they are asked to stop.
    AbruptStop,
    /// A disk that is replaced has everything but the catalog's log, and the votes in it.
    ForgottenVote,
    /// Nodes whose disks do not sync the log of the catalog, and say that they did.
    UnsyncedLog,
    /// Nodes whose disks do not sync what they store, and say that they did.
    UnsyncedSegments,
    /// A Git gateway that updates refs without looking whether their objects are there.
    UncheckedConnectivity,
    /// A Git gateway that answers a push before the catalog's command is committed.
    ReportBeforeCommit,
    /// A Git gateway that names a pack before W replicas have its chunks.
    CommitBeforeW,
    /// Nodes that sweep chunks without an owner whatever their lease.
    NoLease,
    /// Nodes that never sweep.
    NoSweep,
}

/// What a control lacks something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakens {
    /// The clients' pool: they have one of the testbed's own.
    Pool,
    /// How clients write and read: something stands around each replica.
    Client,
    /// What nodes do by themselves.
    Nodes,
}

impl Control {
    /// All that a scenario can name.
    pub const ALL: [Control; 37] = [
        Control::NoExpiry,
        Control::NoOverlap,
        Control::NoEviction,
        Control::ResolveOnce,
        Control::NoIdentityCheck,
        Control::NoKeepalive,
        Control::NoSingleFlight,
        Control::NoBackoff,
        Control::NoBound,
        Control::NoCatchingUp,
        Control::Naive,
        Control::LossyHints,
        Control::NoDelivery,
        Control::NoAntiEntropy,
        Control::ActivePeersOnly,
        Control::NoScrub,
        Control::NoCompaction,
        Control::UnsyncedCompaction,
        Control::NoClusterId,
        Control::FirstW,
        Control::CancelAtW,
        Control::NoReadRepair,
        Control::ErrorsAsAbsent,
        Control::EmptyAsProof,
        Control::DamagedAsAbsent,
        Control::LocalReads,
        Control::RenumberedRetry,
        Control::UnconfirmedReads,
        Control::AbruptStop,
        Control::ForgottenVote,
        Control::UnsyncedLog,
        Control::UnsyncedSegments,
        Control::UncheckedConnectivity,
        Control::ReportBeforeCommit,
        Control::CommitBeforeW,
        Control::NoLease,
        Control::NoSweep,
    ];

    /// As scenario files and the command line have it.
    pub fn name(self) -> &'static str {
        match self {
            Control::Whole => "whole",
            Control::NoExpiry => "no-expiry",
            Control::NoOverlap => "no-overlap",
            Control::NoEviction => "no-eviction",
            Control::ResolveOnce => "resolve-once",
            Control::NoIdentityCheck => "no-identity-check",
            Control::NoKeepalive => "no-keepalive",
            Control::NoSingleFlight => "no-single-flight",
            Control::NoBackoff => "no-backoff",
            Control::NoBound => "no-bound",
            Control::NoCatchingUp => "no-catching-up",
            Control::Naive => "naive",
            Control::LossyHints => "lossy-hints",
            Control::NoDelivery => "no-delivery",
            Control::NoAntiEntropy => "no-anti-entropy",
            Control::ActivePeersOnly => "active-peers-only",
            Control::NoScrub => "no-scrub",
            Control::NoCompaction => "no-compaction",
            Control::UnsyncedCompaction => "unsynced-compaction",
            Control::NoClusterId => "no-cluster-id",
            Control::FirstW => "first-w",
            Control::CancelAtW => "cancel-at-w",
            Control::NoReadRepair => "no-read-repair",
            Control::ErrorsAsAbsent => "errors-as-absent",
            Control::EmptyAsProof => "empty-as-proof",
            Control::DamagedAsAbsent => "damaged-as-absent",
            Control::LocalReads => "local-reads",
            Control::RenumberedRetry => "renumbered-retry",
            Control::UnconfirmedReads => "unconfirmed-reads",
            Control::AbruptStop => "abrupt-stop",
            Control::ForgottenVote => "forgotten-vote",
            Control::UnsyncedLog => "unsynced-log",
            Control::UnsyncedSegments => "unsynced-segments",
            Control::UncheckedConnectivity => "unchecked-connectivity",
            Control::ReportBeforeCommit => "report-before-commit",
            Control::CommitBeforeW => "commit-before-w",
            Control::NoLease => "no-lease",
            Control::NoSweep => "no-sweep",
        }
    }

    /// What it is that lacks something.
    pub fn weakens(self) -> Weakens {
        match self {
            Control::Whole
            | Control::NoExpiry
            | Control::NoOverlap
            | Control::NoEviction
            | Control::ResolveOnce
            | Control::NoIdentityCheck
            | Control::NoKeepalive
            | Control::NoSingleFlight
            | Control::NoBackoff
            | Control::NoBound
            | Control::NoCatchingUp
            | Control::Naive => Weakens::Pool,
            Control::LossyHints
            | Control::FirstW
            | Control::CancelAtW
            | Control::NoReadRepair
            | Control::ErrorsAsAbsent
            | Control::EmptyAsProof
            | Control::DamagedAsAbsent
            | Control::LocalReads
            | Control::RenumberedRetry
            | Control::UnconfirmedReads
            | Control::UncheckedConnectivity => Weakens::Client,
            Control::NoDelivery
            | Control::NoAntiEntropy
            | Control::ActivePeersOnly
            | Control::NoScrub
            | Control::NoCompaction
            | Control::UnsyncedCompaction
            | Control::NoClusterId
            | Control::AbruptStop
            | Control::ForgottenVote
            | Control::UnsyncedLog
            | Control::UnsyncedSegments
            | Control::ReportBeforeCommit
            | Control::CommitBeforeW
            | Control::NoLease
            | Control::NoSweep => Weakens::Nodes,
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Control::ALL.into_iter().find(|control| control.name() == name);
        found.ok_or_else(|| {
            let known: Vec<_> = Control::ALL.map(Control::name).into();
            format!("{name:?} is none of {}", known.join(", "))
        })
    }
}

impl TryFrom<String> for Control {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Control::named(&name)
    }
}

impl From<Control> for &'static str {
    fn from(control: Control) -> Self {
        control.name()
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
