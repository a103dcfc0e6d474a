//! Final inspection.
//!
//! The last look: after every machine lost its power, what do the nodes hold?

use gitstratum_cluster::client::{Client, GetError};
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Net;
use tokio::sync::oneshot;

use super::connecting::connect_plainly;
use super::soundness::Soundness;
use super::{Cluster, Run};
use crate::trace::{Event, HintSample};
use crate::workload::{Known, read_object, stream};

/// The machine that looks; it took no part in the run.
pub(super) const MACHINE: &str = "inspector";
/// The machine that looks whether the cluster has converged.
pub(super) const OBSERVER: &str = "observer";
/// Objects that are asked for at once.
const OBJECTS_AT_ONCE: usize = 100;

/// Records for every object of the run which replicas hold it and what a get returns, and
/// for every node what its status says of missed writes.
pub(super) async fn inspect(run: &Run, cluster: &Cluster) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let (run, peers) = (run.clone(), cluster.peers());
    let strangers = cluster.storing_strangers();
    cluster.client_machine(MACHINE).start(move |host| async move {
        // The world may have given up waiting.
        let looked = async {
            look(&run, host.net.clone(), &peers).await?;
            ask_strangers(&run, &host.net, strangers).await
        };
        let _ = tell.send(looked.await);
    });
    told.await.unwrap_or_else(|_| Err("the inspecting process died".to_owned()))
}

async fn look(run: &Run, net: Net, peers: &[String]) -> Result<(), String> {
    let client = connect_plainly(run, net, peers, stream(run.seed, MACHINE)).await;
    for objects in run.ledger.all().chunks(OBJECTS_AT_ONCE) {
        look_at(run, &client, objects).await?;
    }
    ask_for_hints(run, &client).await
}

/// Records what every node's status says of hints.
async fn ask_for_hints(run: &Run, client: &Client) -> Result<(), String> {
    for (member, status) in client.status().await {
        let node = member.node_id.as_str();
        let status = status.map_err(|error| format!("status of {node}: {error}"))?;
        let metrics = metrics_of(&status);
        let sample = HintSample {
            pending: metrics.count("gitstratum_hints_pending"),
            recorded: metrics.count("gitstratum_hints_recorded_total"),
            delivered: metrics.count("gitstratum_hints_delivered_total"),
            deleted: metrics.count("gitstratum_hints_deleted_total"),
            replaced: metrics.count("gitstratum_hints_replaced_total"),
            moved_to_ranges: metrics.count("gitstratum_hints_moved_to_ranges_total"),
            dirty_ranges: metrics.count("gitstratum_hints_dirty_ranges"),
        };
        run.recorder.record(node, Event::Hints(sample));
        let ranges = status.hints.iter().flat_map(|hints| &hints.dirty);
        let ranges: Vec<_> = ranges
            .map(|range| format!("{}:{}", range.node_id, hex::encode(&range.prefix)))
            .collect();
        if !ranges.is_empty() {
            run.recorder.record(node, Event::Dirty { ranges });
        }
    }
    Ok(())
}

/// Records who holds what, and what is left to do, when the time allowed for convergence is
/// over. It asks and reads nothing, for a read repairs; but where scrub had its time, each
/// replica by itself must give what it says it holds.
pub(super) async fn observe(run: &Run, cluster: &Cluster) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let (run, peers) = (run.clone(), cluster.peers());
    cluster.client_machine(OBSERVER).start(move |host| async move {
        let observed = async {
            let rng = stream(run.seed, OBSERVER);
            let client = connect_plainly(&run, host.net.clone(), &peers, rng).await;
            let soundness = run.plan.finds_rot().then(|| {
                let rng = stream(run.seed, &format!("{OBSERVER}/soundness"));
                let timeout = *run.plan.workload.request_timeout;
                Soundness::new(host.net.clone(), &client, rng, timeout)
            });
            for objects in run.ledger.all().chunks(OBJECTS_AT_ONCE) {
                let ids: Vec<ObjectId> = objects.iter().map(|known| known.id).collect();
                for (id, holders) in ids.iter().zip(holders(&client, ids.clone()).await?) {
                    let holders = match &soundness {
                        Some(soundness) => soundness.of(*id, holders).await,
                        None => holders,
                    };
                    let replicas = replicas(&client, id);
                    let event = Event::Held { id: id.to_string(), replicas, holders };
                    run.recorder.record(OBSERVER, event);
                }
            }
            ask_for_hints(&run, &client).await
        };
        // The world may have given up waiting.
        let _ = tell.send(observed.await);
    });
    told.await.unwrap_or_else(|_| Err("the observing process died".to_owned()))
}

/// Names of the replicas of an object by the layout that a client goes by.
fn replicas(client: &Client, id: &ObjectId) -> Vec<String> {
    client.placement().replicas(id).iter().map(ToString::to_string).collect()
}

/// Names of the nodes that are read from and hold each of these.
async fn holders(client: &Client, ids: Vec<ObjectId>) -> Result<Vec<Vec<String>>, String> {
    let answers = client.has(ids.clone()).await;
    let names = ids.into_iter().zip(answers).map(|(id, holders)| match holders {
        Err(GetError::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(format!("who holds {id}: {error}")),
        Ok(holders) => Ok(holders.iter().map(ToString::to_string).collect()),
    });
    names.collect()
}

/// Records what strangers hold, which should be nothing.
async fn ask_strangers(
    run: &Run,
    net: &Net,
    strangers: Vec<(String, String)>,
) -> Result<(), String> {
    for (name, address) in strangers {
        let rng = stream(run.seed, &format!("{MACHINE}/{name}"));
        let client = connect_plainly(run, net.clone(), &[address], rng).await;
        for (_, status) in client.status().await {
            let status = status.map_err(|error| format!("status of {name}: {error}"))?;
            let objects = metrics_of(&status).count("gitstratum_store_objects");
            run.recorder.record(&name, Event::StrangerHolds { objects });
        }
    }
    Ok(())
}

async fn look_at(run: &Run, client: &Client, objects: &[Known]) -> Result<(), String> {
    let ids: Vec<ObjectId> = objects.iter().map(|known| known.id).collect();
    let held = holders(client, ids.clone()).await?;
    for (id, holders) in ids.into_iter().zip(held) {
        let outcome = read_object(client, id).await;
        let replicas = replicas(client, &id);
        let event = Event::Inspected { id: id.to_string(), replicas, holders, outcome };
        run.recorder.record(MACHINE, event);
    }
    Ok(())
}
