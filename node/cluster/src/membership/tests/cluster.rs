//! Which cluster a node belongs to, whatever its configuration and its directory say.

use bytes::Bytes;
use gitstratum_core::placement::{ClusterId, Layout, Member, NodeId, layout_to_toml};
use gitstratum_host::disk::Scratch;
use gitstratum_store::CLUSTER;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::cluster::{Configured, check, keep};
use super::super::keeper::FILE as LAYOUT;
use super::super::*;
use super::{layout, scratch};

fn id(text: &str) -> ClusterId {
    ClusterId::parse(text).unwrap()
}

/// What a node is configured with.
struct Config {
    layout: Layout,
    alone: bool,
}

impl Config {
    fn of_cluster(&self) -> Configured<'_> {
        Configured { layout: &self.layout, alone: self.alone }
    }
}

/// A node without [cluster] and [[node]].
fn alone() -> Config {
    let member = Member::active(NodeId::new("n1"), "127.0.0.1:7400".into(), "default".into(), 1);
    let layout = Layout::first((1, 1, 1), vec![member]).validated().unwrap();
    Config { layout, alone: true }
}

/// A node of the four that `layout` has.
fn member(layout: Layout) -> Config {
    Config { layout, alone: false }
}

fn named(cluster: &str, version: u64) -> Layout {
    layout(version).of_cluster(&id(cluster)).unwrap()
}

async fn keep_layout(scratch: &Scratch, layout: &Layout) {
    let text = Bytes::from(layout_to_toml(layout));
    scratch.disk.replace(LAYOUT, text).await.unwrap();
}

async fn started(scratch: &Scratch, config: &Config) -> Result<ClusterId, ClusterError> {
    check(&scratch.disk, config.of_cluster()).await?;
    keep(&scratch.disk, config.of_cluster(), &mut ChaCha12Rng::seed_from_u64(1)).await
}

#[tokio::test]
async fn what_the_operator_wrote_is_kept_and_stays_when_it_is_no_longer_written() {
    let scratch = scratch().await;
    assert_eq!(started(&scratch, &member(named("prod", 3))).await.unwrap(), id("prod"));
    for config in [member(layout(1)), member(layout(9)), member(named("prod", 4)), alone()] {
        assert_eq!(started(&scratch, &config).await.unwrap(), id("prod"));
    }
}

#[tokio::test]
async fn another_id_than_the_kept_one_is_refused_before_anything_is_written() {
    let scratch = scratch().await;
    started(&scratch, &member(named("prod", 1))).await.unwrap();
    let refused = check(&scratch.disk, member(named("test", 2)).of_cluster()).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Contradicted(_)), "{refused}");
    let words = refused.to_string();
    assert!(words.starts_with("cluster.id: "), "{words}");
    assert!(words.contains("says test") && words.contains("cluster prod"), "{words}");
}

#[tokio::test]
async fn nodes_that_are_founded_with_one_layout_agree_and_nodes_alone_never_do() {
    let (one, other) = (scratch().await, scratch().await);
    let founded = started(&one, &member(layout(1))).await.unwrap();
    assert_eq!(started(&other, &member(layout(1))).await.unwrap(), founded);
    assert_eq!(founded, ClusterId::derived(&layout(1)));

    let mut drawn = Vec::new();
    for seed in [1, 2] {
        let scratch = super::scratch().await;
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        drawn.push(keep(&scratch.disk, alone().of_cluster(), &mut rng).await.unwrap());
        assert_eq!(started(&scratch, &alone()).await.unwrap(), drawn[drawn.len() - 1]);
    }
    assert_ne!(drawn[0], drawn[1]);
}

#[tokio::test]
async fn a_new_directory_joins_no_later_layout_without_the_id() {
    let scratch = scratch().await;
    let refused = started(&scratch, &member(layout(2))).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Unknown { version: 2 }), "{refused}");
    let words = refused.to_string();
    assert!(words.contains("cluster.id: missing") && words.contains("layout show"), "{words}");
    assert!(!scratch.disk.exists(CLUSTER).await.unwrap());
    assert_eq!(started(&scratch, &member(named("prod", 2))).await.unwrap(), id("prod"));
}

