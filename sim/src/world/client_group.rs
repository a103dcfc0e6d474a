//! Client group: clients that the world tells what to do, each a process on a machine of its own.

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use gitstratum_host::Host;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Cluster;

/// Orders that wait for a client; the world gives one at a time.
const ORDERS_WAITING: usize = 4;

/// A client that can be told what to do.
#[async_trait]
pub(super) trait GroupClient: Send {
    /// Asks and updates, with pauses, until `end`.
    async fn run_until(&mut self, end: Instant);
    /// So many updates, one after another.
    async fn update_many(&mut self, count: usize);
}

/// Makes a client in its process.
pub(super) type Begin = Box<dyn FnOnce(Host) -> BoxFuture<'static, Box<dyn GroupClient>> + Send>;

/// What the world tells a client to do.
#[derive(Clone, Copy)]
enum Order {
    /// Calls until then.
    Load(Instant),
    /// So many updates.
    Update(usize),
}

/// An order and where to say that it is carried out.
type Errand = (Order, oneshot::Sender<()>);

/// Clients of one kind; none in a run that has none of it.
#[derive(Default)]
pub(super) struct ClientGroup(Vec<mpsc::Sender<Errand>>);

impl ClientGroup {
    /// Starts a process for each, on the machine of its name, and waits until all are ready.
    pub(super) async fn start(cluster: &Cluster, clients: Vec<(String, Begin)>) -> Self {
        let (mut group, mut ready) = (Vec::new(), Vec::new());
        for (name, begin) in clients {
            let (orders, mut receiver) = mpsc::channel::<Errand>(ORDERS_WAITING);
            let (tell, told) = oneshot::channel();
            group.push(orders);
            ready.push(told);
            cluster.client_machine(&name).start(move |host| async move {
                let mut client = begin(host).await;
                // The world may have given up waiting.
                let _ = tell.send(());
                while let Some((order, done)) = receiver.recv().await {
                    match order {
                        Order::Load(end) => client.run_until(end).await,
                        Order::Update(count) => client.update_many(count).await,
                    }
                    let _ = done.send(());
                }
            });
        }
        join_all(ready).await;
        ClientGroup(group)
    }

    /// Lets every client ask until `end`; it begins at once, whether or not the future is polled.
    pub(super) fn load(&self, end: Instant) -> impl Future<Output = ()> + use<> {
        self.give(Order::Load(end))
    }

    /// Lets every client update so many times.
    pub(super) async fn update(&self, count: usize) {
        self.give(Order::Update(count)).await;
    }

    fn give(&self, order: Order) -> impl Future<Output = ()> + use<> {
        let give = |client: &mpsc::Sender<Errand>| {
            let (tell, told) = oneshot::channel();
            assert!(client.try_send((order, tell)).is_ok(), "clients run until the run ends");
            told
        };
        let done: Vec<_> = self.0.iter().map(give).collect();
        async move {
            join_all(done).await;
        }
    }
}
