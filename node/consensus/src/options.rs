//! Options of a group: how soon a silent leader is replaced, and when the log is cut.

use std::time::Duration;

/// Options of a group. The same on all members, or at least not far from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A leader that has nothing to say says so this often.
    pub heartbeat: Duration,
    /// How long a leader may be silent. A follower gives its vote to nobody else for one and a half
    /// times as long after it heard of its leader (the leader's lease), and asks for votes when
    /// another once to one and a half times as long has passed, which it draws: it does so after two
    /// and a half to three times this. Several times the heartbeat, and much longer than a message and
    /// a sync take.
    pub election_timeout: Duration,
    /// A snapshot is written when the entries since the last one take this much, or as much as that
    /// snapshot, whichever is more.
    pub snapshot_bytes: u64,
    /// Entries that stay in the log behind a snapshot, for members that are a little behind.
    pub entries_kept: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            heartbeat: Duration::from_millis(150),
            election_timeout: Duration::from_millis(500),
            snapshot_bytes: 16 << 20,
            entries_kept: 1_000,
        }
    }
}

/// Why options do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Leaders would be replaced that are alive.
    #[error(
        "election_timeout: {election_timeout:?} is not at least three times the heartbeat, {heartbeat:?}"
    )]
    ElectionTimeout {
        /// What was given.
        election_timeout: Duration,
        /// What was given.
        heartbeat: Duration,
    },
    /// The engine counts in milliseconds.
    #[error("heartbeat: {0:?} is less than a millisecond, or more than a day")]
    Heartbeat(Duration),
}

impl Options {
    /// Checks that the options fit one another.
    ///
    /// # Errors
    /// [`OptionsError`] names the field.
    pub fn check(&self) -> Result<(), OptionsError> {
        let Options { heartbeat, election_timeout, .. } = *self;
        if heartbeat < Duration::from_millis(1) || heartbeat > Duration::from_secs(86_400) {
            return Err(OptionsError::Heartbeat(heartbeat));
        }
        if election_timeout < 3 * heartbeat {
            return Err(OptionsError::ElectionTimeout { election_timeout, heartbeat });
        }
        Ok(())
    }
}
