//! When scrub reads, and what it remembers: restarts, orders, and what goes on meanwhile.

use std::time::Duration;

use gitstratum_core::job::JobOrder;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
/// Reads what these tests store in a second or two.
const SLOWLY: u64 = 10_000;

async fn open_small(disk: &Disk) -> Arc<SegmentStore> {
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always)
        .segment_bytes_max(2_000)
        .compression(Compression::None);
    SegmentStore::open(disk.clone(), options).await.unwrap()
}

/// Fifty objects in a dozen segments.
async fn filled(disk: &Disk) -> Arc<SegmentStore> {
    let store = open_small(disk).await;
    for object in blobs(50) {
        put_all(&store, &[object]).await;
    }
    store
}

fn maintained(
    store: &Arc<SegmentStore>,
    scrub_interval: Option<Duration>,
    bytes_per_second: Option<u64>,
) -> JoinHandle<()> {
    let compact = CompactOptions { bytes_per_second, ..CompactOptions::default() };
    let look_interval = Duration::from_millis(20);
    tokio::spawn(maintain(store.clone(), Maintenance { compact, scrub_interval, look_interval }))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(30), waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Records that the scrub under way, or interrupted, has met.
fn met(store: &SegmentStore) -> u64 {
    store.scrub_numbers().present.map_or(0, |present| present.counts.records)
}

async fn interrupted(store: &SegmentStore) {
    tokio::select! {
        biased;
        _ = store.scrub(Some(SLOWLY)) => panic!("it came to its end"),
        () = until("half is read", || met(store) >= 25) => {}
    }
}

#[tokio::test]
async fn an_interrupted_scrub_goes_on_after_a_restart_and_knows_what_it_had_found() {
    let scratch = scratch();
    let store = filled(&scratch.disk).await;
    let (path, bytes) = segment_bytes(&scratch.disk).await;
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() - 5] ^= 1;
    overwrite(&scratch.disk, &path, flipped.into()).await;
    let whole = store.scrub(None).await.unwrap();
    assert!(whole.whole && whole.counts.damaged == 1, "{whole:?}");
    interrupted(&store).await;
    let (before, running) = (met(&store), store.scrub_numbers().running);
    assert!(!running, "nobody reads any more");
    store.close().await;
    let store = open_small(&scratch.disk).await;
    let numbers = store.scrub_numbers();
    let present = numbers.present.expect("it is remembered");
    assert_eq!((present.counts.records, present.counts.damaged), (before, 1));
    assert!((1..1000).contains(&present.done_permille()), "{present:?}");
    let last = numbers.last.expect("so is the one before");
    assert_eq!(last.counts, whole.counts);
    let again = store.scrub(None).await.unwrap();
    assert_eq!(again.counts, whole.counts, "read once, no more and no less");
    assert_eq!(store.scrub_numbers().present, None);
}

