//! Background tasks.
//!
//! Background: what a node does while nobody asks it anything.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::membership::{LayoutKeeper, follow};
use gitstratum_cluster::quorum::decorate::Retried;
use gitstratum_cluster::repair::hints::{Delivery, Targets};
use gitstratum_cluster::repair::reconcile::Reconciler;
use gitstratum_cluster::repair::{DirtyRanges, probe};
use gitstratum_cluster::rpc::RemoteNode;
use gitstratum_cluster::transport::Connections;
use gitstratum_core::limits;
use gitstratum_core::placement::{CurrentLayout, NodeId};
use gitstratum_core::replica::NodeWriter;
use gitstratum_store::{CompactOptions, Maintenance, maintain, watch_room};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::task::JoinHandle;

use super::{Connected, Opened};
use crate::config::{Config, StoreConfig};
use crate::git::Sweeper;

/// Tasks that end when this is dropped.
pub(super) struct Background(Vec<JoinHandle<()>>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Background {
    /// Probes peers, follows the layout, delivers hints, maintains the store, and compares what
    /// it holds with peers, where that is not switched off. `rng` seeds their generators.
    pub(super) async fn start(
        config: &Config,
        opened: &Opened,
        connected: &Connected,
        rng: &mut ChaCha12Rng,
    ) -> Self {
        let Opened { store, keeper, hints, catching_up, .. } = opened;
        let Connected { connections, peers, control, reconciled, .. } = connected;
        let (ourselves, layout) = (&config.node_id, keeper.current());
        let hints_rng = ChaCha12Rng::from_rng(rng);
        let reconcile_rng = ChaCha12Rng::from_rng(rng);
        let probes = probe(keeper.clone(), connections.clone(), peers.clone(), ourselves.clone());
        let delivery = Delivery {
            log: hints.clone(),
            store: store.clone(),
            peers: peers.clone(),
            layout: layout.clone(),
            targets: targets(connections, layout),
            ourselves: ourselves.clone(),
            budget: control.budget().clone(),
        };
        let reconciler = config.repair.compare_interval().map(|interval| Reconciler {
            ourselves: ourselves.clone(),
            store: store.clone(),
            layout: layout.clone(),
            connections: connections.clone(),
            peers: peers.clone(),
            dirty: DirtyRanges::of(hints),
            control: control.clone(),
            catching_up: catching_up.clone(),
            numbers: reconciled.clone(),
            interval,
        });
        if reconciler.is_none() {
            // Nobody else would ever say so.
            catching_up.done().await;
        }
        let following = keep_up(keeper, connections.clone(), ourselves);
        let mut tasks = vec![
            tokio::spawn(probes),
            tokio::spawn(following),
            tokio::spawn(delivery.run(hints_rng)),
            tokio::spawn(maintain(store.clone(), maintenance(&config.store))),
            tokio::spawn(watch_room(store.clone())),
        ];
        if let Some(participant) = &connected.participant {
            tasks.push(tokio::spawn(participant.clone().run(ChaCha12Rng::from_rng(rng))));
            let interval = config.http.sweep_interval();
            tasks.extend(interval.map(|interval| {
                let sweeper = Sweeper {
                    store: store.clone(),
                    participant: participant.clone(),
                    swept: connected.swept.clone(),
                    interval,
                    bytes_per_second: config.store.maintenance_bytes_per_second,
                };
                tokio::spawn(sweeper.run())
            }));
        }
        tasks.extend(reconciler.map(|reconciler| tokio::spawn(reconciler.run(reconcile_rng))));
        Background(tasks)
    }
}

/// How peers are reached, for repair.
fn targets(connections: &Arc<dyn Connections>, layout: &CurrentLayout) -> Targets {
    let (connections, layout) = (connections.clone(), layout.clone());
    Arc::new(move |node_id| {
        let node = RemoteNode::new(node_id.clone(), connections.clone(), layout.clone());
        Arc::new(Retried::new(node.in_background())) as Arc<dyn NodeWriter>
    })
}

fn maintenance(config: &StoreConfig) -> Maintenance {
    let days = u64::from(config.scrub_interval_days);
    Maintenance {
        compact: CompactOptions {
            garbage_share_min: config.compact_garbage_share,
            bytes_per_second: Some(config.maintenance_bytes_per_second),
        },
        scrub_interval: (days > 0).then(|| Duration::from_secs(days * 24 * 3600)),
        look_interval: limits::MAINTENANCE_LOOK_INTERVAL,
    }
}

/// Learns newer layouts from the cluster, and keeps them.
fn keep_up(
    keeper: &LayoutKeeper,
    connections: Arc<dyn Connections>,
    ourselves: &NodeId,
) -> impl Future<Output = ()> + Send + use<> {
    let (layout, keeper) = (keeper.current().clone(), keeper.clone());
    follow(layout, connections, ourselves.clone(), move |held| {
        let keeper = keeper.clone();
        async move { keeper.offer(&held).await }
    })
}
