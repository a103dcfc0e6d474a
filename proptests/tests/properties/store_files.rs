//! Whatever a store's files hold, reading them neither panics nor asks for memory that they
//! do not justify, and what it returns under an id hashes to that id.
//!
//! A fuzzer's work, done as a property: files of a real store are cut, overwritten, spliced
//! and grown, and where a checksum would end the matter early it is made right again.
//! `PROPTEST_CASES` sets how many stores are tried.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHead};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::Found;
use gitstratum_host::Disk;
use gitstratum_store::{Fsync, SegmentStore, Store, StoreOptions, offline};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What the process may map in all. A length that is believed before it is checked asks for
/// more than this.
const ADDRESS_SPACE_BYTES: u64 = 3 << 30;

/// Objects of every size class: raw, packed, and in files of their own.
fn objects() -> Vec<Object> {
    let sizes = [0, 1, 40, 700, 700, 5_000, 90_000, 1_500_000];
    let object = |(n, size): (usize, &usize)| {
        let data: Vec<u8> =
            (0..*size).map(|at| (at * (n + 3) % 251 / (1 + at % 3)) as u8).collect();
        let algorithm = [HashAlgorithm::Sha1, HashAlgorithm::Sha256][n % 2];
        Object::hash(algorithm, Kind::Blob, data.into()).expect("no collision attack")
    };
    sizes.iter().enumerate().map(object).collect()
}

fn options() -> StoreOptions {
    StoreOptions::new(NodeId::new("n1"), Fsync::Never).segment_bytes_max(20_000)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(work)
}

/// The files of a store with sealed segments, an active one, tombstones, damage on its list,
/// a place of scrub and a word that it was closed.
static FILES: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    run(async {
        let store = SegmentStore::open(Disk::new(dir.path()), options()).await.expect("it opens");
        for object in objects() {
            put(&store, &object).await;
        }
        store.seal().await.expect("there is room");
        let extra: Vec<Object> = (0..9_u8)
            .map(|n| Object::hash(HashAlgorithm::Sha1, Kind::Tree, vec![n; 90].into()))
            .collect::<Result<_, _>>()
            .expect("no collision attack");
        for object in &extra {
            put(&store, object).await;
        }
        store.delete(&[extra[0].id(), objects()[3].id()]).await.expect("there is room");
        store.scrub(None).await.expect("it reads");
        store.close().await;
    });
    read_all(dir.path(), dir.path())
});

async fn put(store: &SegmentStore, object: &Object) {
    if object.data().len() < 1 << 20 {
        let stored = store.put(vec![object.clone()]).await.remove(0);
        stored.expect("there is room");
        return;
    }
    let ObjectHead { id, kind, size_bytes } = object.head();
    let head = ObjectHead { id, kind, size_bytes };
    let mut writer = store.put_large(head).await.expect("there is room");
    for part in object.data().chunks(64 << 10) {
        writer.write(Bytes::copy_from_slice(part)).await.expect("there is room");
    }
    writer.finish().await.expect("it hashes to its id");
}

fn read_all(root: &Path, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files.extend(read_all(root, &path));
        } else {
            let name = path.strip_prefix(root).expect("below the root").to_owned();
            files.insert(name, fs::read(&path).expect("it can be read"));
        }
    }
    files
}

/// One thing that is done to one file.
#[derive(Clone, Debug)]
enum Change {
    Flip {
        at: Index,
        bit: u8,
    },
    Overwrite {
        at: Index,
        with: Vec<u8>,
    },
    /// A field of so many bytes becomes a number that arithmetic may fear.
    Number {
        at: Index,
        bytes: usize,
        number: u64,
    },
    Cut {
        at: Index,
    },
    Grow {
        with: Vec<u8>,
    },
    /// A piece of another file.
    Splice {
        at: Index,
        from: Index,
        begin: Index,
        len: usize,
    },
}

fn numbers() -> impl Strategy<Value = u64> {
    let fixed = [0, 1, 0x7f, 0xff, 0xffff, 1 << 24, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX];
    prop_oneof![prop::sample::select(fixed.to_vec()), any::<u64>()]
}

fn changes() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        1 => (at(), vec(any::<u8>(), 1..40)).prop_map(|(at, with)| Change::Overwrite { at, with }),
        4 => (at(), prop::sample::select(vec![1, 4, 8]), numbers())
            .prop_map(|(at, bytes, number)| Change::Number { at, bytes, number }),
        1 => at().prop_map(|at| Change::Cut { at }),
        1 => vec(any::<u8>(), 1..200).prop_map(|with| Change::Grow { with }),
        1 => (at(), at(), at(), 1..300_usize)
            .prop_map(|(at, from, begin, len)| Change::Splice { at, from, begin, len }),
    ]
}

