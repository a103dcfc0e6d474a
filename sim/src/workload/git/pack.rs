//! Pack writer and reader.
//!
//! What is written has whole objects alone, in the order given. What is read may have deltas, by
//! offset or by id, and over objects that the reader has already (a thin pack).

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use gitstratum_core::object::{Kind, ObjectId};
use sha1::{Digest, Sha1};

use super::delta;
use super::object::{Made, id_of};

/// Bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 20;
/// An object of a run is far smaller; a size beyond this is damage.
const OBJECT_BYTES_MAX: usize = 64 << 20;

/// Objects by id.
pub(super) type Objects = BTreeMap<ObjectId, (Kind, Bytes)>;

/// A pack of these.
pub(super) fn write<'a>(objects: impl ExactSizeIterator<Item = &'a Made>) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&u32::try_from(objects.len()).expect("a handful").to_be_bytes());
    for object in objects {
        let number = match object.kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
            Kind::Chunk => unreachable!("nobody makes one"),
        };
        write_head(&mut pack, number, object.data.len());
        let mut encoder = ZlibEncoder::new(&mut pack, Compression::fast());
        encoder
            .write_all(&object.data)
            .and_then(|()| encoder.finish().map(drop))
            .expect("to memory");
    }
    let checksum = Sha1::digest(&pack);
    pack.extend_from_slice(&checksum);
    pack
}

/// Three bits of type and four of size, then seven bits of size a byte.
fn write_head(pack: &mut Vec<u8>, number: u8, size: usize) {
    let (mut byte, mut rest) = (number << 4 | (size & 0xf) as u8, size >> 4);
    while rest > 0 {
        pack.push(byte | 0x80);
        (byte, rest) = ((rest & 0x7f) as u8, rest >> 7);
    }
    pack.push(byte);
}

/// What an entry is.
enum Entry {
    Whole(Kind),
    /// Over the entry that begins there.
    OffsetDelta(usize),
    RefDelta(ObjectId),
}

/// The objects of a pack, by ids that are computed from what they contain; `held` is what the
/// reader has.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(pack: &[u8], held: &Objects) -> Result<Objects, String> {
    let body = pack.len().checked_sub(CHECKSUM_BYTES).filter(|body| *body >= 12);
    let (body, checksum) = pack.split_at(body.ok_or("the pack is shorter than an empty one")?);
    if Sha1::digest(body).as_slice() != checksum {
        return Err("the pack's checksum is wrong".to_owned());
    }
    if body[..8] != *b"PACK\0\0\0\x02" {
        return Err("this is no pack of version 2".to_owned());
    }
    let count = u32::from_be_bytes(body[8..12].try_into().expect("four bytes"));
    let mut at = 12;
    let (mut found, mut waiting) = (Found::default(), Vec::new());
    for _ in 0..count {
        let begin = at;
        let (entry, size) = read_head(body, &mut at)?;
        let data = inflate(body, &mut at, size)?;
        match entry {
            Entry::Whole(kind) => found.add(begin, kind, data),
            delta => waiting.push((begin, delta, data)),
        }
    }
    if at != body.len() {
        return Err(format!("{} bytes follow the pack's last object", body.len() - at));
    }
    found.resolve(waiting, held)?;
    Ok(found.objects)
}

#[derive(Default)]
struct Found {
    objects: Objects,
    /// By where they begin.
    entries: BTreeMap<usize, ObjectId>,
}

impl Found {
    fn add(&mut self, begin: usize, kind: Kind, data: Vec<u8>) {
        let data = Bytes::from(data);
        let id = id_of(kind, data.clone());
        self.entries.insert(begin, id);
        self.objects.insert(id, (kind, data));
    }

    /// Makes objects of deltas, in whatever order their bases are found.
    fn resolve(
        &mut self,
        mut waiting: Vec<(usize, Entry, Vec<u8>)>,
        held: &Objects,
    ) -> Result<(), String> {
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut later = Vec::new();
            for (begin, entry, data) in waiting {
                let base = match &entry {
                    Entry::OffsetDelta(base) => self.entries.get(base),
                    Entry::RefDelta(id) => Some(id),
                    Entry::Whole(_) => unreachable!("only deltas wait"),
                };
                let base = base.and_then(|id| self.objects.get(id).or_else(|| held.get(id)));
                match base {
                    Some((kind, base)) => {
                        let (kind, made) = (*kind, delta::apply(base, &data)?);
                        self.add(begin, kind, made);
                    }
                    None => later.push((begin, entry, data)),
                }
            }
            if later.len() == before {
                return Err(format!("{before} deltas of the pack have no base"));
            }
            waiting = later;
        }
        Ok(())
    }
}

fn read_head(body: &[u8], at: &mut usize) -> Result<(Entry, usize), String> {
    let begin = *at;
    let first = byte(body, at)?;
    let (mut size, mut shift, mut last) = (usize::from(first & 0xf), 4, first);
    while last & 0x80 != 0 {
        last = byte(body, at)?;
        size |= usize::from(last & 0x7f) << shift;
        shift += 7;
        if shift > 32 {
            break;
        }
    }
    if size > OBJECT_BYTES_MAX {
        return Err(format!("an object of {size} bytes at {begin} of the pack"));
    }
    let entry = match first >> 4 & 7 {
        1 => Entry::Whole(Kind::Commit),
        2 => Entry::Whole(Kind::Tree),
        3 => Entry::Whole(Kind::Blob),
        4 => Entry::Whole(Kind::Tag),
        6 => {
            // Seven bits a byte, the highest first, and one more for each byte that follows.
            let mut next = byte(body, at)?;
            let mut distance = usize::from(next & 0x7f);
            while next & 0x80 != 0 && distance < body.len() {
                next = byte(body, at)?;
                distance = (distance + 1) << 7 | usize::from(next & 0x7f);
            }
            let base = begin.checked_sub(distance).ok_or("a base before the pack's beginning")?;
            Entry::OffsetDelta(base)
        }
        7 => {
            let raw = body.get(*at..*at + 20).ok_or("the pack ends in an id")?;
            *at += 20;
            Entry::RefDelta(ObjectId::from_bytes(raw).expect("twenty bytes"))
        }
        number => return Err(format!("an entry of type {number} at {begin} of the pack")),
    };
    Ok((entry, size))
}

fn byte(body: &[u8], at: &mut usize) -> Result<u8, String> {
    let byte = body.get(*at).ok_or("the pack ends in the head of an entry")?;
    *at += 1;
    Ok(*byte)
}

fn inflate(body: &[u8], at: &mut usize, size: usize) -> Result<Vec<u8>, String> {
    let mut state = Decompress::new(true);
    // With room for one byte more, so that data which goes on is seen.
    let mut data = Vec::with_capacity(size + 1);
    let status = state.decompress_vec(&body[*at..], &mut data, FlushDecompress::Finish);
    if !matches!(status, Ok(Status::StreamEnd)) || data.len() != size {
        return Err(format!("the data at {at} of the pack does not inflate to {size} bytes"));
    }
    *at += usize::try_from(state.total_in()).expect("no more than there is");
    Ok(data)
}
