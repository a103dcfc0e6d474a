//! Hint log format.
//!
//! What a hint log is made of: entries in frames.
//!
//! A frame is what one append writes: a mark, its length, its number, a checksum of all that
//! and of the entries that follow. Frames are numbered one after another, so what an append
//! that failed left behind a later, shorter one is taken for none.
//!
//! Invariant: [`parse`] never makes up an entry, and whatever it cannot account for it says:
//! bytes between frames that hold, or after the last.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::ReasonClass;

use super::{DirtyRange, Hint, IdPrefix, Outcome};

/// The version of all that follows the header.
pub(super) const FORMAT: u32 = 1;
/// Begins every file, with that number.
pub(super) const HEADER: &[u8] = b"gitstratum hints 1\n";
/// What the header has before the number.
const HEADER_NAME: &[u8] = b"gitstratum hints ";
/// Begins every frame.
const MARK: [u8; 4] = *b"\xffHF\x01";
/// Mark, length, number, checksum.
pub(super) const FRAME_HEADER_BYTES: usize = 4 + 4 + 8 + 4;

const TAG_HINT: u8 = 1;
const TAG_SETTLED: u8 = 2;
const TAG_DIRTY: u8 = 3;
const TAG_CLEAN: u8 = 4;
const TAG_SETTLED_BEFORE: u8 = 5;

/// What became of hints so far, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The target confirmed the object, or had it already.
    pub delivered: u64,
    /// The object was deleted meanwhile.
    pub deleted: u64,
    /// The target is no replica of the object any more: hints for those that are stand in
    /// for it.
    pub replaced: u64,
    /// A dirty range stands in for it.
    pub moved_to_ranges: u64,
}

impl Settled {
    pub(super) fn count(&mut self, outcome: Outcome, hints: u64) {
        let count = match outcome {
            Outcome::Delivered => &mut self.delivered,
            Outcome::Deleted => &mut self.deleted,
            Outcome::Replaced => &mut self.replaced,
            Outcome::MovedToRanges => &mut self.moved_to_ranges,
        };
        *count += hints;
    }

    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.delivered + self.deleted + self.replaced + self.moved_to_ranges
    }
}

/// One change of what a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A hint is held.
    Hint(Hint),
    /// It is not any more.
    Settled { target: NodeId, id: ObjectId, outcome: Outcome },
    /// A range is dirty, in place of so many hints that found no room.
    Dirty { target: NodeId, prefix: IdPrefix, instead_of: u64 },
    /// It is not any more.
    Clean { target: NodeId, prefix: IdPrefix },
    /// What became of hints that a rewritten log no longer has.
    SettledBefore(Settled),
}

impl Entry {
    pub(super) fn dirty(range: &DirtyRange) -> Self {
        Entry::Dirty { target: range.target.clone(), prefix: range.prefix, instead_of: 0 }
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Entry::Hint(hint) => {
                out.put_u8(TAG_HINT);
                put_name(&hint.target, out);
                put_id(&hint.id, out);
                out.put_u64_le(hint.recorded_at_ms);
                out.put_u64_le(hint.layout_version);
                out.put_u8(hint.class.number());
            }
            Entry::Settled { target, id, outcome } => {
                out.put_u8(TAG_SETTLED);
                put_name(target, out);
                put_id(id, out);
                out.put_u8(outcome.number());
            }
            Entry::Dirty { target, prefix, instead_of } => {
                out.put_u8(TAG_DIRTY);
                put_name(target, out);
                put_prefix(*prefix, out);
                out.put_u64_le(*instead_of);
            }
            Entry::Clean { target, prefix } => {
                out.put_u8(TAG_CLEAN);
                put_name(target, out);
                put_prefix(*prefix, out);
            }
            Entry::SettledBefore(Settled { delivered, deleted, replaced, moved_to_ranges }) => {
                out.put_u8(TAG_SETTLED_BEFORE);
                for count in [delivered, deleted, replaced, moved_to_ranges] {
                    out.put_u64_le(*count);
                }
            }
        }
    }

    fn read(from: &mut Bytes) -> Option<Self> {
        Some(match from.try_get_u8().ok()? {
            TAG_HINT => Entry::Hint(Hint {
                target: get_name(from)?,
                id: get_id(from)?,
                recorded_at_ms: from.try_get_u64_le().ok()?,
                layout_version: from.try_get_u64_le().ok()?,
                class: ReasonClass::numbered(from.try_get_u8().ok()?),
            }),
            TAG_SETTLED => Entry::Settled {
                target: get_name(from)?,
                id: get_id(from)?,
                outcome: Outcome::numbered(from.try_get_u8().ok()?)?,
            },
            TAG_DIRTY => Entry::Dirty {
                target: get_name(from)?,
                prefix: get_prefix(from)?,
                instead_of: from.try_get_u64_le().ok()?,
            },
            TAG_CLEAN => Entry::Clean { target: get_name(from)?, prefix: get_prefix(from)? },
            TAG_SETTLED_BEFORE => {
                let mut count = || from.try_get_u64_le().ok();
                let (delivered, deleted) = (count()?, count()?);
                let (replaced, moved_to_ranges) = (count()?, count()?);
                Entry::SettledBefore(Settled { delivered, deleted, replaced, moved_to_ranges })
            }
            _ => return None,
        })
    }
}

/// Bytes that a hint takes.
pub(super) fn hint_len(hint: &Hint) -> u64 {
    (1 + 1 + hint.target.as_str().len() + 1 + hint.id.as_bytes().len() + 8 + 8 + 1) as u64
}

