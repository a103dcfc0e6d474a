//! What fits a message.

use std::sync::Arc;

use gitstratum_core::limits;
use gitstratum_core::placement::{Layout, Member, NodeId};

use super::*;

#[test]
fn a_layout_with_its_history_fits_a_message_or_is_refused() {
    use prost::Message;

    let long = |number: usize| {
        let name = format!("{number:04}{}", "n".repeat(246));
        Member::active(NodeId::new(name.clone()), format!("{name}:7400"), name, 1)
    };
    let members: Vec<_> = (0..600).map(long).collect();
    let version = |version: u64| Layout { version, ..Layout::first((3, 2, 2), members.clone()) };
    let with = |earlier: u64| {
        let previous = (1..=earlier).map(|earlier| Arc::new(version(earlier))).collect();
        Layout { previous, ..version(9) }.validated()
    };
    let most = layout_to_wire(&with(3).unwrap());
    assert!(most.encoded_len() > most.members.len() * 4 * 750, "there is much in it");
    assert!(most.encoded_len() < limits::MESSAGE_BYTES_MAX / 2);
    let refused = with(4).unwrap_err().to_string();
    assert!(
        refused.starts_with("node: the members of this version and of the 4 before"),
        "{refused}"
    );
}
