//! Wire format.
//!
//! The contract on the wire: messages ↔ values, statuses ↔ errors.
//!
//! `rpc` and `service` are the two sides of it: above them nobody sees a protobuf message or a
//! gRPC status, but for answers to `status`, which are passed on as they are.

pub(crate) mod codec;
pub mod compare;
pub mod metrics;
pub mod stamp;
pub mod status;
pub(crate) mod words;

use std::ops::RangeInclusive;

/// The newest version of the contract that this program speaks. It grows when a peer of the
/// version before could misunderstand.
pub const PROTOCOL_VERSION: u32 = 1;
/// The oldest: that of the program before, so that a cluster serves while it is upgraded.
pub const PROTOCOL_VERSION_MIN: u32 = 1;

/// The version that a node which speaks `ours` answers a caller with who speaks up to `theirs`: the
/// newest that both may have, for the caller to judge. Program 0.1 takes its own alone, which is 1.
pub fn protocol_for(ours: RangeInclusive<u32>, theirs: u32) -> u32 {
    if ours.contains(&theirs) { theirs } else { *ours.end() }
}

#[cfg(test)]
mod tests {
    use super::protocol_for;

    #[test]
    fn the_newest_version_is_spoken_that_both_have() {
        for (ours, theirs, spoken) in [
            // The same; a caller of the version before; and of the next.
            (1..=1, 1, 1),
            (1..=2, 1, 1),
            (1..=2, 2, 2),
            (1..=2, 3, 2),
            // None: the caller sees that it does not have the answer.
            (2..=3, 1, 3),
            (1..=1, 0, 1),
        ] {
            assert_eq!(protocol_for(ours.clone(), theirs), spoken, "{ours:?} and {theirs}");
        }
    }
}
