//! Queries: what is asked of the state, and its answers, as they travel.
//!
//! A query changes nothing, so it is no command: whoever has a state that is recent enough answers
//! it. What may be much is answered in pages.

use std::sync::Arc;

use gitstratum_core::placement::Layout;
use minicbor::{Decode, Encode};

use crate::codec::cbor;
use crate::dump::lines;
use crate::entity::{Event, Node, Pack, Ref, Repository, Token};
use crate::error::CatalogError;
use crate::ids::{PackId, RepositoryId, TokenId};
use crate::names::{RefName, RepositoryName};
use crate::state::{EventsError, State};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Query {
    /// Live repositories whose names begin so.
    #[n(0)]
    Repositories {
        /// How they begin; all, where it is empty.
        #[n(0)]
        prefix: String,
        /// Where the last page ended.
        #[n(1)]
        after: Option<RepositoryName>,
        /// How many at most.
        #[n(2)]
        max: u32,
    },
    /// The live repository of this name, if there is one.
    #[n(1)]
    Repository {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// Deleted repositories that can be undeleted, or are not yet purged.
    #[n(2)]
    DeletedRepositories,
    /// Refs of a repository whose names begin so.
    #[n(3)]
    Refs {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// How they begin; all, where it is empty.
        #[n(1)]
        prefix: String,
        /// Where the last page ended.
        #[n(2)]
        after: Option<RefName>,
        /// How many at most.
        #[n(3)]
        max: u32,
    },
    /// All access tokens, without their hashes.
    #[n(4)]
    Tokens,
    /// Every node that ever belonged to the cluster.
    #[n(5)]
    Nodes,
    /// Events after one of them.
    #[n(6)]
    Events {
        /// The number of that one; 0 for the first.
        #[n(0)]
        since: u64,
        /// How many at most.
        #[n(1)]
        max: u32,
    },
    /// The layout that was agreed on last.
    #[n(7)]
    Layout,
    /// Lines of the text form of one state.
    #[n(8)]
    Dump {
        /// The position of that state; nothing for the one that there is now.
        #[n(0)]
        of: Option<u64>,
        /// How many records come before them.
        #[n(1)]
        skip: u64,
    },
    /// Packs of a repository, by id.
    #[n(9)]
    Packs {
        /// Which.
        #[n(0)]
        repository: RepositoryId,
        /// Where the last page ended.
        #[n(1)]
        after: Option<PackId>,
        /// How many at most.
        #[n(2)]
        max: u32,
    },
}

/// Lines of a text form that are sent at once take about so many bytes.
const DUMP_BYTES: usize = 512 << 10;

/// A repository with its id, and what is counted of it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub struct Described {
    /// Its id.
    #[n(0)]
    pub id: RepositoryId,
    /// What is kept of it.
    #[n(1)]
    pub repository: Repository,
    /// Refs that it has.
    #[n(2)]
    pub refs: u64,
    /// Packs that it has.
    #[n(3)]
    pub packs: u64,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(flat)]
