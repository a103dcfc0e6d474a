//! The state, and how commands change it.
//!
//! All of it lies in persistent maps, so a clone costs nothing and does not change any more: a
//! snapshot is written from a clone while commands go on being applied.
//!
//! Invariant: a refused command leaves everything as it was but for the clock, the position and
//! the stored answer. So each operation looks at all that may refuse it before it changes
//! anything; an atomic push, which cannot, goes back to the refs as they were.

mod answers;
mod builder;
mod events;
mod fork;
mod layout;
mod nodes;
mod packs;
mod purge;
mod push;
mod read;
mod records;
mod refs;
mod repositories;
mod restore;
mod settings;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gitstratum_core::limits::WHO_BYTES_MAX;
use gitstratum_core::placement::Layout;

use crate::command::{Command, Operation};
use crate::entity::Note;
use crate::error::{CatalogError, within};
use crate::reply::{Outcome, Reply};

use answers::Answers;
use events::Events;
use nodes::Nodes;
use packs::Packs;
use refs::Refs;
use repositories::Repositories;
use tokens::Tokens;

pub use builder::{RecordError, StateBuilder};
pub use events::EventsError;
pub use read::{PackPage, RefPage, RepositoryPage};
pub(crate) use records::FORMAT;
pub use records::{Counts, Head, Record};

/// All that the cluster agrees on. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    group: u32,
    /// Of the last command, or of what else the engine put into its log.
    position: u64,
    /// The greatest time that any command carried.
    clock_ms: u64,
    repositories: Repositories,
    refs: Refs,
    packs: Packs,
    layout: Option<Arc<Layout>>,
    nodes: Nodes,
    tokens: Tokens,
    answers: Answers,
    events: Events,
}

/// What all changes of one command have in common.
struct Context {
    position: u64,
    now_ms: u64,
    who: Arc<str>,
}

impl Context {
    /// What the logs of refs say of the command.
    fn note(&self, message: String) -> Note {
        Note { who: Box::from(&*self.who), message: message.into() }
    }
}

impl State {
    /// The state before the first command.
    pub fn new(group: u32) -> Self {
        State {
            group,
            position: 0,
            clock_ms: 0,
            repositories: Repositories::default(),
            refs: Refs::default(),
            packs: Packs::default(),
            layout: None,
            nodes: Nodes::default(),
            tokens: Tokens::default(),
            answers: Answers::default(),
            events: Events::default(),
        }
    }

    /// Applies the command at `position`, and says what became of it. A command that the same
    /// client sent before is answered as it was then, and changes nothing.
    ///
    /// # Panics
    /// When `position` is not after the last one: whoever feeds commands has lost their order.
    pub fn apply(&mut self, position: u64, command: Command) -> Reply {
        self.advance(position);
        let Command { group, request, at_ms, who, operation } = command;
        if group != self.group {
            return Reply::Refused(CatalogError::WrongGroup { given: group, ours: self.group });
        }
        self.clock_ms = self.clock_ms.max(at_ms);
        match self.answers.find(request, position) {
            Ok(None) => {}
            Ok(Some(reply)) => return reply,
            Err(why) => return Reply::Refused(why),
        }
        let context = Context { position, now_ms: self.clock_ms, who: who.into() };
        let reply = Reply::from(self.execute(&context, operation));
        self.answers.keep(request, position, reply.clone());
        reply
    }

    /// Takes note that the log went on to `position` without a command for the catalog.
    ///
    /// # Panics
    /// As [`State::apply`] does.
    pub fn advance(&mut self, position: u64) {
        assert!(
            position > self.position,
            "positions grow, and {position} does not follow {}",
            self.position
        );
        self.position = position;
    }

    /// The same state as the beginning of another log: what was read from a dump begins there.
    pub fn at_position(self, position: u64) -> Self {
        State { position, ..self }
    }

    fn execute(
        &mut self,
        context: &Context,
        operation: Operation,
    ) -> Result<Outcome, CatalogError> {
        within("bytes of who asks", context.who.len(), WHO_BYTES_MAX)?;
        match operation {
            Operation::CreateRepository(create) => self.create_repository(context, create),
            Operation::RenameRepository { repository, name } => {
                self.rename_repository(context, repository, &name)
            }
            Operation::ConfigureRepository(configure) => {
                self.configure_repository(context, configure)
            }
            Operation::DeleteRepository { repository, keep_for_ms } => {
                self.delete_repository(context, repository, keep_for_ms)
            }
            Operation::UndeleteRepository { repository, name } => {
                self.undelete_repository(context, repository, name.as_deref())
            }
            Operation::PurgeRepository { repository } => self.purge_repository(context, repository),
            Operation::Push(push) => self.push(context, push),
            Operation::ApplyLayout(apply) => self.apply_layout(context, &apply),
            Operation::AdoptLayout(layout) => self.adopt_layout(context, &layout),
            Operation::Refound(refound) => self.refound(context, refound),
            Operation::JoinNode(join) => self.join_node(context, join),
            Operation::SetNodeState { node, state } => self.set_node_state(context, &node, state),
            Operation::CreateToken(create) => self.create_token(context, create),
            Operation::RevokeToken { token } => self.revoke_token(context, token),
            Operation::ForkRepository { repository, name } => {
                self.fork_repository(context, repository, &name)
            }
            Operation::AdvanceClock => Ok(Outcome::Changed),
            Operation::BeginRestore(begin) => self.begin_restore(context, begin),
            Operation::RestoreRecords(records) => self.restore_records(context, records),
            Operation::EndRestore(end) => self.end_restore(context, &end),
            Operation::RestoreToken(restore) => self.restore_token(context, restore),
        }
    }
}
