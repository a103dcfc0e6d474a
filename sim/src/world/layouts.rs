//! Layout steps.
//!
//! Changes of the layout, told to nodes as `gitstratum layout apply` tells them.

use std::time::Duration;

use gitstratum_catalog::Operation;
use gitstratum_catalog::entity::NodeState;
use gitstratum_cluster::membership;
use gitstratum_cluster::transport::Dialler;
use gitstratum_core::placement::{ClusterId, Layout, MemberState};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::catalog::with_client;
use super::{Cluster, Run};
use crate::broken::without_sources;
use crate::scenario::{Control, LayoutChange};
use crate::trace::Event;

/// The machine that the operator sits at; it takes no part in the load.
pub(super) const MACHINE: &str = "operator";
/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts to have the catalog take note of a removal, and how many there are.
const PAUSE: Duration = Duration::from_millis(250);
const REMOVALS_MAX: usize = 60;

impl Cluster {
    /// The newest version that was given out.
    pub(super) fn layout_version(&self) -> u64 {
        self.changes().layout.as_ref().unwrap_or(&self.layout).version
    }

    /// Makes the next version of the layout, with this change, and tells it to the nodes that it
    /// names; records for each whether it took it. Those that are not told have to hear of
    /// it from others.
    pub async fn change_layout(&self, run: &Run, change: &LayoutChange) {
        let next = {
            let mut changes = self.changes();
            let before = changes.layout.as_ref().unwrap_or(&self.layout);
            let mut next = change.after(before).expect("a checked plan makes layouts");
            // As `layout apply` learns it from the nodes, which derived it from their first.
            next.cluster = Some(ClusterId::derived(&self.layout));
            changes.layout = Some(next.clone());
            next
        };
        let told = match run.control {
            Some(Control::ActivePeersOnly) => {
                run.followers.replace(&next);
                without_sources(next)
            }
            _ => next,
        };
        let told = self.tell(told, change.tell.clone());
        // The run may have ended the operator's process with all others.
        let _ = told.await;
        for node in &change.remove {
            self.remove_from_catalog(run, node.clone()).await;
        }
    }

    /// Has the catalog take note that a node left for good, as `gitstratum node remove` does.
    async fn remove_from_catalog(&self, run: &Run, node: String) {
        let purpose = format!("remove/{node}");
        let removed = with_client(run, self, purpose, move |mut caller| async move {
            let state = NodeState::Removed;
            let operation = Operation::SetNodeState { node, state };
            for _ in 0..REMOVALS_MAX {
                match caller.call(operation.clone()).await {
                    Ok(_) => return Ok(()),
                    // The catalog has yet to hear of the layout, or nobody leads.
                    Err(_) => sleep(PAUSE).await,
                }
            }
            Err("it is in the catalog still".to_owned())
        });
        if let Err(reason) = removed.await {
            self.recorder.record("world", Event::FaultMissed { wanted: reason });
        }
    }

    fn tell(&self, next: Layout, tell: Vec<String>) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        let recorder = self.recorder.clone();
        self.client_machine(MACHINE).start(move |host| async move {
            let (version, active) = (next.version, names(&next, MemberState::Active));
            let mut members = next.members.clone();
            members.retain(|member| tell.iter().any(|name| name == member.node_id.as_str()));
            for (member, answer) in
                membership::apply(Dialler::new(host.net, ""), &next, members, PATIENCE).await
            {
                let event = match answer {
                    Ok(_) => Event::LayoutTaken { version, active: active.clone() },
                    Err(error) => Event::LayoutNotTaken { version, error: error.to_string() },
                };
                recorder.record(member.node_id.as_str(), event);
            }
            let _ = done.send(());
        });
        told
    }
}

fn names(layout: &Layout, state: MemberState) -> Vec<String> {
    layout.in_state(state).map(|member| member.node_id.to_string()).collect()
}