/// A third of all places are among the first bytes, and a third among the very first: that
/// is where lengths are.
fn place(at: &Index, len: usize) -> usize {
    let len = len.max(1);
    let anywhere = at.index(3 * len);
    match anywhere / len {
        0 => anywhere,
        1 => anywhere % 160.min(len),
        _ => anywhere % 48.min(len),
    }
}

fn write_over(file: &mut [u8], at: usize, with: &[u8]) {
    file[at..].iter_mut().zip(with).for_each(|(byte, new)| *byte = *new);
}

fn apply(change: &Change, file: &mut Vec<u8>) {
    let len = file.len();
    match change {
        Change::Cut { at } => file.truncate(place(at, len)),
        Change::Grow { with } => file.extend(with),
        _ if len == 0 => {}
        Change::Flip { at, bit } => file[place(at, len)] ^= 1 << bit,
        Change::Overwrite { at, with } => write_over(file, place(at, len), with),
        Change::Number { at, bytes, number } => {
            // Fields of four and eight bytes begin at multiples of four.
            let at = if *bytes == 1 { place(at, len) } else { place(at, len) & !3 };
            write_over(file, at, &number.to_le_bytes()[..*bytes]);
        }
        Change::Splice { at, from, begin, len: piece } => {
            let source = FILES.values().nth(from.index(FILES.len())).expect("within them");
            let begin = place(begin, source.len()).min(source.len());
            let end = (begin + piece).min(source.len());
            write_over(file, place(at, len), &source[begin..end]);
        }
    }
}

/// Makes checksums hold again where they are easily found, so that what is behind them is
/// read too.
fn mend(name: &Path, file: &mut [u8]) {
    let crc_of = |covered: &[u8]| crc32c::crc32c(covered).to_le_bytes();
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("seg") if file.len() >= 28 => {
            let crc = crc_of(&file[..24]);
            file[24..28].copy_from_slice(&crc);
            let segment: Vec<u8> = file[12..24].to_vec();
            for at in 28..file.len() {
                mend_record(file, at, &segment);
            }
        }
        Some("idx") => mend_index(name, file),
        None => mend_lines(file),
        _ => {}
    }
}

/// The header of a record at `at`, if its magic and algorithm still say that one is there.
fn mend_record(file: &mut [u8], at: usize, segment: &[u8]) {
    let [a, b, c, d, _, algorithm, ..] = file[at..] else { return };
    let original = FILES.iter().find(|(name, _)| name.extension().is_some_and(|e| e == "seg"));
    let magic = &original.expect("there are segments").1[28..32];
    let id_bytes = match algorithm {
        1 => 20,
        2 => 32,
        _ => return,
    };
    let end = at + 16 + id_bytes;
    if [a, b, c, d] != *magic || end + 4 > file.len() {
        return;
    }
    let crc = crc32c::crc32c(&file[at..end]);
    let crc = crc32c::crc32c_append(crc, segment);
    let crc = crc32c::crc32c_append(crc, &(at as u64).to_le_bytes());
    file[end..end + 4].copy_from_slice(&crc.to_le_bytes());
}

/// What a checksum of an index is over, beside the head's own, and where it is.
struct Covered {
    /// A bucket's number is part of it.
    bucket: Option<u64>,
    from: usize,
    to: usize,
}

impl Covered {
    fn crc(&self, head_crc: u32, file: &[u8]) -> [u8; 4] {
        let number = self.bucket.map(u64::to_le_bytes);
        let number = number.as_ref().map_or(&[][..], |number| &number[..]);
        let crc = crc32c::crc32c_append(head_crc, number);
        crc32c::crc32c_append(crc, &file[self.from..self.to]).to_le_bytes()
    }

    /// The part of a file that begins at `from` and has its checksum behind it.
    fn find(file: &[u8], head_crc: u32, from: usize, bucket: Option<u64>) -> Option<Self> {
        let mut parts = (from..file.len() - 3).map(|to| Covered { bucket, from, to });
        parts.find(|part| part.crc(head_crc, file) == file[part.to..part.to + 4])
    }
}

