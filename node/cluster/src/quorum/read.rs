//! The quorum reader: the likeliest replica first, the others when it lacks or lags.
//!
//! Invariant (I2, I3): what is returned hashes to its id, and "not found" is said only when
//! R replicas answered "absent", which with R + W > N contradicts every acknowledged put.

mod health;
mod repair;
mod resume;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gitstratum_core::limits;
use gitstratum_core::metrics::Registry;
use gitstratum_core::object::{Object, ObjectHead, ObjectId};
use gitstratum_core::placement::{CurrentLayout, NodeId, Placement, ReadSet};
use gitstratum_core::replica::{
    Found, LargeReader, NodeError, NodeReader, Readers, StoreError, Writers,
};
use tokio::time::timeout;
use tracing::instrument;

use super::reasons;
use health::Health;
use repair::ReadRepair;
use resume::{Opening, ResumingReader};

pub use health::Preference;
pub use repair::ReadRepairStats;

/// Why a get returned nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GetError {
    /// Enough replicas said "absent" for R + W > N.
    #[error("object {id} not found: absent on {}", names(.absent))]
    NotFound {
        /// The object.
        id: ObjectId,
        /// Who said so.
        absent: Vec<NodeId>,
    },
    /// It may exist, but too few replicas could say.
    #[error("object {id} unavailable: absent on {} replicas; {}", .absent.len(), reasons(.failed))]
    Unavailable {
        /// The object.
        id: ObjectId,
        /// Who said "absent".
        absent: Vec<NodeId>,
        /// Who said something else.
        failed: Vec<(NodeId, NodeError)>,
    },
}

fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

/// What a get found.
#[derive(Clone, Debug)]
pub enum Got {
    /// The whole, verified object.
    Object(Object),
    /// Too large to hold: read it in parts.
    Large(ObjectHead),
}

struct Inner {
    layout: CurrentLayout,
    nodes: Readers,
    timeout: Duration,
    health: Health,
    repair: Option<ReadRepair>,
}

/// Reads objects from their replicas. Cheap to clone.
#[derive(Clone)]
pub struct QuorumReader {
    inner: Arc<Inner>,
}

/// One object's search.
struct Search {
    id: ObjectId,
    place: usize,
    /// Where it is looked for, and what proves that it is nowhere.
    read_set: ReadSet,
    absent: Vec<NodeId>,
    failed: Vec<(NodeId, NodeError)>,
}

impl Search {
    fn new(place: usize, id: ObjectId, read_set: ReadSet) -> Self {
        Search { id, place, read_set, absent: Vec::new(), failed: Vec::new() }
    }

    /// What the answers so far allow to say, when no more will come.
    fn conclude(self) -> GetError {
        let Search { id, read_set, absent, failed, .. } = self;
        if read_set.proves_absent(&absent) {
            GetError::NotFound { id, absent }
        } else {
            GetError::Unavailable { id, absent, failed }
        }
    }
}

/// A replica that is still to be asked.
struct Untried {
    node_id: NodeId,
    /// Its circuit is open, and the others did not have everything.
    insist: bool,
}

/// What came of waiting for those that were asked.
enum Waited {
    /// One of them answered.
    Reply(Replies),
    /// None did in the time that it usually takes, and another may be asked already.
    Usual,
    /// None did for so long that they are asked last for a while.
    Long,
}

impl Waited {
    fn of(reply: Option<Replies>) -> Self {
        Waited::Reply(reply.expect("something was asked"))
    }
}

type Replies = (NodeId, Arc<[ObjectId]>, Result<Vec<Result<Found, StoreError>>, NodeError>);

impl QuorumReader {
    /// A reader from the members of `layout`, which it follows; `timeout` bounds each
    /// replica's answer.
    pub fn new(layout: CurrentLayout, nodes: Readers, timeout: Duration) -> Self {
        let health = Health::new(Preference::default());
        QuorumReader { inner: Arc::new(Inner { layout, nodes, timeout, health, repair: None }) }
    }

    /// As `new`; and a replica that is found to lack an object, or to have it damaged, is
    /// given it through `writers` once another had it. Which is asked first follows
    /// `preference`.
    pub fn repairing(
        layout: CurrentLayout,
        nodes: Readers,
        writers: Writers,
        timeout: Duration,
        preference: Preference,
    ) -> Self {
        let (health, repair) = (Health::new(preference), Some(ReadRepair::new(writers, timeout)));
        QuorumReader { inner: Arc::new(Inner { layout, nodes, timeout, health, repair }) }
    }

