//! Scripted replica: answers, delays and failures as a test says, and a log of its requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{Kind, Object, ObjectHead, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{
    Durability, Found, LargeReader, Missed, NodeError, NodeReader, NodeWriter, Parts, Recorded,
    StoreError, Stored,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::parts::{Fault, ObjectParts};

/// What a replica does with every request.
#[derive(Clone, Debug, Default)]
pub enum Behaviour {
    /// What it is asked.
    #[default]
    Well,
    /// Fails.
    Fails(NodeError),
    /// Answers when it is released, one request each time.
    Waits,
    /// Panics.
    Panics,
    /// Takes everything; returns other bytes than were stored, and breaks off in the middle of
    /// parts.
    Lies,
    /// Takes everything; sends other bytes in parts, and breaks off when it finds out.
    Rotten,
    /// Has damaged whatever it was not put.
    Damaged,
    /// Reads, and has no room to store anything.
    DiskFull,
}

/// What a replica can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// [`NodeWriter::put`].
    Put,
    /// [`NodeWriter::put_large`].
    PutLarge,
    /// [`NodeWriter::has`].
    Has,
    /// [`NodeWriter::store_hints`].
    StoreHints,
    /// [`NodeReader::get`].
    Get,
    /// [`NodeReader::get_large`].
    GetLarge,
}

/// What a replica was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// For what.
    pub asked: Asked,
    /// The objects, in order.
    pub ids: Vec<ObjectId>,
    /// How long it was given; `None` for streams.
    pub timeout: Option<Duration>,
    /// Of a second attempt: when the first one began.
    pub first_began: Option<Instant>,
}

type Script = Arc<dyn Fn(&Request) -> Option<NodeError> + Send + Sync>;

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    takes: Duration,
    failures: VecDeque<NodeError>,
    script: Option<Script>,
    second_attempts: usize,
    objects: BTreeMap<ObjectId, Object>,
    missed: Vec<Missed>,
    requests: Vec<Request>,
}

/// A replica in memory. Cheap to clone; clones are the same replica.
///
/// It first notes a request, then takes its time, then fails if it is to, and then does what its
/// [`Behaviour`] says.
#[derive(Clone)]
pub struct ScriptedReplica {
    node_id: NodeId,
    state: Arc<Mutex<State>>,
    release: Arc<Notify>,
    /// Its requests are second attempts at such as began then.
    first_began: Option<Instant>,
}

impl ScriptedReplica {
    /// One that is well, answers at once and has nothing.
    pub fn new(node_id: NodeId) -> Self {
        let (state, release) = (Arc::default(), Arc::default());
        ScriptedReplica { node_id, state, release, first_began: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a scripted replica panics without its lock")
    }

    /// Whose replica.
    pub fn id(&self) -> &NodeId {
        &self.node_id
    }

    /// Behaves so from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// Takes so long for every answer from now on, or until the request is late.
    pub fn take(&self, takes: Duration) {
        self.state().takes = takes;
    }

    /// Fails the next requests so, in order.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = NodeError>) {
        self.state().failures.extend(failures);
    }

    /// Fails the requests for which `script` says why.
    pub fn script(&self, script: impl Fn(&Request) -> Option<NodeError> + Send + Sync + 'static) {
        self.state().script = Some(Arc::new(script));
    }

    /// Lets one request be answered that waits, or the next.
    pub fn release(&self) {
        self.release.notify_one();
    }

    /// Allows so many second attempts on new connections; none are, otherwise.
    pub fn allow_second_attempts(&self, attempts: usize) {
        self.state().second_attempts = attempts;
    }

    /// Second attempts that are still allowed.
    pub fn second_attempts_left(&self) -> usize {
        self.state().second_attempts
    }

    /// Gives it an object.
    pub fn insert(&self, object: Object) {
        self.state().objects.insert(object.id(), object);
    }

    /// Whether it has an object.
    pub fn holds(&self, id: ObjectId) -> bool {
        self.state().objects.contains_key(&id)
    }

    /// The object that it has.
    pub fn object(&self, id: ObjectId) -> Option<Object> {
        self.state().objects.get(&id).cloned()
    }

    /// What it was told that others missed, each once.
    pub fn missed(&self) -> Vec<Missed> {
        self.state().missed.clone()
    }

    /// What it was asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// How often it was asked for this.
    pub fn count(&self, asked: Asked) -> usize {
        self.state().requests.iter().filter(|request| request.asked == asked).count()
    }

    async fn respond(
        &self,
        asked: Asked,
        ids: Vec<ObjectId>,
        timeout: Option<Duration>,
    ) -> Result<Behaviour, NodeError> {
        let request = Request { asked, ids, timeout, first_began: self.first_began };
        let takes = {
            let mut state = self.state();
            state.requests.push(request.clone());
            state.takes
        };
        if !takes.is_zero() {
            let after = timeout.unwrap_or(limits::REQUEST_TIMEOUT);
            sleep(takes.min(after)).await;
            if takes >= after {
                return Err(late(after));
            }
        }
        let (failure, script, behaviour) = {
            let mut state = self.state();
            (state.failures.pop_front(), state.script.clone(), state.behaviour.clone())
        };
        if let Some(error) = failure.or_else(|| script.and_then(|script| script(&request))) {
            return Err(error);
        }
        match behaviour {
            Behaviour::Fails(error) => return Err(error),
            Behaviour::Panics => panic!("scripted"),
            Behaviour::Waits => self.released(timeout).await?,
            _ => {}
        }
        Ok(behaviour)
    }

