//! Pool protections of each control.
//!
//! What each broken pool lacks.

use crate::scenario::Control;

/// The protections that a pool has not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lacks {
    /// A greatest age, and distrust of what was not heard for long.
    pub(super) expiry: bool,
    /// A successor that stands before the old one goes.
    pub(super) overlap: bool,
    /// An end for what failed or closed, and with it a second attempt.
    pub(super) eviction: bool,
    /// A fresh look at the name.
    pub(super) resolution: bool,
    /// A look at who answered.
    pub(super) identity: bool,
    /// Pings.
    pub(super) keepalive: bool,
    /// One dial for all callers.
    pub(super) single_flight: bool,
    /// Patience after a failed dial.
    pub(super) backoff: bool,
    /// A limit to its connections.
    pub(super) bound: bool,
    /// A layout that keeps up with the nodes'.
    pub(super) catching_up: bool,
}

impl Lacks {
    /// What a control takes away.
    pub(super) fn of(control: Control) -> Self {
        let none = Lacks::default();
        match control {
            Control::NoExpiry => Lacks { expiry: true, ..none },
            Control::NoOverlap => Lacks { overlap: true, ..none },
            Control::NoEviction => Lacks { eviction: true, ..none },
            Control::ResolveOnce => Lacks { resolution: true, ..none },
            Control::NoIdentityCheck => Lacks { identity: true, ..none },
            Control::NoKeepalive => Lacks { keepalive: true, ..none },
            Control::NoSingleFlight => Lacks { single_flight: true, ..none },
            Control::NoBackoff => Lacks { backoff: true, ..none },
            Control::NoBound => Lacks { bound: true, ..none },
            Control::NoCatchingUp => Lacks { catching_up: true, ..none },
            Control::Naive => Lacks {
                expiry: true,
                overlap: true,
                eviction: true,
                resolution: true,
                identity: true,
                keepalive: true,
                single_flight: true,
                backoff: true,
                bound: true,
                catching_up: true,
            },
            // What is broken there, if anything, is no pool.
            _ => none,
        }
    }
}
