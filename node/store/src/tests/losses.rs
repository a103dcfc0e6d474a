//! Files of a store that are cut, emptied, removed, or replaced by an earlier copy: the store
//! never calls absent what it had acknowledged, `verify` never ends sound, and after what is
//! missing was put again nothing is called damaged any more.

use std::collections::BTreeMap;

use gitstratum_core::replica::{Found, StoreError};
use gitstratum_host::disk::{Scratch, WHOLE_FILE_BYTES_MAX};

use super::*;
use crate::files::names::segment_path;
use crate::format::segment::SegmentId;

/// A store's files.
type Files = BTreeMap<String, Bytes>;

/// What becomes of a file.
#[derive(Clone, Debug)]
enum Change {
    Cut(usize),
    Remove,
    Replace(Bytes),
}

fn options() -> StoreOptions {
    StoreOptions::new(NodeId::new("n1"), Fsync::Always).segment_bytes_max(1_500)
}

async fn open_small(disk: &Disk) -> Arc<SegmentStore> {
    SegmentStore::open(disk.clone(), options()).await.unwrap()
}

async fn read_files(disk: &Disk) -> Files {
    let mut files = Files::new();
    for dir in ["", "segments", "large"] {
        for name in disk.list(dir).await.unwrap() {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            // A directory cannot be read.
            if let Ok(bytes) = disk.read_whole(&path).await {
                assert!((bytes.len() as u64) < WHOLE_FILE_BYTES_MAX);
                files.insert(path, bytes);
            }
        }
    }
    files
}

/// A disk with these files.
async fn disk_with(files: &Files) -> Scratch {
    let scratch = scratch();
    for dir in ["segments", "large"] {
        scratch.disk.create_dir_all(dir).await.unwrap();
    }
    for (path, bytes) in files {
        let file = scratch.disk.open(path, OpenMode::CreateNew).await.unwrap();
        file.write_at(0, vec![bytes.clone()]).await.unwrap();
    }
    scratch
}

fn large_object(n: u8) -> Object {
    let data = vec![n; limits::OBJECT_BYTES_WHOLE_MAX + 1];
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data.into()).unwrap()
}

async fn put_any(store: &SegmentStore, object: &Object) {
    let parts: Vec<_> =
        object.data().chunks(limits::PART_BYTES_MAX).map(Bytes::copy_from_slice).collect();
    put_parts(store, object.head(), &parts).await.unwrap();
}

/// A store of every kind of file, after a clean close; its files then, and at an earlier close.
struct Fixture {
    files: Files,
    earlier: Files,
    held: Vec<Object>,
}

impl Fixture {
    async fn new() -> Self {
        let scratch = scratch();
        let disk = &scratch.disk;
        let objects = blobs(40);
        let store = open_small(disk).await;
        for object in &objects[..15] {
            put_any(&store, object).await;
        }
        put_any(&store, &large_object(1)).await;
        store.scrub(None).await.unwrap();
        store.close().await;
        let earlier = read_files(disk).await;
        let store = open_small(disk).await;
        for object in &objects[15..20] {
            put_any(&store, object).await;
        }
        // Of what is compacted, and of a large object.
        let mut gone: Vec<_> = objects[..12].iter().step_by(2).map(Object::id).collect();
        gone.push(large_object(2).id());
        put_any(&store, &large_object(2)).await;
        store.delete(&gone).await.unwrap();
        store.seal().await.unwrap();
        let worth = CompactOptions { garbage_share_min: 0.2, bytes_per_second: None };
        assert!(store.compact(worth).await.unwrap().segments > 0);
        for object in &objects[20..] {
            put_any(&store, object).await;
        }
        put_any(&store, &large_object(3)).await;
        store.close().await;
        let larges = [large_object(1), large_object(3)];
        let held = objects.into_iter().chain(larges);
        let held = held.filter(|object| !gone.contains(&object.id())).collect();
        Fixture { files: read_files(disk).await, earlier, held }
    }
}

