//! Strategies: valid inputs of the node, drawn at random and shrunk when a property fails.
//!
//! The properties themselves are in `tests/properties`. What a strategy gives is always
//! valid; refusals are tested beside the code that refuses.

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectId};
use gitstratum_core::placement::{Layout, Member, MemberState, NodeId};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

/// Either hash algorithm.
pub fn algorithms() -> impl Strategy<Value = HashAlgorithm> {
    prop_oneof![Just(HashAlgorithm::Sha1), Just(HashAlgorithm::Sha256)]
}

/// Any of Git's four kinds.
pub fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Blob), Just(Kind::Tree), Just(Kind::Commit), Just(Kind::Tag)]
}

/// Ids of either algorithm, evenly spread.
pub fn ids() -> impl Strategy<Value = ObjectId> {
    prop_oneof![
        any::<[u8; 20]>().prop_map(|raw| ObjectId::from_bytes(&raw).expect("20 bytes are an id")),
        any::<[u8; 32]>().prop_map(|raw| ObjectId::from_bytes(&raw).expect("32 bytes are an id")),
    ]
}

/// Object data of 0 to 8 KiB; half of it under 512 bytes, as Git's objects are.
pub fn data() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..512), vec(any::<u8>(), 512..8192)].prop_map(Bytes::from)
}

/// Objects whose id is the hash of their data.
pub fn objects() -> impl Strategy<Value = Object> {
    (algorithms(), kinds(), data()).prop_map(|(algorithm, kind, data)| {
        Object::hash(algorithm, kind, data).expect("random bytes are no collision attack")
    })
}

/// One member with a random name, in one of `zones` zones, of weight 1 to `weight_max`.
pub fn members(zones: u32, weight_max: u32) -> impl Strategy<Value = Member> {
    ("[a-z][a-z0-9-]{3,11}", 0..zones, 1..=weight_max).prop_map(|(id, zone, weight)| Member {
        address: format!("{id}.example:7400"),
        node_id: NodeId::new(id),
        zone: format!("zone-{zone}"),
        weight,
        state: MemberState::Active,
    })
}

/// Valid layouts of at most 12 members, not sorted yet: N up to 5, any overlapping
/// quorums, up to 5 zones, weights 1 to `weight_max`.
pub fn layouts(weight_max: u32) -> impl Strategy<Value = Layout> {
    (1..=5_usize, 1..=5_u32).prop_flat_map(move |(replicas, zones)| {
        let quorums = (1..=replicas).prop_flat_map(move |w| (Just(w), replicas - w + 1..=replicas));
        let names = btree_set("[a-z][a-z0-9-]{3,11}", replicas..=12);
        (quorums, names).prop_flat_map(move |((write_quorum, read_quorum), names)| {
            let rest = vec(members(zones, weight_max), names.len());
            (Just(names), rest).prop_map(move |(names, rest)| {
                let named = |(id, member): (String, Member)| Member {
                    address: format!("{id}.example:7400"),
                    node_id: NodeId::new(id),
                    ..member
                };
                let members = names.into_iter().zip(rest).map(named).collect();
                Layout::first((replicas, write_quorum, read_quorum), members)
            })
        })
    })
}
