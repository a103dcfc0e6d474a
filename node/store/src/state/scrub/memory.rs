//! What is remembered of scrubs over restarts: since when one is due, what the last whole one
//! found, and where one was interrupted.
//!
//! One small text file, replaced as a whole, with a checksum at its end. It saves a pass over
//! the disk and no more. So what does not hold, or what a version wrote that is not known,
//! counts as nothing; and so does a failure to write it, but for a word in the log.
//!
//! Invariant: no clock, however it jumps, puts scrubs off for ever. A time that is ahead of
//! the clock is not known, and what is due by it is due by another one.

use std::str::SplitAsciiWhitespace;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;

const FILE: &str = "scrub";
const FIRST_LINE: &str = "gitstratum scrub 2\n";
/// Of the version that knew only a place.
const FIRST_LINE_1: &str = "gitstratum scrub 1\n";

/// What a scrub has met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubCounts {
    /// Records and large objects that were read.
    pub records: u64,
    /// Bytes that were read, those of indexes too.
    pub bytes: u64,
    /// Objects that are damaged.
    pub damaged: u64,
}

/// A scrub that came to its end. Times are milliseconds since 1970 by the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) begun_ms: u64,
    pub(crate) ended_ms: u64,
    pub(crate) counts: ScrubCounts,
}

/// Everything up to here, and this, has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Large(ObjectId),
    /// A segment by its highest number.
    Segment(u32),
}

/// A scrub that began and did not come to its end yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) begun_ms: u64,
    /// What it had met at the mark.
    pub(crate) counts: ScrubCounts,
    /// `None` before the first is reached.
    pub(crate) mark: Option<Mark>,
}

/// All of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// When the store was first opened, as far as anybody knows.
    pub(crate) since_ms: Option<u64>,
    pub(crate) whole: Option<Whole>,
    pub(crate) begun: Option<Begun>,
}

impl Memory {
    /// Reads what is there, at this time by the clock.
    pub(crate) async fn load(disk: &Disk, now_ms: u64) -> Self {
        match disk.read_whole(FILE).await {
            Ok(bytes) => Self::parse(&bytes, now_ms).unwrap_or_else(|| {
                tracing::warn!("what was remembered of scrubs does not hold and is forgotten");
                Memory::default()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Memory::default(),
            Err(error) => {
                tracing::warn!(%error, "what is remembered of scrubs could not be read");
                Memory::default()
            }
        }
    }

    pub(crate) async fn save(&self, disk: &Disk) {
        if let Err(error) = disk.replace(FILE, Bytes::from(self.to_text())).await {
            tracing::warn!(%error, "how far scrub has come could not be kept");
        }
    }

    /// When the next scrub is due by the clock, so long after the beginning of the last whole
    /// one. The first is due a little `early`, so that not all nodes begin at once.
    pub(crate) fn due_ms(&self, now_ms: u64, interval: Duration, early: Duration) -> u64 {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let known = |at_ms: &u64| *at_ms <= now_ms;
        if self.begun.is_some() {
            return now_ms;
        }
        if let Some(begun_ms) = self.whole.map(|whole| whole.begun_ms).filter(known) {
            return begun_ms.saturating_add(millis(interval));
        }
        let since_ms = self.since_ms.filter(known).unwrap_or(now_ms);
        since_ms.saturating_add(millis(interval.saturating_sub(early)))
    }

    fn to_text(self) -> String {
        let counts =
            |ScrubCounts { records, bytes, damaged }| format!("{records} {bytes} {damaged}");
        let mut text = FIRST_LINE.to_owned();
        if let Some(since_ms) = self.since_ms {
            text += &format!("since {since_ms}\n");
        }
        if let Some(Whole { begun_ms, ended_ms, counts: met }) = self.whole {
            text += &format!("whole {begun_ms} {ended_ms} {}\n", counts(met));
        }
        if let Some(Begun { begun_ms, counts: met, mark }) = self.begun {
            let mark = match mark {
                None => String::new(),
                Some(Mark::Large(id)) => format!(" large {id}"),
                Some(Mark::Segment(number)) => format!(" segment {number}"),
            };
            text += &format!("begun {begun_ms} {}{mark}\n", counts(met));
        }
        text += &format!("{:08x}\n", crc32c::crc32c(text.as_bytes()));
        text
    }

    fn parse(bytes: &[u8], now_ms: u64) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if let Some(place) = text.strip_prefix(FIRST_LINE_1) {
            // It had no more than a place, and not even that after a scrub's end.
            let mark = mark(&mut place.split_ascii_whitespace())?;
            let begun = mark.map(|mark| Begun {
                begun_ms: now_ms,
                counts: <_>::default(),
                mark: Some(mark),
            });
            return Some(Memory { begun, ..Memory::default() });
        }
        let (body, checksum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let body = &text[..=body.len()];
        if checksum != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
            return None;
        }
        let mut memory = Memory::default();
        for line in body.strip_prefix(FIRST_LINE)?.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next()? {
                "since" => memory.since_ms = Some(number(&mut words)?),
                "whole" => {
                    let (begun_ms, ended_ms) = (number(&mut words)?, number(&mut words)?);
                    let counts = counts(&mut words)?;
                    memory.whole = Some(Whole { begun_ms, ended_ms, counts });
                }
                "begun" => {
                    let (begun_ms, counts) = (number(&mut words)?, counts(&mut words)?);
                    memory.begun = Some(Begun { begun_ms, counts, mark: mark(&mut words)? });
                }
                _ => return None,
            }
        }
        Some(memory)
    }
}

