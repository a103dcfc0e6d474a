//! A node's part in the catalog: which member of the group it is, and what it answers from it.
//!
//! Objects are served whether or not the catalog is there: a node that is not a member yet, or whose
//! log is damaged, says so to whoever asks for names, and goes on.

mod answers;
mod author;
mod client;
mod clock;
mod document;
mod features;
mod found;
mod identity;
mod join;
mod joining;
mod layouts;
mod machine;
mod metrics;
mod peers;
mod permissions;
mod purge;
mod refound;
mod save;
#[cfg(test)]
pub(crate) mod tests;
mod voters;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use gitstratum_catalog::encode::{decode_reply, encode_command};
use gitstratum_catalog::entity::Program;
use gitstratum_catalog::ids::{ClientId, DirectoryId};
use gitstratum_catalog::{Command, Operation, Reply, State};
use gitstratum_cluster::membership::LayoutKeeper;
use gitstratum_cluster::transport::Connections;
use gitstratum_consensus::{
    Group, GroupStatus, Observer, OpenError, Opening, Options, ProposeError,
};
use gitstratum_core::limits;
use gitstratum_core::metrics::{Histogram, durations};
use gitstratum_core::placement::NodeId;
use gitstratum_host::Disk;
use rand_chacha::ChaCha12Rng;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::instrument;

use author::{Author, Numbers};
pub use client::{CallError, CatalogClient};
use features::Statements;
pub use found::FoundError;
pub(crate) use found::{found, refuse_copy};
use identity::{DIRECTORY, Identity, IdentityError};
pub(crate) use joining::Asking;
pub use joining::Joining;
pub use layouts::ProposeLayoutError;
pub use machine::{Catalog, GROUP};
use peers::PooledPeers;
pub use refound::RefoundError;
pub(crate) use refound::{Founder, begin_anew, go_on, kept};

/// A node that heard of no leader for so many election timeouts is not ready: others had the time to
/// choose one.
const LEADER_SILENCE: u32 = 4;
/// How long who asks for names waits for a log that is being opened, or a founder that enters itself.
const OPENING_MAX: Duration = Duration::from_secs(5);

/// What a part in the catalog is made of.
pub(crate) struct Parts {
    /// Who the node is.
    pub(crate) node: NodeId,
    /// Where its log is.
    pub(crate) disk: Disk,
    /// How it reaches the others.
    pub(crate) connections: Arc<dyn Connections>,
    /// Who they are, and where what they agree on is kept.
    pub(crate) keeper: LayoutKeeper,
    /// How fast, and how much.
    pub(crate) options: Options,
    /// What it states of the program that it runs.
    pub(crate) program: Program,
}

/// A node's part in the catalog.
pub struct Participant {
    node: NodeId,
    disk: Disk,
    peers: PooledPeers,
    keeper: LayoutKeeper,
    options: Options,
    program: Program,
    group: ArcSwapOption<Group<Catalog>>,
    /// Why there is no group, or why it does nothing.
    trouble: Mutex<String>,
    /// Its log is being opened: who asks meanwhile waits.
    opening: AtomicBool,
    opened: Notify,
    /// Who is told of the commands that are applied here.
    observer: OnceLock<Observer>,
    /// Its data directory's own id, once that is known.
    directory: OnceLock<DirectoryId>,
    /// Of its own commands.
    numbers: Numbers,
    /// The state of which the text form is being asked for.
    dumped: Mutex<Option<State>>,
    /// How long commands took to be agreed on.
    commits: Histogram,
    /// What that asks for, until the node is in the layout.
    joining: OnceLock<Joining>,
    /// It is certain that the directory is no member, and not about to make the group: for others
    /// there is one otherwise, and they make none.
    is_none: AtomicBool,
}

/// Why a node's part in the catalog has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failed {
    /// It was not done.
    #[error("{0}")]
    NotDone(String),
    /// It may have been done.
    #[error("{0}")]
    Unknown(String),
}

/// Why a node takes no part.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Found(#[from] FoundError),
    #[error("it was to begin anew, and was interrupted: give the command again")]
    BeginsAnew,
}

