//! The catalog, asked through whichever member answers.

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::placement::{MemberState, NodeId};
use gitstratum_proto::v1::catalog_response::Answer;
use gitstratum_proto::v1::{CatalogFailureKind, CatalogRequest, catalog_request};
use tokio::time::Instant;

use super::Client;
use super::replicas::remote;

/// Why the catalog has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// No member of the cluster that answered is a member of the catalog; each with its reason.
    #[error("nobody answers for the catalog: {}", .0.join("; "))]
    NoMember(Vec<String>),
    /// Nothing was done.
    #[error("the catalog did nothing: {0}")]
    NotDone(String),
    /// It is not known whether the command was done.
    #[error("it is not known whether it was done: {0}")]
    Unknown(String),
    /// The request is wrong.
    #[error("the catalog cannot read it: {0}")]
    Invalid(String),
}

impl Client {
    /// Has the catalog do a command, and gives its reply. The command is sent to another member
    /// when the one that was asked does not answer: it must say who asks and which of its commands
    /// it is, so that it is done once.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn catalog_command(&self, command: Bytes) -> Result<Bytes, CatalogError> {
        self.ask_catalog(catalog_request::Request::Command(command), false).await
    }

    /// Asks the catalog something; the answer has everything that was acknowledged before. With
    /// `local` it is what one node knows, however old that is.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn catalog_query(&self, query: Bytes, local: bool) -> Result<Bytes, CatalogError> {
        self.ask_catalog(catalog_request::Request::Query(query), local).await
    }

    /// The same client, which asks this node first about the catalog, for whoever is near to one.
    #[must_use]
    pub fn asking_first(&self, node: &NodeId) -> Self {
        Client { asked_first: Some(node.clone()), ..self.clone() }
    }

    async fn ask_catalog(
        &self,
        request: catalog_request::Request,
        local: bool,
    ) -> Result<Bytes, CatalogError> {
        let until = Instant::now() + self.options.request_timeout;
        let layout = self.layout();
        let (mut reasons, mut unknown, mut not_done) = (Vec::new(), None, None);
        let members = layout.members.iter().filter(|m| m.state != MemberState::Removed);
        let mut members: Vec<_> = members.collect();
        members.sort_by_key(|member| self.asked_first.as_ref() != Some(&member.node_id));
        for member in members {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let node = remote(&self.layout, &self.connections, member);
            let request = CatalogRequest { request: Some(request.clone()), local };
            let within = left.min(2 * limits::CATALOG_REQUEST_TIMEOUT);
            let name = &member.node_id;
            let failure = match node.catalog(request, within).await {
                Ok(response) => match response.answer {
                    Some(Answer::Reply(reply)) => return Ok(reply),
                    Some(Answer::Failure(failure)) => failure,
                    None => {
                        unknown = Some(format!("{name} says nothing"));
                        continue;
                    }
                },
                Err(error) => {
                    // It may have been done there; another answers for the same command.
                    unknown = Some(format!("{name}: {error}"));
                    reasons.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let message = format!("{name}: {}", failure.message);
            match failure.kind() {
                CatalogFailureKind::NoMember => reasons.push(failure.message),
                CatalogFailureKind::Invalid => return Err(CatalogError::Invalid(failure.message)),
                CatalogFailureKind::NotDone => not_done = Some(message),
                CatalogFailureKind::Unknown | CatalogFailureKind::Unspecified => {
                    unknown = Some(message);
                }
            }
        }
        let is_query = matches!(request, catalog_request::Request::Query(_));
        match (unknown, not_done) {
            (Some(reason), None) if is_query => Err(CatalogError::NotDone(reason)),
            (_, Some(reason)) if is_query => Err(CatalogError::NotDone(reason)),
            (Some(_), _) if reasons.len() == layout.members.len() => {
                Err(CatalogError::NoMember(reasons))
            }
            (Some(reason), _) => Err(CatalogError::Unknown(reason)),
            (None, Some(reason)) => Err(CatalogError::NotDone(reason)),
            (None, None) => Err(CatalogError::NoMember(reasons)),
        }
    }
}