/// Offsets at which records begin.
fn records(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"GSR1")).collect()
}

/// All that can become of a file: cut at every record or line and in between, or at some other
/// places, emptied, removed, swapped.
fn changes(path: &str, fixture: &Fixture) -> Vec<Change> {
    let bytes = &fixture.files[path];
    let mut cuts = vec![0, 1, bytes.len() / 2, bytes.len().saturating_sub(1)];
    if path.ends_with(".seg") {
        let begin = records(bytes);
        cuts.extend(begin.iter().flat_map(|at| [at - 1, *at, at + 7, at + 50]));
    } else if !path.contains('/') {
        let ends = (0..bytes.len()).filter(|at| bytes[*at] == b'\n');
        cuts.extend(ends.flat_map(|at| [at, at + 1, at + 5]));
    }
    cuts.retain(|at| *at < bytes.len());
    cuts.sort_unstable();
    cuts.dedup();
    let mut changes: Vec<_> = cuts.into_iter().map(Change::Cut).collect();
    changes.push(Change::Remove);
    if let Some(earlier) = fixture.earlier.get(path)
        && earlier != bytes
    {
        changes.push(Change::Replace(earlier.clone()));
    }
    changes
}

/// Why the loss of a file costs nothing.
fn costs_nothing(path: &str) -> Option<&'static str> {
    match path {
        "scrub" => Some("remembers when all was read; without it, it is read again"),
        "manifest" | "segments/manifest" => Some("there is another copy"),
        path if path.ends_with(".idx") => Some("is made again from its segment"),
        _ => None,
    }
}

fn apply(files: &mut Files, path: &str, change: &Change) {
    match change {
        Change::Cut(len) => {
            let cut = files[path].slice(..*len);
            files.insert(path.to_owned(), cut);
        }
        Change::Remove => drop(files.remove(path)),
        Change::Replace(bytes) => drop(files.insert(path.to_owned(), bytes.clone())),
    }
}

async fn problems(disk: &Disk) -> Vec<String> {
    match offline::verify(disk, |_, _| {}).await {
        Ok(verified) => verified.problems,
        Err(error) => vec![error.to_string()],
    }
}

/// Gets everything: right bytes, or damaged, and never absent. How many are damaged.
async fn damaged(store: &SegmentStore, held: &[Object], what: &str) -> usize {
    let mut damaged = 0;
    for object in held {
        match store.get(object.id()).await {
            Ok(Found::Object(found)) => assert_eq!(found, *object, "{what}"),
            Ok(Found::Large(head)) => match read_parts(store, head.id).await {
                Ok(data) => assert!(data == object.data()[..], "{what}"),
                Err(StoreError::Damaged { .. }) => damaged += 1,
                Err(error) => panic!("{what}: {error}"),
            },
            Err(StoreError::Damaged { .. }) => damaged += 1,
            other => panic!("{what}: {} was acknowledged: {other:?}", object.id()),
        }
    }
    damaged
}

