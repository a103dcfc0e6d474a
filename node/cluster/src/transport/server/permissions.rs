//! Permissions: what each method takes, of those who show certificates and of those who show tokens.
//!
//! Where neither is asked for nobody knows who calls, and whoever reaches the port may call all of them.

use super::super::grant::{Caller, Grant, Recency, Scope};
use super::super::holder::Holder;
use super::health::Question;

/// Who may call a method by a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Nodes and clients.
    Everyone,
    /// Nodes, among each other.
    Nodes,
    /// Clients: what operators ask for, and no node ever does.
    Clients,
}

/// Which access token is enough for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// None is.
    NoToken,
    /// One of this scope, whatever it is for.
    Any(Scope),
    /// One of this scope that is for everything: an object belongs to no repository, as far as its
    /// node knows, and a cluster to none at all.
    Whole(Scope),
}

/// Every method, in the order of the contract. A client coordinates its own writes, and so it places
/// objects, and reports what replicas missed, as a node does. What the catalog is asked, it looks at
/// itself: no token that is worth nothing there reaches it.
const METHODS: [(&str, May, Takes); 17] = [
    ("Identify", May::Everyone, Takes::Any(Scope::Read)),
    ("Put", May::Everyone, Takes::Whole(Scope::Write)),
    ("Get", May::Everyone, Takes::Whole(Scope::Read)),
    ("Has", May::Everyone, Takes::Whole(Scope::Read)),
    ("PutBatch", May::Everyone, Takes::Whole(Scope::Write)),
    ("GetBatch", May::Everyone, Takes::Whole(Scope::Read)),
    ("PutLarge", May::Everyone, Takes::Whole(Scope::Write)),
    ("GetLarge", May::Everyone, Takes::Whole(Scope::Read)),
    ("StoreHints", May::Everyone, Takes::Whole(Scope::Write)),
    ("Status", May::Everyone, Takes::Any(Scope::Read)),
    ("Snapshot", May::Clients, Takes::Whole(Scope::Admin)),
    ("ApplyLayout", May::Clients, Takes::Whole(Scope::Admin)),
    ("Compare", May::Nodes, Takes::NoToken),
    ("Wants", May::Nodes, Takes::NoToken),
    ("Job", May::Clients, Takes::Whole(Scope::Admin)),
    ("Agree", May::Nodes, Takes::NoToken),
    ("Catalog", May::Everyone, Takes::Any(Scope::Read)),
];

/// The method of this path, if there is such a one.
pub(super) fn method(path: &str) -> Option<&'static str> {
    if let Some(question) = Question::of(path) {
        return Some(question.name());
    }
    let asked = path.rsplit('/').next().unwrap_or_default();
    METHODS.iter().map(|(name, ..)| *name).find(|name| *name == asked)
}

/// How recent what is known of the token has to be that a request to this path shows.
pub(super) fn recency(path: &str) -> Recency {
    match path.rsplit('/').next() {
        Some("Identify") => Recency::Any,
        _ => Recency::Recent,
    }
}

/// Whether the caller may call the method of this path; `is_repair` where the request says that it is
/// part of it, which is the business of nodes, too.
///
/// # Errors
/// Why not, for the caller and the log.
pub(super) fn check(caller: &Caller, path: &str, is_repair: bool) -> Result<(), String> {
    let method = path.rsplit('/').next().unwrap_or_default();
    // What is not known is refused by whoever would have it.
    let Some((_, may, takes)) = METHODS.iter().find(|(name, ..)| *name == method) else {
        return Ok(());
    };
    let is_node = matches!(caller, Caller::Certified(Holder::Node(_)));
    match may {
        May::Nodes if !is_node => {
            return Err(format!(
                "{method} is for nodes among each other, and the caller is {caller}"
            ));
        }
        May::Clients if is_node => {
            return Err(format!(
                "{method} is for those who give commands, and the caller is {caller}"
            ));
        }
        _ if is_repair && !is_node => {
            return Err(format!(
                "repair is for nodes among each other, and the caller is {caller}"
            ));
        }
        _ => {}
    }
    match caller {
        Caller::Certified(_) => Ok(()),
        Caller::Token(grant) => check_grant(grant, method, *takes),
    }
}

