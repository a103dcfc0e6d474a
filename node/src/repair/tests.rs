//! The record of missed writes survives what its node does not.

use std::sync::Arc;

use bytes::Bytes;
use gitstratum_host::disk::{OpenMode, Scratch};

use super::*;
use crate::object::{HashAlgorithm, Kind, Object};
use crate::placement::NodeId;
use crate::quorum::{Missed, Recorded};

fn missed(node: &str, text: &'static str, reason: &str) -> Missed {
    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(text.as_bytes()));
    Missed { node_id: NodeId::new(node), id: object.unwrap().id(), reason: reason.to_owned() }
}

/// A disk whose root is there, as it is once the store was opened.
async fn scratch() -> Scratch {
    let scratch = gitstratum_host::disk::scratch();
    scratch.disk.create_dir_all("").await.unwrap();
    scratch
}

fn listed(log: &MissedLog) -> Vec<(String, String)> {
    log.status().first.into_iter().map(|missed| (missed.node_id, missed.reason)).collect()
}

#[tokio::test]
async fn records_are_listed_once_each_also_after_reopening() {
    let scratch = scratch().await;
    let log = Arc::new(MissedLog::open(&scratch.disk).await.unwrap());
    let records = vec![missed("n2", "a", "refused"), missed("n3", "a", "late\nvery late")];
    let first = log.record(records.clone()).await.unwrap();
    assert_eq!(first, Recorded { new: 2, ..Recorded::default() });
    let twice = [records.clone(), records, vec![missed("n4", "a", "x"); 2]].concat();
    let second = log.record(twice).await.unwrap();
    assert_eq!(second, Recorded { new: 1, already: 5, dropped: 0 });
    let expected = [("n2", "refused"), ("n3", "late very late"), ("n4", "x")]
        .map(|(n, r)| (n.to_owned(), r.to_owned()));
    assert_eq!(log.status().first.len(), 3);
    drop(log);
    let log = Arc::new(MissedLog::open(&scratch.disk).await.unwrap());
    assert_eq!(listed(&log), expected);
    log.record(vec![missed("n2", "b", "full")]).await.unwrap();
    assert_eq!(MissedLog::open(&scratch.disk).await.unwrap().status().count, 4);
}

#[tokio::test]
async fn a_line_torn_at_any_byte_costs_only_itself() {
    let scratch = scratch().await;
    let log = Arc::new(MissedLog::open(&scratch.disk).await.unwrap());
    log.record(vec![missed("n2", "a", "refused")]).await.unwrap();
    let file = scratch.disk.open("missed.log", OpenMode::ReadWrite).await.unwrap();
    let whole = file.len().await.unwrap();
    log.record(vec![missed("n3", "b", "late")]).await.unwrap();
    for cut in (whole..file.len().await.unwrap()).rev() {
        file.set_len(cut).await.unwrap();
        let log = MissedLog::open(&scratch.disk).await.unwrap();
        assert_eq!(listed(&log), [("n2".to_owned(), "refused".to_owned())], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_reporter_that_goes_away_loses_no_record() {
    let scratch = scratch().await;
    let log = Arc::new(MissedLog::open(&scratch.disk).await.unwrap());
    {
        let mut recording = std::pin::pin!(log.record(vec![missed("n2", "a", "refused")]));
        assert!(futures_util::poll!(&mut recording).is_pending());
    }
    log.record(vec![missed("n3", "b", "late")]).await.unwrap();
    log.record(vec![missed("n2", "a", "again")]).await.unwrap();
    assert_eq!(MissedLog::open(&scratch.disk).await.unwrap().status().count, 2);
}
