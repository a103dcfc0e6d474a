//! Records: the state as a sequence of small values, which is what snapshots and dumps are made of.
//!
//! They come in one order: the head, repositories, refs, packs, the layout, nodes, tokens,
//! answers, events, and the end with its counts; those of one kind by their keys. So two states
//! that are equal have the same records, and whoever reads them needs no second look.

use std::sync::Arc;

use gitstratum_core::placement::{Layout, NodeId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::State;
use crate::codec::{cbor, json};
use crate::command::Request;
use crate::entity::{Event, Node, Pack, Ref, Repository, Token};
use crate::ids::{RepositoryId, TokenHash, TokenId};
use crate::names::RefName;
use crate::reply::Reply;

/// One value of a state.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[cbor(flat)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// What there is once. The first record.
    #[n(0)]
    Head(#[n(0)] Head),
    /// A repository, deleted or not.
    #[n(1)]
    Repository {
        /// Its id.
        #[n(0)]
        id: RepositoryId,
        /// All of it but its refs and packs.
        #[cbor(n(1), with = "cbor::shared")]
        #[serde(with = "json::shared")]
        repository: Arc<Repository>,
    },
    /// A ref.
    #[n(2)]
    Ref {
        /// Whose.
        #[n(0)]
        repository: RepositoryId,
        /// Its full name.
        #[n(1)]
        name: RefName,
        /// Where it points, and its last updates.
        #[cbor(n(2), with = "cbor::shared")]
        #[serde(rename = "ref", with = "json::shared")]
        value: Arc<Ref>,
    },
    /// A pack.
    #[n(3)]
    Pack {
        /// Whose.
        #[n(0)]
        repository: RepositoryId,
        /// The pack.
        #[cbor(n(1), with = "cbor::shared")]
        #[serde(with = "json::shared")]
        pack: Arc<Pack>,
    },
    /// The layout in force.
    #[n(4)]
    Layout {
        /// The layout with its history.
        #[cbor(n(0), with = "cbor::layout")]
        #[serde(with = "json::layout")]
        layout: Arc<Layout>,
    },
    /// A node.
    #[n(5)]
    Node {
        /// Its id.
        #[cbor(n(0), with = "cbor::node_id")]
        #[serde(with = "json::node_id")]
        id: NodeId,
        /// All else.
        #[cbor(n(1), with = "cbor::shared")]
        #[serde(with = "json::shared")]
        node: Arc<Node>,
    },
    /// An access token.
    #[n(6)]
    Token {
        /// Its id.
        #[n(0)]
        id: TokenId,
        /// The hash of its secret.
        #[n(1)]
        hash: TokenHash,
        /// All else.
        #[n(2)]
        token: Token,
    },
    /// The last answer of a client. No part of a dump.
    #[n(7)]
    #[serde(skip)]
    Answer {
        /// The command that was answered.
        #[n(0)]
        request: Request,
        /// The position of the command with which the client was heard of last.
        #[n(1)]
        heard_at: u64,
        /// The answer.
        #[n(2)]
        reply: Reply,
    },
    /// An event.
    #[n(8)]
    Event {
        /// The event.
        #[cbor(n(0), with = "cbor::shared")]
        #[serde(with = "json::shared")]
        event: Arc<Event>,
    },
    /// The last record: without it the sequence was cut.
    #[n(9)]
    End(#[n(0)] Counts),
}

/// What there is once in a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The form of what follows.
    #[n(0)]
    pub format: u32,
    /// Which group of repositories it is of.
    #[n(1)]
    pub group: u32,
    /// The position of the last command.
    #[n(2)]
    pub position: u64,
    /// The greatest time that any command carried, in unix milliseconds.
    #[n(3)]
    pub clock_ms: u64,
    /// The last id that a repository was given, whether it is still there or not.
    #[n(4)]
    pub last_repository: u64,
    /// The last raft id.
    #[n(5)]
    pub last_raft: u64,
    /// The last id of a token.
    #[n(6)]
    pub last_token: u64,
    /// The number of the last event.
    #[n(7)]
    pub last_event: u64,
}

/// How many records there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Repositories, deleted ones included.
    #[n(0)]
    pub repositories: u64,
    /// Refs of all repositories.
    #[n(1)]
    pub refs: u64,
    /// Packs of all repositories.
    #[n(2)]
    pub packs: u64,
    /// Layouts: one or none.
    #[n(3)]
    pub layouts: u64,
    /// Nodes, removed ones included.
    #[n(4)]
    pub nodes: u64,
    /// Access tokens.
    #[n(5)]
    pub tokens: u64,
    /// Answers. None in a dump.
    #[n(6)]
    #[serde(skip)]
    pub answers: u64,
    /// Events that are kept.
    #[n(7)]
    pub events: u64,
}

/// The form of records that this program writes, and the only one that it reads.
pub(crate) const FORMAT: u32 = 1;

impl State {
    /// What there is once, as the first record has it.
    pub fn head(&self) -> Head {
        Head {
            format: FORMAT,
            group: self.group,
            position: self.position,
            clock_ms: self.clock_ms,
            last_repository: self.repositories.last(),
            last_raft: self.nodes.last(),
            last_token: self.tokens.last(),
            last_event: self.events.last(),
        }
    }

    /// How much there is of everything.
    pub fn counts(&self) -> Counts {
        Counts {
            repositories: self.repositories.len() as u64,
            refs: self.refs.len() as u64,
            packs: self.packs.len() as u64,
            layouts: u64::from(self.layout.is_some()),
            nodes: self.nodes.len() as u64,
            tokens: self.tokens.len() as u64,
            answers: self.answers.len() as u64,
            events: self.events.len() as u64,
        }
    }

    /// All records of the state, in their order.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let repositories = self.repositories.iter().map(|(id, repository)| {
            let repository = repository.clone();
            Record::Repository { id, repository }
        });
        let refs = self.refs.iter().map(|(key, value)| Record::Ref {
            repository: key.repository,
            name: key.name.clone(),
            value: value.clone(),
        });
        let packs = self.packs.iter();
        let packs = packs.map(|(repository, pack)| Record::Pack { repository, pack: pack.clone() });
        let layout = self.layout.iter().map(|layout| Record::Layout { layout: layout.clone() });
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|(id, node)| Record::Node { id: id.clone(), node: node.clone() });
        let tokens = self.tokens.iter().map(|(id, hashed)| Record::Token {
            id,
            hash: hashed.hash,
            token: hashed.token.clone(),
        });
        let answers = self.answers.iter().map(|(client, answer)| Record::Answer {
            request: Request { client: *client, number: answer.number },
            heard_at: answer.heard_at,
            reply: answer.reply.clone(),
        });
        let events = self.events.iter().map(|event| Record::Event { event: event.clone() });
        [Record::Head(self.head())]
            .into_iter()
            .chain(repositories)
            .chain(refs)
            .chain(packs)
            .chain(layout)
            .chain(nodes)
            .chain(tokens)
            .chain(answers)
            .chain(events)
            .chain([Record::End(self.counts())])
    }
}
