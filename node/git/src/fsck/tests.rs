//! Tests of fsck against git's own: both say the same of the same objects.

use std::collections::{BTreeMap, BTreeSet};

use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::{
    Finding, MessageId, Policy, Severity, SpecialBlobs, check_commit, check_special_blob,
    check_tag, check_tree,
};
use crate::object::{TreeEntry, links};
use crate::pack::fixture::{GitRepository, id_of};

mod cases;

type Said = BTreeMap<ObjectId, BTreeSet<String>>;

/// What our fsck says of objects, each with the names that trees among them give it.
fn ours(objects: &BTreeMap<ObjectId, (Kind, Vec<u8>)>) -> Said {
    let policy = Policy::default();
    let mut found: Vec<Finding> = Vec::new();
    let mut special: BTreeMap<ObjectId, SpecialBlobs> = BTreeMap::new();
    for (id, (kind, data)) in objects {
        match kind {
            Kind::Blob | Kind::Chunk => {}
            Kind::Commit => check_commit(&policy, *id, data, &mut found),
            Kind::Tag => check_tag(&policy, *id, data, &mut found),
            Kind::Tree => {
                let each = |entry: &TreeEntry<'_>, names| {
                    let is = special.entry(entry.id).or_default();
                    *is = is.or(names);
                };
                let _ = check_tree(&policy, *id, data, each, &mut found);
            }
        }
    }
    for (id, names) in special {
        if let Some((Kind::Blob, data)) = objects.get(&id) {
            check_special_blob(&policy, names, id, Some(data), &mut found);
        }
    }
    let mut said = Said::new();
    for finding in found {
        said.entry(finding.object).or_default().insert(finding.message.to_string());
    }
    said
}

/// What `git fsck --strict` says of them, and of which it says only that they are corrupt: it parses
/// an object before it checks it.
fn gits(objects: &BTreeMap<ObjectId, (Kind, Vec<u8>)>) -> (Said, BTreeSet<ObjectId>) {
    let repository = GitRepository::new(HashAlgorithm::Sha1);
    for (kind, data) in objects.values() {
        repository.put(*kind, data);
    }
    let ran = repository.run(&["fsck", "--strict", "--no-dangling"], b"");
    let (mut said, mut corrupt) = (Said::new(), BTreeSet::new());
    for line in ran.stderr.lines() {
        let words: Vec<&str> = line.splitn(4, ": ").collect();
        match words[..] {
            ["error", id, "object corrupt or missing" | "object could not be parsed", ..] => {
                corrupt.extend(id.parse::<ObjectId>());
            }
            [about, message, _, ..] => {
                let mut about = about.split(' ').skip(2);
                let Some(id) = about.nth(1).and_then(|id| id.parse().ok()) else { continue };
                said.entry(id).or_default().insert(message.to_owned());
            }
            _ => {}
        }
    }
    (said, corrupt)
}

/// How alike what is said must be.
#[derive(Clone, Copy, PartialEq)]
enum Alike {
    Exactly,
    /// git stops at the first error of a commit or tag, and takes a mode of many digits modulo 65536
    /// where we find no tree; of an object that has several things wrong we say all that it says.
    AtLeast,
}

fn compare(list: Vec<(Kind, Vec<u8>)>, alike: Alike) {
    let objects: BTreeMap<ObjectId, (Kind, Vec<u8>)> = list
        .into_iter()
        .map(|(kind, data)| (id_of(HashAlgorithm::Sha1, kind, &data), (kind, data)))
        .collect();
    let (ours, (gits, corrupt)) = (ours(&objects), gits(&objects));
    assert!(!gits.is_empty(), "git says nothing that this can read");
    let mut differ = String::new();
    for (id, (kind, data)) in &objects {
        let (our, git) = (ours.get(id), gits.get(id));
        let refused = links(HashAlgorithm::Sha1, *kind, data, |_, _| {}).is_err();
        let same = match (our, git) {
            _ if corrupt.contains(id) => our.is_some() || refused,
            (Some(our), _) if alike == Alike::AtLeast && our.contains("badTree") => true,
            (Some(our), Some(git)) if alike == Alike::AtLeast => git.is_subset(our),
            _ => our == git,
        };
        if !same {
            let data = &data[..data.len().min(300)];
            differ += &format!("{kind} {}\n  ours {our:?}\n  git  {git:?}\n", data.escape_ascii());
        }
    }
    assert!(differ.is_empty(), "{differ}");
}

