//! Who calls, where a certificate or a token tells: what a request says of itself has to agree.

use tonic::{Request, Status};

use crate::transport::{Caller, Holder};

/// Whether the caller is the node that it states, or a client where it states none.
///
/// # Errors
/// A status that says who it is.
pub(super) fn check<T>(request: &Request<T>, stated: &str) -> Result<(), Status> {
    let caller = request.extensions().get::<Caller>();
    let with = match caller {
        None => return Ok(()),
        Some(_) if stated.is_empty() => return Ok(()),
        Some(Caller::Certified(Holder::Node(node))) if node.as_str() == stated => return Ok(()),
        Some(Caller::Certified(holder)) => format!("the certificate of {holder}"),
        Some(Caller::Token(grant)) => grant.to_string(),
    };
    let stated = stated.escape_debug();
    Err(Status::permission_denied(format!("the caller says that it is node {stated}, with {with}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gitstratum_core::placement::NodeId;

    use super::*;
    use crate::transport::{Grant, Scope};

    #[test]
    fn nobody_passes_for_a_node_without_its_certificate() {
        let node = |id: &str| Caller::Certified(Holder::node(&NodeId::new(id)).unwrap());
        let client = || Caller::Certified(Holder::client("n2").unwrap());
        let (description, prefix) = ("n2".to_owned(), String::new());
        let grant = Grant { token: 2, description, scope: Scope::Admin, prefix };
        let token = Caller::Token(Arc::new(grant));
        for (caller, stated, is_taken) in [
            (None, "n2", true),
            (Some(node("n2")), "n2", true),
            (Some(node("n2")), "", true),
            (Some(node("n3")), "n2", false),
            (Some(client()), "n2", false),
            (Some(client()), "", true),
            (Some(token.clone()), "n2", false),
            (Some(token), "", true),
        ] {
            let mut request = Request::new(());
            if let Some(caller) = caller.clone() {
                request.extensions_mut().insert(caller);
            }
            let checked = check(&request, stated);
            assert_eq!(checked.is_ok(), is_taken, "{caller:?} as {stated:?}: {checked:?}");
            if let Err(status) = checked {
                assert_eq!(status.code(), tonic::Code::PermissionDenied);
            }
        }
    }
}
