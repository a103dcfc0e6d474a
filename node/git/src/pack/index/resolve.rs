//! Resolving the deltas that wait, after the body has ended.

use bytes::Bytes;
use flate2::Crc;
use gitstratum_core::limits::{
    MISSING_BASES_NAMED_MAX, PACK_BASES_AT_ONCE, PACK_BODY_BYTES_MAX, PACK_READ_BYTES_MAX,
    PACK_STEP_BYTES,
};
use gitstratum_core::object::{Kind, ObjectHasher, ObjectId};

use super::{Entry, Form, Found, Indexer, Reading, Step};
use crate::pack::PackError;
use crate::pack::deflate::Deflater;
use crate::pack::entry::EntryKind;
use crate::pack::inflate::Inflated;

/// What became of an attempt to make an object.
enum Made {
    /// It was made.
    Object,
    /// Another one has to be made first.
    After(u32),
    /// Bytes of the body are lacking.
    Lacks { offset: u64, len: usize },
}

impl Indexer {
    pub(super) fn begin_resolve(&mut self) {
        self.waiting.sort();
        let mut roots: Vec<u32> = self
            .waiting
            .base_entries()
            .chain(self.waiting.base_ids().filter_map(|(number, _)| self.facts.entry_of(number)))
            .filter(|base| self.entries[*base as usize].found.is_some())
            .collect();
        roots.sort_unstable();
        roots.dedup();
        self.resolve.roots = roots.into();
        self.resolve.begun = true;
    }

    /// Works on, and says what it needs.
    ///
    /// # Errors
    /// [`PackError`].
    ///
    /// # Panics
    /// Before [`Indexer::finish_input`].
    pub fn step(&mut self) -> Result<Step, PackError> {
        assert!(self.resolve.begun, "the input has ended before deltas are resolved");
        let enough = self.work.saturating_add(PACK_STEP_BYTES);
        loop {
            if self.work >= enough {
                return Ok(Step::Again);
            }
            if let Some(&entry) = self.resolve.goal.last() {
                match self.make(entry)? {
                    Made::After(base) => self.resolve.goal.push(base),
                    Made::Lacks { offset, len } => return Ok(Step::Read { offset, len }),
                    Made::Object => {
                        self.resolve.goal.pop();
                        if self.resolve.goal.is_empty() {
                            self.reached(entry)?;
                        }
                    }
                }
                continue;
            }
            if let Some(step) = self.next_goal()? {
                return Ok(step);
            }
        }
    }

    /// Brings bytes of the body that were asked for: some that begin at the offset.
    ///
    /// # Panics
    /// If there are none, because then nothing would ever go on.
    pub fn provide_body(&mut self, offset: u64, bytes: Bytes) {
        assert!(!bytes.is_empty(), "bytes of the body are brought when they are asked for");
        self.resolve.window = Some((offset, bytes));
    }

    /// Answers for a base: its kind and data, or nothing if the repository has no such object.
    ///
    /// # Errors
    /// [`PackError::WrongBase`], [`PackError::ObjectTooLarge`].
    pub fn provide_base(
        &mut self,
        id: ObjectId,
        base: Option<(Kind, Bytes)>,
    ) -> Result<(), PackError> {
        let place = self.facts.ids.number(&id).and_then(|number| {
            let place = (self.waiting.first_for_id(number)?, number);
            self.resolve.lacking.remove(&place).then_some(place)
        });
        let (Some(place), Some((kind, data))) = (place, base) else { return Ok(()) };
        let (offset, size) = (self.body_bytes, data.len() as u64);
        let (max, what) = self.size_max(kind);
        if size > max {
            return Err(PackError::ObjectTooLarge { offset, what, size, max });
        }
        let mut hasher = ObjectHasher::plain(self.algorithm, kind, size);
        hasher.update(&data);
        hasher
            .verify(id)
            .map_err(|wrong| PackError::WrongBase { wanted: id, actual: wrong.actual })?;
        self.resolve.brought.insert(place, (kind, data));
        Ok(())
    }

