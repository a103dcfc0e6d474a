//! Client processes: each runs the real client on a machine of its own, and its workers. One
//! whose machine loses power is started again and goes on with the load.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use gitstratum_cluster::client::Client;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::connecting::connect;
use super::{Cluster, Run};
use crate::trace::{Event, Stop};
use crate::workload::{Worker, stream, writer_sample};

/// How often a client's counters are looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Orders that wait for a client; the world gives one at a time.
const ORDERS_WAITING: usize = 4;

/// What the world tells a client process to do.
#[derive(Clone, Copy)]
enum Order {
    /// Puts and gets until then.
    Load(Instant),
    /// So many puts on each worker, then wait for all that is under way.
    PutAndDrain(usize),
    /// One put on each worker.
    PutOne,
    /// Gets of everything that was acknowledged to anybody.
    ReadBack,
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
            let client = connect(&run, &name, host.net, &peers, rng).await;
            let index = run.plan.client_names().iter().position(|client| *client == name);
            let numbers = (index.expect("a client of the plan") + 1, starts);
            let workers = workers(&run, numbers, &client);
            tokio::spawn(answer_bursts(run.clone(), numbers, client.clone(), burst_receiver));
            // The world may have given up waiting.
            let _ = tell.send(());
            carry_out(&run, &name, client, workers, receiver).await;
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
        if !machine.is_running() {
            // Another step has it off, and starts it again.
            return;
        }
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

    /// Lets every worker put and get until `end`. The load begins at once, whether or not
    /// the future is polled; the future ends with the last operation.
    pub fn load(&self, end: Instant) -> impl Future<Output = ()> + use<> {
        self.give(Order::Load(end))
    }

    /// Lets every worker put, and waits until nothing is under way.
    pub async fn put_and_drain(&self, count: usize) {
        self.give(Order::PutAndDrain(count)).await;
    }

    /// Lets every worker put one object; returns in the moment of the last answer.
    pub async fn put_one_each(&self) {
        self.give(Order::PutOne).await;
    }

    /// Lets the first client read every acknowledged object once, and waits for what its reads
    /// repair.
    pub async fn read_back(&self) {
        let first = self.running().keys().next().cloned().expect("a plan has a client");
        // Told, or gone with the client.
        let _ = self.order(&first, Order::ReadBack).await;
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

/// The workers of a client by its number and how often it was started before.
fn workers(run: &Run, (number, starts): (usize, usize), client: &Client) -> Vec<Worker> {
    (0..run.plan.workload.workers)
        .map(|index| worker(run, (number, index, starts), client))
        .collect()
}

fn worker(run: &Run, numbers: (usize, usize, usize), client: &Client) -> Worker {
    Worker::new(
        run.seed,
        numbers,
        client.clone(),
        run.plan.workload.clone(),
        (run.ledger.clone(), run.quiet.clone()),
        run.recorder.clone(),
    )
}

/// Carries out bursts, one after another, in a worker of their own.
async fn answer_bursts(
    run: Run,
    (number, starts): (usize, usize),
    client: Client,
    mut bursts: mpsc::Receiver<Burst>,
) {
    let mut worker = worker(&run, (number, run.plan.workload.workers, starts), &client);
    while let Some((callers, done)) = bursts.recv().await {
        worker.put_at_once(callers).await;
        // The world may have given up waiting.
        let _ = done.send(());
    }
}

async fn carry_out(
    run: &Run,
    name: &str,
    client: Client,
    mut workers: Vec<Worker>,
    mut orders: mpsc::Receiver<Errand>,
) {
    let sample = |drained| {
        run.recorder.record(name, Event::Writer(writer_sample(&client, drained)));
    };
    while let Some((order, done)) = orders.recv().await {
        match order {
            Order::Load(end) => {
                let work = join_all(workers.iter_mut().map(|worker| worker.run_until(end)));
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
                join_all(workers.iter_mut().map(|worker| worker.put_many(count))).await;
                client.drain().await;
                sample(true);
            }
            Order::ReadBack => {
                let (acked, count) = (run.ledger.acked(), workers.len());
                let shares = workers.iter_mut().enumerate().map(|(index, worker)| {
                    let share = acked.iter().skip(index).step_by(count).copied();
                    worker.read_all(share.collect())
                });
                join_all(shares).await;
                client.drain().await;
            }
            Order::PutOne => {
                join_all(workers.iter_mut().map(|worker| worker.put_many(1))).await;
            }
        }
        // The world may have given up waiting.
        let _ = done.send(());
    }
}
