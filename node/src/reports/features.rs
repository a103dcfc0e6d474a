//! Features that are off, as nodes say it.

use std::collections::BTreeMap;

use gitstratum_catalog::error::{Lacking, lacking};
use gitstratum_proto::v1::StatusResponse;

/// Features that any of these nodes takes for off, each with who lacks it, in a line. Nodes that are
/// being upgraded know different things: whoever lacks a feature by one of them is named.
pub(crate) fn features_off<'s>(
    statuses: impl IntoIterator<Item = &'s StatusResponse>,
) -> Vec<String> {
    let mut off: BTreeMap<&str, BTreeMap<&str, Option<&str>>> = BTreeMap::new();
    for said in statuses.into_iter().flat_map(|status| &status.features_off) {
        let nodes = off.entry(&said.feature).or_default();
        for node in &said.nodes {
            let version = nodes.entry(&node.node_id).or_default();
            *version = version.or(node.version.as_deref());
        }
    }
    let line = |(feature, nodes): (&str, BTreeMap<&str, Option<&str>>)| {
        let nodes = nodes.into_iter().map(|(node, version)| Lacking {
            node: node.to_owned(),
            version: version.map(str::to_owned),
        });
        format!("`{feature}` is off: {} lack it", lacking(&nodes.collect::<Vec<_>>()))
    };
    off.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use gitstratum_proto::v1::{FeatureOff, LackingNode};

    use super::*;

    #[test]
    fn who_lacks_a_feature_by_any_node_is_named_once_with_the_version_that_somebody_knows() {
        let says = |nodes: &[(&str, Option<&str>)]| {
            let node = |(node, version): &(&str, Option<&str>)| LackingNode {
                node_id: (*node).to_owned(),
                version: version.map(str::to_owned),
            };
            let nodes = nodes.iter().map(node).collect();
            let off = FeatureOff { feature: "restore".to_owned(), nodes };
            StatusResponse { features_off: vec![off], ..Default::default() }
        };
        let statuses = [
            says(&[("n3", None), ("n2", None)]),
            says(&[("n2", Some("0.1.9"))]),
            StatusResponse::default(),
        ];
        assert_eq!(
            features_off(&statuses),
            ["`restore` is off: n2 (version 0.1.9), n3 (states no version, as 0.1 does) lack it"]
        );
        assert!(features_off(&[]).is_empty());
    }
}
