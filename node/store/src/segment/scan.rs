//! Reading a segment from front to back: for recovery, for an index that is made again,
//! for compaction and scrub.

use bytes::Bytes;
use gitstratum_core::object::ObjectId;
use gitstratum_host::disk::File;

use crate::codec::decode::{data_of, object_of};
use crate::codec::pack::Unpacker;
use crate::format::account::{ACCOUNTS_BYTES_FIXED, Accounts, Tally};
use crate::format::index::Place;
use crate::format::record::{
    Begins, Content, RECORD_HEADER_BYTES_MAX, RECORD_MAGIC, RecordHead, parse_tombstone_data,
};
use crate::format::segment::{SEGMENT_HEADER_BYTES, SegmentId};
use crate::segment::unsealed::MemoryIndex;

const READ_BYTES: usize = 1 << 20;

/// What is wrong with a record that holds, under another id.
pub(crate) const OTHER_BYTES: &str = "its data does not hash to its id";

/// One record, or what looks like one.
#[derive(Clone, Debug)]
pub(crate) struct Scanned {
    pub(crate) offset: u32,
    pub(crate) head: RecordHead,
    /// The data in the form it has in the file; `None` when its checksum does not hold.
    pub(crate) data: Option<Bytes>,
}

/// Reads a segment's records one after another.
pub(crate) struct Reader {
    file: File,
    segment: SegmentId,
    /// Length of the segment.
    len: u64,
    /// Where the next record should begin.
    pub(crate) offset: u64,
    /// Bytes that were no record, passed over on the way to the next one.
    pub(crate) skipped: u64,
    start: u64,
    buffer: Bytes,
}

impl Reader {
    /// A reader of the records from `offset` on.
    pub(crate) fn new(file: File, segment: SegmentId, len: u64, offset: u64) -> Self {
        Reader { file, segment, len, offset, skipped: 0, start: 0, buffer: Bytes::new() }
    }

    /// The next record; `None` at the end, or when nothing behind is a record.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Scanned>> {
        while self.offset < self.len {
            let bytes = self.bytes(self.offset, RECORD_HEADER_BYTES_MAX).await?;
            let head = RecordHead::parse(&bytes, self.segment, self.offset);
            let fits = |head: &RecordHead| self.offset + head.record_len() <= self.len;
            let Some(head) = head.filter(fits) else {
                match self.next_header(self.offset + 1).await? {
                    Some(found) => {
                        self.skipped += found - self.offset;
                        self.offset = found;
                        continue;
                    }
                    None => return Ok(None),
                }
            };
            let len = usize::try_from(head.record_len()).expect("a record is below 4 GiB");
            let record = self.bytes(self.offset, len).await?;
            let offset = u32::try_from(self.offset).expect("a segment is below 4 GiB");
            self.offset += len as u64;
            let data = data_of(&head, &record);
            return Ok(Some(Scanned { offset, head, data }));
        }
        Ok(None)
    }

    /// Up to `len` bytes at `offset`, fewer only at the end.
    async fn bytes(&mut self, offset: u64, len: usize) -> std::io::Result<Bytes> {
        let end = (offset + len as u64).min(self.len);
        if offset < self.start || end > self.start + self.buffer.len() as u64 {
            self.buffer = self.file.read_at(offset, len.max(READ_BYTES)).await?;
            self.start = offset;
        }
        let held = self.buffer.len();
        let place = |at: u64| usize::try_from(at - self.start).map_or(held, |at| at.min(held));
        Ok(self.buffer.slice(place(offset)..place(end.max(offset))))
    }

    /// The next place from `offset` on where a record's header holds.
    async fn next_header(&mut self, mut offset: u64) -> std::io::Result<Option<u64>> {
        loop {
            let bytes = self.bytes(offset, READ_BYTES).await?;
            for at in 0..bytes.len() {
                let place = offset + at as u64;
                if bytes[at..].starts_with(&RECORD_MAGIC)
                    && RecordHead::parse(&bytes[at..], self.segment, place).is_some()
                {
                    return Ok(Some(place));
                }
            }
            // What might begin a header at the end of this piece begins the next one.
            let step = bytes.len().saturating_sub(RECORD_HEADER_BYTES_MAX) as u64;
            if step == 0 || offset + bytes.len() as u64 >= self.len {
                return Ok(None);
            }
            offset += step;
        }
    }
}

