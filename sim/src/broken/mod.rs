//! Broken pools and controls.
//!
//! Pools that lack a protection: what the scenarios are held against.
//!
//! A scenario that one of these passes proves nothing about that protection. They stand
//! behind the node's own trait, so that everything else in a run is the production code;
//! nothing in the node knows of them.
//!
//! Whole, such a pool is plain but sound: one dial for all callers, a fresh look at the name
//! for each, an identity that is checked, pings while requests wait, a greatest age at which
//! a successor is dialled first, no trust in what was not heard for a minute, eviction of
//! what failed, a back-off, a limit to its connections, and a layout that keeps up with the
//! nodes'. Each [`Control`] takes one of these away.

mod forgetful;
mod gateway;
mod hints;
mod lacks;
mod layouts;
mod readers;
mod repairs;
mod sweeper;
mod unchecked;
mod writers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use gitstratum_cluster::transport::{Connection, Connections, Dialler, Lease, Want};
use gitstratum_core::placement::{CurrentLayout, Layout, NodeId};
use gitstratum_core::replica::NodeError;
use gitstratum_host::Net;
use tokio::time::Instant;

use crate::scenario::Control;

pub use forgetful::forget_votes;
pub use gateway::{Haste, HastyGateway};
pub use hints::LossyHints;
use lacks::Lacks;
pub use layouts::{Followers, without_sources};
pub use readers::{Belief, Credulous};
pub use repairs::NoReadRepair;
pub use sweeper::sweep_without_lease;
pub use unchecked::UncheckedGateway;
pub use writers::{FirstWritesOnly, Neglect, Quorum};

/// The age at which a connection is replaced.
const AGE_MAX: Duration = Duration::from_secs(300);
/// A connection on which nothing was heard for so long is not trusted.
const UNHEARD_MAX: Duration = Duration::from_secs(60);
/// Wait after the first failed dial, doubled up to `BACKOFF_MAX`.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest wait between two dials.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

type Dial = Shared<BoxFuture<'static, Result<Connection, NodeError>>>;

/// A pool without something.
pub struct Broken {
    inner: Arc<Inner>,
}

struct Inner {
    dialler: Dialler,
    layout: CurrentLayout,
    lacks: Lacks,
    /// Connections that it may hold.
    connections_max: usize,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

#[derive(Default)]
struct Peer {
    connection: Option<Connection>,
    dial: Option<Dial>,
    /// What the name resolved to the first time, for a pool that asks once.
    resolved: Option<Vec<SocketAddr>>,
    /// Until when the last failure answers, and that.
    failed: Option<(Instant, NodeError)>,
    failures: u32,
    /// When a caller last wanted it.
    wanted: Option<Instant>,
}

/// What a caller is to do.
enum Next {
    Use(Connection),
    Await(Dial),
    Fail(NodeError),
}

/// The layout that a client follows, which has learned its first; one that does not catch
/// up stays with that.
pub fn follow(learned: Arc<Layout>, control: Control) -> CurrentLayout {
    if Lacks::of(control).catching_up {
        // Like a node whose keeper never brings it what it heard of.
        CurrentLayout::durable(learned)
    } else {
        CurrentLayout::new(learned)
    }
}

impl Broken {
    /// A pool of connections from `net` to the members of `layout` that lacks what
    /// `control` says, and that holds so many at most.
    pub fn new(net: Net, layout: &CurrentLayout, control: Control, connections_max: usize) -> Self {
        let lacks = Lacks::of(control);
        let dialler = Dialler::new(net, "");
        let dialler = if lacks.keepalive { dialler.keepalive(None) } else { dialler };
        let cluster = layout.cluster().filter(|_| !lacks.identity);
        let dialler = dialler.of_cluster(cluster);
        let (layout, peers) = (layout.clone(), Mutex::default());
        let inner = Inner { dialler, layout, lacks, connections_max, peers };
        Broken { inner: Arc::new(inner) }
    }
}

#[async_trait::async_trait]
impl Connections for Broken {
    async fn lease(&self, peer: &NodeId, want: Want) -> Result<Lease, NodeError> {
        let connection = match self.inner.next(peer, want) {
            Next::Use(connection) => connection,
            Next::Await(dial) => dial.await?,
            Next::Fail(error) => return Err(error),
        };
        Ok(Lease::uncounted(connection))
    }

    fn ended(&self, peer: &NodeId, lease: &Lease, outcome: Result<(), &NodeError>) {
        let broken =
            matches!(outcome, Err(NodeError::ConnectionLost { .. } | NodeError::TimedOut { .. }));
        if !broken || self.inner.lacks.eviction {
            return;
        }
        let mut peers = self.inner.lock();
        let Some(Peer { connection, .. }) = peers.get_mut(peer) else { return };
        let same = |current: &mut Connection| is_same(current, lease.connection());
        drop(connection.take_if(same));
    }

