//! gRPC service of a node: checks what came, asks the store, answers.

mod agreement;
mod caller;
mod comparing;
mod fence;
mod jobs;
mod numbers;
mod objects;

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use gitstratum_core::job::{Job, JobOrder};
use gitstratum_core::limits;
use gitstratum_core::metrics::{Registry, Samples};
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{Layout, LayoutError, NodeId};
use gitstratum_core::replica::StoreError;
use gitstratum_host::disk::{is_exhausted, is_full};
use gitstratum_proto::v1;
use gitstratum_proto::v1::node_server::Node;
use gitstratum_store::{SegmentStore, Snapshot, Store};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::membership::{KeepError, LayoutKeeper, ask_members_until};
use crate::repair::reconcile::Numbers;
use crate::repair::{CatchingUp, ClientLatency, HintError, HintLog, LatencyMeter, PeerTable};
use crate::service::numbers::{
    hints_to_wire, job_to_wire, pool_to_wire, reconcile_to_wire, scrub_to_wire, store_to_wire,
};
use crate::service::objects::{
    checked, get_batch, put_batch, receive_large, send_large, within_batch,
};
use crate::transport::{Caller, Connections};
use crate::wire::codec::{self, Malformed};
use crate::wire::metrics::metrics_to_wire;
use crate::wire::status::status_of;
use crate::wire::words::clean_status;
use crate::wire::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, compare, protocol_for, stamp};

pub use agreement::{Agreement, NoAgreement, NotAllowed};
pub use comparing::Compared;
pub use jobs::{RepairJob, ScrubJob};

/// A node's store, as clients use it and as repair does.
pub struct Stores {
    quiet: Arc<dyn Store>,
    latency: Arc<dyn Store>,
}

impl Stores {
    /// Of this store; what clients feel is noted.
    pub fn new(store: Arc<dyn Store>, latency: Arc<ClientLatency>) -> Self {
        Stores { latency: LatencyMeter::around(store.clone(), latency), quiet: store }
    }

    /// The store for a request that came with this metadata.
    fn of<T>(&self, request: &Request<T>) -> &Arc<dyn Store> {
        match stamp::is_background(request.metadata().as_ref()) {
            true => &self.quiet,
            false => &self.latency,
        }
    }
}

/// Everything a node answers from.
pub struct NodeService {
    /// Who answers.
    pub node_id: NodeId,
    /// Which run of it.
    pub boot_id: u64,
    /// Which program.
    pub software_version: &'static str,
    /// The layout it goes by.
    pub layout: LayoutKeeper,
    /// Where its objects are.
    pub stores: Stores,
    /// What it does by itself, to be asked about and told.
    pub jobs: Vec<Box<dyn Job>>,
    /// The same, to be read and verified.
    pub scrubbed: Arc<SegmentStore>,
    /// Whether what it says is absent proves anything.
    pub catching_up: Arc<CatchingUp>,
    /// The same, to be compared with those of peers.
    pub compared: Compared,
    /// What other replicas lack, as callers said.
    pub hints: Arc<HintLog>,
    /// What the probe last saw of its peers.
    pub peers: Arc<PeerTable>,
    /// The connections that the node itself opens.
    pub connections: Arc<dyn Connections>,
    /// What anti-entropy did.
    pub reconciled: Arc<Numbers>,
    /// Its part in the group that agrees on names.
    pub agreement: Arc<dyn Agreement>,
    /// All that the node counts and measures.
    pub metrics: Arc<Registry>,
    /// When it started.
    pub started: Instant,
}

