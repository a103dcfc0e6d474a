//! Target: the catalog that repositories are restored into, and how far they are there.

use std::collections::BTreeMap;

use gitstratum_catalog::command::{
    BeginRestore, EndRestore, EndedRestore, RestoreRecords, RestoreToken,
};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::query::Described;
use gitstratum_catalog::state::Record;
use gitstratum_catalog::{Answer, Operation, Outcome, Query};
use gitstratum_cluster::client::CatalogError as AskError;
use gitstratum_core::limits;
use gitstratum_host::unix_time_ms;

use super::super::BackupError;
use super::plan::{Plan, Planned};
use super::records::{pack_batches, ref_batches};
use crate::catalog::{CallError, CatalogClient};
use crate::transfer::backoff;

/// How often a command is sent again of which nobody knows whether it was done.
const REPEATS: usize = 5;

/// How far a repository is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Here {
    /// Its number.
    id: RepositoryId,
    under_way: bool,
}

/// The catalog, and the repositories of a plan that are there.
pub(super) struct Target<'a> {
    catalog: &'a mut CatalogClient,
    /// By their numbers in the backup.
    here: BTreeMap<RepositoryId, Here>,
    /// How many are to be there.
    planned: usize,
}

impl<'a> Target<'a> {
    /// Looks whether a plan can be carried out there.
    pub(super) async fn look(
        catalog: &'a mut CatalogClient,
        plan: &Plan,
    ) -> Result<Self, BackupError> {
        let all = all(catalog).await?;
        let here = match (plan.is_whole, &plan.repositories[..]) {
            (false, [one]) => beside_others(&all, plan, one)?,
            _ => alone(&all, plan)?,
        };
        Ok(Target { catalog, here, planned: plan.repositories.len() })
    }

    /// Whether all of them have their names already.
    pub(super) fn is_whole(&self) -> bool {
        let is_there = |here: &Here| !here.under_way;
        self.planned > 0 && self.here.len() == self.planned && self.here.values().all(is_there)
    }

    /// Has the catalog do something, also where the nodes are choosing who leads just now.
    async fn call(&mut self, operation: Operation) -> Result<Outcome, BackupError> {
        for failures in 0..limits::TRANSFER_ATTEMPTS_MAX - 1 {
            match self.catalog.call_repeatedly(operation.clone(), REPEATS).await {
                Err(CallError::Asking(AskError::NotDone(_) | AskError::NoMember(_))) => {}
                done => return Ok(done?),
            }
            tokio::time::sleep(backoff(failures)).await;
        }
        Ok(self.catalog.call_repeatedly(operation, REPEATS).await?)
    }

    /// Those that are not whole, with their numbers here.
    fn under_way<'p>(&self, plan: &'p Plan) -> Vec<(RepositoryId, &'p Planned)> {
        let of = |planned: &'p Planned| {
            let here = self.here.get(&planned.number).filter(|here| here.under_way)?;
            Some((here.id, planned))
        };
        plan.repositories.iter().filter_map(of).collect()
    }

    /// Begins those that are not there, by their numbers.
    pub(super) async fn begin(&mut self, plan: &Plan) -> Result<(), BackupError> {
        let manifest = &plan.position.manifest;
        for planned in &plan.repositories {
            if self.here.contains_key(&planned.number) {
                continue;
            }
            let begin = BeginRestore {
                repository: planned.repository.clone(),
                cluster: manifest.cluster.clone(),
                number: planned.number,
                position: manifest.position,
                keeps_number: plan.is_whole,
            };
            let made = self.call(Operation::BeginRestore(begin)).await?;
            let Outcome::Created { repository: id } = made else {
                return Err(CallError::Other.into());
            };
            self.here.insert(planned.number, Here { id, under_way: true });
        }
        Ok(())
    }

    /// Has the catalog know their packs. From then on nobody sweeps chunks of these.
    pub(super) async fn give_packs(&mut self, plan: &Plan) -> Result<(), BackupError> {
        for (repository, planned) in self.under_way(plan) {
            for packs in pack_batches(&plan.state, planned.number) {
                let records = RestoreRecords { repository, packs, refs: Vec::new() };
                self.call(Operation::RestoreRecords(records)).await?;
            }
        }
        Ok(())
    }

    /// Has it know their refs, and the logs of these.
    pub(super) async fn give_refs(&mut self, plan: &Plan) -> Result<(), BackupError> {
        for (repository, planned) in self.under_way(plan) {
            for refs in ref_batches(&plan.state, planned.number) {
                let records = RestoreRecords { repository, packs: Vec::new(), refs };
                self.call(Operation::RestoreRecords(records)).await?;
            }
        }
        Ok(())
    }

    /// Has it know the access tokens; gives how many, and how many had expired.
    pub(super) async fn give_tokens(&mut self, plan: &Plan) -> Result<(u64, u64), BackupError> {
        let (mut given, mut expired, now_ms) = (0, 0, unix_time_ms());
        for record in plan.state.records() {
            let Record::Token { id, hash, token } = record else { continue };
            if token.expires_at_ms.is_some_and(|expires| expires <= now_ms) {
                expired += 1;
                continue;
            }
            self.call(Operation::RestoreToken(RestoreToken { id, hash, token })).await?;
            given += 1;
        }
        Ok((given, expired))
    }

    /// Gives them their names.
    pub(super) async fn end(&mut self, plan: &Plan) -> Result<(), BackupError> {
        let ended = self.under_way(plan).into_iter().map(|(repository, planned)| {
            let deleted_for_ms = planned.deleted_for_ms;
            EndedRestore { repository, deleted_for_ms }
        });
        let ended: Vec<EndedRestore> = ended.collect();
        for repositories in ended.chunks(limits::RESTORES_ENDED_AT_ONCE_MAX) {
            let repositories = repositories.to_vec();
            self.call(Operation::EndRestore(EndRestore { repositories })).await?;
        }
        Ok(())
    }
}

