//! A member of a group, whatever the machine: opened, closed, and watched.

use std::sync::Arc;
use std::time::Duration;

use gitstratum_host::Disk;
use openraft::async_runtime::WatchReceiver;
use openraft::{Config, Raft, RaftMetrics, SnapshotPolicy};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::applier::Applier;
use super::heard::Heard;
use super::incoming::Incoming;
use super::link::{AskError, Links};
use super::log::Log;
use super::rounds::Rounds;
use super::runtime::Seeded;
use super::stages::Stages;
use super::types::Types;
use crate::entry::MemberId;
use crate::error::OpenError;
use crate::journal::{Identity, Journal};
use crate::machine::{NewLoader, Observer};
use crate::message::{Member, Request, Response};
use crate::options::Options;
use crate::peers::Peers;

/// How long a member that stops waits for its engine.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a part of a snapshot may take on its way.
const SNAPSHOT_PART_TIMEOUT: Duration = Duration::from_secs(30);

/// What a group is opened with.
pub struct Opening<'a> {
    /// Where it keeps its log and its snapshots.
    pub disk: &'a Disk,
    /// The directory there.
    pub directory: &'a str,
    /// Which group, and who of it.
    pub identity: Identity,
    /// How fast, and how much.
    pub options: &'a Options,
    /// The way to the other members.
    pub peers: Arc<dyn Peers>,
    /// Who is told of the commands that are applied here.
    pub observer: Option<Observer>,
}

/// A member of a group, whatever its machine.
pub(crate) struct Core {
    pub(super) raft: Raft<Types, Applier>,
    pub(super) applier: Applier,
    pub(super) links: Links,
    pub(super) identity: Identity,
    pub(super) incoming: Incoming,
    pub(super) heard: Heard,
    pub(super) rounds: Rounds,
    /// How far commands are that are traced.
    pub(super) stages: Stages,
    /// How long it is before a silent leader is replaced, at least.
    pub(super) patience: Duration,
    log: Log,
    background: [tokio::task::JoinHandle<()>; 2],
}

/// Makes the empty log of a member that never took part yet; once, when its directory is founded
/// or joined. Whatever a failed attempt left is replaced.
///
/// # Errors
/// As opening it.
pub async fn create(
    disk: &Disk,
    directory: &str,
    identity: Identity,
    rng: &mut ChaCha12Rng,
) -> Result<(), OpenError> {
    let rng = ChaCha12Rng::seed_from_u64(rng.next_u64());
    Ok(Journal::create(disk, directory, identity, rng).await?)
}

impl Core {
    /// Opens a member's log and state, and takes part from here on.
    ///
    /// # Errors
    /// [`OpenError`]: what is damaged is never opened as far as it goes.
    pub(super) async fn open(
        opening: Opening<'_>,
        new_loader: NewLoader,
        rng: &mut ChaCha12Rng,
    ) -> Result<Self, OpenError> {
        Self::open_with(config(opening.options)?, opening, new_loader, rng).await
    }

    /// As [`Core::open`], with these options of the engine.
    pub(super) async fn open_with(
        config: Config,
        opening: Opening<'_>,
        new_loader: NewLoader,
        rng: &mut ChaCha12Rng,
    ) -> Result<Self, OpenError> {
        let Opening { disk, directory, identity, options, peers, observer } = opening;
        let salts = ChaCha12Rng::seed_from_u64(rng.next_u64());
        let (journal, replay) = Journal::open(disk, directory, identity, salts).await?;
        let stages = Stages::default();
        let log = Log::new(journal, replay).map_err(engine)?.followed_by(stages.clone());
        let applier = Applier::new(disk.clone(), directory, identity.group, new_loader)?;
        let applier = applier.observed_by(observer).followed_by(stages.clone());
        let links = Links { identity, peers };
        // All that the engine spawns draws from this.
        let seed = rng.next_u64();
        let (network, storage, machine) = (links.clone(), log.clone(), applier.clone());
        let made = Raft::new(identity.member, Arc::new(config), network, storage, machine);
        let raft = Seeded::scope(seed, made).await.map_err(engine)?;
        let background = [
            tokio::spawn(save_when_due(raft.clone(), applier.clone(), options.snapshot_bytes)),
            tokio::spawn(tell_who_leads(raft.clone())),
        ];
        let incoming = Incoming::new(disk.clone(), directory);
        let (heard, rounds, patience) =
            (Heard::default(), Rounds::default(), options.election_timeout);
        Ok(Core {
            raft,
            applier,
            links,
            identity,
            incoming,
            heard,
            rounds,
            stages,
            patience,
            log,
            background,
        })
    }