/// Looks at a store of which something is lost, until all is well again.
async fn look(files: &Files, held: &[Object], lost: Option<&str>, what: &str) {
    let scratch = disk_with(files).await;
    let disk = &scratch.disk;
    let said = problems(disk).await;
    match lost {
        Some(path) => {
            let names = said.iter().any(|problem| problem.contains(path));
            assert!(names, "{what}: verify does not name {path}: {said:?}");
        }
        None => assert_eq!(said, Vec::<String>::new(), "{what}"),
    }
    for opening in 0..2 {
        let store = match SegmentStore::open(disk.clone(), options()).await {
            Ok(store) => store,
            // It says which file, and changes nothing.
            Err(error) if lost.is_some_and(|path| error.to_string().contains(path)) => return,
            Err(error) => panic!("{what}: {error}"),
        };
        let found = damaged(&store, held, what).await;
        let counted = store.stats().damaged_objects;
        match lost {
            // Without it whose the data is has to be said anew, and nothing else.
            Some("node") => assert_eq!((found, counted), (0, 0), "{what}"),
            Some(_) => assert!(counted > 0, "{what}: opening {opening} counts no damage"),
            None => assert_eq!((found, counted), (0, 0), "{what}"),
        }
        store.close().await;
        let still = lost.is_some_and(|path| path != "node");
        assert_eq!(!problems(disk).await.is_empty(), still, "{what}: verify after opening");
    }

    // What repair does: it puts all again, has compared with every peer, and says so.
    let store = open_small(disk).await;
    let known = store.unidentified();
    for object in held {
        put_any(&store, object).await;
    }
    store.make_up_for(&known).await.unwrap();
    for _ in 0..2 {
        assert_eq!(damaged(&store, held, what).await, 0, "{what}: after repair");
        assert_eq!(store.stats().damaged_objects, 0, "{what}: after repair");
        let never = store.get(blob("never put").id()).await;
        assert!(matches!(never, Ok(Found::Absent)), "{what}: after repair: {never:?}");
        store.close().await;
    }
    let after = offline::verify(disk, |_, _| {}).await.unwrap();
    assert_eq!(after.problems, Vec::<String>::new(), "{what}: after repair");
    let store = open_small(disk).await;
    assert_eq!(store.stats().damaged_objects, 0, "{what}: opened after repair");
    assert_eq!(damaged(&store, held, what).await, 0, "{what}: opened after repair");
    store.close().await;
}

/// Lets every `stride`-th of all changes happen, each to a store of its own; how many.
async fn everywhere(stride: usize) -> usize {
    let fixture = Fixture::new().await;
    let (mut number, mut looked) = (0, 0);
    for path in fixture.files.keys() {
        if path == identity::LOCK {
            // It has no contents; without it a directory looks like a snapshot that was not
            // completed, and verify says so.
            continue;
        }
        for change in changes(path, &fixture) {
            number += 1;
            if number % stride != 0 {
                continue;
            }
            looked += 1;
            let mut files = fixture.files.clone();
            apply(&mut files, path, &change);
            let lost = costs_nothing(path).is_none().then_some(&**path);
            let what = match &change {
                Change::Replace(_) => format!("{path}: an earlier copy"),
                change => format!("{path}: {change:?} of {}", fixture.files[path].len()),
            };
            look(&files, &fixture.held, lost, &what).await;
        }
    }
    looked
}

