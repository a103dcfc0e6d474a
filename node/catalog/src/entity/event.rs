//! An event: a change that was committed, as it is told to those who follow.

use std::sync::Arc;

use gitstratum_core::placement::NodeId;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{NodeState, RefTarget};
use crate::codec::{cbor, json};
use crate::ids::{RepositoryId, TokenId};
use crate::names::{RefName, RepositoryName};

/// A committed change. Events are numbered from 1 without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    #[n(0)]
    pub number: u64,
    /// The command that made the change, by its position: all changes of one push have one.
    #[n(1)]
    pub position: u64,
    /// When, in unix milliseconds; never earlier than the event before.
    #[n(2)]
    pub at_ms: u64,
    /// Who asked for it.
    #[cbor(n(3), with = "cbor::shared_text")]
    #[serde(with = "json::shared_text")]
    pub who: Arc<str>,
    /// What changed.
    #[n(4)]
    #[serde(flatten)]
    pub change: Change,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(flat)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A repository came into being.
    #[n(0)]
    RepositoryCreated {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// Its name.
        #[n(1)]
        name: RepositoryName,
    },
    /// A repository has another name.
    #[n(1)]
    RepositoryRenamed {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// The name that it had.
        #[n(1)]
        old: RepositoryName,
        /// The name that it has.
        #[n(2)]
        new: RepositoryName,
    },
    /// A repository's settings changed.
    #[n(2)]
    RepositoryConfigured {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// A repository was deleted, and is kept for a time.
    #[n(3)]
    RepositoryDeleted {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// The name that it had.
        #[n(1)]
        name: RepositoryName,
        /// How long it is kept, in unix milliseconds.
        #[n(2)]
        until_ms: u64,
    },
    /// A deletion was undone.
    #[n(4)]
    RepositoryUndeleted {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// The name that it has now.
        #[n(1)]
        name: RepositoryName,
    },
    /// A deleted repository is gone, with its refs and packs.
    #[n(5)]
    RepositoryPurged {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
    },
    /// A ref was made, moved or deleted.
    #[n(6)]
    RefUpdated {
        /// Whose.
        #[n(0)]
        repository: RepositoryId,
        /// Which.
        #[n(1)]
        name: RefName,
        /// Where it pointed; nothing where it was made.
        #[n(2)]
        old: Option<RefTarget>,
        /// Where it points; nothing where it was deleted.
        #[n(3)]
        new: Option<RefTarget>,
    },
    /// Another layout is in force.
    #[n(7)]
    LayoutApplied {
        /// Its version.
        #[n(0)]
        version: u64,
    },
    /// A node joined, or came back with another address.
    #[n(8)]
    NodeJoined {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        #[serde(with = "json::node_id")]
        node: NodeId,
        /// Its address.
        #[n(1)]
        address: String,
    },
    /// A node has another part.
    #[n(9)]
    NodeChanged {
        /// Which.
        #[cbor(n(0), with = "cbor::node_id")]
        #[serde(with = "json::node_id")]
        node: NodeId,
        /// The part that it has.
        #[n(1)]
        state: NodeState,
    },
    /// A token was created.
    #[n(10)]
    TokenCreated {
        /// Which.
        #[n(0)]
        token: TokenId,
    },
    /// A token was revoked.
    #[n(11)]
    TokenRevoked {
        /// Which.
        #[n(0)]
        token: TokenId,
    },
    /// A repository came into being with all refs that another one has at this moment. No event
    /// tells them one by one.
    #[n(12)]
    RepositoryForked {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// Its name.
        #[n(1)]
        name: RepositoryName,
        /// Of which it is a fork.
        #[n(2)]
        origin: RepositoryId,
    },
    /// A repository came into being with all that a backup has of it. No event tells its refs one
    /// by one.
    #[n(13)]
    RepositoryRestored {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// Its name.
        #[n(1)]
        name: RepositoryName,
        /// The cluster that it was backed up from.
        #[n(2)]
        cluster: String,
        /// The position of that cluster's catalog.
        #[n(3)]
        position_there: u64,
    },
}
