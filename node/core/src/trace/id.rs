//! Request id: 128 bits that name a request in logs, in what its caller is told, and in a trace.
//!
//! The first half is the run of the node that drew it, so that a request leads to the node at whose
//! door it began; the second half is another one for each of them.
//!
//! Invariant: a run gives no id twice. Ids are no secrets, and nobody is let in by one.

use std::fmt;
use std::num::NonZeroU128;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names a request, and is the id of its trace where one is taken. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(NonZeroU128);

impl RequestId {
    /// The id with this value; none for zero, which W3C's Trace Context keeps for "no trace".
    pub fn new(value: u128) -> Option<Self> {
        NonZeroU128::new(value).map(RequestId)
    }

    /// Reads 32 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(hexadecimal(text, 32)?)
    }

    /// Its value.
    pub fn value(self) -> u128 {
        self.0.get()
    }

    /// A share of all requests, from 0 to 1, in which this one is or is not, whoever asks: what is
    /// in a smaller share is in every larger one too.
    pub fn is_within(self, share: f64) -> bool {
        // The half that is another one for each request.
        let place = self.value() as u64 as f64;
        place < share * (u64::MAX as f64) || share >= 1.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// So many hexadecimal digits in lower case, which is what Trace Context allows.
pub(super) fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_right = text.len() == digits && text.bytes().all(is_digit);
    is_right.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Draws the ids of one run of a node. Clones draw from the same ones.
#[derive(Clone, Debug)]
pub struct RequestIds {
    run: u64,
    drawn: Arc<AtomicU64>,
}

impl RequestIds {
    /// Those of this run, which no other has.
    pub fn of_run(run: u64) -> Self {
        RequestIds { run, drawn: Arc::default() }
    }

    /// One that was not drawn before.
    pub fn draw(&self) -> RequestId {
        // Only one of all numbers is mixed to zero, and only with a run of zero does that matter.
        loop {
            let number = self.drawn.fetch_add(1, Ordering::Relaxed);
            let value = u128::from(self.run) << 64 | u128::from(mixed(number ^ self.run));
            if let Some(id) = RequestId::new(value) {
                return id;
            }
        }
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::of_run(0)
    }
}

/// The finalizer of SplitMix64: one to one, and each bit depends on all of them, so that the numbers
/// of a run are spread evenly over all shares.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
