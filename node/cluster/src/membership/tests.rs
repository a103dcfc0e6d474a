//! What a node keeps of layouts over restarts, and what it refuses to start with.

mod cluster;

use bytes::Bytes;
use gitstratum_core::placement::{Layout, LayoutRefused, Member, MemberState, NodeId};
use gitstratum_host::disk::Scratch;

use super::keeper::FILE;
use super::*;

fn layout(version: u64) -> Layout {
    let members = ["n1", "n2", "n3", "n4"]
        .map(|id| Member::active(NodeId::new(id), format!("{id}.example:7400"), "z".to_owned(), 1));
    Layout { version, ..Layout::first((3, 2, 2), members.into()) }.validated().unwrap()
}

async fn scratch() -> Scratch {
    let scratch = gitstratum_host::disk::scratch();
    scratch.disk.create_dir_all("").await.unwrap();
    scratch
}

async fn open(scratch: &Scratch, configured: Layout) -> Result<LayoutKeeper, KeepError> {
    LayoutKeeper::open(scratch.disk.clone(), configured).await
}

#[tokio::test]
async fn a_restart_does_not_go_back_to_what_is_configured() {
    let scratch = scratch().await;
    let keeper = open(&scratch, layout(1)).await.unwrap();
    let mut drained = layout(2);
    drained.members[3].state = MemberState::Draining;
    assert!(keeper.take(&drained).await.unwrap());
    drop(keeper);
    let again = open(&scratch, layout(1)).await.unwrap().current().get();
    assert_eq!((again.version, again.members[3].state), (2, MemberState::Draining));
    let history: Vec<_> = again.previous.iter().map(|previous| previous.version).collect();
    assert_eq!(history, [1], "readers still need it");
}

#[tokio::test]
async fn a_newer_configuration_comes_into_force_at_the_start() {
    let scratch = scratch().await;
    open(&scratch, layout(1)).await.unwrap();
    assert_eq!(open(&scratch, layout(3)).await.unwrap().current().version(), 3);
    assert_eq!(open(&scratch, layout(1)).await.unwrap().current().version(), 3);
}

#[tokio::test]
async fn a_configuration_that_was_changed_without_a_new_version_is_refused() {
    let scratch = scratch().await;
    open(&scratch, layout(1)).await.unwrap();
    let mut changed = layout(1);
    changed.members[0].weight = 2;
    let refused = open(&scratch, changed).await.err().unwrap().to_string();
    assert!(refused.contains("node n1 is described otherwise"), "{refused}");
}

#[tokio::test]
async fn a_node_that_is_alone_may_move_without_a_new_version() {
    let scratch = scratch().await;
    let alone = |address: &str| {
        let member = Member::active(NodeId::new("n1"), address.to_owned(), "z".to_owned(), 1);
        Layout::first((1, 1, 1), vec![member])
    };
    open(&scratch, alone("a:1")).await.unwrap();
    let moved = open(&scratch, alone("b:2")).await.unwrap().current().get();
    assert_eq!(moved.members[0].address, "b:2");
}

#[tokio::test]
async fn what_is_refused_changes_nothing_on_the_disk() {
    let scratch = scratch().await;
    let keeper = open(&scratch, layout(2)).await.unwrap();
    let before = scratch.disk.read_whole(FILE).await.unwrap();
    let older = keeper.take(&layout(1)).await.unwrap_err();
    assert!(matches!(older, KeepError::Refused(LayoutRefused::Older { .. })), "{older}");
    assert_eq!(scratch.disk.read_whole(FILE).await.unwrap(), before);
    assert!(!keeper.take(&layout(2)).await.unwrap(), "again, without effect");
}

#[tokio::test]
async fn a_damaged_file_is_not_taken_for_none() {
    let scratch = scratch().await;
    open(&scratch, layout(2)).await.unwrap();
    scratch.disk.replace(FILE, Bytes::from_static(b"format = 1\n[cluster]\nv")).await.unwrap();
    let damaged = open(&scratch, layout(2)).await.err().unwrap();
    assert!(matches!(damaged, KeepError::Damaged(_)), "{damaged}");
}

#[tokio::test]
async fn what_is_applied_follows_the_layout_in_force_and_what_a_peer_holds_may_be_further() {
    let scratch = scratch().await;
    let keeper = open(&scratch, layout(2)).await.unwrap();
    let before = scratch.disk.read_whole(FILE).await.unwrap();
    for version in [4, i64::MAX as u64] {
        let refused = keeper.apply(&layout(version)).await.unwrap_err();
        assert!(matches!(refused, KeepError::Refused(LayoutRefused::Gap { .. })), "{refused}");
    }
    keeper.offer(&layout(i64::MAX as u64)).await;
    assert_eq!(scratch.disk.read_whole(FILE).await.unwrap(), before);
    assert!(keeper.apply(&layout(3)).await.unwrap());
    keeper.offer(&layout(6)).await;
    assert_eq!(keeper.current().version(), 6);
}

#[tokio::test]
async fn what_is_kept_already_is_not_written_again() {
    let scratch = scratch().await;
    let member = Member::active(NodeId::new("n1"), "a:1".to_owned(), "z".to_owned(), 1);
    let alone = Layout::first((1, 1, 1), vec![member]);
    open(&scratch, alone.clone()).await.unwrap();
    // In its way, nothing can be written.
    scratch.disk.create_dir_all(&format!("{FILE}.tmp")).await.unwrap();
    open(&scratch, alone.clone()).await.expect("nothing changed");
    let moved = Layout { version: 2, ..alone };
    assert!(matches!(open(&scratch, moved).await, Err(KeepError::Io { .. })));
}