    fn may_retry(&self, _peer: &NodeId) -> bool {
        !self.inner.lacks.eviction
    }
}

impl Inner {
    fn next(self: &Arc<Self>, node: &NodeId, want: Want) -> Next {
        let mut peers = self.lock();
        let peer = peers.entry(node.clone()).or_default();
        peer.wanted = Some(Instant::now());
        if let Some(connection) = &peer.connection {
            let opened = connection.life().opened();
            let trusted =
                self.lacks.expiry || connection.life().last_heard().elapsed() < UNHEARD_MAX;
            let fresh = want.opened_after.is_none_or(|at| opened > at);
            let sound = !connection.is_closed() && trusted && fresh;
            let old = opened.elapsed() >= AGE_MAX && !self.lacks.expiry;
            if (sound || self.lacks.eviction) && !old {
                return Next::Use(connection.clone());
            }
            if sound && !self.lacks.overlap {
                let connection = connection.clone();
                if peer.dial.is_none() && !peer.backs_off() {
                    peer.dial = Some(self.dial(node.clone(), peer.resolved.clone()));
                }
                return Next::Use(connection);
            }
            peer.connection = None;
        }
        if let Some((until, error)) = &peer.failed
            && Instant::now() < *until
        {
            return Next::Fail(error.clone());
        }
        if let Some(dial) = &peer.dial
            && !self.lacks.single_flight
        {
            return Next::Await(dial.clone());
        }
        let dial = self.dial(node.clone(), peer.resolved.clone());
        peer.dial = Some(dial.clone());
        if !self.lacks.bound {
            make_room(&mut peers, self.connections_max);
        }
        Next::Await(dial)
    }

    /// Starts a dial in a task of its own.
    fn dial(self: &Arc<Self>, node: NodeId, resolved: Option<Vec<SocketAddr>>) -> Dial {
        let inner = self.clone();
        let task = tokio::spawn(async move {
            let opened = inner.open(&node, resolved).await;
            inner.settle(&node, opened)
        });
        async move {
            task.await.unwrap_or_else(|error| {
                Err(NodeError::Protocol { reason: format!("the dial did not finish: {error}") })
            })
        }
        .boxed()
        .shared()
    }

    async fn open(
        &self,
        node: &NodeId,
        resolved: Option<Vec<SocketAddr>>,
    ) -> Result<(Connection, Vec<SocketAddr>), NodeError> {
        let layout = self.layout.get();
        let member = layout.members.iter().find(|member| member.node_id == *node);
        let Some(member) = member else { return Err(NodeError::NotMember(node.clone())) };
        let address = &member.address;
        let addresses = match resolved {
            Some(addresses) if self.lacks.resolution => addresses,
            _ => self.dialler.resolve(address).await?,
        };
        let expected = (!self.lacks.identity).then_some(node);
        Ok((self.dialler.open_at(address, &addresses, expected).await?, addresses))
    }

    fn settle(
        &self,
        node: &NodeId,
        opened: Result<(Connection, Vec<SocketAddr>), NodeError>,
    ) -> Result<Connection, NodeError> {
        let mut peers = self.lock();
        let peer = peers.entry(node.clone()).or_default();
        peer.dial = None;
        match opened {
            Ok((connection, resolved)) => {
                peer.failed = None;
                peer.failures = 0;
                peer.resolved.get_or_insert(resolved);
                peer.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                if !self.lacks.backoff {
                    let wait = BACKOFF_MIN.saturating_mul(1 << peer.failures.min(16));
                    let until = Instant::now() + wait.min(BACKOFF_MAX);
                    peer.failed = Some((until, error.clone()));
                    peer.failures = peer.failures.saturating_add(1);
                }
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.peers.lock().expect("nothing panics while it holds the pool's lock")
    }
}

impl Peer {
    fn backs_off(&self) -> bool {
        self.failed.as_ref().is_some_and(|(until, _)| Instant::now() < *until)
    }
}

/// Closes the connections that were wanted longest ago, until dials under way and
/// connections are `most` together.
fn make_room(peers: &mut BTreeMap<NodeId, Peer>, most: usize) {
    let open = |peer: &&Peer| peer.connection.is_some() || peer.dial.is_some();
    while peers.values().filter(open).count() > most {
        let connected = peers.values_mut().filter(|peer| peer.connection.is_some());
        match connected.min_by_key(|peer| peer.wanted) {
            Some(peer) => peer.connection = None,
            None => return,
        }
    }
}

fn is_same(one: &Connection, other: &Connection) -> bool {
    Arc::ptr_eq(one.life(), other.life())
}
