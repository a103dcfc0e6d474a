//! Administrative fan-out.
//!
//! What operators ask of every node at once, beside objects.

use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_core::job::{JobKind, JobOrder};
use gitstratum_core::placement::{Member, MemberState};
use gitstratum_core::replica::NodeError;
use gitstratum_proto::v1::{JobStatus, SnapshotResponse, StatusResponse};

use super::replicas::remote;
use super::{Client, LayoutAnswer};
use crate::rpc::RemoteNode;

/// A member, and what it answered.
pub type Answered<T> = (Member, Result<T, NodeError>);

impl Client {
    /// Asks every member, those that left included, all at once.
    async fn ask_all<T, F>(&self, ask: impl Fn(RemoteNode, Duration) -> F) -> Vec<Answered<T>>
    where
        F: Future<Output = Result<T, NodeError>>,
    {
        self.ask_those(|_| true, ask).await
    }

    /// Asks every member that is somebody's replica. One that was removed has nothing that
    /// counts, and need not run.
    async fn ask_replicas<T, F>(&self, ask: impl Fn(RemoteNode, Duration) -> F) -> Vec<Answered<T>>
    where
        F: Future<Output = Result<T, NodeError>>,
    {
        self.ask_those(|member| member.state != MemberState::Removed, ask).await
    }

    async fn ask_those<T, F>(
        &self,
        are_asked: impl Fn(&Member) -> bool,
        ask: impl Fn(RemoteNode, Duration) -> F,
    ) -> Vec<Answered<T>>
    where
        F: Future<Output = Result<T, NodeError>>,
    {
        let layout = self.layout();
        let asked = layout.members.iter().filter(|member| are_asked(member)).map(|member| {
            let node = remote(&self.layout, &self.connections, member);
            let answer = ask(node, self.options.request_timeout);
            async move { (member.clone(), answer.await) }
        });
        join_all(asked).await
    }

    /// Asks every member for its status. It waits for none longer than a request may take.
    pub async fn status(&self) -> Vec<Answered<StatusResponse>> {
        self.ask_all(|node, timeout| async move { node.status(timeout).await }).await
    }

    /// Asks every member for the layout that it holds.
    pub async fn layouts(&self) -> Vec<LayoutAnswer> {
        self.ask_all(|node, timeout| async move {
            node.identify("", timeout).await.map(|(held, _)| held)
        })
        .await
    }

    /// Has every member that is somebody's replica make a snapshot of its store.
    pub async fn snapshot(&self, name: &str) -> Vec<Answered<SnapshotResponse>> {
        self.ask_replicas(|node, timeout| async move { node.snapshot(name, timeout).await }).await
    }

    /// Has a background job of every such member do something; says how it stands there then.
    pub async fn job(&self, kind: JobKind, order: JobOrder) -> Vec<Answered<JobStatus>> {
        let ask = |node: RemoteNode, timeout| async move { node.job(kind, order, timeout).await };
        self.ask_replicas(ask).await
    }
}
