//! Who calls, where certificates tell: what a request says of itself has to agree.

use tonic::{Request, Status};

use crate::transport::Holder;

/// Whether the caller is the node that it states, or a client where it states none.
///
/// # Errors
/// A status that says who it is.
pub(super) fn check<T>(request: &Request<T>, stated: &str) -> Result<(), Status> {
    let holder = request.extensions().get::<Holder>();
    match holder {
        None => Ok(()),
        Some(_) if stated.is_empty() => Ok(()),
        Some(Holder::Node(node)) if node.as_str() == stated => Ok(()),
        Some(holder) => Err(Status::permission_denied(format!(
            "the caller says that it is node {}, with the certificate of {holder}",
            stated.escape_debug()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use gitstratum_core::placement::NodeId;

    use super::*;

    #[test]
    fn nobody_passes_for_a_node_without_its_certificate() {
        let node = |id: &str| Holder::node(&NodeId::new(id)).unwrap();
        for (holder, stated, is_taken) in [
            (None, "n2", true),
            (Some(node("n2")), "n2", true),
            (Some(node("n2")), "", true),
            (Some(node("n3")), "n2", false),
            (Some(Holder::client("n2").unwrap()), "n2", false),
            (Some(Holder::client("n2").unwrap()), "", true),
        ] {
            let mut request = Request::new(());
            if let Some(holder) = holder.clone() {
                request.extensions_mut().insert(holder);
            }
            let checked = check(&request, stated);
            assert_eq!(checked.is_ok(), is_taken, "{holder:?} as {stated:?}: {checked:?}");
            if let Err(status) = checked {
                assert_eq!(status.code(), tonic::Code::PermissionDenied);
            }
        }
    }
}
