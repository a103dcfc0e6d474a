//! Audit log of pushes: who, from where, to which repository, what, and what came of it.
//!
//! A line a push, under the target `audit`, when its outcome is known; nothing in it comes from a
//! client unescaped, and it never has a secret.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use gitstratum_core::limits::AUDITED_REFS_LISTED_MAX;
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::Holder;
use crate::service::{
    Depth, PackBody, PackRequest, PackSink, ProgressSink, PushOutcome, PushRequest, RefCommand,
    Refs, Repository, RepositoryError, Shallow,
};

/// A repository that is pushed to.
#[derive(Debug)]
pub(super) struct Audited {
    repository: Arc<dyn Repository>,
    name: String,
    holder: Option<Holder>,
    address: String,
}

impl Audited {
    pub(super) fn new(
        repository: Arc<dyn Repository>,
        name: &str,
        holder: Option<Holder>,
        address: &str,
    ) -> Self {
        Audited { repository, name: name.to_owned(), holder, address: address.to_owned() }
    }
}

/// A push under way. Its line is written when this is dropped: after its outcome, or without one,
/// when the client has gone away.
struct Entry<'a> {
    pushed: &'a Audited,
    /// The first of its updates.
    commands: Vec<RefCommand>,
    /// How many more there are.
    more: usize,
    outcome: Option<Result<PushOutcome, RepositoryError>>,
}

impl<'a> Entry<'a> {
    fn begin(pushed: &'a Audited, commands: &[RefCommand]) -> Self {
        let listed = commands.len().min(AUDITED_REFS_LISTED_MAX);
        let (commands, more) = (commands[..listed].to_vec(), commands.len() - listed);
        Entry { pushed, commands, more, outcome: None }
    }

    /// The updates in words, each with what became of it.
    fn what(&self) -> String {
        let id =
            |id: &Option<ObjectId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
        let outcome = self.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
        let mut text = String::new();
        for (at, command) in self.commands.iter().enumerate() {
            let verdict = match outcome.and_then(|outcome| outcome.verdicts.get(at)) {
                Some(Ok(())) => "done",
                Some(Err(_)) => "refused",
                None => "unknown",
            };
            let (old, new) = (id(&command.old), id(&command.new));
            let (comma, name) = (if at > 0 { ", " } else { "" }, command.name.escape_debug());
            let _ = write!(text, "{comma}{name} {old}..{new} {verdict}");
        }
        if self.more > 0 {
            let _ = write!(text, ", and {} more", self.more);
        }
        text
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Audited { name: repository, holder, address, .. } = self.pushed;
        let token = holder.as_ref().map(|holder| holder.id.0);
        let holder = holder.as_ref().map_or("anybody", |holder| &holder.token.description);
        let what = self.what();
        let failed = match &self.outcome {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("it ended before its outcome was known".to_owned()),
        };
        match failed {
            None => {
                tracing::info!(target: "audit", token, ?holder, address, ?repository, what, "push");
            }
            Some(reason) => {
                tracing::info!(
                    target: "audit", token, ?holder, address, ?repository, what, ?reason, "push failed"
                );
            }
        }
    }
}

#[async_trait]
impl Repository for Audited {
    fn object_format(&self) -> HashAlgorithm {
        self.repository.object_format()
    }

    async fn refs(&self) -> Result<Refs, RepositoryError> {
        self.repository.refs().await
    }

    async fn contains(&self, ids: &[ObjectId]) -> Result<Vec<bool>, RepositoryError> {
        self.repository.contains(ids).await
    }

    async fn is_ready(
        &self,
        wants: &[ObjectId],
        common: &[ObjectId],
    ) -> Result<bool, RepositoryError> {
        self.repository.is_ready(wants, common).await
    }

    async fn deepen(
        &self,
        wants: &[ObjectId],
        client_shallow: &[ObjectId],
        depth: &Depth,
    ) -> Result<Shallow, RepositoryError> {
        self.repository.deepen(wants, client_shallow, depth).await
    }

    async fn pack(
        &self,
        request: PackRequest,
        sink: &mut dyn PackSink,
    ) -> Result<(), RepositoryError> {
        self.repository.pack(request, sink).await
    }

    async fn push(
        &self,
        request: PushRequest,
        pack: Option<PackBody>,
        progress: &mut dyn ProgressSink,
    ) -> Result<PushOutcome, RepositoryError> {
        let mut entry = Entry::begin(self, &request.commands);
        let outcome = self.repository.push(request, pack, progress).await;
        entry.outcome = Some(outcome.clone());
        outcome
    }
}
