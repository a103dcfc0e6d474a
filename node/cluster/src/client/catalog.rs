//! The catalog, asked through whichever member answers.

use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::placement::{MemberState, NodeId};
use gitstratum_core::replica::NodeError;
use gitstratum_proto::v1::catalog_response::Answer;
use gitstratum_proto::v1::{CatalogFailure, CatalogFailureKind, CatalogRequest, catalog_request};
use tokio::time::Instant;

use super::Client;
use super::replicas::remote;

/// Between asking all members and asking all of them once more.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// Why the catalog has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// No member of the cluster that answered is a member of the catalog; each with its reason.
    #[error("nobody answers for the catalog: {}", .0.join("; "))]
    NoMember(Vec<String>),
    /// Every member that answered keeps no catalog; each with its words.
    #[error("nobody answers for the catalog: {}", .0.join("; "))]
    Off(Vec<String>),
    /// Nothing was done.
    #[error("the catalog did nothing: {0}")]
    NotDone(String),
    /// It is not known whether the command was done.
    #[error("it is not known whether it was done: {0}")]
    Unknown(String),
    /// Whoever asks may not have this done, or does not say who it is.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// The request is wrong.
    #[error("the catalog cannot read it: {0}")]
    Invalid(String),
}

impl Client {
    /// Has the catalog do a command, and gives its reply. The command is sent to another member
    /// when the one that was asked does not answer: it must say who asks and which of its commands
    /// it is, so that it is done once. Where nobody has done it, all are asked until the deadline.
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

    /// Asks one member after another, and all of them once more while it is certain that nothing
    /// was done: they may be about to found their group, or to elect a leader.
    async fn ask_catalog(
        &self,
        request: catalog_request::Request,
        local: bool,
    ) -> Result<Bytes, CatalogError> {
        let until = Instant::now() + self.options.request_timeout;
        let is_query = matches!(request, catalog_request::Request::Query(_));
        loop {
            let mut failures = Failures::default();
            if let Some(reply) = self.ask_each(&request, local, until, &mut failures).await? {
                return Ok(reply);
            }
            let may_change = failures.may_change;
            let error = failures.into_error(is_query);
            let is_certain = !matches!(error, CatalogError::Off(_) | CatalogError::Unknown(_));
            if !may_change || !is_certain || Instant::now() + ROUND_PAUSE >= until {
                return Err(error);
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// Asks each member, until one answers; what the others say goes to `failures`.
    async fn ask_each(
        &self,
        request: &catalog_request::Request,
        local: bool,
        until: Instant,
        failures: &mut Failures,
    ) -> Result<Option<Bytes>, CatalogError> {
        let layout = self.layout();
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
            match node.catalog(request, within).await {
                Ok(response) => match response.answer {
                    Some(Answer::Reply(reply)) => return Ok(Some(reply)),
                    Some(Answer::Failure(failure)) => failures.take(name, failure)?,
                    None => failures.unknown = Some(format!("{name} says nothing")),
                },
                // Another would say the same; but what may be done already is not to be denied.
                Err(NodeError::Denied { reason }) if failures.unknown.is_none() => {
                    return Err(CatalogError::NotAllowed(reason));
                }
                Err(error) => failures.take_error(name, &error),
            }
        }
        Ok(None)
    }
}

/// What members said that gave no answer.
#[derive(Default)]
struct Failures {
    /// Why nothing was asked of the catalog there.
    reasons: Vec<String>,
    /// Who keeps no catalog.
    off: Vec<String>,
    /// The last one that may have done it all the same, and why that is not known.
    unknown: Option<String>,
    /// The last one that did nothing, and why.
    not_done: Option<String>,
    /// Whether a member that answered may answer otherwise soon.
    may_change: bool,
}

impl Failures {
    fn take(&mut self, name: &NodeId, failure: CatalogFailure) -> Result<(), CatalogError> {
        let kind = failure.kind();
        let message = format!("{name}: {}", failure.message);
        match kind {
            CatalogFailureKind::NoMember => {
                self.may_change = true;
                self.reasons.push(failure.message);
            }
            CatalogFailureKind::Off => self.off.push(message),
            CatalogFailureKind::Invalid => return Err(CatalogError::Invalid(failure.message)),
            CatalogFailureKind::NotDone => {
                self.may_change = true;
                self.not_done = Some(message);
            }
            CatalogFailureKind::Unknown | CatalogFailureKind::Unspecified => {
                self.unknown = Some(message);
            }
        }
        Ok(())
    }

    fn take_error(&mut self, name: &NodeId, error: &NodeError) {
        let message = format!("{name}: {error}");
        match error.was_not_begun() {
            true => self.reasons.push(message),
            // It may have been done there; another answers for the same command.
            false => self.unknown = Some(message),
        }
    }

    fn into_error(self, is_query: bool) -> CatalogError {
        match (self.unknown, self.not_done) {
            // A question changes nothing, whatever became of it.
            (Some(reason), None) | (_, Some(reason)) if is_query => CatalogError::NotDone(reason),
            (Some(reason), _) => CatalogError::Unknown(reason),
            (None, Some(reason)) => CatalogError::NotDone(reason),
            (None, None) if self.reasons.is_empty() && !self.off.is_empty() => {
                CatalogError::Off(self.off)
            }
            (None, None) => CatalogError::NoMember([self.off, self.reasons].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> NodeError {
        NodeError::ConnectionLost { address: "n1:7000".into(), reason: "reset".into() }
    }

    fn after(errors: &[NodeError], failures: &[CatalogFailureKind]) -> Failures {
        let mut all = Failures::default();
        let name = NodeId::new("n1");
        errors.iter().for_each(|error| all.take_error(&name, error));
        for kind in failures {
            let failure = CatalogFailure { kind: (*kind).into(), message: String::new() };
            all.take(&name, failure).expect("it is not invalid");
        }
        all
    }

    #[test]
    fn a_command_whose_answer_got_lost_may_have_been_done_whatever_others_say() {
        use CatalogFailureKind::{NoMember, NotDone};
        let all: [&[CatalogFailureKind]; 4] = [&[], &[NoMember], &[NotDone], &[NoMember, NotDone]];
        for others in all {
            let error = after(&[lost()], others).into_error(false);
            assert!(matches!(error, CatalogError::Unknown(_)), "{others:?}: {error}");
        }
        let error = after(&[lost(), lost()], &[]).into_error(true);
        assert!(matches!(error, CatalogError::NotDone(_)), "a question: {error}");
    }

    #[test]
    fn what_was_sent_to_nobody_was_not_done() {
        let overloaded = || NodeError::Overloaded { reason: "full".into() };
        let error = after(&[overloaded()], &[CatalogFailureKind::NoMember]).into_error(false);
        assert!(matches!(error, CatalogError::NoMember(reasons) if reasons.len() == 2));
        let error = after(&[overloaded()], &[CatalogFailureKind::NotDone]).into_error(false);
        assert!(matches!(error, CatalogError::NotDone(_)), "{error}");
    }
}
