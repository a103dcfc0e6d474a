//! Client bootstrap.
//!
//! How a client comes to its first layout: from the first peer that answers.
//!
//! That layout says which cluster the client talks to for as long as it lives. So the peers
//! that it was given must not be of two clusters, of which the quicker would win.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gitstratum_core::limits;
use gitstratum_core::placement::{ClusterId, Layout};
use tokio::time::{Instant, timeout};

use super::ConnectError;
use crate::transport::Dialler;

/// Refuses a peer list that cannot be meant.
pub(super) fn check_peers(peers: &[String]) -> Result<(), ConnectError> {
    if peers.is_empty() {
        return Err(ConnectError::Peers("the list is empty: HOST:PORT,… expected".into()));
    }
    let mut seen = BTreeSet::new();
    for peer in peers {
        let port = peer.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
            return Err(ConnectError::Peers(format!("{peer:?} is not HOST:PORT")));
        }
        if !seen.insert(peer) {
            return Err(ConnectError::Peers(format!("{peer} is named twice")));
        }
    }
    Ok(())
}

/// Asks all peers at once; the first answer counts. Peers that are none of the members that it
/// names are heard too, for a while: they may be of another cluster. (A member's address is
/// dialled for that member alone, which is checked then.)
pub(super) async fn learn_layout(
    dialler: &Dialler,
    peers: &[String],
) -> Result<Arc<Layout>, ConnectError> {
    let mut asked: FuturesUnordered<_> =
        peers.iter().map(|peer| async move { (peer, dialler.open(peer, None).await) }).collect();
    let mut unheard: BTreeSet<&String> = peers.iter().collect();
    let mut failed = Vec::new();
    let (peer, learned) = loop {
        let Some((peer, opened)) = asked.next().await else {
            return Err(ConnectError::NoPeer(failed));
        };
        unheard.remove(peer);
        match opened {
            Ok(connection) => break (peer, connection.identity().layout.clone()),
            Err(error) => failed.push((peer.clone(), error.into())),
        }
    };
    unheard.retain(|peer| learned.members.iter().all(|member| member.address != **peer));
    let deadline = Instant::now() + limits::PEERS_COMPARE_TIMEOUT;
    while !unheard.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(Some((other, opened))) = timeout(left, asked.next()).await else { break };
        unheard.remove(other);
        if let Ok(connection) = opened {
            let theirs = &connection.identity().layout.cluster;
            same_cluster((peer, &learned.cluster), (other, theirs))?;
        }
    }
    Ok(learned)
}

fn same_cluster(
    (peer, ours): (&str, &Option<ClusterId>),
    (other, theirs): (&str, &Option<ClusterId>),
) -> Result<(), ConnectError> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours != theirs => Err(ConnectError::TwoClusters {
            one: (peer.to_owned(), ours.clone()),
            other: (other.to_owned(), theirs.clone()),
        }),
        _ => Ok(()),
    }
}