    /// What came of replicas that were found lacking.
    pub fn repairs(&self) -> ReadRepairStats {
        self.inner.repair.as_ref().map(ReadRepair::stats).unwrap_or_default()
    }

    /// Registers what came of replicas that were found lacking.
    pub fn register(&self, registry: &mut Registry) {
        if let Some(repair) = &self.inner.repair {
            repair.register(registry);
        }
    }

    /// Waits until no repair is under way.
    pub async fn drain(&self) {
        if let Some(repair) = &self.inner.repair {
            repair.drain().await;
        }
    }

    /// Looks objects up; one result each, in order.
    pub async fn get(&self, ids: &[ObjectId]) -> Vec<Result<Got, GetError>> {
        let mut groups: BTreeMap<ReadSet, Vec<Search>> = BTreeMap::new();
        let placement = self.inner.layout.placement();
        for (place, id) in ids.iter().enumerate() {
            let read_set = placement.read_set(id);
            let search = Search::new(place, *id, read_set.clone());
            groups.entry(read_set).or_default().push(search);
        }
        let searches: FuturesUnordered<_> = groups
            .into_iter()
            .map(|(read_set, searches)| self.inner.search(&placement, read_set, searches))
            .collect();
        let mut results: Vec<Option<Result<Got, GetError>>> = ids.iter().map(|_| None).collect();
        for (place, result) in searches.collect::<Vec<_>>().await.into_iter().flatten() {
            results[place] = Some(result);
        }
        results.into_iter().map(|result| result.expect("every id is in a group")).collect()
    }

    /// Opens an object of any size for reading in parts, on the first replica that has it;
    /// when that one fails on the way, the next goes on where it stopped.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn get_large(&self, id: ObjectId) -> Result<Box<dyn LargeReader>, GetError> {
        let placement = self.inner.layout.placement();
        let read_set = placement.read_set(&id);
        let untried = self.inner.health.ranked(&placement, read_set.nodes()).into_iter();
        let mut search = Search::new(0, id, read_set);
        let mut opening = Opening { inner: self.inner.clone(), placement, untried };
        match opening.next(&mut search).await {
            Some((node_id, reader)) => {
                if let Some(repair) = &self.inner.repair {
                    let from = self.inner.reader(&opening.placement, &node_id);
                    repair.give_large(&opening.placement, reader.head(), from, &search);
                }
                Ok(Box::new(ResumingReader::new(opening, node_id, reader)))
            }
            None => Err(search.conclude()),
        }
    }
}

impl Inner {
    fn reader(&self, placement: &Placement, node_id: &NodeId) -> Arc<dyn NodeReader> {
        let member = placement.layout().member(node_id);
        (self.nodes)(member.expect("only members are read from"))
    }

    async fn ask(
        &self,
        placement: &Placement,
        Untried { node_id, insist }: Untried,
        ids: Arc<[ObjectId]>,
    ) -> Replies {
        let mut reader = self.reader(placement, &node_id);
        if insist && let Some(bypassing_breaker) = reader.bypassing_breaker() {
            reader = bypassing_breaker;
        }
        let answer = reader.get(ids.clone(), self.timeout).await;
        (node_id, ids, answer)
    }