#[tokio::test]
async fn what_a_newer_version_says_of_the_cluster_is_told_from_damage() {
    let scratch = scratch().await;
    let sealed = |body: &str| format!("{body}crc32c {:08x}\n", crc32c::crc32c(body.as_bytes()));
    for (body, words) in [
        ("gitstratum cluster 2\nand what comes later\n", "cluster has format 2, and this program"),
        ("gitstratum cluster x\nid prod\n", "damaged: it does not say which cluster"),
    ] {
        scratch.disk.replace(CLUSTER, sealed(body).into()).await.unwrap();
        let said = started(&scratch, &member(layout(1))).await.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
        assert_eq!(scratch.disk.read_whole(CLUSTER).await.unwrap(), sealed(body));
    }
}

#[tokio::test]
async fn a_directory_from_before_there_were_ids_is_taken_over() {
    let after = |earlier: &[u64], settled, version| {
        let previous = earlier.iter().map(|version| layout(*version).into()).collect();
        Layout { settled, previous, ..layout(version) }
    };
    let one = ClusterId::derived(&layout(1));
    let five = ClusterId::derived(&layout(5));
    for (kept, configured, expected) in [
        (after(&[], 0, 1), layout(1), &one),
        // Whatever each machine's configuration says by now, all agree.
        (after(&[1, 2], 0, 3), layout(1), &one),
        (after(&[1, 2], 0, 3), layout(3), &one),
        (after(&[5], 5, 6), layout(1), &five),
        (after(&[5], 5, 6), after(&[], 5, 6), &five),
    ] {
        let scratch = scratch().await;
        keep_layout(&scratch, &kept).await;
        let what = format!("kept {}, configured {}", kept.version, configured.version);
        let config = member(configured);
        assert_eq!(started(&scratch, &config).await.unwrap(), *expected, "{what}");
        // The kept layout is now of that cluster, though nobody wrote so into it.
        let ours = config.layout.of_cluster(expected).unwrap();
        let keeper = LayoutKeeper::open(scratch.disk.clone(), ours).await.unwrap();
        assert_eq!(keeper.current().cluster().as_ref(), Some(expected), "{what}");
    }

    // One that was alone draws its id; one that was alone and then grew is its cluster's.
    let scratch = scratch().await;
    keep_layout(&scratch, &alone().layout).await;
    assert_ne!(started(&scratch, &alone()).await.unwrap(), ClusterId::derived(&alone().layout));
    let grown = super::scratch().await;
    keep_layout(&grown, &after(&[5], 5, 6)).await;
    assert_eq!(started(&grown, &alone()).await.unwrap(), five);
}

#[tokio::test]
async fn the_kept_layout_says_it_where_the_file_is_lost() {
    let scratch = scratch().await;
    keep_layout(&scratch, &named("prod", 7)).await;
    assert_eq!(started(&scratch, &member(layout(7))).await.unwrap(), id("prod"));
    let refused = check(&scratch.disk, member(named("test", 8)).of_cluster()).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Contradicted(_)), "{refused}");
}

#[tokio::test]
async fn a_directory_of_two_clusters_is_refused() {
    let scratch = scratch().await;
    started(&scratch, &member(named("theirs", 1))).await.unwrap();
    keep_layout(&scratch, &named("ours", 2)).await;
    let refused = started(&scratch, &member(layout(2))).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Mixed { .. }), "{refused}");
    let words = refused.to_string();
    assert!(words.contains("theirs") && words.contains("ours"), "{words}");
}

#[tokio::test]
async fn a_damaged_id_is_never_taken_for_another_nor_for_none() {
    let scratch = scratch().await;
    started(&scratch, &member(layout(1))).await.unwrap();
    let sound = scratch.disk.read_whole(CLUSTER).await.unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..sound.len()).map(|len| sound[..len].to_vec()).collect();
    damaged.extend((0..sound.len()).map(|at| {
        let mut flipped = sound.to_vec();
        flipped[at] ^= 1;
        flipped
    }));
    for text in damaged {
        scratch.disk.replace(CLUSTER, Bytes::from(text.clone())).await.unwrap();
        let read = started(&scratch, &member(layout(1))).await;
        let text = String::from_utf8_lossy(&text);
        assert!(matches!(read, Err(ClusterError::Damaged { .. })), "{text:?}: {read:?}");
    }
}

#[tokio::test]
async fn a_kept_layout_of_another_cluster_is_not_brought_into_force() {
    let scratch = scratch().await;
    LayoutKeeper::open(scratch.disk.clone(), named("theirs", 5)).await.unwrap();
    let refused = LayoutKeeper::open(scratch.disk.clone(), named("ours", 1)).await.err().unwrap();
    assert!(matches!(refused, KeepError::Contradicted(_)), "{refused}");
}
