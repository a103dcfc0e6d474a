//! Permissions: which methods are for nodes alone, where certificates tell who calls.
//!
//! Without TLS nobody knows who calls, and whoever reaches the port may call all of them.

use super::super::holder::Holder;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Nodes and clients.
    Everyone,
    /// Nodes, among each other.
    Nodes,
}

/// Every method, in the order of the contract. A client coordinates its own writes, and so it places
/// objects, and reports what replicas missed, as a node does.
const METHODS: [(&str, May); 17] = [
    ("Identify", May::Everyone),
    ("Put", May::Everyone),
    ("Get", May::Everyone),
    ("Has", May::Everyone),
    ("PutBatch", May::Everyone),
    ("GetBatch", May::Everyone),
    ("PutLarge", May::Everyone),
    ("GetLarge", May::Everyone),
    ("StoreHints", May::Everyone),
    ("Status", May::Everyone),
    ("Snapshot", May::Everyone),
    ("ApplyLayout", May::Everyone),
    ("Compare", May::Nodes),
    ("Wants", May::Nodes),
    ("Job", May::Everyone),
    ("Agree", May::Nodes),
    ("Catalog", May::Everyone),
];

/// The method of this path, if there is such a one.
pub(super) fn method(path: &str) -> Option<&'static str> {
    let asked = path.rsplit('/').next().unwrap_or_default();
    METHODS.iter().map(|(name, _)| *name).find(|name| *name == asked)
}

/// Whether the holder of a certificate may call the method of this path; `is_repair` where the
/// request says that it is part of it, which is the business of nodes, too.
///
/// # Errors
/// Why not, for the caller and the log.
pub(super) fn check(holder: &Holder, path: &str, is_repair: bool) -> Result<(), String> {
    let Holder::Client(_) = holder else { return Ok(()) };
    let method = path.rsplit('/').next().unwrap_or_default();
    let known = METHODS.iter().find(|(name, _)| *name == method);
    // What is not known is refused by whoever would have it.
    let may = known.map_or(May::Everyone, |(_, may)| *may);
    match (may, is_repair) {
        (May::Nodes, _) => {
            Err(format!("{method} is for nodes among each other, and the caller is {holder}"))
        }
        (May::Everyone, true) => {
            Err(format!("repair is for nodes among each other, and the caller is {holder}"))
        }
        (May::Everyone, false) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use gitstratum_core::placement::NodeId;

    use super::*;

    const CONTRACT: &str = include_str!("../../../../proto/proto/gitstratum/v1/node.proto");

    #[test]
    fn every_method_of_the_contract_is_in_the_table() {
        let declared = CONTRACT.lines().filter_map(|line| line.trim().strip_prefix("rpc "));
        let declared: Vec<_> = declared.filter_map(|line| line.split('(').next()).collect();
        let known: Vec<_> = METHODS.iter().map(|(name, _)| *name).collect();
        assert_eq!(declared, known);
    }

    #[test]
    fn a_client_is_refused_what_nodes_do_among_each_other_and_a_node_nothing() {
        let (client, node) =
            (Holder::client("alice").unwrap(), Holder::node(&NodeId::new("n1")).unwrap());
        for (method, may) in METHODS {
            let path = format!("/gitstratum.v1.Node/{method}");
            assert_eq!(check(&node, &path, true), Ok(()));
            assert_eq!(check(&client, &path, false).is_ok(), may == May::Everyone, "{method}");
            let refused = check(&client, &path, true).unwrap_err();
            assert!(refused.contains("client alice"), "{refused}");
        }
    }
}
