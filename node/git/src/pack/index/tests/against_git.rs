//! Packs that git has made, and what git finds in them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::{Feed, IndexLimits, Objects, Outcome, index};
use crate::object::links;
use crate::pack::entry::EntryKind;
use crate::pack::fixture::{GitRepository, sealed};

/// Files that change a little with each commit, so that packs have long chains of deltas.
pub(in crate::pack) fn history(algorithm: HashAlgorithm, commits: usize) -> GitRepository {
    let repository = GitRepository::new(algorithm);
    let mut text: Vec<String> = (0..400).map(|line| format!("line {line} of the file")).collect();
    for commit in 0..commits {
        text[commit * 37 % 400] = format!("changed by commit {commit}");
        text.insert(commit * 11 % 400, format!("added by {commit}"));
        repository.write("src/long.txt", text.join("\n").as_bytes());
        repository
            .write(&format!("src/deep/er/{}.txt", commit % 7), format!("{commit}").as_bytes());
        repository
            .write("binary", &(0..3000).map(|at| (at * commit % 251) as u8).collect::<Vec<_>>());
        repository.commit(&format!("commit {commit}"));
        if commit % 5 == 4 {
            repository.git(&["tag", "-a", "-m", "words", &format!("v{commit}")]);
        }
    }
    repository
}

/// All objects of a repository, with their data.
pub(in crate::pack) fn objects(repository: &GitRepository) -> Objects {
    let batch = ["cat-file", "--batch-all-objects", "--batch", "--unordered"];
    let out = repository.run(&batch, b"").stdout;
    let (mut objects, mut at) = (Objects::new(), 0);
    while at < out.len() {
        let end = at + out[at..].iter().position(|&byte| byte == b'\n').unwrap();
        let line = std::str::from_utf8(&out[at..end]).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let size: usize = words[2].parse().unwrap();
        let data = Bytes::copy_from_slice(&out[end + 1..end + 1 + size]);
        objects.insert(words[0].parse().unwrap(), (words[1].parse().unwrap(), data));
        at = end + 1 + size + 1;
    }
    objects
}

/// What `git verify-pack -v` says of a pack: id, kind, size, packed size, offset in the file, and
/// base.
fn verify_pack(
    repository: &GitRepository,
    pack: &[u8],
) -> BTreeMap<ObjectId, (Kind, u64, u64, u64, Option<ObjectId>)> {
    repository.pack_file(pack);
    repository.git(&["index-pack", "--strict", "test.pack"]);
    let text = repository.git(&["verify-pack", "-v", "test.pack"]);
    let mut objects = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(id) = words.first().and_then(|word| word.parse().ok()) else { continue };
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let base = words.get(6).map(|word| word.parse().unwrap());
        objects.insert(id, (words[1].parse().unwrap(), number(2), number(3), number(4), base));
    }
    objects
}

fn check(repository: &GitRepository, algorithm: HashAlgorithm, pack: &[u8], feed: Feed) {
    let all = objects(repository);
    let Outcome { indexed, body } = index(algorithm, pack, &Objects::new(), feed).unwrap();
    let verified = verify_pack(repository, pack);
    assert_eq!(indexed.objects.len(), verified.len());
    assert_eq!(indexed.duplicates, 0);
    assert_eq!(indexed.warnings, []);
    for object in &indexed.objects {
        let (kind, size, packed_len, offset, base) = verified[&object.id];
        assert_eq!(object.kind, kind);
        assert_eq!((object.packed_len, object.offset + 12), (packed_len, offset));
        assert_eq!(object.base.map(|base| indexed.objects[base as usize].id), base);
        assert_eq!(object.size, all[&object.id].1.len() as u64);
        // Of a delta git tells the size of the delta.
        assert!(base.is_some() || size == object.size);
        let bytes = &body[object.offset as usize..][..object.packed_len as usize];
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        assert_eq!(object.crc32, crc.sum());
    }
    check_facts(algorithm, &indexed, &all);
}

/// Compares columns and missing objects with what parsing all objects gives.
pub(super) fn check_facts(algorithm: HashAlgorithm, indexed: &super::Indexed, all: &Objects) {
    let sent: BTreeSet<ObjectId> =
        indexed.objects.iter().filter(|object| !object.appended).map(|object| object.id).collect();
    let mut missing = BTreeMap::new();
    for id in &sent {
        let (kind, data) = &all[id];
        let found = |id, kind| {
            if !sent.contains(&id) {
                missing.insert(id, kind);
            }
        };
        links(algorithm, *kind, data, found).unwrap();
    }
    assert_eq!(indexed.missing, missing);
    let mut commits = 0;
    for commit in indexed.commits() {
        let id = indexed.objects[commit.position as usize].id;
        let parsed = crate::object::Commit::parse(algorithm, &all[&id].1).unwrap();
        assert_eq!((commit.tree, commit.parents), (parsed.tree, parsed.parents));
        assert_eq!(commit.committed_at, parsed.committed_at);
        commits += 1;
    }
    let mut tags = 0;
    for tag in indexed.tags() {
        let id = indexed.objects[tag.position as usize].id;
        let parsed = crate::object::Tag::parse(algorithm, &all[&id].1).unwrap();
        assert_eq!((tag.target, tag.target_kind), (parsed.target, parsed.target_kind));
        tags += 1;
    }
    let count = |kind| indexed.objects.iter().filter(|object| object.kind == kind).count();
    assert_eq!((commits, tags), (count(Kind::Commit), count(Kind::Tag)));
}

