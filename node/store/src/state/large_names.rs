//! The names of large objects, known apart from their files: so that a file which is lost is
//! damage, and not an object that never was.
//!
//! A journal: a line for each large object that was stored, with the length of its file, and one
//! for each that was deleted, each with its checksum. A line is durable after the file has its
//! name and before the put is acknowledged, and before the file of a deleted object is removed. So
//! the last line alone may be torn, and what is in the directory without a line was not
//! acknowledged, or is being deleted; it is there, and is kept. The journal is written anew when
//! most of its lines say nothing any more. How far it reaches, the manifest knows at least.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::object::ObjectId;
use gitstratum_core::replica::StoreError;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode, is_full};

use super::health::Health;
use super::view::CurrentView;
use crate::error::{OpenError, io_error};
use crate::manifest::{Reach, UnidentifiedRecords};
use crate::segment::append::cut;

/// The journal's file.
pub(crate) const FILE: &str = "large-names";
const TITLE: &str = "gitstratum large-names ";
const VERSION: u32 = 1;
/// Lines that say nothing any more, beyond as many as there are objects, at which the journal is
/// written anew.
const DEAD_LINES_MAX: usize = 1000;

/// The file, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// `None` where it is to be written anew before a line is appended.
    file: Option<File>,
    reach: Reach,
    lines: usize,
}

impl Journal {
    /// The journal as it was found; nothing is known to be in it that was not read.
    pub(crate) fn found(reach: Reach, lines: usize, file: Option<File>) -> Self {
        Journal { file, reach, lines }
    }
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The objects, and the lengths of their files.
    pub(crate) large: BTreeMap<ObjectId, u64>,
    /// How far it holds.
    pub(crate) reach: Reach,
    pub(crate) lines: usize,
    /// Whether a line can be appended to it as it is.
    pub(crate) whole: bool,
    /// What is wrong with it, when lines are missing that were durable.
    pub(crate) lost: Option<UnidentifiedRecords>,
}

fn line(id: ObjectId, file_len: Option<u64>) -> String {
    let line = match file_len {
        Some(len) => format!("+ {id} {len}"),
        None => format!("- {id}"),
    };
    format!("{:08x} {line}\n", crc32c::crc32c(line.as_bytes()))
}

fn parse_line(line: &str) -> Option<(ObjectId, Option<u64>)> {
    let (crc, line) = line.split_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(line.as_bytes()) {
        return None;
    }
    let (what, rest) = line.split_once(' ')?;
    match (what, rest.split_once(' ')) {
        ("+", Some((id, len))) => Some((id.parse().ok()?, Some(len.parse().ok()?))),
        ("-", None) => Some((rest.parse().ok()?, None)),
        _ => None,
    }
}

/// A journal of these objects, and how far it reaches.
pub(crate) fn encode(generation: u64, large: &BTreeMap<ObjectId, u64>) -> (Bytes, Reach) {
    let mut text = format!("{TITLE}{VERSION} {generation}\n");
    large.iter().for_each(|(id, len)| text.push_str(&line(*id, Some(*len))));
    let reach = Reach { generation, len: text.len() as u64 };
    (text.into(), reach)
}

/// Reads the journal, which reached so far at least when the manifest was written.
///
/// # Errors
/// [`OpenError`] when the disk fails, or a newer program wrote it.
pub(crate) async fn load(disk: &Disk, least: Reach) -> Result<Said, OpenError> {
    let bytes = match disk.open(FILE, OpenMode::Read).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let lost = (least.generation > 0)
                .then(|| UnidentifiedRecords::unknown("it is missing".to_owned()));
            let reach = Reach { len: 0, ..least };
            return Ok(Said { lost, reach, ..Said::default() });
        }
        opened => {
            let file = opened.map_err(io_error("open", FILE))?;
            let len = file.len().await.map_err(io_error("size", FILE))?;
            let len = usize::try_from(len).expect("a length fits the address space");
            file.read_at(0, len).await.map_err(io_error("read", FILE))?
        }
    };
    let mut said = parse(&bytes)?;
    if said.lost.is_none() && said.reach < least {
        let Reach { generation, len } = said.reach;
        let reason = match generation == least.generation {
            true => format!("it has {len} of at least {} bytes", least.len),
            false => format!("it is copy {generation}, where copy {} was", least.generation),
        };
        said.lost = Some(UnidentifiedRecords::unknown(reason));
    }
    // What is written next has a higher one.
    said.reach.generation = said.reach.generation.max(least.generation);
    Ok(said)
}

