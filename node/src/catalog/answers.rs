//! What a node answers from the catalog: commands that it has agreed on, questions, pages of the text
//! form; as far as the token of whoever asks allows.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_catalog::encode::{decode_command, decode_query, encode_answer, encode_command};
use gitstratum_catalog::ids::TokenId;
use gitstratum_catalog::{Answer, Query};
use gitstratum_cluster::service::{Agreement, NotAllowed};
use gitstratum_cluster::transport::Grant;
use gitstratum_consensus::{Group, ProposeError, ReadError};
use gitstratum_git::access::token_identity;
use gitstratum_proto::v1::catalog_response::Answer as Answered;
use gitstratum_proto::v1::{
    CatalogFailure, CatalogFailureKind, CatalogRequest, CatalogResponse, FeatureOff,
    catalog_request,
};

use super::permissions::{check_operation, check_query};
use super::{Catalog, Participant};

/// Why there is no answer.
enum Unanswered {
    Failed(CatalogFailure),
    NotAllowed(NotAllowed),
}

impl From<NotAllowed> for Unanswered {
    fn from(not_allowed: NotAllowed) -> Self {
        Unanswered::NotAllowed(not_allowed)
    }
}

fn failed(kind: CatalogFailureKind, message: String) -> Unanswered {
    Unanswered::Failed(CatalogFailure { kind: kind.into(), message })
}

fn invalid(error: &dyn std::error::Error) -> Unanswered {
    failed(CatalogFailureKind::Invalid, error.to_string())
}

impl Participant {
    /// Lines of the text form: of the state that there is now, which is kept until the last of them
    /// were asked for, or somebody else begins to ask; or of that one.
    async fn dump_page(
        &self,
        group: &Group<Catalog>,
        query: &Query,
        of: Option<u64>,
        within: Duration,
    ) -> Result<Vec<u8>, ReadError> {
        let dumped = || self.dumped.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match of {
            Some(_) => dumped().clone(),
            None => Some(group.read(within, |catalog| catalog.0.clone()).await?),
        };
        let answer = state.as_ref().map_or(Answer::DumpGone, |state| state.answer(query));
        let is_last = matches!(answer, Answer::Dump { next: None, .. });
        if of.is_none() || is_last {
            *dumped() = state.filter(|_| !is_last);
        }
        Ok(encode_answer(&answer))
    }

    async fn answer(
        &self,
        request: CatalogRequest,
        grant: Option<&Grant>,
        within: Duration,
    ) -> Result<Vec<u8>, Unanswered> {
        let group = self.entered(within).await;
        let group = group.map_err(|message| failed(CatalogFailureKind::NoMember, message))?;
        match request.request {
            Some(catalog_request::Request::Command(command)) => {
                self.answer_command(&group, command, grant, within).await
            }
            Some(catalog_request::Request::Query(query)) => {
                self.answer_query(&group, &query, request.local, grant, within).await
            }
            None => Err(failed(CatalogFailureKind::Invalid, "it asks for nothing".to_owned())),
        }
    }

    async fn answer_command(
        &self,
        group: &Group<Catalog>,
        encoded: Bytes,
        grant: Option<&Grant>,
        within: Duration,
    ) -> Result<Vec<u8>, Unanswered> {
        // What is agreed on has to be understood by all.
        let mut command = decode_command(&encoded).map_err(|error| invalid(&error))?;
        let encoded = match grant {
            None => encoded,
            Some(grant) => {
                group
                    .with_local(|catalog| check_operation(grant, &command.operation, &catalog.0))?;
                // Whose token it was, events and reflogs are to say, and not its word.
                command.who = token_identity(TokenId(grant.token), &grant.description);
                encode_command(&command).map_err(|error| invalid(&error))?.into()
            }
        };
        let reply = self.proposed(group, &command.operation, encoded, within).await;
        reply.map(Into::into).map_err(|error| match error {
            ProposeError::NotDone(reason) => failed(CatalogFailureKind::NotDone, reason),
            ProposeError::Unknown(reason) => failed(CatalogFailureKind::Unknown, reason),
        })
    }

    async fn answer_query(
        &self,
        group: &Group<Catalog>,
        encoded: &[u8],
        is_local: bool,
        grant: Option<&Grant>,
        within: Duration,
    ) -> Result<Vec<u8>, Unanswered> {
        let query = decode_query(encoded).map_err(|error| invalid(&error))?;
        let not_done = |error: ReadError| failed(CatalogFailureKind::NotDone, error.to_string());
        // By the state that answers, so that nothing changes in between.
        let look = |catalog: &Catalog| -> Result<Vec<u8>, Unanswered> {
            if let Some(grant) = grant {
                check_query(grant, &query, &catalog.0)?;
            }
            Ok(encode_answer(&catalog.0.answer(&query)))
        };
        if let Query::Dump { of, .. } = query {
            if let Some(grant) = grant {
                group.with_local(|catalog| check_query(grant, &query, &catalog.0))?;
            }
            return self.dump_page(group, &query, of, within).await.map_err(not_done);
        }
        if is_local {
            return group.with_local(look);
        }
        group.read(within, look).await.map_err(not_done)?
    }
}

#[async_trait]
impl Agreement for Participant {
    fn may_be_member(&self) -> bool {
        !self.is_none.load(Ordering::SeqCst)
    }

    async fn save(&self, directory: &str) -> io::Result<bool> {
        self.save_text(directory).await
    }

    fn features_off(&self) -> Vec<FeatureOff> {
        self.features_off_here()
    }

    async fn agree(&self, request: Bytes) -> Option<Bytes> {
        let group = self.group.load_full()?;
        Some(group.receive(&request).await)
    }

    async fn catalog(
        &self,
        request: CatalogRequest,
        grant: Option<&Grant>,
        within: Duration,
    ) -> Result<CatalogResponse, NotAllowed> {
        let answer = match self.answer(request, grant, within).await {
            Ok(reply) => Answered::Reply(reply.into()),
            Err(Unanswered::Failed(failure)) => Answered::Failure(failure),
            Err(Unanswered::NotAllowed(not_allowed)) => return Err(not_allowed),
        };
        Ok(CatalogResponse { answer: Some(answer) })
    }
}