    /// Makes this member the only one of a new group; nothing if the group has members already.
    ///
    /// # Errors
    /// [`OpenError`] when the engine has stopped.
    pub async fn found(&self, node: &str) -> Result<(), OpenError> {
        if self.raft.is_initialized().await.map_err(engine)? {
            return Ok(());
        }
        let only = std::collections::BTreeMap::from([(self.identity.member, node.to_owned())]);
        self.raft.initialize(only).await.map_err(engine)
    }

    /// Which member this is.
    pub fn member(&self) -> MemberId {
        self.identity.member
    }

    /// Completes when the engine has stopped by itself, with the reason: a failed disk, mostly. The
    /// member takes no part any more until it is opened again.
    pub async fn stopped(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_watched().running_state {
                return fatal.to_string();
            }
            if metrics.changed().await.is_err() {
                return "its task has ended".to_owned();
            }
        }
    }

    /// The leader, as far as this member knows.
    pub fn leader(&self) -> Option<Member> {
        leader_of(&self.raft.metrics().borrow_watched())
    }

    /// Asks the leader something, for as long as it is the leader and so much longer: one that has
    /// stepped down goes on to answer, and one that is gone does not.
    pub(super) async fn ask_leader(
        &self,
        leader: &Member,
        request: Request,
        deadline: Duration,
        grace: Duration,
    ) -> Result<Response, AskError> {
        let given_up = async {
            self.deposed(leader.id).await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            biased;
            asked = self.links.ask(leader, request, deadline) => asked,
            () = given_up => Err(AskError::Deposed),
        }
    }

    /// Completes when this member no longer takes `leader` for the leader. Whoever waits for an
    /// answer of a machine that is gone goes on then, long before its deadline.
    async fn deposed(&self, leader: MemberId) {
        // Those of the server change with it and hardly else; the others with every entry.
        let mut metrics = self.raft.server_metrics();
        while metrics.borrow_watched().current_leader == Some(leader) {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops taking part; what was acknowledged is on the disk.
    pub async fn close(&self) {
        self.background.iter().for_each(tokio::task::JoinHandle::abort);
        // An engine that has stopped already has nothing to say.
        let ended = tokio::time::timeout(CLOSE_TIMEOUT, self.raft.shutdown()).await;
        if ended.is_err() {
            tracing::warn!("the consensus engine did not stop in time");
        }
        self.log.close().await;
    }
}

fn engine(error: impl std::error::Error) -> OpenError {
    OpenError::Engine(error.to_string())
}

/// The engine's options.
///
/// # Panics
/// When leadership could be restored without a vote: entries that a leader had sent but not
/// flushed would be lost with its crash, and their positions given to others in the same term.
pub(super) fn config(options: &Options) -> Result<Config, OpenError> {
    options.check()?;
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "gitstratum".to_owned(),
        heartbeat_interval: ms(options.heartbeat),
        election_timeout_min: ms(options.election_timeout),
        // It is the leader's lease, too, which is waited for before anybody asks for votes: no more
        // than draws need to come apart.
        election_timeout_max: ms(options.election_timeout) * 3 / 2,
        install_snapshot_timeout: ms(SNAPSHOT_PART_TIMEOUT),
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: options.entries_kept,
        enable_leader_restore: Some(false),
        enable_pre_vote: Some(true),
        allow_log_reversion: Some(false),
        ..Config::default()
    };
    let config = config.validate().map_err(engine)?;
    assert_eq!(config.enable_leader_restore, Some(false), "agreement depends on it");
    Ok(config)
}

/// Writes a snapshot whenever enough was applied since the last one.
async fn save_when_due(raft: Raft<Types, Applier>, applier: Applier, bytes_min: u64) {
    loop {
        applier.snapshot_due(bytes_min).await;
        if let Err(error) = raft.trigger().snapshot().await {
            tracing::debug!(%error, "no snapshot of an engine that has stopped");
            return;
        }
    }
}

/// The leader, as a member knows it whose metrics these are.
fn leader_of(metrics: &RaftMetrics<Types>) -> Option<Member> {
    let id = metrics.current_leader?;
    let node = metrics.membership_config.membership().get_node(&id)?.clone();
    Some(Member { id, node })
}

/// Logs who leads, whenever that changes.
async fn tell_who_leads(raft: Raft<Types, Applier>) {
    let mut metrics = raft.metrics();
    let mut told = None;
    loop {
        let leader = {
            let metrics = metrics.borrow_watched();
            leader_of(&metrics).map(|leader| (leader.node, metrics.current_term))
        };
        if leader != told {
            match &leader {
                Some((node, term)) => tracing::info!(%node, term, "leads the group"),
                None => tracing::info!("nobody is known to lead the group"),
            }
            told = leader;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
