//! Shallow boundaries and what crosses them, against Git's own server and client.
//!
//! Git clones and fetches over its protocol; what both sides said is read from the trace of the
//! packets. From what the client said, a boundary and a pack are chosen here, which have to be
//! the boundary that Git's server chose and the objects that its client has afterwards.

use std::collections::BTreeSet;
use std::path::Path;

use gitstratum_core::object::ObjectId;

use super::fixture::{Clocks, Disk, Known, Random, all_ids, client, git, git_traced, request};
use crate::service::{Depth, INFINITE_DEPTH, PackRequest, RepositoryError, Shallow};
use crate::walk::{deepen, reaches, select};

/// What was said in one fetch.
#[derive(Debug, Default)]
struct Said {
    include_tag: bool,
    wants: Vec<ObjectId>,
    common: Vec<ObjectId>,
    client_shallow: Vec<ObjectId>,
    shallow: BTreeSet<ObjectId>,
    unshallow: BTreeSet<ObjectId>,
}

impl Said {
    fn read(trace: &str) -> Self {
        let mut said = Said::default();
        for line in trace.lines() {
            let Some((_, packet)) = line.split_once("packet:") else { continue };
            said.include_tag |= packet.ends_with("> include-tag");
            let mut words = packet.split_whitespace();
            let (Some(side), Some(word), Some(id)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Ok(id) = id.parse::<ObjectId>() else { continue };
            match (side, word) {
                ("clone>" | "fetch>", "want") => said.wants.push(id),
                ("clone>" | "fetch>", "have") => said.common.push(id),
                ("clone>" | "fetch>", "shallow") => said.client_shallow.push(id),
                ("clone<" | "fetch<", "shallow") => drop(said.shallow.insert(id)),
                ("clone<" | "fetch<", "unshallow") => drop(said.unshallow.insert(id)),
                _ => {}
            }
        }
        for list in [&mut said.wants, &mut said.common, &mut said.client_shallow] {
            list.sort();
            list.dedup();
        }
        said
    }

    /// The same boundary and the same objects are chosen here.
    async fn check(
        &self,
        disk: &Disk,
        objects: &Known,
        depth: Option<&Depth>,
        before: &BTreeSet<ObjectId>,
        after: &BTreeSet<ObjectId>,
        context: &str,
    ) {
        assert!(!self.wants.is_empty(), "{context}: nothing was asked for");
        let mut shallow = Shallow::default();
        if let Some(depth) = depth {
            let find = |name: &str| git(disk.path(), &["rev-parse", name], "").trim().parse().ok();
            shallow =
                deepen(objects, &self.wants, &self.client_shallow, depth, find).await.unwrap();
        }
        let found: BTreeSet<ObjectId> = shallow.shallow.iter().copied().collect();
        assert_eq!(found, self.shallow, "{context}: shallow");
        let found: BTreeSet<ObjectId> = shallow.unshallow.iter().copied().collect();
        assert_eq!(found, self.unshallow, "{context}: unshallow");
        let tags = disk.peeled_tags();
        let request = PackRequest {
            include_tag: self.include_tag,
            client_shallow: self.client_shallow.clone(),
            shallow,
            ..request(&self.wants, &self.common)
        };
        let selection = select(objects, &request, &tags, &|_| {}).await.unwrap();
        let mut all: BTreeSet<ObjectId> = selection.iter().map(|object| object.id).collect();
        for edge in selection.edges() {
            assert!(before.contains(&edge), "{context}: the client lacks {edge}");
        }
        all.extend(before);
        objects.assert_same(&all, after, context);
    }
}

/// Fetches with Git and looks whether the same would be sent from here.
async fn fetch_and_check(
    disk: &Disk,
    objects: &Known,
    repository: &Path,
    args: &[&str],
    depth: Option<&Depth>,
    context: &str,
) {
    let before = all_ids(repository);
    // Without tags, that nothing is followed in a second fetch.
    let args = [&["fetch", "--no-tags", "origin"], args].concat();
    let (_, trace) = git_traced(repository, &args, "");
    let said = Said::read(&trace);
    let after = all_ids(repository);
    said.check(disk, objects, depth, &before, &after, &format!("{context}: {args:?}")).await;
}

async fn clone_and_check(
    disk: &Disk,
    objects: &Known,
    name: &str,
    args: &[&str],
    depth: &Depth,
    context: &str,
) -> std::path::PathBuf {
    let repository = client(disk, name);
    let url = disk.url();
    let args = [&["clone", "-q", "--bare", "--no-tags"], args, &[&url, name]].concat();
    let (_, trace) = git_traced(disk.path(), &args, "");
    let after = all_ids(&repository);
    let said = Said::read(&trace);
    said.check(disk, objects, Some(depth), &BTreeSet::new(), &after, context).await;
    repository
}

#[tokio::test]
async fn clones_of_a_depth_have_the_boundary_and_the_objects_of_gits() {
    for seed in 0..3 {
        let disk = Disk::random(seed, 40, Clocks::Right);
        let objects = disk.objects();
        for depth in [1, 2, 3, 5, 100] {
            let context = format!("seed {seed} depth {depth}");
            let count = depth.to_string();
            let args = ["--depth", &count, "--no-single-branch"];
            let depth = Depth::Commits(depth);
            clone_and_check(&disk, &objects, &count, &args, &depth, &context).await;
        }
    }
}

#[tokio::test]
async fn a_root_commit_at_the_depth_is_shallow_as_git_has_it() {
    let disk = Disk::random(1, 10, Clocks::Right);
    let objects = disk.objects();
    let root = disk.commits[0];
    let depth = Depth::Commits(1);
    let shallow = deepen(&objects, &[root], &[], &depth, |_| None).await.unwrap();
    assert_eq!(shallow.shallow, [root]);
    git(disk.path(), &["update-ref", "refs/heads/root", &root.to_string()], "");
    let args = ["--depth=1", "--branch=root"];
    clone_and_check(&disk, &objects, "root", &args, &depth, "root").await;
}

#[tokio::test]
async fn clones_since_a_time_or_without_a_branch_have_the_boundary_of_gits() {
    for seed in 0..3 {
        let disk = Disk::random(seed, 40, Clocks::Right);
        let objects = disk.objects();
        let since = 1_600_002_500;
        let depth = Depth::Since { since, not: Vec::new() };
        let args = [&format!("--shallow-since=@{since}")[..]];
        clone_and_check(&disk, &objects, "since", &args, &depth, &format!("seed {seed}")).await;
        for excluded in [5, 20, 33] {
            let name = format!("refs/heads/c{excluded}");
            let depth = Depth::Since { since: 0, not: vec![name.clone()] };
            let args = [&format!("--shallow-exclude={name}")[..], "--no-single-branch"];
            let context = format!("seed {seed} without {name}");
            let place = format!("not{excluded}");
            clone_and_check(&disk, &objects, &place, &args, &depth, &context).await;
        }
    }
}

#[tokio::test]
async fn a_shallow_client_that_deepens_and_follows_gets_what_gits_gets() {
    for seed in 0..6 {
        let disk = Disk::random(seed, 50, Clocks::Right);
        let objects = disk.objects();
        let random = &mut Random::new(seed);
        // A branch that moves on while the client follows.
        let points = |git_to: usize| disk.commits[git_to].to_string();
        let move_to = |to: usize| {
            git(disk.path(), &["update-ref", "refs/heads/main", &points(to)], "");
        };
        move_to(25);
        let context = format!("seed {seed}");
        let args = ["--depth=2", "--branch=main", "--single-branch"];
        let first = Depth::Commits(2);
        let repository = clone_and_check(&disk, &objects, "client", &args, &first, &context).await;
        let branch = "+refs/heads/main:refs/heads/main";
        let mut at = 25;
        for step in 0..5 {
            let context = format!("seed {seed} step {step}");
            let mut next = Vec::new();
            for later in at + 1..disk.commits.len() {
                if reaches(&objects, disk.commits[later], disk.commits[at]).await.unwrap() {
                    next.push(later);
                }
            }
            let Some(to) = next.get(random.below(3)) else { break };
            at = *to;
            move_to(at);
            // A plain fetch across the boundary, then one that moves it.
            fetch_and_check(&disk, &objects, &repository, &[branch], None, &context).await;
            let count = 1 + random.below(6) as u32;
            let (option, depth) = match step % 3 {
                0 => (format!("--deepen={count}"), Depth::Relative(count)),
                1 => (format!("--depth={count}"), Depth::Commits(count)),
                _ => {
                    let since = 1_600_000_000 + 100 * random.below(at) as u64;
                    let depth = Depth::Since { since, not: Vec::new() };
                    (format!("--shallow-since=@{since}"), depth)
                }
            };
            let args = [&option[..], branch];
            fetch_and_check(&disk, &objects, &repository, &args, Some(&depth), &context).await;
        }
        let all = Depth::Commits(INFINITE_DEPTH);
        if repository.join("shallow").exists() {
            let args = ["--unshallow", branch];
            fetch_and_check(&disk, &objects, &repository, &args, Some(&all), &context).await;
        }
        git(&repository, &["fsck", "--connectivity-only"], "");
        assert!(!repository.join("shallow").exists());
    }
}

/// What a shallow client has: all that it named, but not behind its boundary.
#[tokio::test]
async fn no_pack_across_a_boundary_lacks_what_its_client_lacks() {
    for seed in 0..8 {
        let disk = Disk::random(seed, 60, Clocks::Right);
        let objects = disk.objects();
        let random = &mut Random::new(seed);
        for _ in 0..40 {
            let old: BTreeSet<ObjectId> = random.some(&disk.commits, 4).into_iter().collect();
            let tips = random.some(&disk.commits, 2);
            let before = objects.closure(&tips, &old);
            let mut client_shallow: Vec<ObjectId> =
                old.iter().filter(|id| before.contains(id)).copied().collect();
            let wants = random.some(&disk.commits, 2);
            let count = random.below(5) as u32;
            let shallow = match random.below(4) {
                0 => Shallow::default(),
                choice => {
                    let depth = match choice {
                        1 => Depth::Commits(count + 1),
                        2 => Depth::Relative(count),
                        _ => Depth::Commits(INFINITE_DEPTH),
                    };
                    deepen(&objects, &wants, &client_shallow, &depth, |_| None).await.unwrap()
                }
            };
            let mut cut: BTreeSet<ObjectId> = client_shallow.iter().copied().collect();
            cut.retain(|id| !shallow.unshallow.contains(id));
            cut.extend(&shallow.shallow);
            if random.percent(50) {
                // A caller may have taken out what is shallow no longer.
                client_shallow.retain(|id| cut.contains(id));
            }
            let request = PackRequest { client_shallow, shallow, ..request(&wants, &tips) };
            let selection = select(&objects, &request, &[], &|_| {}).await.unwrap();
            let mut has = before.clone();
            has.extend(selection.iter().map(|object| object.id));
            let needs = objects.closure(&[&wants[..], &tips].concat(), &cut);
            let lacks: Vec<_> = needs.difference(&has).collect();
            assert!(lacks.is_empty(), "seed {seed}: {lacks:?} of {request:?}");
            for edge in selection.edges() {
                assert!(before.contains(&edge), "seed {seed}: {edge} may be no base");
            }
        }
    }
}

#[tokio::test]
async fn a_depth_that_makes_no_sense_is_refused() {
    let disk = Disk::random(1, 10, Clocks::Right);
    let objects = disk.objects();
    let wants = &disk.commits[9..];
    let since = |since, not: &[&str]| {
        let not = not.iter().map(|&name| name.to_owned()).collect();
        Depth::Since { since, not }
    };
    let cases = [
        (Depth::Commits(0), "Invalid deepen: 0"),
        (since(1_700_000_000, &[]), "no commits selected for shallow requests"),
        (since(0, &["refs/heads/none"]), "deepen-not is not a ref: refs/heads/none"),
    ];
    for (depth, expected) in cases {
        let error = deepen(&objects, wants, &[], &depth, |_| None).await.unwrap_err();
        assert!(matches!(error, RepositoryError::Refused(_)));
        assert_eq!(error.to_string(), expected);
    }
}
