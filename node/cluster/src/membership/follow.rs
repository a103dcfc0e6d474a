//! Layout pull.
//!
//! Catching up: whoever heard of a newer layout asks the members it knows for it.
//!
//! Hearing is cheap and goes with every request and answer; asking happens only after it,
//! so a cluster whose layout does not change pays nothing. A version that no member has is
//! forgotten, so that a caller who makes one up costs a few questions and no more.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use gitstratum_core::limits;
use gitstratum_core::placement::{CurrentLayout, Layout, NodeId};

use crate::rpc::RemoteNode;
use crate::transport::Connections;

/// Asks the members of the layout in force, but for `caller` itself, until one has
/// `wanted` or a later version. What they hold, if it is not older than what is in force,
/// is handed to `take`.
pub async fn ask_members<F, Fut>(
    layout: &CurrentLayout,
    connections: &Arc<dyn Connections>,
    caller: Option<&NodeId>,
    wanted: u64,
    take: F,
) where
    F: FnMut(Arc<Layout>) -> Fut,
    Fut: Future<Output = ()>,
{
    ask_members_until(layout, connections, caller, || layout.version() >= wanted, take).await;
}

/// The same, until there is enough.
pub async fn ask_members_until<F, Fut>(
    layout: &CurrentLayout,
    connections: &Arc<dyn Connections>,
    caller: Option<&NodeId>,
    enough: impl Fn() -> bool,
    mut take: F,
) where
    F: FnMut(Arc<Layout>) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut others: Vec<_> =
        layout.get().members.iter().map(|member| member.node_id.clone()).collect();
    others.retain(|node_id| Some(node_id) != caller);
    let name = caller.map_or("", NodeId::as_str);
    let asked = others.into_iter().map(|node_id| {
        let node = RemoteNode::new(node_id, connections.clone(), layout.clone());
        async move { node.identify(name, limits::ASK_TIMEOUT).await }
    });
    let mut answers = stream::iter(asked).buffer_unordered(limits::LAYOUT_ASKED_AT_ONCE);
    while !enough()
        && let Some(answer) = answers.next().await
    {
        match answer {
            Ok((held, _)) if held.version >= layout.version() => take(held).await,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a member was not asked for its layout"),
        }
    }
}

/// Keeps up with the cluster until dropped: begins with a round of all members, which is
/// how a node that was away, or is new, learns what it missed; then asks whenever a newer
/// version was heard of.
pub async fn follow<F, Fut>(
    layout: CurrentLayout,
    connections: Arc<dyn Connections>,
    ourselves: NodeId,
    mut take: F,
) where
    F: FnMut(Arc<Layout>) -> Fut,
    Fut: Future<Output = ()>,
{
    // Nobody has so great a version: everybody is asked.
    ask_members(&layout, &connections, Some(&ourselves), u64::MAX, &mut take).await;
    loop {
        let wanted = layout.until_behind().await;
        let round = layout.begin_round();
        ask_members(&layout, &connections, Some(&ourselves), wanted, &mut take).await;
        if layout.version() < wanted {
            layout.forget(wanted);
        }
        drop(round);
        tokio::time::sleep(limits::LAYOUT_ASK_AGAIN_AFTER).await;
    }
}