/// All repositories of a catalog, deleted ones as well.
async fn all(catalog: &CatalogClient) -> Result<Vec<Described>, BackupError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let max = limits::CATALOG_PAGE_MAX as u32;
        let query = Query::Repositories { prefix: String::new(), after, max };
        let (page, next) = repositories(catalog.ask(&query).await?)?;
        all.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    let (deleted, _) = repositories(catalog.ask(&Query::DeletedRepositories).await?)?;
    all.extend(deleted);
    Ok(all)
}

type Page = (Vec<Described>, Option<gitstratum_catalog::names::RepositoryName>);

fn repositories(answer: Answer) -> Result<Page, BackupError> {
    match answer {
        Answer::Repositories { repositories, next } => Ok((repositories, next)),
        _ => Err(CallError::Other.into()),
    }
}

/// The number in the backup of a repository that came from its position, and how far it is.
fn from_there(found: &Described, plan: &Plan) -> Option<(RepositoryId, Here)> {
    let restored = found.repository.restored.as_ref()?;
    let manifest = &plan.position.manifest;
    let is_same = restored.cluster == manifest.cluster && restored.position == manifest.position;
    let here = Here { id: found.id, under_way: restored.under_way };
    is_same.then_some((restored.repository, here))
}

/// A cluster is restored into one that is empty, or has something of an earlier run of the same
/// restore: what came beside that since is in nobody's way but for its names.
fn alone(all: &[Described], plan: &Plan) -> Result<BTreeMap<RepositoryId, Here>, BackupError> {
    let (mut here, mut other) = (BTreeMap::new(), None);
    for found in all {
        match from_there(found, plan) {
            Some((number, of)) if number == of.id => drop(here.insert(number, of)),
            _ => other = Some(&found.repository.name),
        }
    }
    match other {
        Some(name) if here.is_empty() => Err(BackupError::Refused(format!(
            "the cluster is not empty: it has {} repositories, such as {name}. Restore into a cluster \
             that has none, or one repository alone, with --repository NAME",
            all.len(),
        ))),
        _ => Ok(here),
    }
}

/// One repository is restored beside others, where its name is free.
fn beside_others(
    all: &[Described],
    plan: &Plan,
    one: &Planned,
) -> Result<BTreeMap<RepositoryId, Here>, BackupError> {
    let mut here = BTreeMap::new();
    for found in all.iter().filter(|found| found.repository.name == one.repository.name) {
        match from_there(found, plan) {
            Some((number, of))
                if number == one.number && (of.under_way || found.repository.deleted.is_none()) =>
            {
                here.insert(number, of);
            }
            _ if found.repository.deleted.is_some() => {}
            _ => {
                return Err(BackupError::Refused(format!(
                    "the cluster has a repository named {}: restore it under another name, with --as \
                     NAME, or rename that one",
                    found.repository.name
                )));
            }
        }
    }
    Ok(here)
}
