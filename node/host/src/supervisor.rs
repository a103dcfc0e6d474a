//! Service manager notifications (`sd_notify`).
//!
//! What the supervisor of this process is told of it, where one asked to be: systemd does, for a unit
//! of `Type=notify`, by a socket that `NOTIFY_SOCKET` names. In the simulated world nobody asks.

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It serves: what waits for it may go on.
    Ready,
    /// It was told to stop, and ends what is under way.
    Stopping,
}

/// Tells the supervisor, if there is one. A supervisor that cannot be told is logged: it will take the
/// node for one that did not start in time.
#[cfg(not(madsim))]
pub fn tell(what: Told) {
    use sd_notify::NotifyState;

    let state = match what {
        Told::Ready => NotifyState::Ready,
        Told::Stopping => NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::error!(?what, %error, "the supervisor that NOTIFY_SOCKET names cannot be told");
    }
}

/// Tells nobody.
#[cfg(madsim)]
pub fn tell(_what: Told) {}
