//! What operators ask of every node at once, beside objects.

use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_proto::v1::{
    RepairOrder, RepairStatus, ScrubOrder, ScrubStatus, SnapshotResponse, StatusResponse,
};

use super::replicas::remote;
use super::{Client, LayoutAnswer};
use crate::placement::Member;
use crate::quorum::NodeError;
use crate::wire::replica::RemoteNode;

/// A member, and what it answered.
pub type Answered<T> = (Member, Result<T, NodeError>);

impl Client {
    /// Asks every member, all at once.
    async fn ask_all<T, F>(&self, ask: impl Fn(RemoteNode, Duration) -> F) -> Vec<Answered<T>>
    where
        F: Future<Output = Result<T, NodeError>>,
    {
        let layout = self.layout();
        let asked = layout.members.iter().map(|member| {
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

    /// Has every member make a snapshot of its store.
    pub async fn snapshot(&self, name: &str) -> Vec<Answered<SnapshotResponse>> {
        self.ask_all(|node, timeout| async move { node.snapshot(name, timeout).await }).await
    }

    /// Has the repair of every member do something; says how it stands there then.
    pub async fn repair(&self, order: RepairOrder) -> Vec<Answered<RepairStatus>> {
        self.ask_all(|node, timeout| async move { node.repair(order, timeout).await }).await
    }

    /// Has the scrub of every member do something; says how it stands there then.
    pub async fn scrub(&self, order: ScrubOrder) -> Vec<Answered<ScrubStatus>> {
        self.ask_all(|node, timeout| async move { node.scrub(order, timeout).await }).await
    }
}