#[test]
fn it_finds_in_gits_packs_what_git_finds() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let repository = history(algorithm, 30);
        let small_cache = IndexLimits { cache_bytes: 20_000, ..IndexLimits::default() };
        let no_cache = IndexLimits { cache_bytes: 0, ..IndexLimits::default() };
        let streaming = IndexLimits { blob_held_bytes: 100, ..IndexLimits::default() };
        for options in [
            &["--all"][..],
            &["--all", "--delta-base-offset", "--depth=250"],
            &["--all", "--window=0"],
        ] {
            let pack = repository.pack(options, &[]);
            check(&repository, algorithm, &pack, Feed::default());
            for limits in [small_cache, no_cache, streaming] {
                check(&repository, algorithm, &pack, Feed { limits, ..Feed::default() });
            }
            check(&repository, algorithm, &pack, Feed { part: 1, read: 1, limits: no_cache });
        }
    }
}

#[test]
fn a_thin_pack_is_completed_so_that_git_reads_it() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let repository = history(algorithm, 12);
        let all = objects(&repository);
        for options in [&["--thin"][..], &["--thin", "--delta-base-offset"]] {
            let pack = repository.pack(options, &["HEAD", "^HEAD~3"]);
            for part in [1, 7, 1 << 20] {
                let feed = Feed { part, ..Feed::default() };
                let Outcome { indexed, body } = index(algorithm, &pack, &all, feed).unwrap();
                let appended = indexed.objects.iter().filter(|object| object.appended);
                assert!(appended.clone().count() > 0, "the pack is not thin");
                assert!(appended.clone().all(|object| matches!(object.entry, EntryKind::Whole(_))));
                check_facts(algorithm, &indexed, &all);
                let completed = sealed(algorithm, indexed.objects.len() as u32, &body);
                // git wants nothing from the repository to index what was thin.
                let other = GitRepository::new(algorithm);
                other.pack_file(&completed);
                other.git(&["index-pack", "test.pack"]);
                let verified = verify_pack(&repository, &completed);
                assert_eq!(verified.len(), indexed.objects.len());
                for object in &indexed.objects {
                    assert_eq!(verified[&object.id].3, object.offset + 12);
                }
            }
        }
    }
}

#[test]
fn a_thin_pack_whose_bases_are_nowhere_is_refused_and_says_which() {
    let algorithm = HashAlgorithm::Sha1;
    let repository = history(algorithm, 12);
    let pack = repository.pack(&["--thin"], &["HEAD", "^HEAD~3"]);
    let error = index(algorithm, &pack, &Objects::new(), Feed::default()).err().unwrap();
    let crate::pack::PackError::MissingBases { ids, count, deltas } = error else {
        panic!("{error}");
    };
    assert!(count >= 1 && ids.len() == count && deltas >= count);
    assert!(ids.iter().all(|id| objects(&repository).contains_key(id)));
}

/// Entries of a pack of deltas by id in any order, some of them twice or not at all.
#[test]
fn it_takes_entries_in_any_order_where_git_takes_them() {
    let algorithm = HashAlgorithm::Sha1;
    let repository = history(algorithm, 6);
    let pack = repository.pack(&["--all"], &[]);
    let stored = index(algorithm, &pack, &Objects::new(), Feed::default()).unwrap();
    let entries: Vec<&[u8]> = stored
        .indexed
        .objects
        .iter()
        .map(|object| &stored.body[object.offset as usize..][..object.packed_len as usize])
        .collect();
    let fresh = GitRepository::new(algorithm);
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..60 {
        let mut chosen: Vec<&[u8]> = entries.clone();
        for at in (1..chosen.len()).rev() {
            chosen.swap(at, random(at + 1));
        }
        if round % 3 == 1 {
            (0..5).for_each(|_| chosen.push(entries[random(entries.len())]));
        }
        if round % 3 == 2 {
            (0..1 + round % 4 * 3).for_each(|_| {
                chosen.swap_remove(random(chosen.len()));
            });
        }
        let pack = sealed(algorithm, chosen.len() as u32, &chosen.concat());
        fresh.pack_file(&pack);
        let git = fresh.run(&["index-pack", "-o", "test.idx", "test.pack"], b"");
        let limits = IndexLimits { cache_bytes: 5000, ..IndexLimits::default() };
        let ours = index(algorithm, &pack, &Objects::new(), Feed { limits, ..Feed::default() });
        // A base that comes twice is where git gives up.
        let same =
            git.ok == ours.is_ok() || round % 3 == 1 && git.stderr.contains("duplicate base");
        assert!(same, "{} {:?}", git.stderr, ours.err());
        match ours {
            Ok(found) => {
                taken += 1;
                let ids = |objects: &[super::IndexedObject]| -> BTreeSet<ObjectId> {
                    objects.iter().map(|object| object.id).collect()
                };
                if round % 3 < 2 {
                    assert_eq!(ids(&found.indexed.objects), ids(&stored.indexed.objects));
                }
                assert_eq!(found.indexed.duplicates, if round % 3 == 1 { 5 } else { 0 });
            }
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 20 && refused > 3);
}
