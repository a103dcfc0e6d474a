//! A replicated log for a state machine, agreed by the nodes themselves.
//!
//! A [`Group`] is one replicated [`Machine`]: commands that any member [proposes](Group::propose)
//! are applied by all in one order, and a [read](Group::read) through any member sees what was
//! acknowledged before it. Votes, entries and snapshots are on the member's own disk ([`journal`],
//! [`snapshot`]), messages go over connections that the caller provides ([`Peers`]), and an
//! existing engine decides ([`engine`]).
//!
//! Invariant: no two members apply different commands at one index, and what was acknowledged
//! survives while a majority of the voters keeps its disks.

mod engine;
pub mod entry;
mod error;
mod frame;
mod journal;
mod machine;
mod message;
mod options;
mod peers;
mod refound;
mod shortage;
mod snapshot;

pub use engine::{Group, GroupStatus, Opening, create};
pub use error::{MembersError, OpenError, ProposeError, ReadError};
pub use journal::{Identity, JournalError};
pub use machine::{Applied, LoadError, Loader, Machine, Observer, PART_BYTES_MAX};
pub use message::{Member, Proposed};
pub use options::{Options, OptionsError};
pub use peers::{PeerError, Peers};
pub use refound::{Remains, complete, refound, remains};
pub use snapshot::SnapshotError;