    /// Makes an entry of the next base that was brought, unless it was found in the pack meanwhile.
    fn append_base(&mut self) -> Result<Option<Bytes>, PackError> {
        while let Some(((_, number), (kind, data))) = self.resolve.brought.pop_first() {
            if self.facts.entry_of(number).is_some() {
                continue;
            }
            let (offset, size) = (self.body_bytes, data.len() as u64);
            let entry = self.entries.len() as u32;
            let (bytes, header_len) = whole_entry(kind, offset, &data);
            self.body_bytes += bytes.len() as u64;
            if self.body_bytes > PACK_BODY_BYTES_MAX {
                return Err(PackError::TooLarge { max: PACK_BODY_BYTES_MAX });
            }
            self.facts.appended(entry, number, kind, &data)?;
            let mut crc = Crc::new();
            crc.update(&bytes);
            self.entries.push(Entry {
                offset,
                inflated: size,
                crc32: crc.sum(),
                header_len: header_len as u8,
                form: Form::Whole(kind),
                found: Some(Found { number, kind, size }),
                appended: true,
            });
            self.cache.insert(entry, data);
            self.resolve.roots.push_back(entry);
            return Ok(Some(bytes.into()));
        }
        Ok(None)
    }

    /// Decides what is to be made next, or what to tell the caller.
    fn next_goal(&mut self) -> Result<Option<Step>, PackError> {
        if let Some(children) = self.resolve.frames.last_mut() {
            match self.waiting.next(children) {
                Some(delta) if self.entries[delta as usize].found.is_none() => {
                    self.resolve.goal.push(delta);
                }
                Some(_) => {}
                None => drop(self.resolve.frames.pop()),
            }
            return Ok(None);
        }
        if let Some(root) = self.resolve.roots.pop_front() {
            self.push_frame(root);
            return Ok(None);
        }
        if self.waiting.count > 0 {
            return match self.append_base()? {
                Some(bytes) => Ok(Some(Step::Append(bytes))),
                None => self.lacking_bases().map(Some),
            };
        }
        if !self.resolve.specials_listed {
            let unchecked = self.facts.special_unchecked();
            self.resolve.specials = unchecked.map(|(number, _)| number).collect();
            self.resolve.specials_listed = true;
        }
        let Some(number) = self.resolve.specials.pop_front() else {
            self.resolve.done = true;
            return Ok(Some(Step::Done));
        };
        let Some(entry) = self.facts.entry_of(number) else { return Ok(None) };
        if self.entries[entry as usize].found.is_some_and(|found| {
            found.size > self.limits.structured_bytes.min(self.limits.delta_bytes)
        }) {
            self.facts.check_special(number, None)?;
        } else {
            self.resolve.special = Some(number);
            self.resolve.goal.push(entry);
        }
        Ok(None)
    }

    /// Asks for bases, or says that there are none.
    fn lacking_bases(&mut self) -> Result<Step, PackError> {
        let unresolved = |deltas: &[(u32, u32)]| {
            deltas.iter().any(|(_, delta)| self.entries[*delta as usize].found.is_none())
        };
        let lacking = |&(number, deltas): &(u32, &[(u32, u32)])| {
            self.facts.entry_of(number).is_none() && unresolved(deltas)
        };
        if !self.resolve.asked {
            let lacking = self.waiting.base_ids().filter(lacking);
            self.resolve.lacking = lacking.map(|(number, deltas)| (deltas[0].1, number)).collect();
            self.resolve.asked = true;
        }
        // Some may have been found among what was resolved meanwhile.
        let (mut asked, mut found) = (Vec::new(), Vec::new());
        for place in &self.resolve.lacking {
            if self.facts.entry_of(place.1).is_some() {
                found.push(*place);
                continue;
            }
            asked.push(self.facts.ids.id(place.1));
            if asked.len() == PACK_BASES_AT_ONCE {
                break;
            }
        }
        if asked.is_empty() {
            let missing: Vec<u32> =
                self.waiting.base_ids().filter(lacking).map(|(number, _)| number).collect();
            let named = missing.iter().take(MISSING_BASES_NAMED_MAX);
            return Err(PackError::MissingBases {
                ids: named.map(|number| self.facts.ids.id(*number)).collect(),
                count: missing.len(),
                deltas: self.waiting.count,
            });
        }
        for place in found {
            self.resolve.lacking.remove(&place);
        }
        Ok(Step::Bases(asked))
    }

    fn push_frame(&mut self, entry: u32) {
        if let Some(found) = self.entries[entry as usize].found {
            let children = self.waiting.children(entry, found.number);
            if !children.is_empty() {
                self.resolve.frames.push(children);
            }
        }
    }

    /// The goal was made: looks at what waits for it, or at what it says.
    fn reached(&mut self, entry: u32) -> Result<(), PackError> {
        let Some(number) = self.resolve.special.take() else {
            self.push_frame(entry);
            return Ok(());
        };
        let data = self.cache.get(entry);
        self.facts.check_special(number, data.as_deref())
    }

