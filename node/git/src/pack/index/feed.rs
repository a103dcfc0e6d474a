//! Reading the body as it comes.

use bytes::Bytes;
use flate2::Crc;
use gitstratum_core::limits::{GIT_OBJECT_BYTES_MAX, PACK_BODY_BYTES_MAX, PACK_STEP_BYTES};
use gitstratum_core::object::{Kind, ObjectHasher};

use super::{Current, Entry, Form, Found, Indexer, Scan, Sink};
use crate::pack::PackError;
use crate::pack::delta;
use crate::pack::entry::{EntryHeader, EntryKind, HEADER_BYTES_MAX};
use crate::pack::inflate::{InflateError, Inflated};

/// For each byte that is fed deltas may come to so many bytes at once; more of them wait. Nearly no
/// pack needs it.
const EAGER_BYTES_PER_BYTE: u64 = 64;

impl Indexer {
    /// Takes the next part of the body.
    ///
    /// # Errors
    /// [`PackError`].
    ///
    /// # Panics
    /// After [`Indexer::finish_input`].
    pub fn feed(&mut self, part: &[u8]) -> Result<(), PackError> {
        assert!(!self.resolve.begun, "nothing is fed after the input was said to have ended");
        self.eager_bytes = PACK_STEP_BYTES + EAGER_BYTES_PER_BYTE * part.len() as u64;
        let mut rest = part;
        while !rest.is_empty() {
            let consumed = match &mut self.scan {
                Scan::Header { .. } => self.feed_header(rest)?,
                Scan::Data(_) => self.feed_data(rest)?,
            };
            rest = &rest[consumed..];
        }
        Ok(())
    }

    /// Says that the body has ended.
    ///
    /// # Errors
    /// [`PackError::Ended`].
    pub fn finish_input(&mut self) -> Result<(), PackError> {
        let count = self.entries.len();
        if !matches!(self.scan, Scan::Header { len: 0, .. }) {
            let offset = self.body_bytes;
            return Err(PackError::Ended(format!("object {count} is cut off at offset {offset}")));
        }
        if self.is_counted && count < self.declared as usize {
            let declared = self.declared;
            return Err(PackError::Ended(format!("{count} objects of {declared} have come")));
        }
        self.begin_resolve();
        Ok(())
    }

    fn advance_body(&mut self, bytes: usize) -> Result<(), PackError> {
        self.body_bytes += bytes as u64;
        if self.body_bytes > PACK_BODY_BYTES_MAX {
            return Err(PackError::TooLarge { max: PACK_BODY_BYTES_MAX });
        }
        Ok(())
    }

    /// Takes bytes up to the end of a header, or all. Returns how many.
    fn feed_header(&mut self, rest: &[u8]) -> Result<usize, PackError> {
        let Scan::Header { bytes, len } = &mut self.scan else { return Ok(0) };
        let offset = self.body_bytes - *len as u64;
        if self.entries.len() >= self.declared as usize {
            return Err(PackError::TrailingBytes { offset });
        }
        let before = *len;
        let taken = rest.len().min(HEADER_BYTES_MAX - before);
        bytes[before..before + taken].copy_from_slice(&rest[..taken]);
        let known = before + taken;
        let (bytes, consumed) = match EntryHeader::parse(self.algorithm, offset, &bytes[..known])? {
            Some(header) => {
                let bytes = *bytes;
                self.begin_entry(header, offset, &bytes[..header.len])?;
                (None, header.len - before)
            }
            None => (Some(known), taken),
        };
        if let (Some(known), Scan::Header { len, .. }) = (bytes, &mut self.scan) {
            *len = known;
        }
        self.advance_body(consumed)?;
        Ok(consumed)
    }

    fn begin_entry(
        &mut self,
        header: EntryHeader,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), PackError> {
        let form = self.form_of(&header, offset)?;
        let size = header.size;
        let (max, what) = match form {
            Form::Whole(Kind::Blob) => (GIT_OBJECT_BYTES_MAX, "blob"),
            Form::Whole(kind) => self.size_max(kind),
            Form::Ofs(_) | Form::Ref(_) => (self.limits.delta_bytes, "delta"),
        };
        if size > max {
            return Err(PackError::ObjectTooLarge { offset, what, size, max });
        }
        self.add_work(size)?;
        let sink = match form {
            Form::Whole(Kind::Blob) if size > self.limits.blob_held_bytes => Sink::Hash {
                hasher: ObjectHasher::detecting(self.algorithm, Kind::Blob, size),
                produced: 0,
            },
            Form::Whole(_) => Sink::Hold(Vec::new()),
            Form::Ofs(_) | Form::Ref(_) => match self.base_entry(form) {
                Some(base) if self.eager_bytes > 0 && self.cache.contains(base) => {
                    Sink::Hold(Vec::new())
                }
                _ => Sink::Skip { produced: 0 },
            },
        };
        let mut crc = Crc::new();
        crc.update(bytes);
        self.inflater.begin();
        self.scan = Scan::Data(Current { header, form, offset, crc, sink });
        Ok(())
    }

