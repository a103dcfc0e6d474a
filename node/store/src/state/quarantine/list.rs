//! The list's file: text, as it is written and read again.
//!
//! A first line with the version and how often the list was written, then a line for each object or
//! file, each with its checksum, and their number in the last: a list that was cut, or is older
//! than the manifest knows, is told from a whole one. Otherwise what it alone knew, of which no
//! file is left to be read, would be absent.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;
use gitstratum_host::disk::WHOLE_FILE_BYTES_MAX;

use crate::error::{OpenError, io_error};
use crate::format::segment::SegmentId;
use crate::manifest::UnidentifiedRecords;
use crate::state::view::{Bad, BadPlace, View};

/// The list's file.
pub(crate) const FILE: &str = "quarantine";
const TITLE: &str = "gitstratum quarantine ";
/// The version that is written. Version 1 has neither a number of its own nor an end.
const VERSION: u32 = 2;
/// Begins the line of a file that lost records.
const LOST: &str = "lost ";
/// Begins the last line.
const END: &str = "end ";
/// Begins the line of a segment with records that nobody knows.
const UNIDENTIFIED: &str = "unidentified ";
const REASON_BYTES_MAX: usize = 150;
/// Checksum, id, place, size and reason, each with what ends it.
const LINE_BYTES_MAX: usize = 9 + 65 + 38 + 21 + REASON_BYTES_MAX + 1;
// An eighth is left for the lines of segments.
const _: () = assert!(
    limits::QUARANTINED_MAX * LINE_BYTES_MAX <= WHOLE_FILE_BYTES_MAX as usize / 8 * 7,
    "opening would not read the list"
);

/// What the list says.
#[derive(Default)]
pub(crate) struct Quarantined {
    pub(crate) bad: BTreeMap<ObjectId, Bad>,
    pub(crate) unidentified: BTreeSet<SegmentId>,
    pub(crate) lost: BTreeMap<String, UnidentifiedRecords>,
    /// How often it was written.
    pub(crate) sequence: u64,
    /// Whether there is more to note than it said.
    pub(crate) unsaved: bool,
}

impl Quarantined {
    /// Notes what is wrong with the list itself. The damage of a line that does not hold is found
    /// again where a record is damaged, and not where nothing is left of one.
    fn spoilt(mut self, reason: &str) -> Self {
        tracing::error!(reason, "the list of damaged objects is not whole");
        self.lost.insert(FILE.to_owned(), UnidentifiedRecords::unknown(reason.to_owned()));
        self.unsaved = true;
        self
    }
}

/// Reads the list, which had been written so often at least when the manifest was.
///
/// # Errors
/// [`OpenError`] when the disk fails, or a newer program wrote the list.
pub(crate) async fn load(disk: &Disk, sequence: u64) -> Result<Quarantined, OpenError> {
    let quarantined = match disk.read_whole(FILE).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match sequence {
            0 => Quarantined::default(),
            _ => Quarantined::default().spoilt("it is missing"),
        },
        read => parse(&read.map_err(io_error("read", FILE))?)?,
    };
    let known = quarantined.lost.contains_key(FILE);
    Ok(match quarantined.sequence < sequence && !known {
        true => {
            let older = format!("it was written {} times, not {sequence}", quarantined.sequence);
            quarantined.spoilt(&older)
        }
        false => quarantined,
    })
}