    /// A request waits as long as it has; a stream, until it is released.
    async fn released(&self, within: Option<Duration>) -> Result<(), NodeError> {
        match within {
            Some(after) => timeout(after, self.release.notified()).await.map_err(|_| late(after)),
            None => {
                self.release.notified().await;
                Ok(())
            }
        }
    }

    fn store(&self, object: Object) -> Stored {
        let bytes = object.size_bytes();
        let already_present = self.state().objects.insert(object.id(), object).is_some();
        Stored { bytes, durability: Durability::Synced, already_present }
    }

    fn find(&self, behaviour: &Behaviour, id: ObjectId) -> Result<Option<Object>, StoreError> {
        match (self.object(id), behaviour) {
            (None, Behaviour::Damaged) => {
                Err(StoreError::Damaged { id, reason: "scripted".to_owned() })
            }
            (found, _) => Ok(found),
        }
    }

    fn second(&self, first_began: Instant) -> Option<Self> {
        let mut state = self.state();
        state.second_attempts = state.second_attempts.checked_sub(1)?;
        Some(ScriptedReplica { first_began: Some(first_began), ..self.clone() })
    }
}

fn late(after: Duration) -> NodeError {
    NodeError::TimedOut { stage: "waiting for the answer", after }
}

#[async_trait]
impl NodeWriter for ScriptedReplica {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn put(
        &self,
        objects: Arc<[Object]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Stored, StoreError>>, NodeError> {
        let ids = objects.iter().map(Object::id).collect();
        match self.respond(Asked::Put, ids, Some(timeout)).await? {
            Behaviour::DiskFull => Ok(vec![Err(StoreError::DiskFull); objects.len()]),
            _ => Ok(objects.iter().map(|object| Ok(self.store(object.clone()))).collect()),
        }
    }

    async fn put_large(&self, head: ObjectHead, mut parts: Parts) -> Result<Stored, NodeError> {
        if let Behaviour::DiskFull = self.respond(Asked::PutLarge, vec![head.id], None).await? {
            return Err(StoreError::DiskFull.into());
        }
        let ObjectHead { id, kind, size_bytes } = head;
        let mut data = Vec::new();
        while let Some(part) = parts.recv().await {
            data.extend_from_slice(&part);
        }
        let received_bytes = data.len() as u64;
        if received_bytes < size_bytes {
            return Err(StoreError::Truncated { id, received_bytes, size_bytes }.into());
        }
        let object = Object::claimed(id, kind, data.into());
        object.verify().map_err(StoreError::from)?;
        Ok(self.store(object))
    }

    async fn has(&self, ids: Arc<[ObjectId]>, timeout: Duration) -> Result<Vec<bool>, NodeError> {
        self.respond(Asked::Has, ids.to_vec(), Some(timeout)).await?;
        Ok(ids.iter().map(|id| self.holds(*id)).collect())
    }

    async fn store_hints(
        &self,
        missed: Vec<Missed>,
        timeout: Duration,
    ) -> Result<Recorded, NodeError> {
        let ids = missed.iter().map(|missed| missed.id).collect();
        self.respond(Asked::StoreHints, ids, Some(timeout)).await?;
        let mut recorded = Recorded::default();
        let mut state = self.state();
        for missed in missed {
            match state.missed.contains(&missed) {
                true => recorded.already += 1,
                false => {
                    recorded.new += 1;
                    state.missed.push(missed);
                }
            }
        }
        Ok(recorded)
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeWriter>> {
        Some(Arc::new(self.second(first_began)?))
    }
}

#[async_trait]
impl NodeReader for ScriptedReplica {
    fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    async fn get(
        &self,
        ids: Arc<[ObjectId]>,
        timeout: Duration,
    ) -> Result<Vec<Result<Found, StoreError>>, NodeError> {
        let behaviour = self.respond(Asked::Get, ids.to_vec(), Some(timeout)).await?;
        let found = |id: &ObjectId| {
            let Some(object) = self.find(&behaviour, *id)? else { return Ok(Found::Absent) };
            if let Behaviour::Lies = behaviour {
                let lie = Object::claimed(*id, Kind::Blob, Bytes::from_static(b"lie"));
                return Ok(Found::Object(lie));
            }
            Ok(match object.data().len() > limits::OBJECT_BYTES_WHOLE_MAX {
                true => Found::Large(object.head()),
                false => Found::Object(object),
            })
        };
        Ok(ids.iter().map(found).collect())
    }

    async fn get_large(&self, id: ObjectId) -> Result<Option<Box<dyn LargeReader>>, NodeError> {
        let behaviour = self.respond(Asked::GetLarge, vec![id], None).await?;
        let fault = match behaviour {
            Behaviour::Lies => Fault::BreaksOff,
            Behaviour::Rotten => Fault::Rotten,
            _ => Fault::None,
        };
        let found = self.find(&behaviour, id)?;
        Ok(found.map(|object| Box::new(ObjectParts::new(object, fault)) as Box<_>))
    }

    fn on_new_connection(&self, first_began: Instant) -> Option<Arc<dyn NodeReader>> {
        Some(Arc::new(self.second(first_began)?))
    }
}