/// All that a segment says, with the latest record of each id.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) places: MemoryIndex,
    pub(crate) accounts: Accounts,
    /// The accounts had what its tombstones killed before any of these was met.
    kills_written: bool,
    /// Where the segment ends: behind the last whole record of an open tail.
    pub(crate) end: u64,
    /// Records before that whose data does not hold: damaged, with the object's length.
    pub(crate) damaged: Vec<(ObjectId, u32, u32)>,
    /// Bytes before that which belong to no record.
    pub(crate) skipped: u64,
    /// Where that part of an open tail begins that may never have become durable: its last
    /// group, or the last two, when one was written while the other was flushed.
    pub(crate) last_group: u64,
    /// MemoryIndex and lengths in that part, before its last whole record, where none is.
    pub(crate) gaps: Vec<(u64, u64)>,
}

impl Scanned {
    /// Without the data of an object, so that many can be kept.
    fn light(mut self) -> Self {
        if matches!(self.head.content, Content::Object { .. }) {
            self.data = self.data.map(|_| Bytes::new());
        }
        self
    }

    fn is_whole(&self) -> bool {
        self.data.is_some() || matches!(self.head.content, Content::Void { .. })
    }
}

impl Contents {
    /// Takes what is whole of the last groups, and finds what lies between.
    fn take_last(&mut self, group: Vec<Scanned>) {
        self.end = self.last_group;
        for record in group.iter().filter(|record| record.is_whole()) {
            let offset = u64::from(record.offset);
            if offset > self.end {
                self.gaps.push((self.end, offset - self.end));
            }
            self.take(record);
            self.end = offset + record.head.record_len();
        }
    }

    fn take(&mut self, record: &Scanned) {
        let Scanned { offset, head, data } = record;
        let place = match head.content {
            Content::Object { size, stored, .. } => {
                self.accounts.held += Tally::one(head.record_len(), size.into());
                if data.is_none() {
                    self.damaged.push((head.id, *offset, size));
                }
                Place::Object { offset: *offset, stored }
            }
            Content::Tombstone { victim } => {
                // Without its data it still says that the object is gone.
                if let Some(data) = data
                    && !self.kills_written
                {
                    let (bytes, payload) = parse_tombstone_data(data);
                    let killed = self.accounts.kills.entry(victim).or_default();
                    *killed += Tally::one(bytes.into(), payload.into());
                }
                Place::Tombstone { offset: *offset, victim }
            }
            Content::Void { .. } => return,
        };
        self.places.insert(head.id, place);
    }
}

/// Whether what is broken at a segment's end was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// It may be torn: puts were appended to it when the power went.
    Open {
        /// So many bytes of the segment were durable all the same.
        durable: u64,
    },
    /// Everything in it was durable once.
    Sealed,
}

