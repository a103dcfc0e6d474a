//! Client processes: each runs the real client on a machine of its own, and its lanes. One
//! whose machine loses power is started again and goes on with the load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use gitstratum::client::{Around, Client, ClientOptions};
use gitstratum::placement::{CurrentLayout, Layout};
use gitstratum::pool::{Connections, Dialler, Pool, PoolOptions};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Cluster, Run};
use crate::scenario::Control;
use crate::trace::{Event, Stop};
use crate::weakened::{
    Belief, Credulous, LossyHints, Neglect, Neglected, Quorum, Weakened, follow,
};
use crate::workload::{Lane, stream, writer_sample};

/// How often a client's counters are looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before a client that found no peer tries again.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Orders that wait for a client; the world gives one at a time.
const ORDERS_WAITING: usize = 4;

/// What the world tells a client process to do.
#[derive(Clone, Copy)]
enum Order {
    /// Puts and gets until then.
    Load(Instant),
    /// So many puts on each lane, then wait for all that is under way.
    PutAndDrain(usize),
    /// One put on each lane.
    PutOne,
}

/// An order and where to say that it is carried out.
type Errand = (Order, oneshot::Sender<()>);

/// So many callers in one moment, and where to say that all were answered.
type Burst = (usize, oneshot::Sender<()>);

/// The client processes of a run.
pub struct Clients {
    running: Mutex<BTreeMap<String, Running>>,
    /// What clients that were started again have been told to do.
    resumed: Mutex<Vec<oneshot::Receiver<()>>>,
}

/// A client's process, and how often one was started before it.
struct Running {
    orders: mpsc::Sender<Errand>,
    bursts: mpsc::Sender<Burst>,
    starts: usize,
}

impl Clients {
    /// Starts every client process and waits until each has found the cluster.
    pub async fn start(run: &Run, cluster: &Cluster) -> Self {
        let clients = Clients { running: Mutex::default(), resumed: Mutex::default() };
        let names = run.plan.client_names();
        join_all(names.iter().map(|name| clients.boot(run, cluster, name, 0))).await;
        clients
    }

    /// Starts a client's process; the future ends when that has found the cluster.
    fn boot(
        &self,
        run: &Run,
        cluster: &Cluster,
        name: &str,
        starts: usize,
    ) -> impl Future<Output = ()> + use<> {
        let (orders, receiver) = mpsc::channel(ORDERS_WAITING);
        let (bursts, burst_receiver) = mpsc::channel(ORDERS_WAITING);
        let (tell, told) = oneshot::channel();
        let (run, name, peers) = (run.clone(), name.to_owned(), cluster.peers());
        let purpose = match starts {
            0 => format!("client/{name}"),
            starts => format!("client/{name}/{starts}"),
        };
        let rng = stream(run.seed, &purpose);
        self.running().insert(name.clone(), Running { orders, bursts, starts });
        cluster.client_machine(&name).start(move |host| async move {
            let bound = run.plan.workload.pool_connections_max;
            let client = connect(&run, (run.control, bound), host.net, &peers, rng).await;
            let index = run.plan.client_names().iter().position(|client| *client == name);
            let numbers = (index.expect("a client of the plan") + 1, starts);
            let lanes = lanes(&run, numbers, &client);
            tokio::spawn(answer_bursts(run.clone(), numbers, client.clone(), burst_receiver));
            // The world may have given up waiting.
            let _ = tell.send(());
            carry_out(&run, &name, client, lanes, receiver).await;
        });
        async move {
            // A client that is gone again by now has found nobody.
            let _ = told.await;
        }
    }

