//! Memory of the indexer: it stays what the limits say, whatever a pack claims or does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use gitstratum_core::object::{HashAlgorithm, Kind};
use gitstratum_git::fsck::Policy;
use gitstratum_git::pack::PackError;
use gitstratum_git::pack::entry::EntryKind;
use gitstratum_git::pack::index::{IndexLimits, Indexer, Step};

/// Counts what is held, and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// So many zeros, deflated without ever being in memory.
fn deflated_zeros(mebibytes: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; MIB];
    (0..mebibytes).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

fn entry(kind: EntryKind, size: usize, packed: &[u8], body: &mut Vec<u8>) {
    kind.write_header(body.len() as u64, size as u64, body);
    body.extend_from_slice(packed);
}

/// What indexing a body comes to, and the most that it held meanwhile.
fn held(objects: u32, body: &[u8], limits: IndexLimits) -> (Result<usize, PackError>, usize) {
    let body = Bytes::copy_from_slice(body);
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let run = || {
        let mut indexer = Indexer::new(HashAlgorithm::Sha1, objects, Policy::default(), limits)?;
        for part in body.chunks(64 << 10) {
            indexer.feed(part)?;
        }
        indexer.finish_input()?;
        loop {
            match indexer.step()? {
                Step::Again | Step::Append(_) => {}
                Step::Done => return Ok(indexer.finish().objects.len()),
                Step::Read { offset, len } => {
                    let begin = offset as usize;
                    indexer.provide_body(offset, body.slice(begin..begin + len));
                }
                Step::Bases(ids) => {
                    for id in ids {
                        indexer.provide_base(id, None)?;
                    }
                }
            }
        }
    };
    let outcome = run();
    (outcome, MOST.load(Ordering::Relaxed) - before)
}

/// One test, because all of a process are counted together.
#[test]
fn memory_is_what_the_limits_say() {
    const WHOLE: EntryKind = EntryKind::Whole(Kind::Blob);
    let limits = IndexLimits::default();

    // Millions of objects are claimed, and there is one.
    let mut body = Vec::new();
    entry(WHOLE, 5, &deflated(b"alone"), &mut body);
    let (outcome, most) = held(limits.objects, &body, limits);
    assert!(matches!(outcome, Err(PackError::Ended(_))) && most < 2 * MIB, "{most}");

    // A gigabyte of zeros in a megabyte.
    let mut body = Vec::new();
    entry(WHOLE, 1024 * MIB, &deflated_zeros(1024), &mut body);
    let (outcome, most) = held(1, &body, limits);
    assert!(outcome == Ok(1) && most < 2 * MIB, "{outcome:?} {most}");

    // A tree of 100 MiB is claimed, and there is nothing.
    let mut body = Vec::new();
    entry(EntryKind::Whole(Kind::Tree), 100 * MIB, &deflated(b""), &mut body);
    let (outcome, most) = held(1, &body, limits);
    assert!(matches!(outcome, Err(PackError::EntrySize { .. })) && most < 2 * MIB, "{most}");

    // Many deltas of a few bytes that come to 16 MiB each, one on the other: what is held is the
    // cache, and what one of them takes.
    let small = IndexLimits { cache_bytes: 8 * MIB, ..limits };
    let (mut body, mut base) = (Vec::new(), 0);
    entry(WHOLE, 16 * MIB, &deflated_zeros(16), &mut body);
    for number in 1..41u8 {
        let copy_16_mib_but_one = [0xf0, 0xff, 0xff, 0xff];
        let sizes = [0x80, 0x80, 0x80, 0x08].repeat(2);
        let delta = [&sizes[..], &copy_16_mib_but_one, &[1, number]].concat();
        let at = body.len() as u64;
        entry(EntryKind::OfsDelta { base }, delta.len(), &deflated(&delta), &mut body);
        base = at;
    }
    let (outcome, most) = held(41, &body, small);
    assert!(outcome == Ok(41) && most < (8 + 2 * 16 + 2) * MIB, "{outcome:?} {most}");

    // A hundred thousand objects take what is known of each.
    let mut body = Vec::new();
    for number in 0..100_000u32 {
        entry(WHOLE, 4, &deflated(&number.to_le_bytes()), &mut body);
    }
    let no_cache = IndexLimits { cache_bytes: 0, ..limits };
    let (outcome, most) = held(100_000, &body, no_cache);
    assert!(outcome == Ok(100_000) && most < 100_000 * 400, "{outcome:?} {most}");
}