fn parse(bytes: &[u8]) -> Result<Quarantined, OpenError> {
    let mut quarantined = Quarantined::default();
    let text = String::from_utf8_lossy(bytes);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let mut words = first.strip_prefix(TITLE).unwrap_or_default().split(' ');
    let (version, sequence) = (words.next().and_then(|word| word.parse().ok()), words.next());
    match version {
        Some(1) => {}
        Some(VERSION) => match sequence.and_then(|word| word.parse().ok()) {
            Some(sequence) => quarantined.sequence = sequence,
            None => return Ok(quarantined.spoilt("its beginning is damaged")),
        },
        Some(version) => return Err(NewerFormat::new(FILE, version, VERSION).into()),
        None => return Ok(quarantined.spoilt("its beginning is damaged")),
    }
    let (mut count, mut end) = (0, None);
    for line in rest.lines().filter_map(checked) {
        if let Some(lines) = line.strip_prefix(END) {
            end = lines.parse::<usize>().ok();
            continue;
        }
        count += 1;
        if let Some(stem) = line.strip_prefix(UNIDENTIFIED) {
            quarantined.unidentified.extend(SegmentId::from_stem(stem));
        } else if let Some(lost) = line.strip_prefix(LOST) {
            quarantined.lost.extend(parse_lost(lost));
        } else {
            quarantined.bad.extend(parse_line(line));
        }
    }
    if version == Some(VERSION) && end != Some(count) {
        return Ok(quarantined.spoilt("lines of it are damaged or missing"));
    }
    Ok(quarantined)
}

/// The list of what a view has, which is written for the `sequence`-th time.
pub(super) fn encode(view: &View, sequence: u64) -> Bytes {
    let mut text = format!("{TITLE}{VERSION} {sequence}\n");
    let mut count = 0;
    let mut put = |line: String| {
        count += 1;
        put_line(&mut text, &line);
    };
    view.unidentified.iter().for_each(|segment| put(format!("{UNIDENTIFIED}{segment}")));
    for (path, UnidentifiedRecords { records, ids, reason }) in &view.lost {
        let records = records.map_or("-".to_owned(), |records| records.to_string());
        let ids = ids.map_or("- -".to_owned(), |(low, high)| format!("{low} {high}"));
        put(format!("{LOST}{path} {records} {ids} {}", one_line(reason)));
    }
    for (id, Bad { at, size, reason, .. }) in view.bad.iter().filter(|(_, bad)| !bad.unread) {
        let place = match at {
            BadPlace::Record { segment, offset } => format!("{segment}+{offset}"),
            BadPlace::Large => "large".to_owned(),
            BadPlace::Dropped => "dropped".to_owned(),
        };
        put(format!("{id} {place} {size} {}", one_line(reason)));
    }
    put_line(&mut text, &format!("{END}{count}"));
    text.into()
}

fn put_line(text: &mut String, line: &str) {
    text.push_str(&format!("{:08x} {line}\n", crc32c::crc32c(line.as_bytes())));
}

fn one_line(reason: &str) -> String {
    let mut reason = reason.replace(['\n', '\r'], " ");
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

/// A line without its checksum, if that holds.
fn checked(line: &str) -> Option<&str> {
    let (crc, line) = line.split_once(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(line.as_bytes())).then_some(line)
}

fn parse_line(line: &str) -> Option<(ObjectId, Bad)> {
    let mut words = line.splitn(4, ' ');
    let (id, place, size) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let at = match place {
        "large" => BadPlace::Large,
        "dropped" => BadPlace::Dropped,
        record => {
            let (segment, offset) = record.split_once('+')?;
            let segment = SegmentId::from_stem(segment)?;
            BadPlace::Record { segment, offset: offset.parse().ok()? }
        }
    };
    let reason = words.next().unwrap_or_default().to_owned();
    Some((id, Bad::wrong(at, size.parse().ok()?, reason)))
}

fn parse_lost(line: &str) -> Option<(String, UnidentifiedRecords)> {
    let mut words = line.splitn(5, ' ');
    let path = words.next()?.to_owned();
    let records = match words.next()? {
        "-" => None,
        records => Some(records.parse().ok()?),
    };
    let ids = match (words.next()?, words.next()?) {
        ("-", "-") => None,
        (low, high) => Some((low.parse().ok()?, high.parse().ok()?)),
    };
    let reason = words.next().unwrap_or_default().to_owned();
    Some((path, UnidentifiedRecords { records, ids, reason }))
}
