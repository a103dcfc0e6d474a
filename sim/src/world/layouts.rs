//! Changes of the layout, told to nodes as `gitstratum layout apply` tells them.

use std::time::Duration;

use gitstratum::layout;
use gitstratum::placement::{ClusterId, Layout, MemberState};
use tokio::sync::oneshot;

use super::Cluster;
use crate::trace::Event;

/// The machine that the operator sits at; it takes no part in the load.
pub(super) const MACHINE: &str = "operator";
/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

impl Cluster {
    /// The newest version that was given out.
    pub(super) fn layout_version(&self) -> u64 {
        self.changes().layout.as_ref().unwrap_or(&self.layout).version
    }

    /// Makes the next version of the layout, in which these nodes are in other states, and
    /// tells it to the nodes named in `tell`; records for each whether it took it. Those
    /// that are not told have to hear of it from others.
    pub async fn change_layout(&self, states: &[(String, MemberState)], tell: &[String]) {
        let next = {
            let mut changes = self.changes();
            let mut next = changes.layout.clone().unwrap_or_else(|| self.layout.clone());
            next.version += 1;
            // As `layout apply` learns it from the nodes, which derived it from their first.
            next.cluster = Some(ClusterId::derived(&self.layout));
            for (name, state) in states {
                let member = next.members.iter_mut().find(|m| m.node_id.as_str() == name);
                member.expect("a checked plan names nodes").state = *state;
            }
            let next = next.validated().expect("a checked plan leaves enough active nodes");
            changes.layout = Some(next.clone());
            next
        };
        let told = self.tell(next, tell.to_vec());
        // The run may have ended the operator's process with all others.
        let _ = told.await;
    }

    fn tell(&self, next: Layout, tell: Vec<String>) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        let recorder = self.recorder.clone();
        self.client_machine(MACHINE).start(move |host| async move {
            let (version, active) = (next.version, names(&next, MemberState::Active));
            let mut members = next.members.clone();
            members.retain(|member| tell.iter().any(|name| name == member.node_id.as_str()));
            for (member, answer) in layout::apply(host.net, &next, members, PATIENCE).await {
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