fn parse(bytes: &[u8]) -> Result<Said, OpenError> {
    let mut said = Said::default();
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let words = first.strip_prefix(TITLE).and_then(|rest| rest.strip_suffix('\n')?.split_once(' '));
    let version = words.and_then(|(version, _)| version.parse::<u32>().ok());
    let generation = words.and_then(|(_, generation)| generation.parse().ok());
    match (version, generation) {
        (Some(VERSION), Some(generation)) => said.reach.generation = generation,
        (Some(version), _) if version != VERSION => {
            return Err(NewerFormat::new(FILE, version, VERSION).into());
        }
        _ => {
            said.lost = Some(UnidentifiedRecords::unknown("its beginning is damaged".to_owned()));
            return Ok(said);
        }
    }
    (said.reach.len, said.whole) = (first.len() as u64, true);
    for line in lines {
        let parsed = line.strip_suffix('\n').and_then(parse_line);
        match parsed {
            Some(_) if !said.whole => {
                // What stands before a good line was durable when that was written.
                said.lost =
                    Some(UnidentifiedRecords::unknown("a line of it is damaged".to_owned()));
            }
            Some(_) => said.reach.len += line.len() as u64,
            None => said.whole = false,
        }
        if let Some((id, file_len)) = parsed {
            said.lines += 1;
            match file_len {
                Some(len) => said.large.insert(id, len),
                None => said.large.remove(&id),
            };
        }
    }
    Ok(said)
}

/// The names of the large objects of a store that is open.
pub(crate) struct LargeNames {
    disk: Disk,
    view: Arc<CurrentView>,
    health: Arc<Health>,
    /// Held while it is written.
    journal: tokio::sync::Mutex<Journal>,
    /// How far it reaches, durably.
    reach: Mutex<Reach>,
}

impl LargeNames {
    /// Goes on with the journal that was found.
    pub(crate) fn new(
        disk: Disk,
        view: Arc<CurrentView>,
        health: Arc<Health>,
        journal: Journal,
    ) -> Self {
        let reach = Mutex::new(journal.reach);
        LargeNames { disk, view, health, journal: tokio::sync::Mutex::new(journal), reach }
    }

    /// How far it reaches, durably.
    pub(crate) fn reach(&self) -> Reach {
        *self.reach.lock().expect("nothing panics while it looks")
    }

    /// Notes, durably, that a large object was stored whose file has this length; or that one is
    /// deleted. To be called by whoever holds `naming`, and before the view has it.
    ///
    /// # Errors
    /// As a put; on a full disk nothing is noted.
    pub(crate) async fn note(&self, id: ObjectId, file_len: Option<u64>) -> Result<(), StoreError> {
        let mut journal = self.journal.lock().await;
        let live = self.view.lock().large.len();
        let Journal { file, reach, lines } = &*journal;
        let Some(file) = file.as_ref().filter(|_| *lines <= 2 * live + DEAD_LINES_MAX) else {
            let mut large = self.view.lock().large.clone();
            match file_len {
                Some(len) => large.insert(id, len),
                None => large.remove(&id),
            };
            return self.rewrite(&mut journal, &large).await;
        };
        let line = Bytes::from(line(id, file_len));
        let end = Reach { len: reach.len + line.len() as u64, ..*reach };
        if let Err(error) = file.write_at_and_sync(reach.len, vec![line.clone()]).await {
            if is_full(&error)
                && let Err(error) = cut(file, reach.len).await
            {
                return Err(self
                    .health
                    .fail(format!("cut {FILE} after the disk was full: {error}")));
            }
            return Err(self.health.write_failed(FILE, &error));
        }
        self.health.count_write(line.len() as u64, 1);
        (journal.reach, journal.lines) = (end, journal.lines + 1);
        self.reaches(end);
        Ok(())
    }

    /// Writes the journal anew where it is not what the store holds.
    ///
    /// # Errors
    /// As a put; it is tried again before the next line.
    pub(crate) async fn keep(&self) -> Result<(), StoreError> {
        let mut journal = self.journal.lock().await;
        let large = self.view.lock().large.clone();
        if journal.file.is_some() || large.is_empty() && journal.reach.generation == 0 {
            return Ok(());
        }
        self.rewrite(&mut journal, &large).await
    }

    async fn rewrite(
        &self,
        journal: &mut Journal,
        large: &BTreeMap<ObjectId, u64>,
    ) -> Result<(), StoreError> {
        journal.file = None;
        let (text, reach) = encode(journal.reach.generation.saturating_add(1), large);
        let bytes = text.len() as u64;
        let written = async {
            self.disk.replace(FILE, text).await?;
            self.disk.open(FILE, OpenMode::ReadWrite).await
        };
        let file = written.await.map_err(|error| self.health.write_failed(FILE, &error))?;
        self.health.count_write(bytes, 1);
        *journal = Journal { file: Some(file), reach, lines: large.len() };
        self.reaches(reach);
        Ok(())
    }

    fn reaches(&self, reach: Reach) {
        *self.reach.lock().expect("nothing panics while it looks") = reach;
    }
}
