//! Client.
//!
//! What a caller uses: the command line, the testbed, any Rust program.
//!
//! A client learns the layout from the first peer that answers, then writes and reads
//! by quorum from where it is; it is its own coordinator. To the cluster of that layout it
//! holds on for as long as it lives: nodes of another are not talked to.

mod catalog;
mod learn;
mod operator;
mod put;
mod replicas;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_core::limits;
use gitstratum_core::metrics::Registry;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::{
    ClusterId, CurrentLayout, Layout, Member, MemberState, NodeId, Placement,
};
use gitstratum_core::replica::{
    Found, LargeReader, Missed, NodeError, NodeReader, NodeWriter, Parts, StoreError, Writers,
};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;

use crate::membership::ask_members;
use crate::quorum::decorate::{
    AdaptiveOptions, Batches, BreakerNumbers, BreakerOptions, Breakers, Latencies, Meters,
    ReplicaCounts,
};
use crate::quorum::{Consistency, Preference, QuorumReader, QuorumWriter};
use crate::transport::{Bearer, Connections, Dialler, Pool, PoolNumbers, PoolOptions, Security};
use learn::{check_peers, learn_layout};
use replicas::{Replicas, remote};

pub use catalog::CatalogError;
pub use operator::Answered;

pub use crate::quorum::{GetError, Got, PutError, PutReport, ReadRepairStats, WriterStats};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Deadline of one request.
    pub request_timeout: Duration,
    /// How its pool of connections behaves.
    pub pool: PoolOptions,
    /// When a replica in trouble is left alone.
    pub breaker: BreakerOptions,
    /// How deadlines follow what a replica usually takes.
    pub deadlines: AdaptiveOptions,
    /// Where the client is: replicas of this zone are read from first.
    pub zone: Option<String>,
    /// The node that the client is part of: its replica is read from first.
    pub own: Option<NodeId>,
    /// How many replicas must have acknowledged when a put returns.
    pub consistency: Consistency,
    /// How its connections are secured.
    pub security: Security,
    /// The secret of an access token, for nodes that ask for one.
    pub bearer: Option<Bearer>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            request_timeout: limits::REQUEST_TIMEOUT,
            pool: PoolOptions::default(),
            breaker: BreakerOptions::default(),
            deadlines: AdaptiveOptions::default(),
            zone: None,
            own: None,
            consistency: Consistency::Quorum,
            security: Security::Plain,
            bearer: None,
        }
    }
}

/// Makes of a replica one with something around it.
pub type Decorator<T> = Box<dyn Fn(Arc<T>) -> Arc<T> + Send + Sync>;

/// What stands between a client and each replica, outermost: nothing, by default.
pub struct Around {
    /// Around one that is written to.
    pub writer: Decorator<dyn NodeWriter>,
    /// Around one that was found lacking by a read, and is given the object.
    pub repaired: Decorator<dyn NodeWriter>,
    /// Around one that is read from.
    pub reader: Decorator<dyn NodeReader>,
}

impl Default for Around {
    fn default() -> Self {
        Around {
            writer: Box::new(|writer| writer),
            repaired: Box::new(|writer| writer),
            reader: Box::new(|reader| reader),
        }
    }
}

/// Why a client could not start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The peer list is wrong.
    #[error("peers: {0}")]
    Peers(String),
    /// The peers are of two clusters.
    #[error(
        "peers: {} is of cluster {}, and {} of cluster {}: name peers of one",
        .one.0, .one.1, .other.0, .other.1
    )]
    TwoClusters {
        /// A peer, and its cluster.
        one: (String, ClusterId),
        /// A peer of another.
        other: (String, ClusterId),
    },
    /// Nobody answered; every peer with its reason.
    #[error("no peer answered: {}", described(.0))]
    NoPeer(Vec<(String, NodeError)>),
}

fn described(peers: &[(String, NodeError)]) -> String {
    let reasons: Vec<_> = peers.iter().map(|(peer, error)| format!("{peer}: {error}")).collect();
    reasons.join("; ")
}

