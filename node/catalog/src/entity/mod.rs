//! What the catalog keeps: repositories, refs, packs, nodes, tokens, and events that tell of their
//! changes.
//!
//! Each type stands in the state, in replies, in snapshots (CBOR, numbered fields) and in the
//! text form (JSON). A field that is added later is an `Option`, or has a default, with the next
//! number; a number is never used again.

mod event;
mod node;
mod pack;
mod program;
mod reference;
mod repository;
mod token;

pub use event::{Change, Event};
pub use node::{Node, NodeState};
pub use pack::Pack;
pub use program::Program;
pub use reference::{LogEntry, LoggedUpdate, Note, Ref, RefTarget};
pub use repository::{Deletion, Repository, RepositoryLimits, Restored};
pub use token::{Access, Token};
