//! The gateway of a cluster, with stock git: what is stored of a push, and what becomes of it when
//! the catalog or the chunks fail.

use std::sync::Arc;

use gitstratum_catalog::ids::RepositoryId;
use gitstratum_git::names::CommandError;
use gitstratum_git::repository::{Gateway, GatewayOptions};
use gitstratum_git::service::RepositoryError;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::memory::{MemoryChunks, MemoryNames};
use crate::support::{Server, has_git};

/// A server over a gateway, and what the gateway stands on.
struct Served {
    server: Server,
    names: Arc<MemoryNames>,
    chunks: Arc<MemoryChunks>,
}

async fn serve() -> Served {
    let (names, chunks) = (Arc::<MemoryNames>::default(), Arc::<MemoryChunks>::default());
    let options = GatewayOptions { create_on_push: true, ..GatewayOptions::default() };
    let rng = ChaCha12Rng::seed_from_u64(1);
    let served = Gateway::serve(names.clone(), chunks.clone(), options, rng);
    Served { server: Server::of(Arc::new(served)).await, names, chunks }
}

impl Served {
    /// A gateway that has nothing in memory of what the one before had.
    async fn restarted(self) -> Self {
        let Served { server, names, chunks } = self;
        let rng = ChaCha12Rng::seed_from_u64(2);
        let options = GatewayOptions { create_on_push: true, ..GatewayOptions::default() };
        let served = Gateway::serve(names.clone(), chunks.clone(), options, rng);
        Served { server: server.again(Arc::new(served)).await, names, chunks }
    }

    fn packs(&self) -> Vec<(u64, u32)> {
        self.names.with(|state| {
            state.packs(RepositoryId(1)).map(|pack| (pack.objects, pack.chunks)).collect()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_push_is_one_chunk_and_a_large_one_is_several() {
    if !has_git() {
        return;
    }
    let served = serve().await;
    let (server, url) = (&served.server, served.server.url("team/project"));
    server.make("work", 2, "sha1").await;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    assert_eq!((served.packs(), served.chunks.all().len()), (vec![(6, 1)], 1));
    // Three MiB that do not deflate.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let noise: Vec<u8> = noise.take(3 << 20).collect();
    std::fs::write(server.path("work").join("noise"), noise).unwrap();
    server.commit("work", "more").await;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    let chunks = served.packs()[1].1;
    assert!(chunks >= 3, "{chunks} chunks");
    assert_eq!(served.chunks.all().len() as u32, 1 + chunks + 1, "and one of the index");
    let served = served.restarted().await;
    let (server, url) = (&served.server, served.server.url("team/project"));
    server.ok("", &["clone", "-q", &url, "clone"]).await;
    server.ok("clone", &["fsck", "--full", "--strict"]).await;
    let head = server.ok("work", &["rev-parse", "HEAD"]).await;
    assert_eq!(server.ok("clone", &["rev-parse", "HEAD"]).await, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_points_to_one_of_the_branches_that_were_pushed_first() {
    if !has_git() {
        return;
    }
    let served = serve().await;
    let server = &served.server;
    server.make("work", 1, "sha1").await;
    let cases: [(&[&str], &str); 4] = [
        (&["trunk"], "trunk"),
        (&["a", "master"], "master"),
        (&["a", "main"], "main"),
        (&["b", "a"], "b"),
    ];
    for (number, (branches, expected)) in cases.into_iter().enumerate() {
        let url = server.url(&format!("project-{number}"));
        // Tags before it make no difference.
        server.ok("work", &["push", "-q", &url, "HEAD:refs/tags/first"]).await;
        let names: Vec<String> =
            branches.iter().map(|branch| format!("HEAD:refs/heads/{branch}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        server.ok("work", &[&["push", "-q", "--atomic", &url], &names[..]].concat()).await;
        server.ok("work", &["push", "-q", &url, "HEAD:refs/heads/later"]).await;
        let said = server.ok("work", &["ls-remote", "--symref", &url, "HEAD"]).await;
        assert!(said.starts_with(&format!("ref: refs/heads/{expected}\tHEAD\n")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thin_packs_are_completed_so_that_every_pack_stands_by_itself() {
    if !has_git() {
        return;
    }
    let served = serve().await;
    let (server, url) = (&served.server, served.server.url("thin"));
    server.make("work", 1, "sha1").await;
    let long: String = (0..5000).map(|line| format!("line {line}\n")).collect();
    std::fs::write(server.path("work").join("long"), &long).unwrap();
    server.commit("work", "a").await;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    let before = served.chunks.all();
    std::fs::write(server.path("work").join("long"), long.replace("line 7\n", "changed\n"))
        .unwrap();
    server.commit("work", "b").await;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    // Commit, tree, the changed file, the new one, and the base of the changed one.
    assert_eq!(served.packs()[1].0, 5);
    let served = served.restarted().await;
    let (server, url) = (&served.server, served.server.url("thin"));
    server.ok("", &["clone", "-q", &url, "clone"]).await;
    server.ok("clone", &["fsck", "--full", "--strict"]).await;
    // What only the first pack has is missed now, and said to be.
    let all = served.chunks.all();
    let kept = all.into_iter().filter(|(id, _)| !before.contains_key(id)).collect();
    served.chunks.replace(kept);
    let served = served.restarted().await;
    let (server, url) = (&served.server, served.server.url("thin"));
    let (is_ok, said) = server.git("", &["clone", "-q", &url, "lost"]).await;
    assert!(!is_ok && said.contains("no replica has chunk"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_cannot_be_stored_or_named_changes_nothing_and_says_why() {
    if !has_git() {
        return;
    }
    let served = serve().await;
    let (server, url) = (&served.server, served.server.url("project"));
    server.make("work", 1, "sha1").await;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    server.commit("work", "more").await;
    let refused = async |why: &str| {
        let (is_ok, said) = server.git("work", &["push", &url, "main"]).await;
        assert!(!is_ok && said.contains(why), "{said}");
        let listed = server.ok("work", &["ls-remote", &url, "refs/heads/main"]).await;
        let before = server.ok("work", &["rev-parse", "HEAD~1"]).await;
        assert!(listed.starts_with(&before), "{listed}");
    };
    let trouble = RepositoryError::Unavailable("one of three replicas answers".to_owned());
    *served.chunks.trouble.lock().unwrap() = Some(trouble);
    refused("one of three replicas answers").await;
    *served.chunks.trouble.lock().unwrap() = None;
    let trouble = CommandError::NotDone("no leader is known".to_owned());
    *served.names.trouble.lock().unwrap() = Some(trouble);
    refused("no leader is known").await;
    let trouble = CommandError::Unknown("its answer is lost".to_owned());
    *served.names.trouble.lock().unwrap() = Some(trouble);
    refused("whether it was done is not known: its answer is lost").await;
    *served.names.trouble.lock().unwrap() = None;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    assert_eq!(served.packs().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_another_is_damage_and_no_clone() {
    if !has_git() {
        return;
    }
    let served = serve().await;
    let (server, url) = (&served.server, served.server.url("project"));
    server.make("work", 3, "sha1").await;
    server.ok("work", &["push", "-q", &url, "main"]).await;
    let damaged = served.chunks.all().into_iter().map(|(id, bytes)| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        (id, bytes.into())
    });
    served.chunks.replace(damaged.collect());
    let served = served.restarted().await;
    let (server, url) = (&served.server, served.server.url("project"));
    let (is_ok, said) = server.git("", &["clone", "-q", &url, "clone"]).await;
    assert!(!is_ok && said.contains("remote error"), "{said}");
}