    /// Makes an object, so that it is in the cache if something needs it.
    fn make(&mut self, entry: u32) -> Result<Made, PackError> {
        if self.resolve.reading.is_none() {
            if self.cache.contains(entry) {
                return Ok(Made::Object);
            }
            let base = match self.entries[entry as usize].form {
                Form::Whole(_) => None,
                form => {
                    let base = self.base_entry(form).expect("a delta is made after its base");
                    let Some(data) = self.cache.get(base) else { return Ok(Made::After(base)) };
                    let found = self.entries[base as usize].found;
                    Some((found.expect("a delta is made after its base").kind, data))
                }
            };
            self.begin_reading(entry, base)?;
        }
        if let Some((offset, len)) = self.read_on()? {
            return Ok(Made::Lacks { offset, len });
        }
        let Reading { base, out, .. } =
            self.resolve.reading.take().expect("what was read to its end is there");
        let offset = self.entries[entry as usize].offset;
        let data = match (base, self.entries[entry as usize].form) {
            (Some((kind, base)), _) => {
                let data = self.apply_delta(offset, kind, &base, &out)?;
                if self.entries[entry as usize].found.is_none() {
                    self.found(entry, kind, &data)?;
                    self.waiting.count -= 1;
                }
                data
            }
            (None, _) => out.into(),
        };
        let needed = self.resolve.goal.len() > 1 || self.resolve.special.is_some() || {
            let found = self.entries[entry as usize].found;
            found.is_some_and(|found| !self.waiting.children(entry, found.number).is_empty())
        };
        if needed {
            self.cache.insert(entry, data);
        }
        Ok(Made::Object)
    }

    fn begin_reading(&mut self, entry: u32, base: Option<(Kind, Bytes)>) -> Result<(), PackError> {
        let Entry { offset, inflated: size, .. } = self.entries[entry as usize];
        let max = self.limits.delta_bytes;
        if size > max {
            return Err(PackError::ObjectTooLarge { offset, what: "base of a delta", size, max });
        }
        self.add_work(size)?;
        self.inflater.begin();
        let (crc, out) = (Crc::new(), Vec::new());
        self.resolve.reading = Some(Reading { entry, base, read: 0, crc, out });
        Ok(())
    }

    /// Where an entry ends.
    fn end_of(&self, entry: u32) -> u64 {
        self.entries.get(entry as usize + 1).map_or(self.body_bytes, |next| next.offset)
    }

    /// Reads the entry on. What it lacks, unless it has ended.
    fn read_on(&mut self) -> Result<Option<(u64, usize)>, PackError> {
        let Some(mut reading) = self.resolve.reading.take() else { return Ok(None) };
        let end = self.end_of(reading.entry);
        let entry = &self.entries[reading.entry as usize];
        let (offset, size, crc32) = (entry.offset, entry.inflated, entry.crc32);
        let header_len = u64::from(entry.header_len);
        let changed = PackError::BodyChanged { offset };
        loop {
            let at = offset + reading.read;
            let piece = self.resolve.window.as_ref().and_then(|(begin, bytes)| {
                let skip = usize::try_from(at.checked_sub(*begin)?).ok()?;
                let piece = bytes.get(skip..).filter(|piece| !piece.is_empty())?;
                let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
                Some(bytes.slice(skip..skip + len))
            });
            let Some(piece) = piece else {
                let len = usize::try_from(end - at).unwrap_or(usize::MAX);
                self.resolve.reading = Some(reading);
                return Ok(Some((at, len.min(PACK_READ_BYTES_MAX))));
            };
            if reading.read < header_len {
                let len = usize::try_from(header_len - reading.read).unwrap_or(0).min(piece.len());
                reading.crc.update(&piece[..len]);
                reading.read += len as u64;
                continue;
            }
            let inflated = self.inflater.hold(&piece, &mut reading.out, size);
            let Inflated { consumed, finished } = inflated.map_err(|_| changed.clone())?;
            reading.crc.update(&piece[..consumed]);
            reading.read += consumed as u64;
            let at_end = offset + reading.read == end;
            if finished {
                let same = at_end && reading.crc.sum() == crc32 && reading.out.len() as u64 == size;
                self.resolve.reading = Some(reading);
                return if same { Ok(None) } else { Err(changed) };
            }
            if at_end {
                return Err(changed);
            }
        }
    }
}

/// The entry of a whole object, and how long its header is.
fn whole_entry(kind: Kind, offset: u64, data: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    EntryKind::Whole(kind).write_header(offset, data.len() as u64, &mut bytes);
    let header_len = bytes.len();
    Deflater::new().deflate(data, &mut bytes);
    (bytes, header_len)
}
