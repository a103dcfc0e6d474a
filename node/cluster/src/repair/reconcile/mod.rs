//! Anti-entropy: two replicas find out in which objects they differ, and exchange those.
//!
//! # What is compared
//!
//! The ids of sound objects at the positions of the ring that one of two nodes owns by the
//! layout in force, and that the other may hold by that layout or by one before it that is not
//! settled ([`Sharing`](gitstratum_core::placement::Sharing)). So a member that drains, or one that a
//! change of weights took positions from, is a source for those that own them now. It is given
//! nothing there: only an owner is. A node that was removed is no peer.
//!
//! A pair shares only part of the ring, in pieces that follow the layouts, so a tree over all
//! of a store would have to be kept once for every peer, and anew with every layout. Instead
//! the comparison is over *positions*, and each side lists, for any range of them, what it holds
//! there and shares with the other. Both compute that, so they compare only when they know the
//! same layouts.
//!
//! # How
//!
//! Range-based set reconciliation (A. Meyer, "Range-Based Set Reconciliation",
//! arXiv:2212.13567; in use as Negentropy, logperiodic.com/rbsr.html). The node that asks
//! states a fingerprint for each of a few ranges of positions. The one that answers names the
//! ranges where its own is another, with the fingerprints of their parts, and so on in turns,
//! each message one level further down, until a range has so few ids that they are listed.
//! The answering side keeps nothing between two messages, and the asking side a stack of
//! ranges, so either may restart: what was not compared is compared again.
//!
//! A tree of digests kept up to date (as Dynamo and Cassandra have) would spare the scan
//! behind the first fingerprints. It was weighed and not chosen: it costs each put, must
//! follow deletion, damage and compaction to the bit or report false differences for ever,
//! and is kept per layout. The scan is a pass over sorted index files
//! ([`gitstratum_store::Inventory`]) at a time of our choosing. Structures whose size follows the
//! difference alone (IBLT: Eppstein et al., "What's the Difference?", SIGCOMM 2011; rateless
//! IBLT: Yang et al., SIGCOMM 2024) need fewer bytes where ten thousands differ, and the same
//! scan; but there the objects themselves, which follow, outweigh all ids many times.
//!
//! # Fingerprints
//!
//! A session draws a key. An id's *tag* is its SipHash-2-4 under that key; a range's
//! fingerprint is the sum of its tags modulo 2^64. Two different sets have equal sums with
//! probability 2^-64, whoever chose the ids, because the key is drawn after they were stored:
//! no one can prepare a collision, as one can for sums or exclusive ors of the ids themselves.
//! A round over ten million objects compares a few thousand ranges. What a collision hides is
//! hidden for one round, since the next draws another key. Listed ids travel as tags too: a
//! wrong match costs no more than that.
//!
//! # What was deleted
//!
//! A store that knows it deleted an object neither takes it from a peer that missed the
//! deletion nor offers it: it is asked once more, by full id, before anything is sent. The
//! object stays on the peer, and is counted as withheld in every round, until garbage
//! collection deletes it there. When compaction has dropped the last trace of the deletion,
//! the object would come back; so garbage collection has to reach every replica before it
//! lets tombstones go. A deleted object that is put again is brought to replicas that missed
//! that put by their hints, not from here.

mod answer;
mod exchange;
mod listing;
mod numbers;
mod round;
mod schedule;
mod session;
mod tags;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use listing::{Listing, Shared};
pub use numbers::{Counts, Numbers, PeerReport, Progress, Report};
pub use round::{Round, RoundError};
pub use schedule::Reconciler;
pub use session::{Found, Session, Step, TakeError};

use gitstratum_core::limits;
use gitstratum_core::replica::compare::PARTS_MAX;

/// A range with so few ids is listed, not divided.
pub const LISTED_MAX: usize = 32;
/// The parts of a range are meant to have about so many ids at the lowest level.
const IDS_PER_PART: usize = 16;
/// One that answers a list names so many ids that the list lacks, and else divides.
const NAMED_MAX: usize = 1024;
/// Ids that are listed from a store at once.
pub const WINDOW_IDS_MAX: u64 = 64 << 10;
/// Ids between two ranges that are read and passed over rather than beginning another list.
const GAP_IDS_MAX: u64 = 1024;
/// Ids that one answer may scan before it leaves the rest for the next.
const SCANNED_IDS_MAX: u64 = 1 << 20;
/// Encoded bytes of a question, about; and of a reply before it leaves the rest for the next.
const MESSAGE_BYTES: usize = 256 << 10;

const _: () = assert!(LISTED_MAX >= IDS_PER_PART && NAMED_MAX >= LISTED_MAX);
const _: () = assert!(WINDOW_IDS_MAX * (PARTS_MAX as u64) <= SCANNED_IDS_MAX);
const _: () = assert!(MESSAGE_BYTES + NAMED_MAX * 40 < limits::MESSAGE_BYTES_MAX);