#[tokio::test]
async fn a_file_that_lost_anything_is_damage_and_never_absence() {
    let looked = everywhere(7).await;
    assert!(looked > 30, "{looked} changes");
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn any_file_that_lost_anything_is_damage_and_never_absence() {
    println!("{} changes of files", everywhere(1).await);
}

#[tokio::test]
async fn several_files_that_are_lost_at_once_do_not_hide_one_another() {
    let fixture = Fixture::new().await;
    let Fixture { files, earlier, held } = &fixture;
    let sealed: Vec<_> = files.keys().filter(|path| path.ends_with(".idx")).collect();
    let segment = |index: &str| index.replace(".idx", ".seg");
    let newest = files.keys().rfind(|path| path.ends_with(".seg")).unwrap();
    let manifests = manifest::paths();
    let removed = |paths: &[&str]| {
        let mut left = files.clone();
        paths.iter().for_each(|path| apply(&mut left, path, &Change::Remove));
        left
    };
    let first = segment(sealed[0]);
    look(&removed(&[&first, sealed[0]]), held, Some(&first), "a segment and its index").await;
    let all: Vec<_> = files.keys().filter(|path| path.starts_with("segments/")).collect();
    let all: Vec<_> = all.into_iter().map(|path| &**path).collect();
    look(&removed(&all), held, Some(newest), "all in the directory of segments").await;
    let large: Vec<_> = files.keys().filter(|path| path.starts_with("large/")).collect();
    let large: Vec<_> = large.into_iter().map(|path| &**path).collect();
    look(&removed(&large), held, Some(large[0]), "all large objects").await;
    let both = [&*manifests[0], &*manifests[1]];
    look(&removed(&both), held, Some("manifest"), "both manifests").await;
    let with_both = [both[0], both[1], &first];
    look(&removed(&with_both), held, Some("manifest"), "both manifests and a segment").await;
    let with_names = ["large-names", large[0]];
    look(&removed(&with_names), held, Some("large-names"), "a large object and the names").await;

    let mut older = removed(&[]);
    for path in both {
        older.insert(path.to_owned(), earlier[path].clone());
    }
    look(&older, held, Some("manifest"), "older manifests").await;
    older.remove(&first);
    look(&older, held, Some("manifest"), "older manifests, and a segment is missing").await;
}

#[tokio::test]
async fn damage_that_was_noted_is_not_forgotten_with_the_list_of_it() {
    let fixture = Fixture::new().await;
    let first = fixture.files.keys().find(|path| path.ends_with(".seg")).unwrap();
    let mut files = fixture.files.clone();
    files.remove(first);
    let scratch = disk_with(&files).await;
    open_small(&scratch.disk).await.close().await;
    let noted = read_files(&scratch.disk).await;
    let list = &noted[quarantine::FILE];
    for len in 0..list.len() {
        let mut files = noted.clone();
        apply(&mut files, quarantine::FILE, &Change::Cut(len));
        if len % 9 == 0 {
            let what = format!("the list cut at {len}");
            look(&files, &fixture.held, Some(quarantine::FILE), &what).await;
        }
    }
    let mut files = noted.clone();
    apply(&mut files, quarantine::FILE, &Change::Remove);
    look(&files, &fixture.held, Some(quarantine::FILE), "no list").await;
    look(&noted, &fixture.held, Some(first), "the list as it is").await;
}

#[tokio::test]
async fn a_store_that_an_earlier_version_wrote_gets_a_manifest_and_is_not_damaged() {
    let fixture = Fixture::new().await;
    let mut files = fixture.files.clone();
    for path in ["manifest", "segments/manifest", "large-names"] {
        files.remove(path);
    }
    files.insert(identity::IDENTITY.to_owned(), "gitstratum data 1\nnode n1\n".into());
    let scratch = disk_with(&files).await;
    let disk = &scratch.disk;
    let before = offline::verify(disk, |_, _| {}).await.unwrap();
    assert_eq!(before.problems, Vec::<String>::new());
    assert_eq!(before.remarks.len(), 1, "{before:?}");
    let store = open_small(disk).await;
    assert_eq!(damaged(&store, &fixture.held, "taken over").await, 0);
    assert_eq!(store.stats().damaged_objects, 0);
    store.close().await;
    let taken_over = read_files(disk).await;
    for path in fixture.files.keys().filter(|path| path.ends_with(".seg")) {
        let mut files = taken_over.clone();
        files.remove(path);
        look(&files, &fixture.held, Some(path), &format!("{path} after it was taken over")).await;
    }
    let large = fixture.files.keys().find(|path| path.starts_with("large/")).unwrap();
    let mut files = taken_over.clone();
    files.remove(large);
    look(&files, &fixture.held, Some(large), "a large object after it was taken over").await;
}

#[tokio::test]
async fn a_half_copied_snapshot_is_not_sound() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let store = open_small(disk).await;
    for object in &blobs(30) {
        put_any(&store, object).await;
    }
    put_any(&store, &large_object(1)).await;
    let snapshot = store.snapshot("monday").await.unwrap().path;
    store.close().await;
    let mut files = Files::new();
    for dir in ["", "/segments", "/large"] {
        for name in disk.list(&format!("{snapshot}{dir}")).await.unwrap() {
            let path = format!("{snapshot}{dir}/{name}");
            if let Ok(bytes) = disk.read_whole(&path).await {
                files.insert(path[snapshot.len() + 1..].to_owned(), bytes);
            }
        }
    }
    assert_eq!(problems(&disk_with(&files).await.disk).await, Vec::<String>::new());
    for path in files.keys() {
        let mut left = files.clone();
        left.remove(path);
        let said = problems(&disk_with(&left).await.disk).await;
        assert_eq!(said.is_empty(), costs_nothing(path).is_some(), "without {path}: {said:?}");
    }
}

