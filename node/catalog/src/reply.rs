//! Replies: what applying a command gives. A repeated command gets the reply of the first time.

use minicbor::{Decode, Encode};

use crate::entity::RefTarget;
use crate::error::CatalogError;
use crate::ids::{RaftId, RepositoryId, TokenId};

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Reply {
    /// It was done.
    #[n(0)]
    Done(#[n(0)] Outcome),
    /// It was refused, and nothing changed.
    #[n(1)]
    Refused(#[n(0)] CatalogError),
}

/// What a command that was done gave.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Outcome {
    /// There is no more to say.
    #[n(0)]
    Changed,
    /// A repository was made.
    #[n(1)]
    Created {
        /// Its id.
        #[n(0)]
        repository: RepositoryId,
    },
    /// A deleted repository was dropped.
    #[n(2)]
    Purged {
        /// Whether all of it is gone; else the command is to be repeated with a new number.
        #[n(0)]
        finished: bool,
    },
    /// A push was looked at.
    #[n(3)]
    Pushed {
        /// What became of each update, in the order of the push.
        #[n(0)]
        verdicts: Vec<Verdict>,
    },
    /// A layout is in force.
    #[n(4)]
    LayoutInForce {
        /// Its version.
        #[n(0)]
        version: u64,
        /// Whether that is new.
        #[n(1)]
        changed: bool,
    },
    /// A node is a member.
    #[n(5)]
    Joined {
        /// Its id in the consensus engine.
        #[n(0)]
        raft: RaftId,
    },
    /// A token was made.
    #[n(6)]
    TokenCreated {
        /// Its id.
        #[n(0)]
        token: TokenId,
    },
}

/// What became of one update of a push.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Verdict {
    /// The ref is as the update says.
    #[n(0)]
    Done {
        /// What it was before.
        #[n(0)]
        old: Option<RefTarget>,
    },
    /// The update was refused.
    #[n(1)]
    Refused(#[n(0)] CatalogError),
}

impl Reply {
    /// What the command gave, or why it was refused.
    ///
    /// # Errors
    /// The refusal.
    pub fn into_result(self) -> Result<Outcome, CatalogError> {
        match self {
            Reply::Done(outcome) => Ok(outcome),
            Reply::Refused(why) => Err(why),
        }
    }
}

impl From<Result<Outcome, CatalogError>> for Reply {
    fn from(result: Result<Outcome, CatalogError>) -> Self {
        match result {
            Ok(outcome) => Reply::Done(outcome),
            Err(why) => Reply::Refused(why),
        }
    }
}
