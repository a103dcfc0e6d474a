//! Layout file.
//!
//! The layout as a TOML document: `[cluster]`, `[[node]]`, and what came before.
//!
//! The operator writes the first two; the copy that a node keeps, and `layout show` prints,
//! has the history too, as `[[previous]]`. What is settled by then is no history any more. The
//! same tables stand in a node's configuration when no document is named there.

use serde::{Deserialize, Serialize};

use crate::config_text::{ConfigError, ConfigText};
use crate::format::NewerFormat;
use crate::placement::{ClusterId, Layout, LayoutError, Member, MemberState, NodeId};

/// The form of the document that this program writes, and the newest that it reads. A document that
/// does not say has form 1.
const FORMAT: u32 = 1;

/// The zone of a member that was not given one.
pub const ZONE_DEFAULT: &str = "default";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default = "format")]
    format: u32,
    cluster: ClusterTable,
    node: Vec<MemberTable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<PreviousTables>,
}

/// What every document says of itself, whatever its form.
#[derive(Deserialize)]
struct Formatted {
    #[serde(default = "format")]
    format: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviousTables {
    cluster: ClusterTable,
    node: Vec<MemberTable>,
}

/// `[cluster]`: the layout without its members.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterTable {
    #[serde(default, with = "cluster_id", skip_serializing_if = "Option::is_none")]
    id: Option<ClusterId>,
    version: u64,
    replicas: usize,
    write_quorum: usize,
    read_quorum: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    settled: u64,
}

/// `[[node]]`: a member.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberTable {
    id: String,
    address: String,
    #[serde(default = "zone_default")]
    zone: String,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default, with = "state", skip_serializing_if = "is_active")]
    state: MemberState,
}

fn zone_default() -> String {
    ZONE_DEFAULT.to_owned()
}

fn format() -> u32 {
    FORMAT
}

fn one() -> u32 {
    1
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_active(state: &MemberState) -> bool {
    *state == MemberState::Active
}

/// A cluster's id as text, where it is there.
mod cluster_id {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::placement::ClusterId;

    pub(super) fn serialize<S: Serializer>(
        id: &Option<ClusterId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        id.as_ref().map(ClusterId::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<ClusterId>, D::Error> {
        let text = String::deserialize(from)?;
        ClusterId::parse(&text).map(Some).map_err(D::Error::custom)
    }
}

/// A state as its word.
mod state {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::placement::MemberState;

    pub(super) fn serialize<S: Serializer>(state: &MemberState, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(state.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MemberState, D::Error> {
        let word = String::deserialize(from)?;
        let states = [MemberState::Active, MemberState::Draining, MemberState::Removed];
        states.into_iter().find(|state| state.word() == word).ok_or_else(|| {
            D::Error::custom(format!("{word:?} is none of \"active\", \"draining\", \"removed\""))
        })
    }
}

/// Reads and checks a layout document; `source_name` stands before errors.
///
/// # Errors
/// [`ConfigError::Syntax`] and [`ConfigError::Field`].
pub fn layout_from_toml(text: &str, source_name: &str) -> Result<Layout, ConfigError> {
    let source = ConfigText::parse(text, source_name)?;
    // Before all else: what a newer version added would be no field of this one.
    let Formatted { format } = source.deserialize()?;
    if format > FORMAT {
        let problem = NewerFormat::new("the layout", format, FORMAT).to_string();
        return Err(source.field_error("format", problem));
    }
    let document: Document = source.deserialize()?;
    let refused = |error: LayoutError| source.field_error(&error.field, error.problem);
    if document.format == 0 {
        return Err(source.field_error("format", "formats are counted from 1".to_owned()));
    }
    let mut layout = layout_of(document.cluster, document.node);
    for (index, previous) in document.previous.into_iter().enumerate() {
        let previous = layout_of(previous.cluster, previous.node).validated();
        let previous = previous.map_err(|error| {
            refused(LayoutError { field: format!("previous[{index}].{}", error.field), ..error })
        });
        layout.previous.push(previous?.into());
    }
    // What `layout show` prints has them, and whoever then writes that they are settled need not
    // take them away.
    layout.previous.retain(|previous| previous.version >= layout.settled);
    layout.validated().map_err(refused)
}

/// The document that [`layout_from_toml`] reads back to the same layout, which is a
/// validated one.
pub fn layout_to_toml(layout: &Layout) -> String {
    let previous = |layout: &std::sync::Arc<Layout>| {
        let (cluster, node) = tables_of(layout);
        PreviousTables { cluster, node }
    };
    let (cluster, node) = tables_of(layout);
    let previous = layout.previous.iter().map(previous).collect();
    let document = Document { format: FORMAT, cluster, node, previous };
    toml::to_string(&document).expect("all numbers of a validated layout are numbers of TOML")
}

/// The layout that these tables describe, not yet validated.
pub fn layout_of(cluster: ClusterTable, nodes: Vec<MemberTable>) -> Layout {
    let member = |node: MemberTable| Member {
        node_id: NodeId::new(node.id),
        address: node.address,
        zone: node.zone,
        weight: node.weight,
        state: node.state,
    };
    Layout {
        cluster: cluster.id,
        version: cluster.version,
        replicas: cluster.replicas,
        write_quorum: cluster.write_quorum,
        read_quorum: cluster.read_quorum,
        settled: cluster.settled,
        members: nodes.into_iter().map(member).collect(),
        previous: Vec::new(),
    }
}

/// A layout as its tables, without the history.
pub fn tables_of(layout: &Layout) -> (ClusterTable, Vec<MemberTable>) {
    let node = |member: &Member| MemberTable {
        id: member.node_id.to_string(),
        address: member.address.clone(),
        zone: member.zone.clone(),
        weight: member.weight,
        state: member.state,
    };
    let cluster = ClusterTable {
        id: layout.cluster.clone(),
        version: layout.version,
        replicas: layout.replicas,
        write_quorum: layout.write_quorum,
        read_quorum: layout.read_quorum,
        settled: layout.settled,
    };
    (cluster, layout.members.iter().map(node).collect())
}