fn number(words: &mut SplitAsciiWhitespace<'_>) -> Option<u64> {
    words.next()?.parse().ok()
}

fn counts(words: &mut SplitAsciiWhitespace<'_>) -> Option<ScrubCounts> {
    let (records, bytes, damaged) = (number(words)?, number(words)?, number(words)?);
    Some(ScrubCounts { records, bytes, damaged })
}

/// A mark, or none where the words have ended; `None` for words that are neither.
fn mark(words: &mut SplitAsciiWhitespace<'_>) -> Option<Option<Mark>> {
    Some(Some(match (words.next(), words.next()) {
        (None, _) => return Some(None),
        (Some("large"), Some(id)) => Mark::Large(id.parse().ok()?),
        (Some("segment"), Some(number)) => Mark::Segment(number.parse().ok()?),
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gitstratum_core::object::HashAlgorithm;

    const HOUR: Duration = Duration::from_secs(3600);
    const HOUR_MS: u64 = 3_600_000;

    fn memory(mark: Option<Mark>) -> Memory {
        let counts = |n| ScrubCounts { records: n, bytes: n * 1000, damaged: n % 3 };
        Memory {
            since_ms: Some(7),
            whole: Some(Whole { begun_ms: 100, ended_ms: 250, counts: counts(5) }),
            begun: Some(Begun { begun_ms: 300, counts: counts(2), mark }),
        }
    }

    #[test]
    fn what_was_remembered_is_read_again_and_what_does_not_hold_is_not() {
        let id = gitstratum_core::object::Object::hash(
            HashAlgorithm::Sha256,
            gitstratum_core::object::Kind::Blob,
            Bytes::from_static(b"x"),
        );
        let marks = [None, Some(Mark::Segment(3)), Some(Mark::Large(id.unwrap().id()))];
        for memory in marks.map(memory).into_iter().chain([Memory::default()]) {
            let text = memory.to_text();
            assert_eq!(Memory::parse(text.as_bytes(), 9), Some(memory), "{text}");
            for at in 0..text.len() {
                let mut flipped = text.clone().into_bytes();
                flipped[at] ^= 1;
                assert_eq!(Memory::parse(&flipped, 9), None, "{text}, byte {at}");
            }
        }
    }

    #[test]
    fn the_file_of_version_1_says_where_a_scrub_was_interrupted() {
        let parsed = |text: &str| Memory::parse(text.as_bytes(), 9);
        let begun = Begun { begun_ms: 9, counts: <_>::default(), mark: Some(Mark::Segment(17)) };
        let interrupted = Memory { begun: Some(begun), ..Memory::default() };
        assert_eq!(parsed("gitstratum scrub 1\nsegment 17\n"), Some(interrupted));
        assert_eq!(parsed("gitstratum scrub 1\n"), Some(Memory::default()));
        assert_eq!(parsed("gitstratum scrub 1\nsegment\n"), None);
        assert_eq!(parsed("gitstratum scrub 3\n"), None);
    }

    #[test]
    fn a_scrub_is_due_an_interval_after_the_last_began_or_the_store_was_first_opened() {
        let due = |memory: Memory, now_ms| memory.due_ms(now_ms, HOUR, HOUR / 4);
        let opened = Memory { since_ms: Some(1000), ..Memory::default() };
        assert_eq!(due(opened, 2000), 1000 + HOUR_MS * 3 / 4);
        let scrubbed = Memory { begun: None, ..memory(None) };
        assert_eq!(due(scrubbed, 2000), 100 + HOUR_MS);
        assert_eq!(due(memory(None), 2000), 2000, "an interrupted one goes on");
    }

    #[test]
    fn a_clock_that_was_ahead_once_does_not_put_scrubs_off_for_ever() {
        let due = |memory: Memory, now_ms| memory.due_ms(now_ms, HOUR, Duration::ZERO);
        let year_ms = 365 * 24 * HOUR_MS;
        let whole = Whole { begun_ms: year_ms, ended_ms: year_ms, counts: <_>::default() };
        let ahead = Memory { since_ms: Some(1000), whole: Some(whole), begun: None };
        assert_eq!(due(ahead, 2000), 1000 + HOUR_MS, "by when the store was opened");
        let ahead = Memory { since_ms: Some(year_ms), ..ahead };
        assert_eq!(due(ahead, 2000), 2000 + HOUR_MS, "by now");
        assert!(due(ahead, year_ms) > year_ms, "and by the last one when that is known again");
    }
}
