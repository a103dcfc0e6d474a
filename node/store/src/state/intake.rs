//! Whether the disk takes puts, as a state that an operator can see: why it does not, and since
//! when. The log is told when that changes, and not with every put that is refused.
//!
//! It decides nothing: each put tries by itself, so that puts go on as soon as there is room.
//!
//! Invariant: the state ends when what it began with is seen to be over. What the file system
//! says of its room ends what it can say; a quota, of which it says nothing, ends with the next
//! write that succeeds.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gitstratum_core::limits;
use gitstratum_host::disk::Room;
use tokio::time::Instant;

/// Why a store takes no puts for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutsRefused {
    /// What is lacking, in words.
    pub reason: String,
    /// How long that has been so.
    pub since: Duration,
}

/// What can be seen to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// The file system says how much it has of it.
    Room,
    /// Only a write tells.
    Quota,
}

#[derive(Debug)]
struct Refusing {
    lack: Lack,
    reason: String,
    since: Instant,
    /// When a put was last refused, or the lack last seen.
    last: Instant,
    /// Bytes that the put needed which was refused.
    needed_bytes: u64,
}

/// The state.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    refusing: Mutex<Option<Refusing>>,
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, Option<Refusing>> {
        self.refusing.lock().expect("nothing panics while it notes what is lacking")
    }

    /// Notes that a put which needed so many bytes was refused.
    pub(crate) fn refused(&self, now: Instant, lack: Lack, reason: String, needed_bytes: u64) {
        self.lacks(now, lack, reason, Some(needed_bytes));
    }

    /// Notes what the file system says of its room, of which puts leave `reserve_bytes`.
    pub(crate) fn looked(&self, now: Instant, room: Room, reserve_bytes: u64) {
        if let Some(reason) = lacking(room, reserve_bytes) {
            return self.lacks(now, Lack::Room, reason, None);
        }
        let is_over = |refusing: &Refusing| {
            refusing.lack == Lack::Room
                && room.bytes >= reserve_bytes.saturating_add(refusing.needed_bytes)
                && now - refusing.last >= limits::PUTS_REFUSED_FOR_MIN
        };
        self.end_if(now, is_over);
    }

    /// Notes that a write succeeded.
    pub(crate) fn wrote(&self, now: Instant) {
        let is_over = |refusing: &Refusing| {
            refusing.lack == Lack::Quota && now - refusing.last >= limits::PUTS_REFUSED_FOR_MIN
        };
        self.end_if(now, is_over);
    }

    /// Why puts are refused, if they are.
    pub(crate) fn state(&self, now: Instant) -> Option<PutsRefused> {
        self.lock().as_ref().map(|refusing| PutsRefused {
            reason: refusing.reason.clone(),
            since: now - refusing.since,
        })
    }

    fn lacks(&self, now: Instant, lack: Lack, reason: String, needed_bytes: Option<u64>) {
        let mut state = self.lock();
        let refusing = state.get_or_insert_with(|| {
            tracing::warn!(reason, "takes no puts until there is room; reads go on");
            Refusing { lack, reason: String::new(), since: now, last: now, needed_bytes: 0 }
        });
        (refusing.lack, refusing.reason, refusing.last) = (lack, reason, now);
        if let Some(needed_bytes) = needed_bytes {
            refusing.needed_bytes = needed_bytes;
        }
    }

    fn end_if(&self, now: Instant, is_over: impl Fn(&Refusing) -> bool) {
        let mut state = self.lock();
        if let Some(refusing) = state.take_if(|refusing| is_over(refusing)) {
            let for_s = (now - refusing.since).as_secs();
            tracing::info!(for_s, reason = refusing.reason, "takes puts again");
        }
    }
}

/// What a file system lacks by its own word, if puts are to leave so much.
fn lacking(room: Room, reserve_bytes: u64) -> Option<String> {
    let Room { bytes, files, read_only } = room;
    if read_only {
        return Some("the file system is read-only".to_owned());
    }
    if bytes < reserve_bytes.max(1) {
        return Some(no_room(bytes, reserve_bytes));
    }
    (files == Some(0)).then(|| "no inode is free: no file can be made".to_owned())
}

/// That there is too little room.
pub(crate) fn no_room(bytes: u64, reserve_bytes: u64) -> String {
    format!(
        "the disk is full: {bytes} bytes are free, and store.reserve_bytes leaves {reserve_bytes}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: u64 = 1000;

    fn room(bytes: u64) -> Room {
        Room { bytes, files: Some(7), read_only: false }
    }

    #[test]
    fn below_the_reserve_puts_are_refused_until_there_is_room_for_the_one_that_was() {
        let (intake, begun) = (Intake::default(), Instant::now());
        intake.looked(begun, room(RESERVE), RESERVE);
        assert_eq!(intake.state(begun), None);
        intake.looked(begun, room(RESERVE - 1), RESERVE);
        assert!(intake.state(begun).unwrap().reason.contains("999 bytes are free"));
        intake.refused(begun, Lack::Room, no_room(RESERVE + 10, RESERVE), 500);
        intake.looked(begun, room(RESERVE + 500), RESERVE);
        assert!(intake.state(begun).is_some(), "small puts may go on between large ones");
        let later = begun + limits::PUTS_REFUSED_FOR_MIN;
        intake.looked(later, room(RESERVE + 499), RESERVE);
        let refused = intake.state(later).expect("that put would be refused again");
        assert_eq!(refused.since, limits::PUTS_REFUSED_FOR_MIN, "since the first");
        intake.looked(later, room(RESERVE + 500), RESERVE);
        assert_eq!(intake.state(later), None);
    }

    #[test]
    fn a_disk_without_a_free_byte_is_full_without_a_reserve_too() {
        let (intake, begun) = (Intake::default(), Instant::now());
        intake.looked(begun, room(0), 0);
        let later = begun + limits::PUTS_REFUSED_FOR_MIN;
        // Over zeros that were written ahead.
        intake.wrote(later);
        assert!(intake.state(later).is_some());
        intake.looked(later, room(1), 0);
        assert_eq!(intake.state(later), None);
    }

    #[test]
    fn a_quota_is_over_with_a_write_and_not_with_what_the_file_system_says() {
        let (intake, begun) = (Intake::default(), Instant::now());
        intake.refused(begun, Lack::Quota, "write x: quota exceeded".to_owned(), 0);
        intake.wrote(begun);
        assert!(intake.state(begun).is_some(), "a small write between two large ones that fail");
        let later = begun + limits::PUTS_REFUSED_FOR_MIN;
        intake.looked(later, room(RESERVE * 10), RESERVE);
        assert!(intake.state(later).is_some());
        intake.wrote(later);
        assert_eq!(intake.state(later), None);
    }

    #[test]
    fn no_inode_and_a_read_only_file_system_are_said_in_words() {
        let none = Room { files: Some(0), ..room(RESERVE) };
        assert!(lacking(none, RESERVE).unwrap().contains("inode"));
        let unknown = Room { files: None, ..none };
        assert_eq!(lacking(unknown, RESERVE), None);
        let fixed = Room { read_only: true, ..none };
        assert!(lacking(fixed, RESERVE).unwrap().contains("read-only"));
    }
}