#[tokio::test]
async fn a_node_that_is_restarted_more_often_than_it_scrubs_scrubs_all_the_same() {
    let scratch = scratch();
    filled(&scratch.disk).await.close().await;
    let interval = Duration::from_secs(1);
    for restarts in 0.. {
        assert!(restarts < 100, "it never scrubbed");
        let store = open_small(&scratch.disk).await;
        let maintaining = maintained(&store, Some(interval), None);
        sleep(interval / 5).await;
        maintaining.abort();
        store.close().await;
        if store.scrub_numbers().last.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn what_was_interrupted_goes_on_by_itself_and_the_next_comes_an_interval_later() {
    let scratch = scratch();
    let store = filled(&scratch.disk).await;
    let maintaining = maintained(&store, Some(HOUR), None);
    until("it is known when the first is due", || {
        let next_in = store.scrub_numbers().next_in;
        next_in.is_some_and(|next_in| next_in > HOUR / 2 && next_in <= HOUR)
    })
    .await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(store.scrub_numbers().last, None, "none is due yet");
    maintaining.abort();
    let _ = maintaining.await;
    interrupted(&store).await;
    store.close().await;
    let store = open_small(&scratch.disk).await;
    let maintaining = maintained(&store, Some(HOUR), None);
    until("it came to its end", || {
        let numbers = store.scrub_numbers();
        numbers.last.is_some() && !numbers.running
    })
    .await;
    let next_in = store.scrub_numbers().next_in.expect("there is a next one");
    assert!(next_in > HOUR * 9 / 10 && next_in <= HOUR, "{next_in:?}");
    maintaining.abort();
}

#[tokio::test]
async fn a_paused_scrub_holds_its_place_and_nothing_else() {
    let scratch = scratch();
    let store = filled(&scratch.disk).await;
    let maintaining = maintained(&store, None, Some(SLOWLY));
    store.order_scrub(JobOrder::Start);
    until("half is read", || met(&store) >= 25).await;
    let running = store.scrub_numbers();
    assert!(running.running && !running.paused && running.next_in.is_none(), "{running:?}");
    store.order_scrub(JobOrder::Pause);
    until("it holds", || !store.scrub_numbers().running).await;
    let held = store.scrub_numbers();
    assert!(held.paused && held.next_in.is_none(), "{held:?}");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(store.scrub_numbers().present.unwrap().counts, held.present.unwrap().counts);
    // Compaction and snapshots go on, whoever asks for them.
    let gone: Vec<_> = blobs(50).iter().take(40).map(Object::id).collect();
    store.delete(&gone).await.unwrap();
    store.seal().await.unwrap();
    let before = store.stats().disk_bytes;
    until("it is compacted", || store.stats().disk_bytes < before * 3 / 4).await;
    timeout(HOUR / 60, store.snapshot("one")).await.unwrap().unwrap();
    store.order_scrub(JobOrder::Start);
    until("it came to its end", || !store.scrub_numbers().running && met(&store) == 0).await;
    let last = store.scrub_numbers().last.unwrap();
    assert_eq!(last.counts.damaged, 0);
    store.order_scrub(JobOrder::Pause);
    timeout(HOUR / 60, store.close()).await.unwrap();
    // Ten looks later.
    let ended = timeout(Duration::from_millis(200), maintaining).await;
    ended.expect_err("it only waits: the node ends it");
}

#[tokio::test]
async fn a_store_is_closed_while_it_is_scrubbed() {
    let scratch = scratch();
    let store = filled(&scratch.disk).await;
    let maintaining = maintained(&store, None, Some(SLOWLY));
    store.order_scrub(JobOrder::Start);
    until("it reads", || met(&store) >= 5).await;
    timeout(HOUR / 60, store.close()).await.unwrap();
    timeout(HOUR / 60, maintaining).await.expect("it ends with the store").unwrap();
    let store = open_small(&scratch.disk).await;
    assert!(store.scrub_numbers().present.is_some(), "the next one goes on");
}

#[tokio::test]
async fn what_is_cancelled_is_forgotten_and_begun_anew_when_it_is_started_or_due() {
    let scratch = scratch();
    let store = filled(&scratch.disk).await;
    let whole = store.scrub(None).await.unwrap().counts;
    let maintaining = maintained(&store, Some(HOUR), Some(SLOWLY));
    store.order_scrub(JobOrder::Start);
    until("half is read", || met(&store) >= 25).await;
    store.order_scrub(JobOrder::Cancel);
    until("it is given up", || store.scrub_numbers().present.is_none()).await;
    sleep(Duration::from_millis(100)).await;
    let numbers = store.scrub_numbers();
    assert!(!numbers.running && !numbers.paused, "{numbers:?}");
    assert!(numbers.next_in.is_some_and(|next_in| next_in > HOUR / 2), "{numbers:?}");
    // To give up is not to go on, either: one that is paused stays so.
    store.order_scrub(JobOrder::Start);
    until("half is read", || met(&store) >= 25).await;
    store.order_scrub(JobOrder::Pause);
    store.order_scrub(JobOrder::Cancel);
    until("it is given up", || store.scrub_numbers().present.is_none()).await;
    assert!(store.scrub_numbers().paused);
    store.order_scrub(JobOrder::Start);
    let counts = || store.scrub_numbers().last.unwrap().counts;
    until("it reads", || met(&store) > 0).await;
    until("it came to its end", || store.scrub_numbers().present.is_none()).await;
    assert_eq!(counts(), whole, "from the beginning");
    maintaining.abort();
}

#[tokio::test]
async fn nothing_is_read_while_scrub_is_paused_before_it_began() {
    let scratch = scratch();
    let store = filled(&scratch.disk).await;
    store.order_scrub(JobOrder::Pause);
    assert_eq!(store.scrub(None).await.unwrap(), Scrubbed::default());
    // A scrub would be due at each look.
    let maintaining = maintained(&store, Some(Duration::ZERO), None);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(store.scrub_numbers().last, None);
    store.order_scrub(JobOrder::Start);
    until("it is scrubbed", || store.scrub_numbers().last.is_some()).await;
    maintaining.abort();
}

#[tokio::test]
async fn a_scrub_counts_all_damage_and_names_the_latest() {
    let scratch = scratch();
    let options = StoreOptions::new(NodeId::new("n1"), Fsync::Always).segment_records_max(1);
    let store = SegmentStore::open(scratch.disk.clone(), options).await.unwrap();
    let objects = blobs(40);
    for object in &objects {
        put_all(&store, std::slice::from_ref(object)).await;
    }
    store.seal().await.unwrap();
    let names = scratch.disk.list("segments").await.unwrap();
    for name in names.iter().filter(|name| name.ends_with(".seg")) {
        let (path, bytes) = bytes_of(&scratch.disk, format!("segments/{name}")).await;
        let mut flipped = bytes.to_vec();
        flipped[bytes.len() - 5] ^= 1;
        overwrite(&scratch.disk, &path, flipped.into()).await;
    }
    let scrubbed = store.scrub(None).await.unwrap();
    assert_eq!(scrubbed.counts.damaged, 40);
    let named: Vec<_> = scrubbed.damaged.iter().map(|(id, _)| *id).collect();
    let latest = &objects[40 - limits::SCRUB_DAMAGED_NAMED_MAX..];
    assert_eq!(named, latest.iter().map(Object::id).collect::<Vec<_>>());
}
