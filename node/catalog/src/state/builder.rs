//! A state from its records, with everything looked at that commands go by.
//!
//! Invariant: what comes out of [`StateBuilder::finish`] could have come out of commands: no name
//! leads to two repositories, no ref lies beneath another, no number that is still to be given is
//! in use. Whoever edits a dump by hand is told which line is wrong.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::sync::Arc;

use gitstratum_core::format::NewerFormat;
use gitstratum_core::limits::{EVENTS_MAX, PACK_SOURCE_BYTES_MAX, REFLOG_ENTRIES_MAX};
use gitstratum_core::placement::{Layout, NodeId, check_address};

use super::layout::first;
use super::push::check_id;
use super::records::FORMAT;
use super::refs::RefKey;
use super::settings::{check_description, check_hidden};
use super::tokens::HashedToken;
use super::{Head, Record, State};
use crate::entity::{Event, Node, Note, Pack, Ref, RefTarget, Repository};
use crate::error::{CatalogError, within};
use crate::ids::{ClientId, PackId, RaftId, RepositoryId, TokenId};
use crate::names::{RefName, check_prefix};

/// Why records are those of no state.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// The first record is no head.
    #[error("the first record is no head")]
    Head,
    /// They are of a form that this program does not read.
    #[error("{}", NewerFormat::new("the catalog's text", .0, FORMAT))]
    Format(u32),
    /// A number leaves no room to count on.
    #[error("{0} in the head is too great")]
    Number(&'static str),
    /// Records are out of order, or one is there twice.
    #[error("it is out of order, or there twice, or one is missing before it")]
    Order,
    /// It is of a repository that no record before it has.
    #[error("there is no repository {0}")]
    NoRepository(RepositoryId),
    /// A repository that is being restored has a name.
    #[error("repository {0} is being restored, and kept as a deleted one until it is whole")]
    Restoring(RepositoryId),
    /// An id or number is greater than the last one that was given, by the head.
    #[error("its number {number} is greater than the last one in the head, {last}")]
    NotGiven {
        /// The number.
        number: u64,
        /// The head's.
        last: u64,
    },
    /// No command could have done this.
    #[error(transparent)]
    Refused(#[from] CatalogError),
    /// A ref is not what refs can be.
    #[error("the ref cannot be: {0}")]
    Ref(&'static str),
    /// Something belongs to another, which has it from an earlier record.
    #[error("{0} belongs to another record already")]
    Taken(&'static str),
    /// The counts of the last record are not those of the records.
    #[error("the end says that there are other numbers of records: some are missing")]
    Counts,
    /// The last record is missing, or something stands after it.
    #[error("the sequence does not stop with its end")]
    End,
}

/// Where a record stands among all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Head,
    Repository(RepositoryId),
    Ref(RepositoryId, RefName),
    Pack(RepositoryId, PackId),
    Layout,
    Node(NodeId),
    Token(TokenId),
    Answer(ClientId),
    Event(u64),
    End,
}

/// Makes a state from its records.
#[derive(Debug)]
pub struct StateBuilder {
    state: State,
    head: Head,
    last: Option<Place>,
    /// The repository of the last record, and how many of its refs or packs there were.
    counted: Option<(RepositoryId, u64)>,
    /// Names of refs of that repository.
    names: BTreeSet<RefName>,
    raft_ids: BTreeSet<RaftId>,
    /// What many refs have alike is held once.
    names_seen: Pool<RefName>,
    notes_seen: Pool<Arc<Note>>,
}

impl Default for StateBuilder {
    fn default() -> Self {
        StateBuilder {
            state: State::new(0),
            head: Head::default(),
            last: None,
            counted: None,
            names: BTreeSet::new(),
            raft_ids: BTreeSet::new(),
            names_seen: Pool::default(),
            notes_seen: Pool::default(),
        }
    }
}

impl StateBuilder {
    /// Takes the next record.
    ///
    /// # Errors
    /// [`RecordError`]; the builder is of no use after that.
    pub fn add(&mut self, record: Record) -> Result<(), RecordError> {
        let place = place(&record);
        match &self.last {
            None if place != Place::Head => return Err(RecordError::Head),
            Some(last) if *last >= place => return Err(RecordError::Order),
            _ => {}
        }
        self.count(&place);
        match record {
            Record::Head(head) => self.add_head(head),
            Record::Repository { id, repository } => self.add_repository(id, &repository),
            Record::Ref { repository, name, value } => self.add_ref(repository, name, value),
            Record::Pack { repository, pack } => self.add_pack(repository, &pack),
            Record::Layout { layout } => self.add_layout(&layout),
            Record::Node { id, node } => self.add_node(id, &node),
            Record::Token { id, hash, token } => self.add_token(id, HashedToken { hash, token }),
            Record::Answer { request, heard_at, reply } => {
                if heard_at > self.head.position
                    || self.state.answers.has(&request.client, heard_at)
                {
                    return Err(RecordError::Taken("the place of the answer"));
                }
                self.state.answers.put(request, heard_at, reply);
                Ok(())
            }
            Record::Event { event } => self.add_event(event),
            Record::End(counts) if counts == self.state.counts() => Ok(()),
            Record::End(_) => Err(RecordError::Counts),
        }?;
        self.last = Some(place);
        Ok(())
    }

    /// The state, if all of it came.
    ///
    /// # Errors
    /// [`RecordError::End`].
    pub fn finish(self) -> Result<State, RecordError> {
        if self.last == Some(Place::End) { Ok(self.state) } else { Err(RecordError::End) }
    }

    /// Counts the refs, and then the packs, of each repository.
    fn count(&mut self, place: &Place) {
        let owner = match place {
            Place::Ref(repository, _) | Place::Pack(repository, _) => Some(*repository),
            _ => None,
        };
        let same_kind = self.last.as_ref().map(discriminant) == Some(discriminant(place));
        if let Some((id, count)) = &mut self.counted
            && same_kind
            && owner == Some(*id)
        {
            *count += 1;
            return;
        }
        if let Some((id, count)) = self.counted.take() {
            let packs = matches!(self.last, Some(Place::Pack(..)));
            self.state.repositories.count(id, |repository| {
                *(if packs { &mut repository.packs } else { &mut repository.refs }) = count;
            });
        }
        self.names.clear();
        self.counted = owner.map(|owner| (owner, 1));
    }

    fn add_head(&mut self, head: Head) -> Result<(), RecordError> {
        if head.format != FORMAT {
            return Err(RecordError::Format(head.format));
        }
        for (what, number) in [
            ("position", head.position),
            ("last_repository", head.last_repository),
            ("last_raft", head.last_raft),
            ("last_token", head.last_token),
            ("last_event", head.last_event),
        ] {
            if number > i64::MAX as u64 {
                return Err(RecordError::Number(what));
            }
        }
        self.state.group = head.group;
        self.state.position = head.position;
        self.state.clock_ms = head.clock_ms;
        self.state.repositories.set_last(head.last_repository);
        self.state.nodes.set_last(head.last_raft);
        self.state.tokens.set_last(head.last_token);
        self.state.events.set_last(head.last_event);
        self.head = head;
        Ok(())
    }

    fn add_repository(
        &mut self,
        id: RepositoryId,
        repository: &Repository,
    ) -> Result<(), RecordError> {
        given(id.0, self.head.last_repository)?;
        if repository.deleted.is_none() {
            self.state.repositories.check_free(&repository.name, None)?;
        }
        if repository.is_being_restored() && repository.deleted.is_none() {
            return Err(RecordError::Restoring(id));
        }
        check_description(&repository.description)?;
        check_hidden(&repository.hidden_refs)?;
        let repository = Repository { refs: 0, packs: 0, ..repository.clone() };
        self.state.repositories.put(id, repository);
        Ok(())
    }

    fn add_ref(
        &mut self,
        id: RepositoryId,
        mut name: RefName,
        mut value: Arc<Ref>,
    ) -> Result<(), RecordError> {
        let repository = self.state.repositories.get(id).ok_or(RecordError::NoRepository(id))?;
        match &value.target {
            RefTarget::Object(target) => check_id(repository.object_format, *target)?,
            RefTarget::Symbolic(target) if !name.is_head() || target.is_head() => {
                return Err(CatalogError::SymbolicRef.into());
            }
            RefTarget::Symbolic(_) => {}
        }
        if let Some(peeled) = value.peeled.as_deref().copied() {
            check_id(repository.object_format, peeled)?;
        }
        within("updates in the log of a ref", value.log.len(), REFLOG_ENTRIES_MAX)?;
        // Directories come before what is in them.
        if let Some(existing) = name.directories().find_map(|above| self.names.get(above)) {
            return Err(CatalogError::conflict(existing).into());
        }
        for entry in Arc::make_mut(&mut value).log.iter_mut() {
            self.notes_seen.share(&mut entry.note);
        }
        self.names_seen.share(&mut name);
        self.names.insert(name.clone());
        self.state.refs.insert(RefKey { repository: id, name }, value);
        Ok(())
    }

    fn add_pack(&mut self, id: RepositoryId, pack: &Pack) -> Result<(), RecordError> {
        self.state.repositories.get(id).ok_or(RecordError::NoRepository(id))?;
        within("bytes of a pack's source", pack.source.len(), PACK_SOURCE_BYTES_MAX)?;
        self.state.packs.insert(id, pack.clone());
        Ok(())
    }

    fn add_layout(&mut self, layout: &Layout) -> Result<(), RecordError> {
        self.state.layout = Some(Arc::new(first(layout)?));
        Ok(())
    }

    fn add_node(&mut self, id: NodeId, node: &Node) -> Result<(), RecordError> {
        given(node.raft.0, self.head.last_raft)?;
        let wrong = |problem| CatalogError::NodeWrong { node: id.to_string(), problem };
        check_address(&node.address).map_err(wrong)?;
        if self.state.nodes.of_directory(&node.directory).is_some() {
            return Err(RecordError::Taken("the data directory"));
        }
        if !self.raft_ids.insert(node.raft) {
            return Err(RecordError::Taken("the raft id"));
        }
        self.state.nodes.put(id, node.clone());
        Ok(())
    }

    fn add_token(&mut self, id: TokenId, token: HashedToken) -> Result<(), RecordError> {
        given(id.0, self.head.last_token)?;
        if self.state.tokens.hashed(&token.hash).is_some() {
            return Err(RecordError::Taken("the hash of the token"));
        }
        let prefix = &token.token.prefix;
        let wrong = |reason| CatalogError::RepositoryName { name: prefix.clone(), reason };
        check_prefix(prefix).map_err(wrong)?;
        self.state.tokens.put(id, token);
        Ok(())
    }

    /// Events are kept up to the last one, without a gap.
    fn add_event(&mut self, event: Arc<Event>) -> Result<(), RecordError> {
        let last = self.head.last_event;
        given(event.number, last)?;
        let expected = match &self.last {
            Some(Place::Event(before)) => before + 1,
            _ => event.number,
        };
        if event.number != expected || last - event.number >= EVENTS_MAX {
            return Err(RecordError::Order);
        }
        self.state.events.insert(event);
        Ok(())
    }
}

fn place(record: &Record) -> Place {
    match record {
        Record::Head(_) => Place::Head,
        Record::Repository { id, .. } => Place::Repository(*id),
        Record::Ref { repository, name, .. } => Place::Ref(*repository, name.clone()),
        Record::Pack { repository, pack } => Place::Pack(*repository, pack.id),
        Record::Layout { .. } => Place::Layout,
        Record::Node { id, .. } => Place::Node(id.clone()),
        Record::Token { id, .. } => Place::Token(*id),
        Record::Answer { request, .. } => Place::Answer(request.client),
        Record::Event { event } => Place::Event(event.number),
        Record::End(_) => Place::End,
    }
}

fn given(number: u64, last: u64) -> Result<(), RecordError> {
    if (1..=last).contains(&number) { Ok(()) } else { Err(RecordError::NotGiven { number, last }) }
}

/// Values that came lately, for equal ones to share what they hold.
#[derive(Debug)]
struct Pool<T>(BTreeSet<T>);

/// So many are kept; then it begins anew.
const POOL_MAX: usize = 1024;

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(BTreeSet::new())
    }
}

impl<T: Ord + Clone> Pool<T> {
    fn share(&mut self, value: &mut T) {
        if let Some(known) = self.0.get(value) {
            *value = known.clone();
            return;
        }
        if self.0.len() == POOL_MAX {
            self.0.clear();
        }
        self.0.insert(value.clone());
    }
}