fn put_name(name: &NodeId, out: &mut BytesMut) {
    let name = name.as_str().as_bytes();
    out.put_u8(u8::try_from(name.len()).expect("names have at most 255 bytes"));
    out.put_slice(name);
}

fn get_name(from: &mut Bytes) -> Option<NodeId> {
    let raw = get_counted(from)?;
    let name = std::str::from_utf8(&raw).ok()?;
    Some(NodeId::new(name))
}

fn put_id(id: &ObjectId, out: &mut BytesMut) {
    let raw = id.as_bytes();
    out.put_u8(u8::try_from(raw.len()).expect("ids have 20 or 32 bytes"));
    out.put_slice(raw);
}

fn get_id(from: &mut Bytes) -> Option<ObjectId> {
    ObjectId::from_bytes(&get_counted(from)?).ok()
}

fn put_prefix(prefix: IdPrefix, out: &mut BytesMut) {
    let bytes = prefix.as_bytes();
    out.put_u8(u8::try_from(bytes.len()).expect("a prefix is short"));
    out.put_slice(&bytes);
}

fn get_prefix(from: &mut Bytes) -> Option<IdPrefix> {
    IdPrefix::from_bytes(&get_counted(from)?)
}

fn get_counted(from: &mut Bytes) -> Option<Bytes> {
    let len = usize::from(from.try_get_u8().ok()?);
    (from.remaining() >= len).then(|| from.copy_to_bytes(len))
}

/// Entries as the frame of this number.
pub(super) fn frame(number: u64, entries: &[Entry]) -> Bytes {
    let mut out = BytesMut::zeroed(FRAME_HEADER_BYTES);
    entries.iter().for_each(|entry| entry.write(&mut out));
    let len = u32::try_from(out.len() - FRAME_HEADER_BYTES).expect("a frame is far below 4 GiB");
    out[..4].copy_from_slice(&MARK);
    out[4..8].copy_from_slice(&len.to_le_bytes());
    out[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[..16]), &out[FRAME_HEADER_BYTES..]);
    out[16..20].copy_from_slice(&crc.to_le_bytes());
    out.freeze()
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) entries: Vec<Entry>,
    /// Number of the last frame.
    pub(super) number: u64,
    /// Where the frames end.
    pub(super) end: u64,
    /// Bytes that no frame accounts for.
    pub(super) unaccounted: u64,
}

/// Why a file is not read at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OtherVersion(pub(super) String);

/// Reads a whole file.
///
/// # Errors
/// [`OtherVersion`] for a file of another version of the program.
pub(super) fn parse(file: &Bytes) -> Result<Parsed, OtherVersion> {
    let mut parsed = Parsed::default();
    let mut at = HEADER.len().min(file.len());
    if file[..at] != *HEADER {
        if file.starts_with(HEADER_NAME) {
            let line = file[HEADER_NAME.len()..].split(|byte| *byte == b'\n').next();
            let version = String::from_utf8_lossy(line.unwrap_or_default());
            return Err(OtherVersion(version.chars().take(20).collect()));
        }
        parsed.unaccounted += at as u64;
    }
    parsed.end = at as u64;
    let mut first = true;
    while at < file.len() {
        let follows = |number: u64| if first { true } else { number == parsed.number + 1 };
        let found = frame_at(file, at).filter(|found| follows(found.number));
        // Past damage, any later frame.
        let found = found.map(|found| (at, found)).or_else(|| {
            let later = |found: &Found| first || found.number > parsed.number;
            (at + 1..file.len()).find_map(|at| Some((at, frame_at(file, at).filter(later)?)))
        });
        let Some((begin, Found { number, end, entries })) = found else { break };
        parsed.unaccounted += (begin - at) as u64;
        match entries {
            Some(entries) => parsed.entries.extend(entries),
            None => parsed.unaccounted += (end - begin) as u64,
        }
        (parsed.number, parsed.end, at) = (number, end as u64, end);
        first = false;
    }
    parsed.unaccounted += (file.len() - at) as u64;
    Ok(parsed)
}

struct Found {
    number: u64,
    end: usize,
    /// `None` when the checksum holds and the entries are none that this program knows.
    entries: Option<Vec<Entry>>,
}

/// The frame that begins here, if one that holds does.
fn frame_at(file: &Bytes, at: usize) -> Option<Found> {
    let header = file.get(at..at + FRAME_HEADER_BYTES)?;
    if header[..4] != MARK {
        return None;
    }
    let word = |from: usize| u32::from_le_bytes(header[from..from + 4].try_into().expect("four"));
    let len = word(4) as usize;
    if len > limits::HINT_FRAME_BYTES_MAX {
        return None;
    }
    let begin = at + FRAME_HEADER_BYTES;
    let payload = file.get(begin..begin + len)?;
    if crc32c::crc32c_append(crc32c::crc32c(&header[..16]), payload) != word(16) {
        return None;
    }
    let number = u64::from_le_bytes(header[8..16].try_into().expect("eight"));
    let mut rest = file.slice(begin..begin + len);
    let mut entries = Some(Vec::new());
    while let Some(known) = entries.as_mut().filter(|_| !rest.is_empty()) {
        match Entry::read(&mut rest) {
            Some(entry) => known.push(entry),
            None => entries = None,
        }
    }
    Some(Found { number, end: begin + len, entries })
}