    /// Asks replica after replica for what is still sought: the next one when an answer
    /// leaves something unfound, when no answer came for as long as the one that was asked
    /// usually takes, if the budget allows, or for `limits::HEDGE_AFTER`.
    #[instrument(name = "quorum_get", level = "debug", skip_all, fields(objects = searches.len()))]
    async fn search(
        &self,
        placement: &Placement,
        read_set: ReadSet,
        searches: Vec<Search>,
    ) -> Vec<(usize, Result<Got, GetError>)> {
        let mut sought: BTreeMap<ObjectId, Vec<Search>> = BTreeMap::new();
        for search in searches {
            sought.entry(search.id).or_default().push(search);
        }
        let mut results = Vec::new();
        let untried = self.health.ranked(placement, read_set.nodes()).into_iter();
        let mut untried: VecDeque<_> =
            untried.map(|node_id| Untried { node_id, insist: false }).collect();
        let mut asked = FuturesUnordered::new();
        let (mut insisted, mut waiting_for) = (BTreeSet::new(), BTreeSet::new());
        let mut patience = limits::HEDGE_AFTER;
        self.health.earn();
        while !sought.is_empty() {
            if asked.is_empty() {
                let Some(next) = untried.pop_front() else { break };
                patience = self.health.patience(&next.node_id);
                waiting_for.insert(next.node_id.clone());
                asked.push(self.ask(placement, next, sought.keys().copied().collect()));
            }
            let waited = match untried.is_empty() {
                true => Waited::of(asked.next().await),
                false => self.wait_for_reply(&mut asked, patience).await,
            };
            let unsatisfied = match waited {
                // Asked all the same when nobody else has it all.
                Waited::Reply((node_id, _, Err(NodeError::CircuitOpen { .. })))
                    if insisted.insert(node_id.clone()) =>
                {
                    waiting_for.remove(&node_id);
                    untried.push_back(Untried { node_id, insist: true });
                    true
                }
                Waited::Reply(reply) => {
                    waiting_for.remove(&reply.0);
                    self.take(placement, reply, &mut sought, &mut results)
                }
                Waited::Usual => true,
                Waited::Long => {
                    waiting_for.iter().for_each(|node_id| self.health.suspect(node_id));
                    true
                }
            };
            if unsatisfied
                && !sought.is_empty()
                && let Some(next) = untried.pop_front()
            {
                patience = self.health.patience(&next.node_id);
                waiting_for.insert(next.node_id.clone());
                asked.push(self.ask(placement, next, sought.keys().copied().collect()));
            }
        }
        let unfound = sought.into_values().flatten();
        results.extend(unfound.map(|s| (s.place, Err(s.conclude()))));
        results
    }

    /// Waits for the next reply, or until it is time to ask another replica too.
    async fn wait_for_reply<F>(&self, asked: &mut FuturesUnordered<F>, patience: Duration) -> Waited
    where
        F: Future<Output = Replies>,
    {
        if let Ok(reply) = timeout(patience, asked.next()).await {
            return Waited::of(reply);
        }
        let rest = limits::HEDGE_AFTER.saturating_sub(patience);
        if !rest.is_zero() && self.health.may_ask_early() {
            return Waited::Usual;
        }
        let late = timeout(rest, asked.next()).await;
        late.map_or(Waited::Long, Waited::of)
    }

    /// Takes one replica's answers; says whether it left something unfound.
    fn take(
        &self,
        placement: &Placement,
        (node_id, ids, answer): Replies,
        sought: &mut BTreeMap<ObjectId, Vec<Search>>,
        results: &mut Vec<(usize, Result<Got, GetError>)>,
    ) -> bool {
        let answers: Vec<Result<Found, NodeError>> = match answer {
            Ok(answers) => answers.into_iter().map(|answer| Ok(answer?)).collect(),
            Err(error) => {
                self.health.suspect(&node_id);
                vec![Err(error); ids.len()]
            }
        };
        let mut unsatisfied = false;
        for (id, answer) in ids.iter().zip(answers) {
            let Some(searches) = sought.get_mut(id) else { continue };
            let found = match answer {
                Ok(Found::Absent) => Ok(None),
                Ok(Found::Large(head)) => Ok(Some(Got::Large(head))),
                Ok(Found::Object(object)) => match object.verified() {
                    Ok(object) => Ok(Some(Got::Object(object))),
                    Err(mismatch) => Err(NodeError::Rejected(mismatch.into())),
                },
                Err(error) => Err(error),
            };
            match found {
                Ok(Some(got)) => {
                    let searches = sought.remove(id).expect("it was found there");
                    if let (Some(repair), Got::Object(object)) = (&self.repair, &got) {
                        repair.give(placement, object, &searches[0]);
                    }
                    results.extend(searches.iter().map(|s| (s.place, Ok(got.clone()))));
                    continue;
                }
                Ok(None) => {
                    searches.iter_mut().for_each(|s| s.absent.push(node_id.clone()));
                    if searches[0].read_set.proves_absent(&searches[0].absent) {
                        let searches = sought.remove(id).expect("it was found there");
                        let proven = searches.into_iter();
                        results.extend(proven.map(|s| (s.place, Err(s.conclude()))));
                        continue;
                    }
                }
                Err(error) => searches
                    .iter_mut()
                    .for_each(|s| s.failed.push((node_id.clone(), error.clone()))),
            }
            unsatisfied = true;
        }
        unsatisfied
    }
}
