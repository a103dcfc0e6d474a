//! A repository of many refs that nobody updates: what one client makes, and counts when all is over.

use gitstratum::catalog::{CallError, CatalogClient};
use gitstratum_catalog::command::{CreateRepository, Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::entity::RepositoryLimits;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::{Answer, CatalogError, Operation, Outcome, Query, Verdict};
use gitstratum_core::object::HashAlgorithm;

use super::refs::{id_of, value_of};

const NAME: &str = "team/bulk";
/// What one push takes that is a good part of a command, and no more.
const REFS_PER_PUSH: u32 = 4_000;
/// How often a command of unknown end is sent again.
const AGAIN_MAX: u32 = 20;
const PAGE: u32 = 1_000;

fn name_of(number: u32) -> String {
    format!("refs/heads/bulk/{number:07}")
}

fn number_of(name: &str) -> Option<u32> {
    name.rsplit('/').next()?.parse().ok()
}

/// Makes the repository with so many refs, each with a value of its own.
///
/// # Errors
/// What the catalog said.
pub async fn make(caller: &mut CatalogClient, refs: u32) -> Result<(), String> {
    let create = CreateRepository {
        name: NAME.to_owned(),
        object_format: HashAlgorithm::Sha1,
        default_branch: "refs/heads/main".to_owned(),
        description: String::new(),
        limits: RepositoryLimits::default(),
        hidden_refs: Vec::new(),
    };
    let repository = match done(caller, Operation::CreateRepository(create)).await {
        Ok(Outcome::Created { repository }) => repository,
        other => return Err(format!("{NAME} was not made: {other:?}")),
    };
    let mut first = 0;
    while first < refs {
        let end = refs.min(first + REFS_PER_PUSH);
        let updates = (first..end).map(|number| RefUpdate {
            name: name_of(number),
            expected: Expected::Absent,
            new: NewTarget::Object { id: id_of(u64::from(number) + 1), peeled: None },
        });
        let push = Push {
            repository,
            generation: 0,
            atomic: true,
            may_update_hidden: false,
            updates: updates.collect(),
            packs: Vec::new(),
            message: String::new(),
        };
        match done(caller, Operation::Push(push)).await {
            Ok(Outcome::Pushed { verdicts }) if verdicts.iter().all(is_done) => first = end,
            other => return Err(format!("{NAME} from ref {first} on: {other:?}")),
        }
    }
    Ok(())
}

fn is_done(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Done { .. })
}

async fn done(caller: &mut CatalogClient, operation: Operation) -> Result<Outcome, CallError> {
    let mut done = caller.call(operation.clone()).await;
    for _ in 0..AGAIN_MAX {
        if matches!(done, Ok(_) | Err(CallError::Refused(_))) {
            break;
        }
        // It may have been done: the same number again.
        done = caller.again(operation.clone()).await;
    }
    done
}

/// How many refs are as they were made, and how many are not.
///
/// # Errors
/// What the catalog said.
pub async fn count(caller: &CatalogClient, refs: u32) -> Result<(u32, u32), String> {
    let Some(repository) = find(caller).await? else { return Ok((0, 0)) };
    let (mut found, mut others, mut after) = (0, 0, None);
    loop {
        let prefix = "refs/heads/".to_owned();
        let query = Query::Refs { repository, prefix, after: after.clone(), max: PAGE };
        let (page, next) = match caller.ask(&query).await {
            Ok(Answer::Refs { refs, next }) => (refs, next),
            other => return Err(format!("{NAME} after {after:?}: {other:?}")),
        };
        for (name, held) in &page {
            let number = number_of(name.as_str()).filter(|number| *number < refs);
            let value = value_of(&held.target);
            match number.is_some_and(|number| value == Some(u64::from(number) + 1)) {
                true => found += 1,
                false => others += 1,
            }
        }
        if next.is_none() {
            return Ok((found, others));
        }
        after = next;
    }
}

async fn find(caller: &CatalogClient) -> Result<Option<RepositoryId>, String> {
    match caller.ask(&Query::Repository { name: NAME.to_owned() }).await {
        Ok(Answer::Repositories { repositories, .. }) => {
            Ok(repositories.first().map(|found| found.id))
        }
        Err(CallError::Refused(CatalogError::NoRepository { .. })) => Ok(None),
        other => Err(format!("{NAME}: {other:?}")),
    }
}