    fn form_of(&mut self, header: &EntryHeader, offset: u64) -> Result<Form, PackError> {
        match header.kind {
            EntryKind::Whole(kind) => Ok(Form::Whole(kind)),
            EntryKind::RefDelta { base } => self.facts.number(&base).map(Form::Ref),
            EntryKind::OfsDelta { base } => {
                let found = self.entries.binary_search_by_key(&base, |entry| entry.offset);
                let distance = offset - base;
                let base = found.map_err(|_| PackError::BaseOffset { offset, distance })?;
                Ok(Form::Ofs(base as u32))
            }
        }
    }

    /// The entry that a delta builds on, if it is known.
    pub(super) fn base_entry(&self, form: Form) -> Option<u32> {
        match form {
            Form::Whole(_) => None,
            Form::Ofs(base) => Some(base),
            Form::Ref(number) => self.facts.entry_of(number),
        }
    }

    /// Takes bytes up to the end of an entry, or all. Returns how many.
    fn feed_data(&mut self, rest: &[u8]) -> Result<usize, PackError> {
        let Scan::Data(current) = &mut self.scan else { return Ok(0) };
        let (offset, size) = (current.offset, current.header.size);
        let inflated = match &mut current.sink {
            Sink::Hold(out) => self.inflater.hold(rest, out, size),
            Sink::Hash { hasher, produced } => {
                self.inflater.stream(rest, produced, size, |part| hasher.update(part))
            }
            Sink::Skip { produced } => self.inflater.stream(rest, produced, size, |_| {}),
        };
        let Inflated { consumed, finished } = inflated.map_err(|error| match error {
            InflateError::Corrupt => PackError::Inflate { offset },
            InflateError::TooLong => {
                PackError::EntrySize { offset, claimed: size, actual: size.saturating_add(1) }
            }
        })?;
        current.crc.update(&rest[..consumed]);
        if finished {
            self.end_entry()?;
        }
        self.advance_body(consumed)?;
        Ok(consumed)
    }

    fn end_entry(&mut self) -> Result<(), PackError> {
        let begin = Scan::Header { bytes: [0; HEADER_BYTES_MAX], len: 0 };
        let Scan::Data(current) = std::mem::replace(&mut self.scan, begin) else { return Ok(()) };
        let Current { header, form, offset, crc, sink } = current;
        let actual = match &sink {
            Sink::Hold(out) => out.len() as u64,
            Sink::Hash { produced, .. } | Sink::Skip { produced } => *produced,
        };
        if actual != header.size {
            return Err(PackError::EntrySize { offset, claimed: header.size, actual });
        }
        let entry = self.entries.len() as u32;
        self.entries.push(Entry {
            offset,
            inflated: header.size,
            crc32: crc.sum(),
            header_len: header.len as u8,
            form,
            found: None,
            appended: false,
        });
        match (sink, form) {
            (Sink::Hash { hasher, .. }, _) => {
                let id = hasher.finish()?;
                let (number, _) = self.facts.sent(entry, &id, Kind::Blob)?;
                let found = Found { number, kind: Kind::Blob, size: header.size };
                self.entries[entry as usize].found = Some(found);
                Ok(())
            }
            (Sink::Hold(out), Form::Whole(kind)) => self.found_now(entry, kind, out.into()),
            (Sink::Hold(delta), _) => self.end_delta(entry, form, &delta),
            (Sink::Skip { .. }, _) => {
                self.waiting.add(form, entry);
                Ok(())
            }
        }
    }

    /// Resolves a delta whose base is at hand, unless that would be too much at once.
    fn end_delta(&mut self, entry: u32, form: Form, delta: &[u8]) -> Result<(), PackError> {
        let offset = self.entries[entry as usize].offset;
        let failed = |source| PackError::Delta { offset, source };
        let size = delta::sizes(delta).map_err(failed)?.result;
        let base = self.base_entry(form).and_then(|base| {
            let kind = self.entries[base as usize].found?.kind;
            Some((kind, self.cache.get(base)?))
        });
        match base {
            Some((kind, base)) if size <= self.eager_bytes => {
                self.eager_bytes -= size;
                let data = self.apply_delta(offset, kind, &base, delta)?;
                self.found_now(entry, kind, data)
            }
            _ => {
                self.waiting.add(form, entry);
                Ok(())
            }
        }
    }

    fn found_now(&mut self, entry: u32, kind: Kind, data: Bytes) -> Result<(), PackError> {
        self.found(entry, kind, &data)?;
        if data.len() as u64 <= self.limits.blob_held_bytes {
            self.cache.insert(entry, data);
        }
        Ok(())
    }
}