impl NodeService {
    /// What the node knows of itself. It looks at how much room its disk has.
    pub async fn describe(&self) -> v1::StatusResponse {
        self.scrubbed.look_at_room().await;
        let absence_unproven = self.catching_up.is_pending();
        let mut status = v1::StatusResponse {
            node_id: self.node_id.to_string(),
            boot_id: self.boot_id,
            layout_version: self.layout.current().version(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            software_version: self.software_version.to_owned(),
            store: Some(store_to_wire(self.scrubbed.condition())),
            metrics: Some(metrics_to_wire(&Samples::of(&self.metrics).without_buckets())),
            hints: Some(hints_to_wire(&self.hints.lists())),
            peers: self.peers.status(),
            pool: Some(pool_to_wire(&self.connections.numbers())),
            scrub: Some(scrub_to_wire(&self.scrubbed.scrub_numbers())),
            jobs: self.jobs.iter().map(|job| job_to_wire(job.status())).collect(),
            reconcile: Some(reconcile_to_wire(&self.reconciled.report(), absence_unproven)),
            cluster_id: self
                .layout
                .current()
                .cluster()
                .map(|id| id.to_string())
                .unwrap_or_default(),
            features_off: self.agreement.features_off(),
        };
        // Every word of it is bounded then, and so is the message.
        clean_status(&mut status);
        status
    }
}

type Answer<T> = Result<Response<T>, Status>;
type AnswerStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A status for a log of hints that did not take a report.
fn status_of_hints(error: &HintError) -> Status {
    let message = error.to_string();
    match error {
        HintError::Closed => Status::unavailable(message),
        HintError::Io { source, .. } if is_exhausted(source) => Status::resource_exhausted(message),
        HintError::Io { source, .. } if is_full(source) => status_of(&StoreError::DiskFull),
        HintError::Io { .. } | HintError::Newer(_) => Status::internal(message),
    }
}

#[async_trait]
impl Node for NodeService {
    async fn identify(
        &self,
        request: Request<v1::IdentifyRequest>,
    ) -> Answer<v1::IdentifyResponse> {
        caller::check(&request, &request.get_ref().caller)?;
        let theirs = request.get_ref().protocol_version;
        Ok(Response::new(v1::IdentifyResponse {
            node_id: self.node_id.to_string(),
            boot_id: self.boot_id,
            layout: Some(codec::layout_to_wire(&self.layout.current().get())),
            software_version: self.software_version.to_owned(),
            protocol_version: protocol_for(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION, theirs),
        }))
    }