#[test]
fn it_says_what_git_says_of_malformed_trees() {
    compare(cases::trees(), Alike::Exactly);
}

#[test]
fn it_says_what_git_says_of_names_that_file_systems_read_their_own_way() {
    compare(cases::names(), Alike::Exactly);
}

#[test]
fn it_says_what_git_says_of_malformed_commits_and_tags() {
    compare(cases::commits(), Alike::Exactly);
    compare(cases::tags(), Alike::Exactly);
}

#[test]
fn it_says_what_git_says_of_gitmodules_and_gitattributes() {
    compare(cases::special_blobs(), Alike::Exactly);
}

/// Not a property of proptest, because one run of git is to see all objects.
#[test]
fn it_says_what_git_says_of_objects_damaged_anywhere() {
    let sound = [cases::sound_commit(), cases::sound_tag(), cases::sound_tree()];
    let mut damaged = Vec::new();
    let mut state = 7u64;
    for (kind, data) in sound.iter().cycle().take(1500) {
        let mut data = data.clone();
        for _ in 0..=(state >> 40) % 3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % data.len();
            const BYTES: &[u8] = b"\n <>\0/.-+09ag\\:~";
            match state >> 20 & 3 {
                0 => drop(data.remove(at)),
                1 => data.insert(at, BYTES[(state >> 23) as usize % BYTES.len()]),
                2 => data[at] = BYTES[(state >> 23) as usize % BYTES.len()],
                _ => {
                    let end = (at + (state >> 25) as usize % 12).min(data.len());
                    let piece = data[at..end].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
        damaged.push((*kind, data));
    }
    compare(damaged, Alike::AtLeast);
}

/// git itself stumbles over the mark when it reads the file from an object.
#[test]
fn a_byte_order_mark_hides_nothing() {
    let data = "\u{feff}[submodule \"a\"]\r\n\tpath = -a\r\n".as_bytes();
    let id = id_of(HashAlgorithm::Sha1, Kind::Blob, data);
    let mut found = Vec::new();
    let names = SpecialBlobs { modules: true, attributes: false };
    check_special_blob(&Policy::default(), names, id, Some(data), &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].message, found[0].detail.as_str()), (MessageId::GitmodulesPath, "-a"));
}

#[test]
fn a_policy_demotes_errors_but_not_what_is_fatal() {
    let mut policy = Policy::default();
    let data = b"tree 1\n\n\0";
    let id = id_of(HashAlgorithm::Sha1, Kind::Commit, data);
    policy.set("BADTREESHA1".parse().unwrap(), "warn".parse().unwrap()).unwrap();
    policy.set(MessageId::NulInCommit, Severity::Ignore).unwrap();
    policy.set(MessageId::MissingAuthor, Severity::Ignore).unwrap();
    let mut found = Vec::new();
    check_commit(&policy, id, data, &mut found);
    let said: Vec<_> = found.iter().map(|found| (found.message, found.is_error())).collect();
    assert_eq!(said, [(MessageId::BadTreeSha1, false), (MessageId::MissingCommitter, true)]);
    assert_eq!(
        found[0].to_string(),
        format!("warning in commit {id}: badTreeSha1: the 'tree' line has no object id")
    );
    for id in [MessageId::NulInHeader, MessageId::UnterminatedHeader] {
        assert!(policy.set(id, Severity::Warn).is_err());
        assert_eq!(policy.severity(id), Severity::Fatal);
    }
    assert!("noSuchThing".parse::<MessageId>().is_err() && "loud".parse::<Severity>().is_err());
}