impl Participant {
    /// A node that is about to take part.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { node, disk, connections, keeper, options, program } = parts;
        let layout = keeper.current().clone();
        Arc::new(Participant {
            node,
            disk,
            peers: PooledPeers { connections, layout },
            keeper,
            options,
            program,
            group: ArcSwapOption::empty(),
            trouble: Mutex::new("it has not joined the others yet".to_owned()),
            opening: true.into(),
            opened: Notify::new(),
            observer: OnceLock::new(),
            directory: OnceLock::new(),
            numbers: Numbers::default(),
            dumped: Mutex::default(),
            commits: durations(),
            joining: OnceLock::new(),
            is_none: false.into(),
        })
    }

    /// Has somebody told of the commands that are applied here from the next start of the engine
    /// on; the first to ask, and nobody else.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    /// What this node knows of the group; nothing where it is no member.
    pub fn status(&self) -> Option<GroupStatus> {
        self.group.load_full().map(|group| group.status())
    }

    /// Looks at the state as this node has it; not where it is no member.
    pub fn with_local<T>(&self, look: impl FnOnce(&State) -> T) -> Option<T> {
        self.group.load_full().map(|group| group.with_local(|catalog| look(&catalog.0)))
    }

    /// The group, once the catalog has this member.
    async fn entered(&self, within: Duration) -> Result<Arc<Group<Catalog>>, String> {
        let Some(group) = self.group(within).await else {
            let (node, trouble) = (&self.node, self.trouble());
            return Err(format!("{node} is no member of the catalog: {trouble}"));
        };
        if !self.has_entered(&group, within).await {
            return Err(format!("{} does not have the catalog yet", self.node));
        }
        Ok(group)
    }

    /// Looks at a state that has all that was acknowledged before this was called.
    ///
    /// # Errors
    /// [`Failed::NotDone`] when this node is no member, or no majority answers in time.
    #[instrument(name = "catalog_read", level = "debug", skip_all)]
    pub async fn read<T>(
        &self,
        within: Duration,
        look: impl FnOnce(&State) -> T,
    ) -> Result<T, Failed> {
        let group = self.entered(within).await.map_err(Failed::NotDone)?;
        let read = group.read(within, |catalog| look(&catalog.0)).await;
        read.map_err(|error| Failed::NotDone(error.to_string()))
    }

    /// Has a command agreed on, and gives its reply.
    ///
    /// # Errors
    /// [`Failed`].
    #[instrument(name = "catalog_command", level = "debug", skip_all)]
    pub async fn command(&self, command: &Command, within: Duration) -> Result<Reply, Failed> {
        let encoded =
            encode_command(command).map_err(|error| Failed::NotDone(error.to_string()))?;
        let group = self.entered(within).await.map_err(Failed::NotDone)?;
        let reply = self.proposed(&group, &command.operation, encoded.into(), within).await;
        let reply = reply.map_err(|error| match error {
            ProposeError::NotDone(reason) => Failed::NotDone(reason),
            ProposeError::Unknown(reason) => Failed::Unknown(reason),
        })?;
        // An answer that cannot be read is none, and the command was done.
        decode_reply(&reply).map_err(|error| Failed::Unknown(error.to_string()))
    }

    /// Has the group agree on a command that does this, and counts how long that took. What some
    /// member could not apply is refused, and not proposed.
    async fn proposed(
        &self,
        group: &Group<Catalog>,
        operation: &Operation,
        command: Bytes,
        within: Duration,
    ) -> Result<Bytes, ProposeError> {
        let began = Instant::now();
        match features::refusal(group, operation, within).await {
            Ok(None) => {}
            Ok(Some(error)) => return Ok(features::refused(error)),
            Err(error) => return Err(ProposeError::NotDone(error.to_string())),
        }
        let left = within.saturating_sub(began.elapsed());
        let proposed = group.propose(command, left).await?;
        self.commits.observe(began.elapsed().as_secs_f64());
        Ok(proposed.reply)
    }

    /// Takes part until it is dropped, or cannot go on. `rng` seeds the engine.
    pub(crate) async fn run(self: Arc<Self>, mut rng: ChaCha12Rng) {
        let taken = self.take_part(&mut rng).await;
        if let Err(trouble) = &taken {
            self.is_in_trouble(trouble.to_string());
        }
        self.opens_no_more();
        match taken {
            Ok((group, identity)) => {
                let author = self.author(ClientId(identity.directory.0));
                let work = async {
                    self.enter_layout(identity).await;
                    self.enter(identity, &group).await;
                    let statements = Statements::new(&self, identity);
                    voters::tend(author, &group, &self.peers.layout, statements).await;
                };
                let stopped = tokio::select! {
                    biased;
                    stopped = group.stopped() => stopped,
                    () = layouts::follow(&group, &self.keeper) => return,
                    () = work => return,
                };
                tracing::error!(reason = stopped, "the catalog's engine has stopped here");
                self.is_in_trouble(format!("its engine has stopped: {stopped}"));
            }
            Err(trouble) => {
                tracing::error!(error = %trouble, "this node takes no part in the catalog");
            }
        }
    }

    /// This node, as one of its clients.
    fn author(&self, client: ClientId) -> Author<'_> {
        Author { node: &self.node, client, numbers: &self.numbers }
    }

    async fn take_part(
        &self,
        rng: &mut ChaCha12Rng,
    ) -> Result<(Arc<Group<Catalog>>, Identity), Trouble> {
        if refound::is_under_way(&self.disk).await.map_err(IdentityError::from)? {
            return Err(Trouble::BeginsAnew);
        }
        let identity = Identity::keep(&self.disk, rng).await?;
        // Set already where this is the next start of the same one, which has the same directory.
        let _ = self.directory.set(identity.directory);
        if let Some(joining) = Joining::read(&self.disk).await.map_err(IdentityError::from)? {
            let _ = self.joining.set(joining);
        }
        let member = match identity.member {
            Some(member) => member,
            None => {
                // That may take as long as the others are away.
                self.opens_no_more();
                self.become_member(identity, rng).await?
            }
        };
        let opening = Opening {
            disk: &self.disk,
            directory: DIRECTORY,
            identity: gitstratum_consensus::Identity { group: GROUP, member },
            options: &self.options,
            peers: Arc::new(self.peers.clone()),
            observer: self.observer.get().cloned(),
        };
        let group = Arc::new(Group::open(opening, rng).await?);
        if member == join::FOUNDER {
            // Nothing, where it was done before.
            group.found(self.node.as_str()).await?;
        }
        tracing::info!(node = %self.node, member, "takes part in the catalog");
        self.group.store(Some(group.clone()));
        Ok((group, identity))
    }

    /// Whether the catalog has this member. Until then it takes no commands of others: who joins
    /// first is given the id of the founder, so that has to be the founder.
    async fn has_entered(&self, group: &Group<Catalog>, within: Duration) -> bool {
        let has_us = |catalog: &Catalog| {
            catalog.0.node(&self.node).is_some_and(|node| node.raft.0 == group.member())
        };
        // What this node knows may be old: it has started a moment ago.
        if group.with_local(has_us) || group.read(within, has_us).await.unwrap_or(false) {
            return true;
        }
        // The founder enters itself as soon as it leads.
        let entered = group.until(|catalog| has_us(catalog).then_some(()));
        tokio::time::timeout(within.min(OPENING_MAX), entered).await.is_ok()
    }

    fn opens_no_more(&self) {
        self.opening.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// The group, once it is clear whether there is one.
    async fn group(&self, within: Duration) -> Option<Arc<Group<Catalog>>> {
        let waiting = async {
            loop {
                let mut opened = std::pin::pin!(self.opened.notified());
                // Registered before looking, so that the opening does not end between the two.
                opened.as_mut().enable();
                if !self.opening.load(Ordering::SeqCst) {
                    return;
                }
                opened.await;
            }
        };
        // Who has waited for so long is told why.
        let _ = tokio::time::timeout(within.min(OPENING_MAX), waiting).await;
        self.group.load_full()
    }

    fn is_in_trouble(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Why names cannot be asked for through this node, as far as it knows without asking others.
    pub(crate) fn unready(&self) -> Option<String> {
        let Some(status) = self.status() else { return Some(self.trouble()) };
        if let Some(stopped) = status.stopped {
            return Some(format!("its engine has stopped: {stopped}"));
        }
        let longest = LEADER_SILENCE * self.options.election_timeout;
        if status.leader.is_none() || status.leader_heard_ago.is_none_or(|ago| ago > longest) {
            return Some("it heard of no leader with a majority lately".to_owned());
        }
        let has_entered = self.with_local(|state| state.node(&self.node).is_some());
        (has_entered != Some(true)).then(|| "it does not have the catalog yet".to_owned())
    }

    fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has another node lead, if this one does: it is about to stop, and nobody is to wait for its
    /// silence. It goes on answering meanwhile.
    pub(crate) async fn hand_over(&self) {
        let Some(group) = self.group.load_full() else { return };
        match group.step_down(limits::CATALOG_HAND_OVER_TIMEOUT).await {
            Ok(Some(next)) => {
                tracing::info!(to = next.node, "handed the catalog's leadership over")
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "stops without having handed the catalog's leadership over");
            }
        }
    }

    /// Stops taking part; what was acknowledged is on the disk.
    pub(crate) async fn close(&self) {
        if let Some(group) = self.group.swap(None) {
            group.close().await;
        }
    }
}
