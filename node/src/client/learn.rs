//! How a client comes to its first layout: from the first peer that answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gitstratum_host::Net;

use super::ConnectError;
use crate::placement::Layout;
use crate::pool::Dialler;

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

/// Asks all peers at once; the first answer counts.
pub(super) async fn learn_layout(net: Net, peers: &[String]) -> Result<Arc<Layout>, ConnectError> {
    let dialler = &Dialler::new(net, "");
    let mut asked: FuturesUnordered<_> =
        peers.iter().map(|peer| async move { (peer, dialler.open(peer, None).await) }).collect();
    let mut failed = Vec::new();
    while let Some((peer, opened)) = asked.next().await {
        match opened {
            Ok(connection) => return Ok(connection.identity().layout.clone()),
            Err(error) => failed.push((peer.clone(), error.into())),
        }
    }
    Err(ConnectError::NoPeer(failed))
}