    /// Cuts the power of a client's machine; `down_for` later it is back, and goes on with
    /// the load until `end`.
    pub async fn restart(
        &self,
        run: &Run,
        cluster: &Cluster,
        name: &str,
        (down_for, end): (Duration, Instant),
    ) {
        let machine = cluster.client_machine(name);
        machine.power_off();
        run.recorder.record(name, Event::Stopped { by: Stop::PowerOff });
        sleep(down_for).await;
        let starts = self.running()[name].starts + 1;
        run.recorder.record(name, Event::Started { address: machine.address().to_string() });
        self.boot(run, cluster, name, starts).await;
        let load = self.order(name, Order::Load(end));
        self.resumed.lock().expect("nothing panics while it notes").push(load);
    }

    /// Waits for the load of clients that were started again.
    pub async fn rejoined(&self) {
        let resumed =
            std::mem::take(&mut *self.resumed.lock().expect("nothing panics while it notes"));
        join_all(resumed).await;
    }

    /// Lets every lane put and get until `end`. The load begins at once, whether or not
    /// the future is polled; the future ends with the last operation.
    pub fn load(&self, end: Instant) -> impl Future<Output = ()> + use<> {
        self.give(Order::Load(end))
    }

    /// Lets every lane put, and waits until nothing is under way.
    pub async fn put_and_drain(&self, count: usize) {
        self.give(Order::PutAndDrain(count)).await;
    }

    /// Lets every lane put one object; returns in the moment of the last answer.
    pub async fn put_one_each(&self) {
        self.give(Order::PutOne).await;
    }

    /// Lets so many callers put an object each in one moment, beside the load, on each of
    /// these clients.
    pub async fn burst(&self, clients: &[String], callers: usize) {
        let done = clients.iter().map(|name| {
            let (tell, told) = oneshot::channel();
            let sent = self.running()[name].bursts.try_send((callers, tell));
            assert!(sent.is_ok(), "a client is given a burst while others wait");
            told
        });
        join_all(done.collect::<Vec<_>>()).await;
    }

    fn give(&self, order: Order) -> impl Future<Output = ()> + use<> {
        let names: Vec<String> = self.running().keys().cloned().collect();
        let done: Vec<_> = names.iter().map(|name| self.order(name, order)).collect();
        async move {
            join_all(done).await;
        }
    }

    /// Gives a client an order; it is told, or gone, when that was carried out.
    fn order(&self, name: &str, order: Order) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let sent = self.running()[name].orders.try_send((order, tell));
        assert!(sent.is_ok(), "clients run until the run ends");
        told
    }

    /// One thread runs everything, so this never waits.
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().expect("a run that panicked goes no further")
    }
}

/// Connects, again and again until a node answers; over a weakened pool where one is
/// given, which may hold so many connections or the node's own number.
pub(super) async fn connect(
    run: &Run,
    (control, connections_max): (Option<Control>, Option<usize>),
    net: Net,
    peers: &[String],
    rng: ChaCha12Rng,
) -> Client {
    let mut pool = PoolOptions::default();
    if let Some(most) = connections_max {
        pool.connections_max = most;
    }
    let connections_max = pool.connections_max;
    let request_timeout = run.plan.workload.request_timeout;
    let options = ClientOptions { request_timeout, pool, ..ClientOptions::default() };
    loop {
        let (options, dialling) = (options.clone(), net.clone());
        let connected = match control {
            Some(control) if is_around(control) => {
                let (rng, bounds) = (rng.clone(), options.pool.clone());
                let begin = |learned: Arc<Layout>| {
                    let (layout, dialler) =
                        (CurrentLayout::new(learned), Dialler::new(net.clone(), ""));
                    let pool = Pool::new(dialler, &layout, rng, bounds);
                    (layout, Arc::new(pool) as Arc<dyn Connections>)
                };
                let around = around(control, run.plan.cluster.write_quorum);
                Client::connect_around(dialling, peers, options, begin, around).await
            }
            None => Client::connect(dialling, peers, rng.clone(), options).await,
            Some(control) if !control.is_of_pool() => {
                Client::connect(dialling, peers, rng.clone(), options).await
            }
            Some(control) => {
                let begin = |learned: Arc<Layout>| {
                    let layout = follow(learned, control);
                    let pool = Weakened::new(net.clone(), &layout, control, connections_max);
                    (layout, Arc::new(pool) as Arc<dyn Connections>)
                };
                Client::connect_through(dialling, peers, options, begin).await
            }
        };
        match connected {
            Ok(client) => return client,
            Err(_) => sleep(CONNECT_PAUSE).await,
        }
    }
}

