//! Refounding a group: what one member's disk has becomes the beginning of a group of one.
//!
//! For disasters alone: a majority is lost for good, or a backup is restored. What only the others
//! had is given up. The log is replaced by a snapshot that ends with one entry of a greater term, and
//! of a member id that was never used; so nothing that the others may still send, and no vote that
//! was given under the old id, means anything to the new group.
//!
//! Invariant: the snapshot is in force before the log is replaced. What was interrupted between the
//! two is completed by [`complete`], and has to be before the member takes part again.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use gitstratum_host::Disk;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::entry::{Content, MemberId, Members, Position};
use crate::error::OpenError;
use crate::journal::{Identity, Journal, JournalError};
use crate::machine::{LoadError, Loader, Machine};
use crate::snapshot::{self, Head};

/// What a member's disk has.
#[derive(Clone, Debug)]
pub struct Remains<M> {
    /// The state after every entry of its log, whether or not those were known to be agreed.
    pub machine: M,
    /// The last entry.
    pub last: Option<Position>,
    /// The greatest term that the member knows.
    pub term: u64,
    /// Who took part, as far as it knows.
    pub members: Members,
    /// Entries at the end that it did not know to be agreed.
    pub unconfirmed: u64,
}

impl<M> Remains<M> {
    /// Where the first entry of a new group stands that this member founds, under a new id.
    pub fn next(&self, member: MemberId) -> Position {
        let index = self.last.map_or(0, |last| last.index + 1);
        Position { term: self.term + 1, leader: member, index }
    }
}

/// Reads what a member that does not run has on its disk.
///
/// # Errors
/// [`OpenError`]: what is damaged is never read as far as it goes.
pub async fn remains<M: Machine>(
    disk: &Disk,
    directory: &str,
    identity: Identity,
    rng: &mut ChaCha12Rng,
) -> Result<Remains<M>, OpenError> {
    let salts = ChaCha12Rng::seed_from_u64(rng.next_u64());
    let (journal, replay) = Journal::open(disk, directory, identity, salts).await?;
    journal.close().await;
    let saved = snapshot::current(disk, directory, identity.group).await?;
    let (mut machine, mut last, mut members): (M, _, _) = match &saved {
        Some(saved) => {
            let loaded = snapshot::load_as::<M>(saved).await?;
            (loaded, saved.head.position, saved.head.members.clone())
        }
        None => (empty(directory)?, None, Members::default()),
    };
    let missing = |what: String| JournalError::Damaged { file: directory.to_owned(), what };
    if replay.purged.map(|purged| purged.index) > last.map(|last| last.index) {
        let what = "entries are purged from the log that no snapshot has".to_owned();
        return Err(missing(what).into());
    }
    let mut unconfirmed = 0;
    for entry in replay.entries {
        let position = entry.position;
        if last.is_some_and(|last| position.index <= last.index) {
            continue;
        }
        match &entry.content {
            Content::Blank => {}
            Content::Command(command) => {
                machine.apply(position.index, command);
            }
            Content::Members(now) => members = now.clone(),
        }
        last = Some(position);
        let is_agreed = replay.committed.is_some_and(|agreed| position.index <= agreed.index);
        unconfirmed += u64::from(!is_agreed);
    }
    let voted = replay.ballot.map_or(0, |ballot| ballot.term);
    let term = last.map_or(voted, |last| voted.max(last.term));
    Ok(Remains { machine, last, term, members, unconfirmed })
}

fn empty<M: Machine>(directory: &str) -> Result<M, OpenError> {
    let made = M::Loader::default().finish();
    made.map_err(|error: LoadError| OpenError::Engine(format!("{directory}: {error}")))
}

/// Makes `machine`, whose last command stands at `position`, the state of a new group of which this
/// member is the only one. Whatever the directory held of another group goes.
///
/// # Errors
/// [`OpenError`]; then what was there is there, or [`complete`] goes on.
pub async fn refound<M: Machine>(
    disk: &Disk,
    directory: &str,
    (identity, node): (Identity, &str),
    (machine, position): (&M, Position),
    rng: &mut ChaCha12Rng,
) -> Result<(), OpenError> {
    disk.create_dir_all(directory).await.map_err(JournalError::from)?;
    let members = Members {
        voters: vec![BTreeSet::from([identity.member])],
        nodes: [(identity.member, node.to_owned())].into(),
    };
    let head = Head::new(identity.group, Some(position), Some(position), members);
    let aside = format!("{directory}/snapshot.new");
    let written = snapshot::write(disk, aside, head, machine.save()).await?;
    snapshot::put_in_force(disk, directory, written).await?;
    complete(disk, directory, identity, rng).await.map(drop)
}

/// Completes what [`refound`] began for this member. Says whether it had come so far that the old
/// group is given up; else all is as it was.
///
/// # Errors
/// [`OpenError`].
pub async fn complete(
    disk: &Disk,
    directory: &str,
    identity: Identity,
    rng: &mut ChaCha12Rng,
) -> Result<bool, OpenError> {
    let saved = snapshot::current(disk, directory, identity.group).await?;
    let only = vec![BTreeSet::from([identity.member])];
    let Some(position) = saved.filter(|saved| saved.head.members.voters == only) else {
        return Ok(false);
    };
    let Some(position) = position.head.position else { return Ok(false) };
    let salts = ChaCha12Rng::seed_from_u64(rng.next_u64());
    Journal::create_behind(disk, directory, identity, position, salts).await?;
    Ok(true)
}
