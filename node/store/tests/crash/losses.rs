//! Files that are missing, and a crash while that is being noted.

use std::sync::Arc;

use gitstratum_core::object::Object;
use gitstratum_core::replica::{Found, StoreError};
use gitstratum_host::Disk;
use gitstratum_host::simulated::DiskProfile;
use gitstratum_store::{SegmentStore, Store};

use super::{object, open, put};

/// How many of these a store calls damaged; none of them is absent.
async fn damaged(store: &SegmentStore, objects: &[Object], what: &str) -> usize {
    let mut damaged = 0;
    for object in objects {
        match store.get(object.id()).await {
            Ok(Found::Object(_) | Found::Large(_)) => {}
            Err(StoreError::Damaged { .. }) => damaged += 1,
            other => panic!("{what}: {} was acknowledged: {other:?}", object.id()),
        }
    }
    damaged
}

/// Opens a store, puts what may be missing, and has that made up for.
async fn repair(disk: Disk, objects: Arc<Vec<Object>>, puts: bool) {
    let store = open(&disk).await;
    let known = store.unidentified();
    if puts {
        for object in objects.iter() {
            put(&store, object).await.unwrap();
        }
        store.make_up_for(&known).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_missing_stays_known_wherever_the_opening_that_noted_it_was_stopped() {
    let whole = Disk::simulated(DiskProfile::instant(), 1);
    let objects: Arc<Vec<Object>> = Arc::new((0..20).map(object).collect());
    let store = open(&whole).await;
    for object in objects.iter() {
        put(&store, object).await.unwrap();
    }
    store.close().await;
    let missing = [".seg", ".obj", "large-names"];
    for (what, puts) in missing.iter().flat_map(|what| [(*what, false), (*what, true)]) {
        let files = whole.files();
        let (path, _) = files.iter().find(|(path, _)| path.ends_with(what)).unwrap();
        let mut point = 0;
        loop {
            let disk = whole.copy();
            disk.remove(path).await.unwrap();
            disk.sync_dir(path.rsplit_once('/').map_or("", |(dir, _)| dir)).await.unwrap();
            disk.stop_after(point);
            let running = tokio::spawn(repair(disk.of_process(), objects.clone(), puts));
            let ended = tokio::select! {
                biased;
                () = disk.stopped() => false,
                ended = running => ended.map(|()| true).unwrap(),
            };
            for (how, left) in
                [("the power went", disk.after_power_loss(point)), ("it died", disk.copy())]
            {
                left.process_gone();
                let what = format!("{path}, puts {puts}, {how} at {point}");
                let store = open(&left).await;
                let found = damaged(&store, &objects, &what).await;
                let counted = store.stats().damaged_objects;
                // Until all was put again it is damage; nothing else ever becomes that.
                assert!(puts || counted > 0, "{what}: nothing is damaged");
                if ended && puts {
                    assert_eq!((found, counted), (0, 0), "{what}");
                }
                store.close().await;
            }
            if ended {
                break;
            }
            point += 1;
        }
        assert!(point > 5, "{path}: {point} operations");
    }
}