#[tokio::test]
async fn a_cut_after_a_crash_is_found_as_far_as_the_manifest_knows() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(12);
    let store = open(disk).await;
    put_all(&store, &objects[..6]).await;
    store.close().await;
    let store = open(disk).await;
    put_all(&store, &objects[6..]).await;
    // As a crash leaves it: without the word of a clean close.
    let files = read_files(disk).await;
    store.close().await;
    let path = segment_path(SegmentId::fresh(0));
    let begin = records(&files[&path]);
    assert_eq!(begin.len(), 12);
    for (number, at) in begin.into_iter().enumerate() {
        let mut files = files.clone();
        apply(&mut files, &path, &Change::Cut(at));
        let scratch = disk_with(&files).await;
        let store = open(&scratch.disk).await;
        let found = store.stats().damaged_objects;
        // Behind that, it looks as if they had never been acknowledged.
        assert_eq!(found, u64::from(number < 6), "cut before record {number}");
        for (n, object) in objects.iter().enumerate() {
            match store.get(object.id()).await {
                Ok(Found::Object(_)) => assert!(n < number),
                Err(StoreError::Damaged { .. }) => assert!(n >= number && number < 6),
                Ok(Found::Absent) => assert!(n >= number && number >= 6),
                other => panic!("{other:?}"),
            }
        }
        store.close().await;
    }
}

#[tokio::test]
async fn a_segment_is_missed_from_its_first_record_on_though_the_store_was_never_closed() {
    let scratch = scratch();
    let store = open(&scratch.disk).await;
    let object = blob("first");
    put_all(&store, std::slice::from_ref(&object)).await;
    let mut files = read_files(&scratch.disk).await;
    store.close().await;
    let path = segment_path(SegmentId::fresh(0));
    files.remove(&path);
    look(&files, &[object], Some(&path), "the first segment, after a crash").await;
}

#[tokio::test]
async fn damage_at_the_end_of_a_closed_store_is_that_of_one_object_and_healed_by_a_put() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let objects = blobs(5);
    let store = open(disk).await;
    put_all(&store, &objects).await;
    store.close().await;
    let (path, bytes) = segment_bytes(disk).await;
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    overwrite(disk, &path, flipped.into()).await;
    assert_eq!(problems(disk).await.len(), 1);
    let store = open(disk).await;
    assert!(matches!(store.get(objects[4].id()).await, Err(StoreError::Damaged { .. })));
    assert!(matches!(store.get(blob("never put").id()).await, Ok(Found::Absent)));
    assert_eq!(store.stats().damaged_objects, 1);
    put_all(&store, &objects).await;
    store.close().await;
    let after = offline::verify(disk, |_, _| {}).await.unwrap();
    assert_eq!((after.problems.len(), after.remarks.len()), (0, 1), "{after:?}");
}

#[tokio::test]
async fn what_could_not_be_put_on_the_list_of_damage_is_found_again() {
    let fixture = Fixture::new().await;
    let first = fixture.files.keys().find(|path| path.ends_with(".seg")).unwrap();
    let mut files = fixture.files.clone();
    files.remove(first);
    let scratch = disk_with(&files).await;
    let disk = &scratch.disk;
    // A directory in the place of the file that the list is written to.
    let blocked = names::temporary(quarantine::FILE);
    disk.create_dir_all(&blocked).await.unwrap();
    let store = open_small(disk).await;
    assert!(store.stats().damaged_objects > 0);
    store.close().await;
    assert!(!disk.exists(quarantine::FILE).await.unwrap());
    let left = read_files(disk).await;
    look(&left, &fixture.held, Some(first), "a list that could not be written").await;
}
