//! Append-only hint file.
//!
//! The log's file: frames appended in place, and the whole of it replaced.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_host::Disk;
use gitstratum_host::disk::{File, OpenMode, is_full};

use super::super::entry::{Entry, HEADER, frame};
use super::super::{FILE, HintError, failed};

/// A new file before it is complete.
const TEMPORARY: &str = "hints.log.tmp";

pub(super) struct Writer {
    disk: Disk,
    /// What is appended to; none where there is no file, or what is in it is in doubt.
    file: Option<File>,
    /// Where the next frame goes.
    end: u64,
    /// The last frame's number.
    number: u64,
    closed: bool,
}

impl Writer {
    pub(super) fn new(disk: Disk) -> Self {
        Writer { disk, file: None, end: 0, number: 0, closed: false }
    }

    /// Goes on after the frame of this number, which ends there.
    pub(super) fn going_on(self, file: File, end: u64, number: u64) -> Self {
        Writer { file: Some(file), end, number, ..self }
    }

    /// Nothing is written any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether it can be appended to; else the file is to be replaced first.
    pub(super) fn is_sound(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// Appends entries, durably.
    ///
    /// # Panics
    /// When the file is not sound.
    pub(super) async fn append(&mut self, entries: &[Entry]) -> Result<(), HintError> {
        let file = self.file.clone().expect("only a sound file is appended to");
        let (frames, number) = frames(self.number, entries);
        let len: usize = frames.iter().map(Bytes::len).sum();
        if let Err(error) = file.write_at_and_sync(self.end, frames).await {
            // A full disk has no room for another file, and lets this one be cut. After
            // anything else nobody knows what is in it.
            if !is_full(&error) || file.set_len(self.end).await.is_err() {
                self.file = None;
            }
            return Err(failed(FILE, "append to")(error));
        }
        self.end += len as u64;
        self.number = number;
        Ok(())
    }

    /// Puts a new file with these entries in the old one's place, durably.
    pub(super) async fn replace(&mut self, entries: &[Entry]) -> Result<(), HintError> {
        match self.disk.remove(TEMPORARY).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(TEMPORARY, "remove")(error));
            }
            _ => {}
        }
        let file = self.disk.open(TEMPORARY, OpenMode::CreateNew).await;
        let file = file.map_err(failed(TEMPORARY, "make"))?;
        let (mut contents, number) = frames(self.number, entries);
        contents.insert(0, Bytes::from_static(HEADER));
        let len: usize = contents.iter().map(Bytes::len).sum();
        let written = file.write_at_and_sync(0, contents).await;
        written.map_err(failed(TEMPORARY, "write"))?;
        // From here on the name may stand for either file, whichever a crash spares: both
        // say all that was acknowledged, and nothing is until the new one is certain.
        self.file = None;
        self.disk.rename(TEMPORARY, FILE).await.map_err(failed(FILE, "replace"))?;
        self.disk.sync_dir("").await.map_err(failed(FILE, "sync the directory of"))?;
        (self.file, self.end, self.number) = (Some(file), len as u64, number);
        Ok(())
    }
}

/// The frames of these entries after the one of that number, and the last one's.
fn frames(mut number: u64, entries: &[Entry]) -> (Vec<Bytes>, u64) {
    let mut frames = Vec::new();
    for entries in entries.chunks(limits::HINT_FRAME_ENTRIES_MAX) {
        number += 1;
        frames.push(frame(number, entries));
    }
    (frames, number)
}