/// Where an index has its checksums: the head ends where its own holds, the directory where
/// the next does, and the buckets follow. That is looked for in the file as it was.
fn checksums(file: &[u8]) -> (usize, Vec<Covered>) {
    let holds = |&end: &usize| crc32c::crc32c(&file[..end]).to_le_bytes() == file[end..end + 4];
    let head = (40..file.len() - 4).find(holds).expect("an index has a head");
    let head_crc = crc32c::crc32c(&file[..head]);
    let directory = Covered::find(file, head_crc, head + 4, None).expect("and a directory");
    let mut parts = vec![directory];
    for number in 0.. {
        let from = parts.last().expect("there is one").to + 4;
        match Covered::find(file, head_crc, from, Some(number)) {
            Some(bucket) => parts.push(bucket),
            None => {
                assert_eq!((from, number > 0), (file.len(), true), "buckets fill the rest");
                return (head, parts);
            }
        }
    }
    unreachable!("a file ends")
}

fn mend_index(name: &Path, file: &mut [u8]) {
    static CHECKSUMS: LazyLock<BTreeMap<PathBuf, (usize, Vec<Covered>)>> = LazyLock::new(|| {
        let indexes = FILES.iter().filter(|(name, _)| name.extension().is_some_and(|e| e == "idx"));
        indexes.map(|(name, file)| (name.clone(), checksums(file))).collect()
    });
    let (head, parts) = &CHECKSUMS[name];
    if head + 4 > file.len() {
        return;
    }
    let head_crc = crc32c::crc32c(&file[..*head]);
    file[*head..head + 4].copy_from_slice(&head_crc.to_le_bytes());
    let len = file.len();
    for part in parts.iter().filter(|part| part.to + 4 <= len) {
        let crc = part.crc(head_crc, file);
        file[part.to..part.to + 4].copy_from_slice(&crc);
    }
}

/// Lists have a checksum before each line.
fn mend_lines(file: &mut [u8]) {
    for line in file.split_mut(|byte| *byte == b'\n') {
        if line.len() > 9 && line[8] == b' ' {
            let crc = format!("{:08x}", crc32c::crc32c(&line[9..]));
            line[..8].copy_from_slice(crc.as_bytes());
        }
    }
}

/// Reads all that a store says; its answers are right or errors.
async fn read(dir: &Path) -> Result<(), TestCaseError> {
    let disk = Disk::new(dir);
    // Both look at the files as they are; what they find is theirs to say.
    let _ = offline::stats(&disk).await;
    let _ = offline::verify(&disk, |_, _| {}).await;
    let Ok(store) = SegmentStore::open(disk, options()).await else { return Ok(()) };
    let known = objects();
    for object in &known {
        if let Ok(Found::Object(found)) = store.get(object.id()).await {
            prop_assert_eq!(found.data(), object.data(), "other bytes under {}", object.id());
        }
        if let Ok(Some(mut reader)) = store.get_large(object.id()).await {
            let mut data = Vec::new();
            let complete = loop {
                match reader.next().await {
                    Ok(Some(part)) => data.extend_from_slice(&part),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            prop_assert!(!complete || data == object.data()[..], "other bytes, in parts");
        }
    }
    let ids: Vec<_> = known.iter().map(Object::id).collect();
    let _ = store.has(&ids).await;
    let _ = store.scrub(None).await;
    let _ = store.compact(gitstratum_store::CompactOptions::default()).await;
    let _ = store.stats();
    // What is put now is there, whatever was there before.
    let fresh = Object::hash(HashAlgorithm::Sha1, Kind::Blob, Bytes::from_static(b"fresh"));
    let fresh = fresh.expect("no collision attack");
    if store.put(vec![fresh.clone()]).await.remove(0).is_ok() {
        let found = store.get(fresh.id()).await;
        prop_assert!(matches!(found, Ok(Found::Object(_))), "{found:?} after a put");
    }
    store.close().await;
    Ok(())
}

proptest! {
    #[test]
    fn readers_of_a_store_s_files_survive_whatever_is_in_them(
        changed in vec((any::<Index>(), vec(changes(), 1..4), any::<bool>()), 1..4),
    ) {
        let limit = rustix::process::Rlimit {
            current: Some(ADDRESS_SPACE_BYTES),
            maximum: rustix::process::getrlimit(rustix::process::Resource::As).maximum,
        };
        rustix::process::setrlimit(rustix::process::Resource::As, limit).expect("it is lowered");
        let mut files = FILES.clone();
        for (which, changes, mended) in &changed {
            let (name, file) = files.iter_mut().nth(which.index(FILES.len())).expect("within");
            changes.iter().for_each(|change| apply(change, file));
            if *mended {
                mend(&name.clone(), file);
            }
        }
        let dir = tempfile::tempdir().expect("a directory");
        for (name, file) in &files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("below the root")).expect("it is made");
            fs::write(path, file).expect("there is room");
        }
        run(read(dir.path()))?;
    }
}
