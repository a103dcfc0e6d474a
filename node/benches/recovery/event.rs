//! What happens to the peer, and what becomes of the calls of each contender.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use gitstratum_cluster::transport::Dialler;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Net;
use gitstratum_proto::v1::HasRequest;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::Outcome;
use crate::contenders::{self, Contender};
use crate::load::{Load, payload};
use crate::namespace::{self, Network};
use crate::node::Node;
use crate::stranger::{self, Stranger};

/// Before anything happens.
const CALM: Duration = Duration::from_secs(2);
/// How long the peer is away, or somebody else in its place.
const AWAY: Duration = Duration::from_secs(5);
const STOPPED: Duration = Duration::from_secs(20);
/// So long is waited for the first success of every contender.
const WATCHED: Duration = Duration::from_secs(30);
/// And so long for what still fails after that.
const AFTERWARDS: Duration = Duration::from_secs(2);
const PORT: u16 = 7400;

/// What happens to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGKILL; somewhat later it is started again.
    Killed,
    /// SIGSTOP, and SIGCONT.
    Stopped,
    /// Another node gets its address, and gives it back.
    AnotherNode,
    /// So does a web server.
    WebServer,
    /// And somebody who says nothing.
    Silence,
    /// A firewall forgets its connections, and drops what comes on them.
    Forgotten,
}

impl Event {
    /// All of them, in the order of the table.
    pub const ALL: [Event; 6] = [
        Event::Killed,
        Event::Stopped,
        Event::AnotherNode,
        Event::WebServer,
        Event::Silence,
        Event::Forgotten,
    ];

    /// What the table says.
    pub fn name(self) -> &'static str {
        match self {
            Event::Killed => "SIGKILL, restarted after 5 s",
            Event::Stopped => "SIGSTOP for 20 s",
            Event::AnotherNode => "address: another node for 5 s",
            Event::WebServer => "address: a web server for 5 s",
            Event::Silence => "address: a silent listener for 5 s",
            Event::Forgotten => "a firewall forgot the flow",
        }
    }
}

/// A contender, its calls, and what it had dialled when the event began.
struct Lane {
    contender: Arc<dyn Contender>,
    load: Load,
    dials_before: u64,
    wrong: usize,
}

/// Lets `event` happen to a peer that all contenders call, and prints a line for each.
pub async fn measure(event: Event, network: Option<&Network>) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let (address, firewall) = match network {
        Some(network) if event == Event::Forgotten => {
            (format!("{}:{PORT}", namespace::NODE), Some(network))
        }
        // An address of its own, so that nobody's outgoing connection takes the port while
        // the peer is away.
        _ => {
            let free = TcpListener::bind((Ipv4Addr::new(127, 77, 0, 1), 0))?;
            (free.local_addr()?.to_string(), None)
        }
    };
    let peer = Node::start("n1", &address, &dir.path().join("n1"), firewall)?;
    let lane = |contender: Arc<dyn Contender>| {
        let load = Load::start(contender.clone());
        Lane { contender, load, dials_before: 0, wrong: 0 }
    };
    let mut lanes: Vec<Lane> = contenders::all(&address)?.into_iter().map(lane).collect();
    sleep(CALM).await;
    for lane in &mut lanes {
        lane.dials_before = lane.contender.dials();
        let calls = lane.load.calls();
        if calls.is_empty() || calls.iter().any(|call| !call.well) {
            return Err(format!("{} failed in the calm", lane.contender.name()).into());
        }
    }
    let peer = happen(event, peer, (&address, &dir, firewall), &mut lanes).await?;
    let over = Instant::now();
    let back = |lane: &Lane| lane.load.calls().iter().any(|call| call.well && call.began >= over);
    while over.elapsed() < WATCHED && !lanes.iter().all(back) {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(AFTERWARDS).await;
    lanes.iter().for_each(|lane| print(event, lane, over));
    drop(peer);
    Ok(())
}

/// The event, from its beginning until it is over.
async fn happen(
    event: Event,
    peer: Node,
    (address, dir, firewall): (&str, &TempDir, Option<&Network>),
    lanes: &mut [Lane],
) -> Outcome<Node> {
    let began = Instant::now();
    let start = |id: &str| Node::start(id, address, &dir.path().join(id), None);
    match event {
        Event::Killed => {
            drop(peer);
            sleep(AWAY).await;
            start("n1")
        }
        Event::Stopped => {
            peer.signal("-STOP")?;
            sleep(STOPPED).await;
            peer.signal("-CONT")?;
            Ok(peer)
        }
        Event::AnotherNode => {
            drop(peer);
            let another = start("n9")?;
            sleep(AWAY).await;
            for lane in &mut *lanes {
                lane.wrong = present(address, lane.load.sent(began)).await?;
            }
            drop(another);
            start("n1")
        }
        Event::WebServer | Event::Silence => {
            drop(peer);
            let says = if event == Event::Silence { b"" } else { stranger::WEB_SERVER };
            let stranger = Stranger::at(address, says).await?;
            sleep(AWAY).await;
            let heard = stranger.leave().await;
            for lane in &mut *lanes {
                lane.wrong = stranger::count(&heard, &payload(lane.contender.name()));
            }
            start("n1")
        }
        Event::Forgotten => {
            let flows = firewall.ok_or("there is no firewall")?.forget(PORT)?;
            if flows < lanes.len() {
                return Err(format!("{flows} flows were there to forget").into());
            }
            Ok(peer)
        }
    }
}

/// How many of these objects the node at `address` has.
async fn present(address: &str, ids: Vec<ObjectId>) -> Outcome<usize> {
    let asked = Dialler::new(Net::new(), "").open(address, None).await?;
    let ids = ids.iter().map(|id| bytes::Bytes::copy_from_slice(id.as_bytes())).collect();
    let answer = asked.rpc().has(HasRequest { ids }).await?.into_inner();
    Ok(answer.present.into_iter().filter(|present| *present).count())
}

fn print(event: Event, lane: &Lane, over: Instant) {
    let calls = lane.load.calls();
    let first = calls.iter().filter(|call| call.well && call.began >= over);
    let first = first.map(|call| call.ended - over).min();
    let failed = |after: bool| {
        calls.iter().filter(|call| !call.well && (call.ended >= over) == after).count()
    };
    println!(
        "{:<34} {:<14} {:>13} {:>14} {:>6} {:>6}",
        event.name(),
        lane.contender.name(),
        first.map_or(format!("none in {} s", WATCHED.as_secs()), |first| {
            format!("{:.2} s", first.as_secs_f64())
        }),
        format!("{} ({})", failed(true), failed(false)),
        lane.wrong,
        lane.contender.dials() - lane.dials_before
    );
}
