//! The manifest's file: lines of words, and a checksum of them all in the last.
//!
//! ```text
//! gitstratum manifest 1
//! sequence <number>
//! next <number of the next segment>
//! quarantine <number>
//! large <generation> <bytes>
//! sealed <segment> <bytes> <records> <bytes unread> [<lowest id> <highest id>]
//! active <segment> <bytes> <records> <bytes unread>
//! <crc of all before>
//! ```
//!
//! The first line and the last are those of every later version too, so that a version which this
//! program does not know is told from damage.

use std::str::{FromStr, SplitAsciiWhitespace};

use super::{Manifest, Reach, Should, Summary};
use crate::format::segment::SegmentId;

const TITLE: &str = "gitstratum manifest ";
pub(super) const VERSION: u32 = 1;

/// Why a file is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    Damaged,
    /// Written by a version that this program does not know.
    Version(u32),
}

/// The file's contents.
pub(super) fn encode(manifest: &Manifest) -> String {
    let Manifest { sequence, next_segment, quarantine, large, segments } = manifest;
    let Reach { generation, len } = large;
    let mut text = format!(
        "{TITLE}{VERSION}\nsequence {sequence}\nnext {next_segment}\nquarantine {quarantine}\n\
         large {generation} {len}\n"
    );
    for (segment, should) in segments {
        text += &match should {
            Should::Active { len, records, unread } => {
                format!("active {segment} {len} {records} {unread}\n")
            }
            Should::Sealed(Summary { len, records, ids, unread }) => {
                let ids = ids.map(|(low, high)| format!(" {low} {high}")).unwrap_or_default();
                format!("sealed {segment} {len} {records} {unread}{ids}\n")
            }
        };
    }
    text += &format!("{:08x}\n", crc32c::crc32c(text.as_bytes()));
    text
}

/// Reads a file's contents.
pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, Error> {
    let body = checked(bytes).ok_or(Error::Damaged)?;
    let (title, lines) = body.split_once('\n').ok_or(Error::Damaged)?;
    let version = title.strip_prefix(TITLE).and_then(|version| version.parse().ok());
    match version.ok_or(Error::Damaged)? {
        VERSION => manifest(lines).ok_or(Error::Damaged),
        version => Err(Error::Version(version)),
    }
}

/// All but the last line, whose checksum holds.
fn checked(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = &text[..=body.len()];
    (crc == format!("{:08x}", crc32c::crc32c(body.as_bytes()))).then_some(body)
}

fn manifest(lines: &str) -> Option<Manifest> {
    let mut manifest = Manifest::default();
    for line in lines.lines() {
        let words = &mut line.split_ascii_whitespace();
        match words.next()? {
            "sequence" => manifest.sequence = next(words)?,
            "next" => manifest.next_segment = next(words)?,
            "quarantine" => manifest.quarantine = next(words)?,
            "large" => manifest.large = Reach { generation: next(words)?, len: next(words)? },
            "sealed" => {
                let segment = SegmentId::from_stem(words.next()?)?;
                let (len, records, unread) = (next(words)?, next(words)?, next(words)?);
                let mut id = || words.next().map(str::parse).transpose().ok();
                let ids = match (id()?, id()?) {
                    (None, None) => None,
                    (low, high) => Some((low?, high?)),
                };
                let should = Should::Sealed(Summary { len, records, ids, unread });
                manifest.segments.insert(segment, should);
            }
            "active" => {
                let segment = SegmentId::from_stem(words.next()?)?;
                let (len, records, unread) = (next(words)?, next(words)?, next(words)?);
                manifest.segments.insert(segment, Should::Active { len, records, unread });
            }
            _ => return None,
        }
        if words.next().is_some() {
            return None;
        }
    }
    Some(manifest)
}

fn next<T: FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}
