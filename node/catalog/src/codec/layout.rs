//! CBOR of a layout: numbered fields, so that a newer version may add some.
//!
//! Earlier layouts have no history of their own, and their form has no place for one: whoever
//! writes bytes by hand cannot make a reader descend without end.

use std::sync::Arc;

use gitstratum_core::placement::{ClusterId, Layout, Member, MemberState, NodeId};
use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};

#[derive(Encode, Decode)]
struct Whole {
    #[n(0)]
    cluster: Option<String>,
    #[n(1)]
    version: Version,
    #[n(2)]
    previous: Vec<Version>,
}

#[derive(Encode, Decode)]
struct Version {
    #[n(0)]
    version: u64,
    #[n(1)]
    replicas: u32,
    #[n(2)]
    write_quorum: u32,
    #[n(3)]
    read_quorum: u32,
    #[n(4)]
    settled: u64,
    #[n(5)]
    members: Vec<MemberFields>,
}

#[derive(Encode, Decode)]
struct MemberFields {
    #[n(0)]
    node: String,
    #[n(1)]
    address: String,
    #[n(2)]
    zone: String,
    #[n(3)]
    weight: u32,
    #[n(4)]
    state: State,
}

#[derive(Encode, Decode)]
#[cbor(index_only)]
enum State {
    #[n(0)]
    Active,
    #[n(1)]
    Draining,
    #[n(2)]
    Removed,
}

fn fields_of(layout: &Layout) -> Version {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let member = |member: &Member| MemberFields {
        node: member.node_id.to_string(),
        address: member.address.clone(),
        zone: member.zone.clone(),
        weight: member.weight,
        state: match member.state {
            MemberState::Active => State::Active,
            MemberState::Draining => State::Draining,
            MemberState::Removed => State::Removed,
        },
    };
    Version {
        version: layout.version,
        replicas: number(layout.replicas),
        write_quorum: number(layout.write_quorum),
        read_quorum: number(layout.read_quorum),
        settled: layout.settled,
        members: layout.members.iter().map(member).collect(),
    }
}

fn layout_of(fields: Version, cluster: Option<ClusterId>, previous: Vec<Arc<Layout>>) -> Layout {
    let member = |fields: MemberFields| Member {
        node_id: NodeId::new(fields.node),
        address: fields.address,
        zone: fields.zone,
        weight: fields.weight,
        state: match fields.state {
            State::Active => MemberState::Active,
            State::Draining => MemberState::Draining,
            State::Removed => MemberState::Removed,
        },
    };
    Layout {
        cluster,
        version: fields.version,
        replicas: fields.replicas as usize,
        write_quorum: fields.write_quorum as usize,
        read_quorum: fields.read_quorum as usize,
        settled: fields.settled,
        members: fields.members.into_iter().map(member).collect(),
        previous,
    }
}

/// Writes a layout.
pub fn encode<C, W: Write>(
    layout: &Arc<Layout>,
    to: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), encode::Error<W::Error>> {
    let whole = Whole {
        cluster: layout.cluster.as_ref().map(ClusterId::to_string),
        version: fields_of(layout),
        previous: layout.previous.iter().map(|previous| fields_of(previous)).collect(),
    };
    to.encode(whole)?.ok()
}

/// Reads a layout, which nobody has validated yet.
pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<Arc<Layout>, decode::Error> {
    let at = from.position();
    let whole: Whole = from.decode()?;
    let cluster = whole.cluster.as_deref().map(ClusterId::parse).transpose();
    let cluster = cluster.map_err(|why| decode::Error::message(why).at(at))?;
    let alone = |fields| Arc::new(layout_of(fields, None, Vec::new()));
    let previous = whole.previous.into_iter().map(alone).collect();
    Ok(Arc::new(layout_of(whole.version, cluster, previous)))
}