/// Reads all records of a segment of `len` bytes. What does not hold is damaged, but for the
/// last groups of an open tail: of these, only what is whole counts.
///
/// # Errors
/// Those of reading.
pub(crate) async fn scan(
    file: &File,
    id: SegmentId,
    len: u64,
    tail: Tail,
) -> std::io::Result<Contents> {
    let (written, begin) = read_accounts(file, id).await?;
    let kills_written = written.is_some();
    let mut contents = Contents {
        accounts: Accounts { held: Tally::default(), ..written.unwrap_or_default() },
        kills_written,
        end: begin,
        last_group: begin,
        ..Contents::default()
    };
    let mut reader = Reader::new(file.clone(), id, len, begin);
    // Of an open tail: the groups that may turn out not to be durable, the place of the
    // last one among their records, where that begins, and what was skipped before it.
    let mut group: Vec<Scanned> = Vec::new();
    let (mut latest, mut latest_start, mut latest_skipped) = (0, begin, 0);
    // Where what was durable ends, and how far the records in it reach; none of an open tail is
    // doubtful before that.
    let durable = match tail {
        Tail::Open { durable } => durable,
        Tail::Sealed => u64::MAX,
    };
    let (mut known_to, mut in_doubt) = (begin, false);
    while let Some(record) = reader.next().await? {
        let offset = u64::from(record.offset);
        if offset < durable {
            known_to = offset + record.head.record_len();
            contents.take(&record);
            continue;
        }
        if !in_doubt {
            in_doubt = true;
            let before = reader.skipped - (offset - known_to);
            contents.skipped = before + durable.saturating_sub(known_to);
            contents.last_group = known_to.max(durable);
            (latest_start, latest_skipped) = (contents.last_group, contents.skipped);
        }
        let durable = match record.head.begins {
            Begins::Nothing => None,
            Begins::Group => Some((group.len(), record.offset.into(), reader.skipped)),
            Begins::GroupBehindFlight => Some((latest, latest_start, latest_skipped)),
        };
        if let Some((records, start, skipped)) = durable {
            group.drain(..records).for_each(|record| contents.take(&record));
            (contents.last_group, contents.skipped) = (start, skipped);
            (latest, latest_start) = (group.len(), record.offset.into());
            latest_skipped = reader.skipped;
        }
        group.push(record.light());
    }
    match tail {
        Tail::Sealed => {
            contents.skipped = reader.skipped + (len - reader.offset.min(len));
            contents.end = len;
            contents.last_group = len;
        }
        Tail::Open { .. } if in_doubt => contents.take_last(group),
        // What a segment lacks of what was durable is known by its length.
        Tail::Open { .. } if len < durable => {
            contents.skipped = reader.skipped;
            contents.last_group = known_to;
            contents.end = known_to;
        }
        Tail::Open { .. } => {
            contents.skipped = reader.skipped + durable.saturating_sub(known_to);
            contents.last_group = known_to.max(durable);
            contents.end = contents.last_group;
        }
    }
    Ok(contents)
}

/// What compaction wrote before the records, if it did and that holds, and where those begin.
///
/// # Errors
/// Those of reading.
pub(crate) async fn read_accounts(
    file: &File,
    id: SegmentId,
) -> std::io::Result<(Option<Accounts>, u64)> {
    let begin = SEGMENT_HEADER_BYTES as u64;
    if id.generation == 0 {
        return Ok((None, begin));
    }
    let prefix = file.read_at(begin, ACCOUNTS_BYTES_FIXED).await?;
    let len = Accounts::block_len(&prefix);
    let block = match len {
        Some(len) => file.read_at(begin, len).await?,
        None => Bytes::new(),
    };
    match Accounts::parse_block(&block) {
        Some(accounts) => Ok((Some(accounts), begin + block.len() as u64)),
        None => {
            // The records are found without it; only the counting suffers.
            tracing::error!(segment = %id, "the accounts of a compacted segment are damaged");
            Ok((None, begin))
        }
    }
}

/// Whether a record holds what it should.
pub(crate) fn verify(record: &Scanned, unpacker: &Unpacker) -> Result<(), &'static str> {
    if matches!(record.head.content, Content::Void { .. }) {
        return Ok(());
    }
    let data = record.data.clone().ok_or("the checksum of its record")?;
    if matches!(record.head.content, Content::Tombstone { .. }) {
        return Ok(());
    }
    let object = object_of(&record.head, data, unpacker)?;
    object.verify().map_err(|_| OTHER_BYTES)
}