    async fn put(&self, request: Request<v1::PutRequest>) -> Answer<v1::PutResponse> {
        let caller = stamp::version_of(request.metadata().as_ref());
        let store = self.stores.of(&request).clone();
        let object = checked(request.into_inner().object)?;
        fence::admit(self.layout.current(), &self.node_id, caller, &[object.id()]).await?;
        let outcome = store.put(vec![object]).await.pop();
        let outcome = outcome.expect("the store answers for every object");
        let stored = outcome.map_err(|error| status_of(&error))?;
        Ok(Response::new(v1::PutResponse { stored: Some(codec::stored_to_wire(stored)) }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<v1::GetResponse> {
        let store = self.stores.of(&request).clone();
        let id = codec::id_from_wire(&request.into_inner().id)?;
        let outcome = codec::get_outcome_to_wire(store.get(id).await);
        Ok(Response::new(v1::GetResponse { outcome: Some(outcome) }))
    }

    async fn has(&self, request: Request<v1::HasRequest>) -> Answer<v1::HasResponse> {
        let ids = request.into_inner().ids;
        within_batch(ids.len())?;
        let ids = codec::ids_from_wire(&ids)?;
        // Before looking, as a get does.
        let doubted: Vec<bool> = ids.iter().map(|id| self.catching_up.doubts(id)).collect();
        let present = self.stores.quiet.has(&ids).await.map_err(|error| status_of(&error))?;
        let catching_up = present.iter().zip(doubted).any(|(present, doubted)| !present && doubted);
        Ok(Response::new(v1::HasResponse { present, catching_up }))
    }

    type PutBatchStream = AnswerStream<v1::PutBatchResponse>;

    async fn put_batch(
        &self,
        request: Request<Streaming<v1::PutBatchRequest>>,
    ) -> Answer<Self::PutBatchStream> {
        let caller = stamp::version_of(request.metadata().as_ref());
        let (store, layout) = (self.stores.of(&request).clone(), self.layout.current().clone());
        let ourselves = self.node_id.clone();
        // One foreign object refuses its batch: whoever sent it has to place them all anew.
        let answers = request
            .into_inner()
            .map(move |batch| {
                let (layout, ourselves) = (layout.clone(), ourselves.clone());
                let admit = async move |ids: &[ObjectId]| {
                    fence::admit(&layout, &ourselves, caller, ids).await
                };
                put_batch(store.clone(), batch, admit)
            })
            .buffered(limits::STREAM_BATCHES_IN_FLIGHT);
        Ok(Response::new(Box::pin(answers)))
    }

    type GetBatchStream = AnswerStream<v1::GetBatchResponse>;

    async fn get_batch(
        &self,
        request: Request<Streaming<v1::GetBatchRequest>>,
    ) -> Answer<Self::GetBatchStream> {
        let store = self.stores.of(&request).clone();
        let answers = request.into_inner().flat_map(move |batch| {
            // Pinned, because the stream is flattened as it is polled.
            Box::pin(get_batch(store.clone(), batch))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn put_large(
        &self,
        request: Request<Streaming<v1::PutLargeRequest>>,
    ) -> Answer<v1::PutResponse> {
        let caller = stamp::version_of(request.metadata().as_ref());
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|message| message.part);
        let Some(v1::put_large_request::Part::Head(head)) = first else {
            return Err(Malformed("a large object begins with its head".into()).into());
        };
        let head = codec::head_from_wire(&head)?;
        fence::admit(self.layout.current(), &self.node_id, caller, &[head.id]).await?;
        let writer = self.stores.quiet.put_large(head).await.map_err(|error| status_of(&error))?;
        receive_large(writer, parts).await
    }

    type GetLargeStream = AnswerStream<v1::GetLargeResponse>;

    async fn get_large(&self, request: Request<v1::GetRequest>) -> Answer<Self::GetLargeStream> {
        let id = codec::id_from_wire(&request.into_inner().id)?;
        let reader = self.stores.quiet.get_large(id).await.map_err(|error| status_of(&error))?;
        Ok(Response::new(match reader {
            Some(reader) => send_large(reader),
            None => {
                let part = Some(v1::get_large_response::Part::Absent(v1::Absent {}));
                Box::pin(stream::iter([Ok(v1::GetLargeResponse { part })]))
            }
        }))
    }

    async fn store_hints(
        &self,
        request: Request<v1::StoreHintsRequest>,
    ) -> Answer<v1::StoreHintsResponse> {
        let caller = stamp::version_of(request.metadata().as_ref());
        let missed = request.into_inner().missed;
        within_batch(missed.len())?;
        let missed: Result<Vec<_>, _> = missed.into_iter().map(codec::missed_from_wire).collect();
        let missed = missed?;
        let mut layout = self.layout.current().get();
        let stranger = |layout: &Layout| {
            missed.iter().map(|m| &m.node_id).find(|id| !layout.knows(id)).cloned()
        };
        if stranger(&layout).is_some() && fence::catch_up(self.layout.current(), caller).await {
            layout = self.layout.current().get();
        }
        if let Some(stranger) = stranger(&layout) {
            let version = layout.version;
            let message = format!("node {stranger} is not in layout {version}");
            return Err(fence::stale(version, message));
        }
        // What nobody could show is no version that a hint is kept by.
        let version = caller.unwrap_or(layout.version).min(layout.version);
        let recorded = self.hints.record(missed, version).await;
        let recorded = recorded.map_err(|error| status_of_hints(&error))?;
        Ok(Response::new(codec::recorded_to_wire(recorded)))
    }

    async fn snapshot(
        &self,
        request: Request<v1::SnapshotRequest>,
    ) -> Answer<v1::SnapshotResponse> {
        let made = self.stores.quiet.snapshot(&request.into_inner().name).await;
        let Snapshot { path, mut files } = made.map_err(|error| status_of(&error))?;
        let saved = self.agreement.save(&path).await;
        files += u64::from(saved.map_err(|error| {
            Status::internal(format!(
                "{path} has no copy of the catalog, and is to be removed: {error}"
            ))
        })?);
        Ok(Response::new(v1::SnapshotResponse { path, files }))
    }

    async fn apply_layout(
        &self,
        request: Request<v1::ApplyLayoutRequest>,
    ) -> Answer<v1::ApplyLayoutResponse> {
        let layout = request.into_inner().layout;
        let layout = layout.ok_or_else(|| Malformed("no layout to apply".into()))?;
        let wrong = |error: LayoutError| Status::invalid_argument(error.to_string());
        let layout = codec::layout_from_wire(layout).map_err(wrong)?;
        let current = self.layout.current();
        if current.check_step(&layout).is_err() {
            // We may be the one that is behind: the others say what was between, if they know.
            let take = |held: Arc<Layout>| async move { self.layout.offer(&held).await };
            let enough = || current.check_step(&layout).is_ok();
            let ourselves = Some(&self.node_id);
            let asking = ask_members_until(current, &self.connections, ourselves, enough, take);
            // Whatever is known by then decides.
            let _ = tokio::time::timeout(limits::LAYOUT_CATCH_UP_TIMEOUT, asking).await;
        }
        let changed = self.layout.apply(&layout).await.map_err(|error| match error {
            KeepError::Refused(refused) => Status::failed_precondition(refused.to_string()),
            error => Status::internal(error.to_string()),
        })?;
        let version = self.layout.current().version();
        Ok(Response::new(v1::ApplyLayoutResponse { version, changed }))
    }

    async fn compare(&self, request: Request<v1::CompareRequest>) -> Answer<v1::CompareResponse> {
        caller::check(&request, &request.get_ref().caller)?;
        self.compare_with(request.into_inner()).await.map(Response::new)
    }

    async fn wants(&self, request: Request<v1::WantsRequest>) -> Answer<v1::WantsResponse> {
        let ids = request.into_inner().ids;
        within_batch(ids.len())?;
        let ids = codec::ids_from_wire(&ids)?;
        let standing =
            self.compared.store.standing(&ids).await.map_err(|error| status_of(&error))?;
        let wants = standing.into_iter().map(|standing| compare::want_to_wire(standing).into());
        Ok(Response::new(v1::WantsResponse { wants: wants.collect() }))
    }

    async fn job(&self, request: Request<v1::JobRequest>) -> Answer<v1::JobResponse> {
        let request = request.into_inner();
        let order = match request.order() {
            v1::JobOrder::Start => JobOrder::Start,
            v1::JobOrder::Pause => JobOrder::Pause,
            v1::JobOrder::Cancel => JobOrder::Cancel,
            v1::JobOrder::Unspecified => {
                return Err(Malformed("an order that says nothing".into()).into());
            }
        };
        let job = self.jobs.iter().find(|job| job.kind().name() == request.job);
        let job = job.ok_or_else(|| {
            let jobs: Vec<_> = self.jobs.iter().map(|job| job.kind().name()).collect();
            Malformed(format!("this node has no such job; it has {}", jobs.join(", ")))
        })?;
        job.order(order);
        Ok(Response::new(v1::JobResponse { job: Some(job_to_wire(job.status())) }))
    }

    async fn agree(&self, request: Request<v1::AgreeRequest>) -> Answer<v1::AgreeResponse> {
        let request = request.into_inner().request;
        if request.is_empty() {
            let member = self.agreement.may_be_member();
            return Ok(Response::new(v1::AgreeResponse { member, answer: bytes::Bytes::new() }));
        }
        let answer = self.agreement.agree(request).await;
        let member = answer.is_some();
        Ok(Response::new(v1::AgreeResponse { member, answer: answer.unwrap_or_default() }))
    }

    async fn catalog(&self, request: Request<v1::CatalogRequest>) -> Answer<v1::CatalogResponse> {
        let grant = match request.extensions().get::<Caller>() {
            Some(Caller::Token(grant)) => Some(grant.clone()),
            Some(Caller::Certified(_)) | None => None,
        };
        let (request, within) = (request.into_inner(), limits::CATALOG_REQUEST_TIMEOUT);
        let answered = self.agreement.catalog(request, grant.as_deref(), within).await;
        let refused = |NotAllowed(reason)| Status::permission_denied(reason);
        answered.map(Response::new).map_err(refused)
    }

    async fn status(&self, _request: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        Ok(Response::new(self.describe().await))
    }
}