/// Whether a control is something around each replica.
fn is_around(control: Control) -> bool {
    let of_nodes =
        matches!(control, Control::NoDelivery | Control::NoAntiEntropy | Control::NoScrub);
    !control.is_of_pool() && !of_nodes
}

/// What a control puts around each replica.
fn around(control: Control, write_quorum: usize) -> Around {
    let neglecting = |neglect| {
        let quorum = Quorum::new(neglect, write_quorum);
        let writer = move |inner| Neglected::around(inner, quorum.clone());
        Around { writer: Box::new(writer), ..Around::default() }
    };
    let believing = |belief| {
        let reader = move |inner| Credulous::around(inner, belief);
        Around { reader: Box::new(reader), ..Around::default() }
    };
    match control {
        Control::LossyHints => Around { writer: Box::new(LossyHints::around), ..Around::default() },
        Control::FirstW => neglecting(Neglect::Unsent),
        Control::CancelAtW => neglecting(Neglect::Cancelled),
        Control::ErrorsAsAbsent => believing(Belief::Errors),
        Control::EmptyAsProof => believing(Belief::CatchingUp),
        _ => Around::default(),
    }
}

/// The lanes of a client by its number and how often it was started before.
fn lanes(run: &Run, (number, starts): (usize, usize), client: &Client) -> Vec<Lane> {
    (0..run.plan.workload.lanes).map(|index| lane(run, (number, index, starts), client)).collect()
}

fn lane(run: &Run, numbers: (usize, usize, usize), client: &Client) -> Lane {
    Lane::new(
        run.seed,
        numbers,
        client.clone(),
        run.plan.workload.clone(),
        (run.ledger.clone(), run.quiet.clone()),
        run.recorder.clone(),
    )
}

/// Carries out bursts, one after another, in a lane of their own.
async fn answer_bursts(
    run: Run,
    (number, starts): (usize, usize),
    client: Client,
    mut bursts: mpsc::Receiver<Burst>,
) {
    let mut lane = lane(&run, (number, run.plan.workload.lanes, starts), &client);
    while let Some((callers, done)) = bursts.recv().await {
        lane.put_at_once(callers).await;
        // The world may have given up waiting.
        let _ = done.send(());
    }
}

async fn carry_out(
    run: &Run,
    name: &str,
    client: Client,
    mut lanes: Vec<Lane>,
    mut orders: mpsc::Receiver<Errand>,
) {
    let sample = |drained| {
        run.recorder.record(name, Event::Writer(writer_sample(&client, drained)));
    };
    while let Some((order, done)) = orders.recv().await {
        match order {
            Order::Load(end) => {
                let work = join_all(lanes.iter_mut().map(|lane| lane.run_until(end)));
                let watch = async {
                    let mut next = Instant::now() + SAMPLE_INTERVAL;
                    while next < end {
                        sleep_until(next).await;
                        run.quiet.over().await;
                        sample(false);
                        while next <= Instant::now() {
                            next += SAMPLE_INTERVAL;
                        }
                    }
                };
                futures_util::future::join(work, watch).await;
            }
            Order::PutAndDrain(count) => {
                join_all(lanes.iter_mut().map(|lane| lane.put_many(count))).await;
                client.drain().await;
                sample(true);
            }
            Order::PutOne => {
                join_all(lanes.iter_mut().map(|lane| lane.put_many(1))).await;
            }
        }
        // The world may have given up waiting.
        let _ = done.send(());
    }
}