/// A member, and the layout that it holds.
pub type LayoutAnswer = Answered<Arc<Layout>>;

/// What opens connections for a client.
fn dialler(net: Net, options: &ClientOptions) -> Dialler {
    let (security, bearer) = (options.security.clone(), options.bearer.clone());
    Dialler::new(net, "").secured(security).bearing(bearer)
}

/// A connection to a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    layout: CurrentLayout,
    connections: Arc<dyn Connections>,
    breakers: Breakers,
    meters: Meters,
    writer: QuorumWriter,
    reader: QuorumReader,
    options: ClientOptions,
    /// Who is asked first about the catalog; else it is the first member.
    asked_first: Option<NodeId>,
    /// Held while the members are asked for a newer layout.
    catching_up: Arc<tokio::sync::Mutex<()>>,
}

impl Client {
    /// Learns the layout from the first of `peers` (`HOST:PORT` each) that answers.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        net: Net,
        peers: &[String],
        rng: ChaCha12Rng,
        options: ClientOptions,
    ) -> Result<Self, ConnectError> {
        let dialler = dialler(net.clone(), &options);
        let pool_options = options.pool.clone();
        let begin = |learned: Arc<Layout>| {
            let layout = CurrentLayout::new(learned);
            let pool = Pool::new(dialler, &layout, rng, pool_options);
            (layout, Arc::new(pool) as Arc<dyn Connections>)
        };
        Self::connect_through(net, peers, options, begin).await
    }

    /// As [`Client::connect`]; `begin` makes of the layout that was learned the one that is
    /// followed, and the connections to its members.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect_through(
        net: Net,
        peers: &[String],
        options: ClientOptions,
        begin: impl FnOnce(Arc<Layout>) -> (CurrentLayout, Arc<dyn Connections>) + Send,
    ) -> Result<Self, ConnectError> {
        Self::connect_around(net, peers, options, begin, Around::default()).await
    }

    /// As [`Client::connect_through`], with something of the caller's `around` each replica.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect_around(
        net: Net,
        peers: &[String],
        options: ClientOptions,
        begin: impl FnOnce(Arc<Layout>) -> (CurrentLayout, Arc<dyn Connections>) + Send,
        around: Around,
    ) -> Result<Self, ConnectError> {
        check_peers(peers)?;
        let dialler = dialler(net, &options);
        let (layout, connections) = begin(learn_layout(&dialler, peers).await?);
        Ok(Self::coordinating(layout, connections, options, around))
    }

    /// The client that a node is itself: it goes by the node's own layout and connections.
    pub fn coordinating(
        layout: CurrentLayout,
        connections: Arc<dyn Connections>,
        options: ClientOptions,
        around: Around,
    ) -> Self {
        let timeout = options.request_timeout;
        let breakers = Breakers::new(options.breaker.clone());
        let replicas = Replicas {
            layout: layout.clone(),
            connections: connections.clone(),
            breakers: breakers.clone(),
            latencies: Latencies::new(options.deadlines.clone()),
            meters: Meters::default(),
            batches: Batches::default(),
        };
        let meters = replicas.meters.clone();
        let preference = Preference {
            zone: options.zone.clone(),
            own: options.own.clone(),
            latencies: replicas.latencies.clone(),
        };
        let through = |around: Decorator<dyn NodeWriter>| -> Writers {
            let replicas = replicas.clone();
            Arc::new(move |member: &Member| around(Arc::new(replicas.replica(member))))
        };
        let (writers, repaired) = (through(around.writer), through(around.repaired));
        let writer =
            QuorumWriter::new(layout.clone(), writers, timeout).consistency(options.consistency);
        let readers =
            Arc::new(move |member: &Member| (around.reader)(Arc::new(replicas.replica(member))));
        let reader =
            QuorumReader::repairing(layout.clone(), readers, repaired, timeout, preference);
        let catching_up = Arc::default();
        Client {
            layout,
            connections,
            breakers,
            meters,
            writer,
            reader,
            options,
            asked_first: None,
            catching_up,
        }
    }

    /// The layout in use now.
    pub fn layout(&self) -> Arc<Layout> {
        self.layout.get()
    }

    /// The layout in use now, with what places objects.
    pub fn placement(&self) -> Arc<Placement> {
        self.layout.placement()
    }

    /// Stores one object that fits a message.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put(&self, object: Object) -> Result<PutReport, PutError> {
        let mut outcomes = self.put_batch(vec![object], false).await;
        outcomes.pop().expect("one object, one outcome")
    }

    /// Stores many; one result each, in order. With `skip_present`, replicas are asked
    /// first and sent only what they lack. Callers run several at a time; each should
    /// hold at most a few MiB.
    pub async fn put_batch(
        &self,
        objects: Vec<Object>,
        skip_present: bool,
    ) -> Vec<Result<PutReport, PutError>> {
        self.catch_up().await;
        self.put_following(objects, skip_present).await
    }

    /// Stores an object of any size from parts of at most `limits::PART_BYTES_MAX` bytes, of
    /// which no more than `limits::LARGE_BYTES_KEPT_MAX` bytes are held.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_large(&self, head: ObjectHead, parts: Parts) -> Result<PutReport, PutError> {
        self.catch_up().await;
        self.put_large_following(head, parts).await
    }

    /// Returns one object, verified.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get(&self, id: ObjectId) -> Result<Got, GetError> {
        self.get_batch(vec![id]).await.pop().expect("one id, one result")
    }

    /// Returns many; one result each, in order.
    pub async fn get_batch(&self, ids: Vec<ObjectId>) -> Vec<Result<Got, GetError>> {
        self.catch_up().await;
        let placement = self.layout.placement();
        let mut results = self.reader.get(&ids).await;
        let absent =
            |result: &Result<_, GetError>| matches!(result, Err(GetError::NotFound { .. }));
        if results.iter().any(absent) && self.learned_since(&placement).await {
            let places: Vec<_> = (0..ids.len()).filter(|&at| absent(&results[at])).collect();
            let again: Vec<_> = places.iter().map(|&place| ids[place]).collect();
            for (place, result) in places.into_iter().zip(self.reader.get(&again).await) {
                results[place] = result;
            }
        }
        results
    }

    /// Opens an object of any size for reading in parts.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get_large(&self, id: ObjectId) -> Result<Box<dyn LargeReader>, GetError> {
        self.catch_up().await;
        let placement = self.layout.placement();
        match self.reader.get_large(id).await {
            Err(GetError::NotFound { .. }) if self.learned_since(&placement).await => {
                self.reader.get_large(id).await
            }
            opened => opened,
        }
    }

    /// Asks each of an object's replicas for it, by itself: what one lacks or has damaged is told and
    /// not repaired. Bytes that are not the object's are an error.
    pub async fn get_from_each(&self, id: ObjectId) -> Vec<(NodeId, Result<Found, NodeError>)> {
        self.catch_up().await;
        let (timeout, placement) = (self.options.request_timeout, self.layout.placement());
        let ids: Arc<[ObjectId]> = [id].into();
        let replicas = placement.replicas(&id);
        let asked = replicas.iter().filter_map(|node_id| placement.layout().member(node_id));
        let asked = asked.map(|member| {
            let (node, ids) = (remote(&self.layout, &self.connections, member), ids.clone());
            async move {
                let answers = NodeReader::get(&node, ids, timeout).await;
                let found = answers.and_then(|mut answers| {
                    let answer = answers.pop().ok_or_else(|| NodeError::Protocol {
                        reason: "no answer for the object".to_owned(),
                    })?;
                    match answer.map_err(NodeError::Rejected)? {
                        Found::Object(object) => {
                            let verified = object.verified().map_err(StoreError::from);
                            Ok(Found::Object(verified.map_err(NodeError::Rejected)?))
                        }
                        found => Ok(found),
                    }
                });
                (member.node_id.clone(), found)
            }
        });
        join_all(asked).await
    }

    /// Which of its replicas hold each object, in ring order; an error when none holds it
    /// and too few could say so.
    pub async fn has(&self, ids: Vec<ObjectId>) -> Vec<Result<Vec<NodeId>, GetError>> {
        self.catch_up().await;
        let ids: Arc<[ObjectId]> = ids.into();
        let timeout = self.options.request_timeout;
        let placement = self.layout.placement();
        let members = placement.layout().members.iter();
        let asked = members.filter(|member| member.state != MemberState::Removed).map(|member| {
            let (node, ids) = (remote(&self.layout, &self.connections, member), ids.clone());
            async move { (&member.node_id, node.presence(&ids, timeout).await) }
        });
        let answers = join_all(asked).await;
        let holders = |place: usize, id: &ObjectId| {
            let (mut holds, mut absent, mut failed) = (Vec::new(), Vec::new(), Vec::new());
            let read_set = placement.read_set(id);
            for replica in read_set.nodes() {
                let answer = answers.iter().find(|(node_id, _)| *node_id == replica);
                match &answer.expect("whoever is read from was asked").1 {
                    Ok(answer) if answer.present[place] => holds.push(replica.clone()),
                    Ok(answer) if answer.catching_up => {
                        let error = NodeError::Rejected(StoreError::CatchingUp);
                        failed.push((replica.clone(), error));
                    }
                    Ok(_) => absent.push(replica.clone()),
                    Err(error) => failed.push((replica.clone(), error.clone())),
                }
            }
            match holds.is_empty() {
                false => Ok(holds),
                true if read_set.proves_absent(&absent) => {
                    Err(GetError::NotFound { id: *id, absent })
                }
                true => Err(GetError::Unavailable { id: *id, absent, failed }),
            }
        };
        ids.iter().enumerate().map(|(place, id)| holders(place, id)).collect()
    }

    /// Whether there is a layout that says more than `placement` did: then "absent" was said
    /// of the wrong places, perhaps, and is to be asked again.
    async fn learned_since(&self, placement: &Arc<Placement>) -> bool {
        self.catch_up().await;
        !Arc::ptr_eq(placement, &self.layout.placement())
    }

    /// Fetches a newer layout, if one was heard of. However many ask, the members are asked
    /// once; a version that none of them has is forgotten.
    async fn catch_up(&self) {
        if self.layout.behind().is_none() {
            return;
        }
        let _one = self.catching_up.lock().await;
        let Some(wanted) = self.layout.behind() else { return };
        let take = |held: Arc<Layout>| {
            self.layout.learn(&held);
            std::future::ready(())
        };
        let asking = ask_members(&self.layout, &self.connections, None, wanted, take);
        // Late, it is tried again by the next request that hears of the version.
        let _ = tokio::time::timeout(limits::ASK_TIMEOUT, asking).await;
        if self.layout.version() < wanted {
            self.layout.forget(wanted);
        }
    }

    /// What its pool of connections has and did.
    pub fn pool(&self) -> PoolNumbers {
        self.connections.numbers()
    }

    /// The circuit breakers of the replicas that were used so far.
    pub fn breakers(&self) -> Vec<BreakerNumbers> {
        self.breakers.list()
    }

    /// Requests to the replicas that were used so far.
    pub fn requests(&self) -> Vec<(NodeId, ReplicaCounts)> {
        self.meters.list()
    }

    /// Registers all that it counts; what is registered holds no connections.
    pub fn register(&self, registry: &mut Registry) {
        self.writer.register(registry);
        self.meters.register(registry);
        self.breakers.register(registry);
        self.reader.register(registry);
    }

    /// Counters of the writer.
    pub fn stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// The latest replica writes that failed, at most `limits::MISSED_LISTED_MAX`.
    pub fn missed(&self) -> Vec<Missed> {
        self.writer.missed()
    }

    /// What came of replicas that reads found lacking.
    pub fn read_repairs(&self) -> ReadRepairStats {
        self.reader.repairs()
    }

    /// Waits for the writes that go on after W, for their records, and for repairs that reads
    /// began.
    pub async fn drain(&self) {
        self.writer.drain().await;
        self.reader.drain().await;
    }
}
