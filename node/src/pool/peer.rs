//! What a lease of the pool holds.

/// Which of the peer's successive connections a lease is of.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) serial: u64,
}