fn check_grant(grant: &Grant, method: &str, takes: Takes) -> Result<(), String> {
    let (scope, is_whole) = match takes {
        Takes::NoToken => return Err(format!("{method} takes a certificate, and not {grant}")),
        Takes::Any(scope) => (scope, false),
        Takes::Whole(scope) => (scope, true),
    };
    if grant.scope < scope {
        return Err(format!("{grant} has the scope {}, and {method} takes {scope}", grant.scope));
    }
    if is_whole && !grant.prefix.is_empty() {
        return Err(format!(
            "{grant} is for {:?}, and {method} takes one that is for everything: bare objects and \
             nodes belong to no repository",
            grant.prefix
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gitstratum_core::placement::NodeId;

    use super::*;

    const CONTRACT: &str = include_str!("../../../../proto/proto/gitstratum/v1/node.proto");

    fn path(method: &str) -> String {
        format!("/gitstratum.v1.Node/{method}")
    }

    fn token(scope: Scope, prefix: &str) -> Caller {
        let (description, prefix) = ("ci".to_owned(), prefix.to_owned());
        Caller::Token(Arc::new(Grant { token: 3, description, scope, prefix }))
    }

    #[test]
    fn every_method_of_the_contract_is_in_the_table() {
        let declared = CONTRACT.lines().filter_map(|line| line.trim().strip_prefix("rpc "));
        let declared: Vec<_> = declared.filter_map(|line| line.split('(').next()).collect();
        let known: Vec<_> = METHODS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(declared, known);
    }

    #[test]
    fn nodes_and_clients_are_refused_each_others_calls() {
        let client = Caller::Certified(Holder::client("alice").unwrap());
        let node = Caller::Certified(Holder::node(&NodeId::new("n1")).unwrap());
        for (method, may, _) in METHODS {
            let path = path(method);
            assert_eq!(check(&node, &path, true).is_ok(), may != May::Clients, "{method}");
            assert_eq!(check(&client, &path, false).is_ok(), may != May::Nodes, "{method}");
            let refused = check(&client, &path, true).unwrap_err();
            assert!(refused.contains("client alice"), "{refused}");
        }
    }

    #[test]
    fn a_token_does_what_its_scope_allows_and_nothing_that_nodes_do() {
        let allowed = |scope, prefix: &str| {
            let caller = token(scope, prefix);
            let methods = METHODS.iter().map(|(method, ..)| *method);
            methods
                .filter(|method| check(&caller, &path(method), false).is_ok())
                .collect::<Vec<_>>()
        };
        let read = ["Identify", "Get", "Has", "GetBatch", "GetLarge", "Status", "Catalog"];
        assert_eq!(allowed(Scope::Read, ""), read);
        let writes = ["Put", "PutBatch", "PutLarge", "StoreHints"];
        let (written, all) = (allowed(Scope::Write, ""), allowed(Scope::Admin, ""));
        assert!(written.len() == read.len() + writes.len(), "{written:?}");
        assert!(writes.iter().all(|method| written.contains(method)), "{written:?}");
        let nodes = ["Compare", "Wants", "Agree"];
        assert!(all.len() == 14 && nodes.iter().all(|method| !all.contains(method)), "{all:?}");
        for scope in [Scope::Read, Scope::Write, Scope::Admin] {
            // What has no repository is nobody's who is let into some.
            assert_eq!(allowed(scope, "team"), ["Identify", "Status", "Catalog"]);
            for (method, ..) in METHODS {
                let refused = check(&token(scope, ""), &path(method), true).unwrap_err();
                assert!(refused.contains("access token 3 (\"ci\")"), "{refused}");
            }
        }
    }
}
