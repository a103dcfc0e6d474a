//! Control without a check of connectivity.
//!
//! A gateway that updates refs without looking whether their objects are there.

use async_trait::async_trait;
use gitstratum::catalog::CatalogClient;
use gitstratum_catalog::command::{Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::{Answer, Operation, Outcome, Query, Verdict};
use gitstratum_cluster::client::Client;
use rand_chacha::ChaCha12Rng;

use crate::trace::{GitOutcome, GitUpdate, RefVerdict};
use crate::workload::git::SideDoor;

/// Such a gateway.
pub struct UncheckedGateway {
    caller: CatalogClient,
}

impl UncheckedGateway {
    /// A gateway on behalf of a client of this name.
    pub fn new(client: Client, name: &str, rng: &mut ChaCha12Rng) -> Self {
        UncheckedGateway { caller: CatalogClient::new(client, name, rng) }
    }

    async fn push(
        &mut self,
        repository: &str,
        atomic: bool,
        updates: &[GitUpdate],
    ) -> Result<Vec<RefVerdict>, String> {
        let query = Query::Repository { name: repository.to_owned() };
        let answer = self.caller.ask(&query).await.map_err(|error| error.to_string())?;
        let Answer::Repositories { repositories, .. } = answer else {
            return Err(format!("{answer:?} is no repository"));
        };
        let found = repositories.first().ok_or("there is no such repository")?;
        let push = Push {
            repository: found.id,
            generation: 0,
            atomic,
            may_update_hidden: false,
            updates: updates.iter().map(update).collect(),
            packs: Vec::new(),
            message: String::new(),
        };
        let done = self.caller.call(Operation::Push(push)).await;
        match done.map_err(|error| error.to_string())? {
            Outcome::Pushed { verdicts } => Ok(verdicts.iter().map(verdict).collect()),
            other => Err(format!("{other:?} is no answer to it")),
        }
    }
}

#[async_trait]
impl SideDoor for UncheckedGateway {
    async fn update(
        &mut self,
        repository: &str,
        atomic: bool,
        updates: &[GitUpdate],
    ) -> GitOutcome {
        match self.push(repository, atomic, updates).await {
            Ok(verdicts) => GitOutcome::Pushed { verdicts },
            Err(error) => GitOutcome::Unknown { error },
        }
    }
}

fn update(update: &GitUpdate) -> RefUpdate {
    let id = |text: &str| text.parse().expect("a client has ids alone");
    let object = |text: &String| NewTarget::Object { id: id(text), peeled: None };
    RefUpdate {
        name: update.name.clone(),
        expected: update.old.as_deref().map_or(Expected::Absent, |old| Expected::Object(id(old))),
        new: update.new.as_ref().map_or(NewTarget::Deleted, object),
    }
}

fn verdict(verdict: &Verdict) -> RefVerdict {
    match verdict {
        Verdict::Done { .. } => RefVerdict::Applied,
        Verdict::Refused(error) => RefVerdict::Rejected(error.to_string()),
    }
}
