//! The last look: after every machine lost its power, what do the nodes hold?

use gitstratum::client::{Client, GetError};
use gitstratum::object::ObjectId;
use gitstratum_host::Net;
use tokio::sync::oneshot;

use super::clients::connect;
use super::{Cluster, Run};
use crate::trace::{Event, HintSample};
use crate::workload::{Known, read_object, stream};

/// The machine that looks; it took no part in the run.
pub(super) const MACHINE: &str = "inspector";
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
    let client = connect(run, (None, None), net, peers, stream(run.seed, MACHINE)).await;
    for objects in run.ledger.all().chunks(OBJECTS_AT_ONCE) {
        look_at(run, &client, objects).await?;
    }
    for (member, status) in client.status().await {
        let node = member.node_id.as_str();
        let status = status.map_err(|error| format!("status of {node}: {error}"))?;
        let hints = status.hints.unwrap_or_default();
        let sample = HintSample {
            pending: hints.pending,
            recorded: hints.recorded,
            delivered: hints.delivered,
            gone: hints.gone,
            replaced: hints.replaced,
            ranged: hints.ranged,
            dirty_ranges: hints.dirty_ranges,
        };
        run.recorder.record(node, Event::Hints(sample));
    }
    Ok(())
}

/// Records what strangers hold, which should be nothing.
async fn ask_strangers(
    run: &Run,
    net: &Net,
    strangers: Vec<(String, String)>,
) -> Result<(), String> {
    for (name, address) in strangers {
        let rng = stream(run.seed, &format!("{MACHINE}/{name}"));
        let client = connect(run, (None, None), net.clone(), &[address], rng).await;
        for (_, status) in client.status().await {
            let status = status.map_err(|error| format!("status of {name}: {error}"))?;
            let objects = status.store.unwrap_or_default().objects;
            run.recorder.record(&name, Event::StrangerHolds { objects });
        }
    }
    Ok(())
}

async fn look_at(run: &Run, client: &Client, objects: &[Known]) -> Result<(), String> {
    let ids: Vec<ObjectId> = objects.iter().map(|known| known.id).collect();
    let holders = client.has(ids.clone()).await;
    for (id, holders) in ids.into_iter().zip(holders) {
        let holders = match holders {
            Err(GetError::NotFound { .. }) => Vec::new(),
            other => other.map_err(|error| format!("who holds {id}: {error}"))?,
        };
        let outcome = read_object(client, id).await;
        let holders = holders.iter().map(ToString::to_string).collect();
        let event = Event::Inspected { id: id.to_string(), holders, outcome };
        run.recorder.record(MACHINE, event);
    }
    Ok(())
}