pub enum Answer {
    /// Repositories, and the name after which the next page begins.
    #[n(0)]
    Repositories {
        /// Those of this page.
        #[n(0)]
        repositories: Vec<Described>,
        /// Nothing where this is the last one.
        #[n(1)]
        next: Option<RepositoryName>,
    },
    /// Refs without their logs, and the name after which the next page begins.
    #[n(1)]
    Refs {
        /// Those of this page.
        #[n(0)]
        refs: Vec<(RefName, Ref)>,
        /// Nothing where this is the last one.
        #[n(1)]
        next: Option<RefName>,
    },
    /// Access tokens.
    #[n(2)]
    Tokens(#[n(0)] Vec<(TokenId, Token)>),
    /// Nodes by name.
    #[n(3)]
    Nodes(#[n(0)] Vec<(String, Node)>),
    /// Events, and the number of the last one that there is.
    #[n(4)]
    Events {
        /// Those of this page.
        #[n(0)]
        events: Vec<Event>,
        /// Where it is greater than that of the page's last, there are more.
        #[n(1)]
        last: u64,
    },
    /// It cannot be answered.
    #[n(5)]
    Refused(#[n(0)] CatalogError),
    /// The events that are asked for are kept no more, or never were.
    #[n(6)]
    EventsRefused(#[n(0)] EventsError),
    /// The layout, with its history; nothing where none was agreed on yet.
    #[n(7)]
    Layout(#[n(0)] Option<AgreedLayout>),
    /// Lines of the text form.
    #[n(8)]
    Dump {
        /// The position of the state that they are of.
        #[n(0)]
        of: u64,
        /// The lines.
        #[n(1)]
        text: String,
        /// How many records come before the next ones; nothing where these are the last.
        #[n(2)]
        next: Option<u64>,
    },
    /// The state that lines were asked of is not there any more.
    #[n(9)]
    DumpGone,
    /// Packs, and the id after which the next page begins.
    #[n(10)]
    Packs {
        /// The repository's generation: pages of two generations are not of one list.
        #[n(0)]
        generation: u64,
        /// Those of this page.
        #[n(1)]
        packs: Vec<Pack>,
        /// Nothing where this is the last one.
        #[n(2)]
        next: Option<PackId>,
    },
}

/// A layout as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AgreedLayout(#[cbor(n(0), with = "cbor::layout")] pub Arc<Layout>);

impl State {
    /// Answers a query.
    pub fn answer(&self, query: &Query) -> Answer {
        match query {
            Query::Repositories { prefix, after, max } => {
                let page = self.repositories(prefix, after.as_ref(), *max as usize);
                let repositories =
                    page.repositories.iter().map(|(id, found)| described(*id, found));
                Answer::Repositories { repositories: repositories.collect(), next: page.next }
            }
            Query::Repository { name } => {
                let found = self.repository_named(name).map(|(id, found)| described(id, found));
                Answer::Repositories { repositories: found.into_iter().collect(), next: None }
            }
            Query::DeletedRepositories => {
                let deleted = self.deleted_repositories().map(|(id, found)| described(id, found));
                Answer::Repositories { repositories: deleted.collect(), next: None }
            }
            Query::Refs { repository, prefix, after, max } => {
                if self.repository(*repository).is_none() {
                    let repository = *repository;
                    return Answer::Refused(CatalogError::NoRepository { repository });
                }
                let page = self.references_page(*repository, prefix, after.as_ref(), *max as usize);
                // Without their logs, which are much longer than the rest.
                let short = |held: &Ref| {
                    let (target, peeled) = (held.target.clone(), held.peeled.clone());
                    Ref { target, peeled, log: Box::default() }
                };
                let refs = page.refs.into_iter().map(|(name, held)| (name, short(&held)));
                Answer::Refs { refs: refs.collect(), next: page.next }
            }
            Query::Packs { repository, after, max } => {
                let live = self.repository(*repository);
                let Some(live) = live.filter(|live| live.deleted.is_none()) else {
                    let repository = *repository;
                    return Answer::Refused(CatalogError::NoRepository { repository });
                };
                let page = self.packs_page(*repository, *after, *max as usize);
                let packs = page.packs.iter().map(|pack| Pack::clone(pack)).collect();
                Answer::Packs { generation: live.generation, packs, next: page.next }
            }
            Query::Tokens => {
                Answer::Tokens(self.tokens().map(|(id, token)| (id, token.clone())).collect())
            }
            Query::Dump { of, .. } if of.is_some_and(|of| of != self.position()) => {
                Answer::DumpGone
            }
            Query::Dump { skip, .. } => {
                let (text, next) = lines(self, *skip, DUMP_BYTES);
                Answer::Dump { of: self.position(), text, next }
            }
            Query::Layout => Answer::Layout(self.layout().cloned().map(AgreedLayout)),
            Query::Nodes => {
                let nodes = self.nodes().map(|(id, node)| (id.to_string(), Node::clone(node)));
                Answer::Nodes(nodes.collect())
            }
            Query::Events { since, max } => match self.events_since(*since, *max as usize) {
                Ok(events) => {
                    let events = events.iter().map(|event| Event::clone(event)).collect();
                    Answer::Events { events, last: self.last_event() }
                }
                Err(error) => Answer::EventsRefused(error),
            },
        }
    }
}

fn described(id: RepositoryId, repository: &Arc<Repository>) -> Described {
    let (refs, packs) = (repository.refs, repository.packs);
    Described { id, repository: Repository::clone(repository), refs, packs }
}
