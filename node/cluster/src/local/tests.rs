//! The engine of this process as a replica: alone, and beside others.

use gitstratum_core::limits;
use gitstratum_host::disk::{Scratch, scratch};
use gitstratum_store::{Fsync, SegmentStore, StoreOptions};

use crate::quorum::decorate::{Adaptive, AdaptiveOptions, BreakerOptions, Breakers, Guarded, Latencies, Metered, Meters, Retried, Traced};
use crate::repair::{HintLog, HintOptions};
use super::*;

/// A store in this process, and what it is told of others.
struct Here {
    _scratch: Scratch,
    hints: Arc<HintLog>,
    node: LocalNode,
}

async fn here() -> Here {
    let scratch = scratch();
    let n1 = NodeId::new("n1");
    let options = StoreOptions::new(n1.clone(), Fsync::Always);
    let store = SegmentStore::open(scratch.disk.clone(), options).await.unwrap();
    let hints = HintLog::open(&scratch.disk, HintOptions::default(), &[]).await.unwrap();
    Here { _scratch: scratch, node: LocalNode::new(n1, store, hints.clone()), hints }
}

/// So many replicas, W and R, on as many nodes.
fn layout(quorums: (usize, usize, usize)) -> CurrentLayout {
    let member =
        |n| Member::active(NodeId::new(format!("n{n}")), format!("n{n}:7000"), "z".into(), 1);
    let members = (1..=quorums.0).map(member).collect();
    CurrentLayout::new(Layout::first(quorums, members).validated().unwrap())
}

/// Writer and reader of a node that is alone, with all that a client puts around a replica.
fn alone(node: &LocalNode) -> (QuorumWriter, QuorumReader) {
    let latencies = Latencies::new(AdaptiveOptions::default());
    let (breakers, meters) = (Breakers::new(BreakerOptions::default()), Meters::default());
    let node = Metered::new(Traced::new(Retried::new(node.clone())), &meters);
    let node = Guarded::new(Adaptive::new(node, &latencies), &breakers);
    let (read_from, timeout) = (node.clone(), Duration::from_secs(5));
    let writers: Writers = Arc::new(move |_| Arc::new(node.clone()));
    let readers: Readers = Arc::new(move |_| Arc::new(read_from.clone()));
    let layout = layout((1, 1, 1));
    (
        QuorumWriter::new(layout.clone(), writers, timeout),
        QuorumReader::new(layout, readers, timeout),
    )
}

#[tokio::test]
async fn a_node_that_is_alone_is_written_to_and_read_from_like_many() {
    let here = here().await;
    let (writer, reader) = alone(&here.node);
    let GetError::NotFound { absent, .. } =
        reader.get(&[object().id()]).await.remove(0).unwrap_err()
    else {
        panic!("one that is alone proves it by itself");
    };
    assert_eq!(absent, [NodeId::new("n1")]);
    for already_present in [false, true] {
        let report = writer.put(vec![object()], false).await.remove(0).unwrap();
        let [(node_id, stored)] = &report.stored[..] else { panic!("{report:?}") };
        assert_eq!((node_id.as_str(), stored.already_present), ("n1", already_present));
        assert_eq!(stored.durability, Durability::Synced);
    }
    let report = writer.put(vec![object()], true).await.remove(0).unwrap();
    assert!(report.stored[0].1.already_present, "it was asked first");
    let Got::Object(found) = reader.get(&[object().id()]).await.remove(0).unwrap() else {
        panic!("it is small");
    };
    assert_eq!(found, object());
}

#[tokio::test]
async fn a_large_object_passes_through_in_parts() {
    let here = here().await;
    let (writer, reader) = alone(&here.node);
    let data = Bytes::from(vec![7; limits::OBJECT_BYTES_WHOLE_MAX + 1]);
    let large = Object::hash(HashAlgorithm::Sha256, Kind::Blob, data).unwrap();
    let (parts, receiver) = tokio::sync::mpsc::channel(1);
    let feed = async {
        for part in large.data().chunks(limits::PART_BYTES_MAX) {
            parts.send(Bytes::copy_from_slice(part)).await.unwrap();
        }
        drop(parts);
    };
    let (report, ()) = tokio::join!(writer.put_large(large.head(), receiver), feed);
    assert_eq!(report.unwrap().stored.len(), 1);
    let mut from = reader.get_large(large.id()).await.unwrap();
    let mut read = Vec::new();
    while let Some(part) = from.next().await.unwrap() {
        read.extend_from_slice(&part);
    }
    assert_eq!(read, large.data()[..]);
}

#[tokio::test]
async fn it_keeps_the_hints_of_a_peer_that_is_down() {
    let here = here().await;
    let dead = Arc::new(Scripted::new(NodeId::new("n2"), Mood::Dead));
    let node = here.node.clone();
    let writers: Writers = Arc::new(move |member: &Member| match member.node_id.as_str() {
        "n1" => Arc::new(node.clone()),
        _ => dead.clone(),
    });
    let writer = QuorumWriter::new(layout((2, 1, 2)), writers, Duration::from_secs(5));
    writer.put(vec![object()], false).await.remove(0).unwrap();
    writer.drain().await;
    let kept = here.hints.oldest(&NodeId::new("n2"), 10);
    assert_eq!(kept.iter().map(|hint| hint.id).collect::<Vec<_>>(), [object().id()]);
}
