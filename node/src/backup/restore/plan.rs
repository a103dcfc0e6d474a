//! Plan: which repositories of which position are to be restored.

use std::sync::Arc;

use gitstratum_catalog::State;
use gitstratum_catalog::entity::{Pack, Repository};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_catalog::state::Record;

use super::super::{BackupError, Directory, Position};
use super::{Only, Wanted};

/// What a restore does.
pub(super) struct Plan {
    pub(super) position: Position,
    pub(super) state: State,
    /// By their numbers.
    pub(super) repositories: Vec<Planned>,
    /// All repositories, which keep their numbers, and access tokens.
    pub(super) is_whole: bool,
}

/// A repository that is to be restored.
pub(super) struct Planned {
    /// Its number in the backup.
    pub(super) number: RepositoryId,
    /// What it was, with the name that it is to have.
    pub(super) repository: Repository,
    /// It was deleted, and that could still be undone for so long.
    pub(super) deleted_for_ms: Option<u64>,
}

impl Plan {
    /// Chooses a position, and reads its catalog.
    pub(super) fn make(directory: &Directory, wanted: &Wanted) -> Result<Self, BackupError> {
        let position = choose(directory, wanted)?;
        let state = position.catalog()?;
        let repositories = match &wanted.only {
            None => all(&state),
            Some(only) => vec![one(&position, &state, only)?],
        };
        Ok(Plan { position, state, repositories, is_whole: wanted.only.is_none() })
    }

    /// The names that repositories are to have.
    pub(super) fn names(&self) -> Vec<String> {
        let live = self.repositories.iter().filter(|planned| planned.deleted_for_ms.is_none());
        live.map(|planned| planned.repository.name.to_string()).collect()
    }

    /// How many are to be deleted ones.
    pub(super) fn deleted(&self) -> u64 {
        let deleted = self.repositories.iter().filter(|planned| planned.deleted_for_ms.is_some());
        deleted.count() as u64
    }

    /// The packs of all of them.
    pub(super) fn packs(&self) -> Vec<Arc<Pack>> {
        let numbers = self.repositories.iter().map(|planned| planned.number);
        numbers.flat_map(|number| self.state.packs(number).cloned()).collect()
    }
}

fn refused(problem: String) -> BackupError {
    BackupError::Refused(problem)
}

fn choose(directory: &Directory, wanted: &Wanted) -> Result<Position, BackupError> {
    let mut positions = Position::all(directory)?;
    let path = directory.path().display();
    if positions.is_empty() {
        return Err(refused(format!(
            "{path}: no backup in it came to its end: give `gitstratum backup` again"
        )));
    }
    if let Some(at) = &wanted.at {
        let named = positions.iter().position(|position| position.name == *at);
        let Some(named) = named else {
            return Err(refused(format!(
                "{path}: there is no position {at}: `gitstratum backup list` says which there are"
            )));
        };
        positions = vec![positions.swap_remove(named)];
    }
    let has = |position: &Position| match (&position.manifest.only, &wanted.only) {
        (None, _) => true,
        (Some(names), Some(only)) => names.contains(&only.name),
        (Some(_), None) => false,
    };
    positions.into_iter().rfind(has).ok_or_else(|| match &wanted.only {
        None => refused(format!(
            "{path}: it has some repositories only, and they are restored one by one: name each with \
             --repository"
        )),
        Some(only) => refused(format!("{path}: it has no repository named {}", only.name)),
    })
}

fn all(state: &State) -> Vec<Planned> {
    let planned = state.records().filter_map(|record| match record {
        Record::Repository { id, repository } => {
            let deleted = repository.deleted;
            Some(Planned {
                number: id,
                repository: Repository::clone(&repository),
                deleted_for_ms: deleted
                    .map(|deleted| deleted.until_ms.saturating_sub(state.clock_ms())),
            })
        }
        _ => None,
    });
    planned.collect()
}

/// The live repository of that name, or else the last one that was deleted with it: whoever asks for
/// it by name wants to have it again.
fn one(position: &Position, state: &State, only: &Only) -> Result<Planned, BackupError> {
    let live = state.repository_named(&only.name);
    let deleted = state.deleted_repositories();
    let deleted = deleted.filter(|(_, repository)| repository.name.as_str() == only.name);
    let Some((number, repository)) = live.or_else(|| deleted.last()) else {
        return Err(refused(format!(
            "position {} has no repository named {}: `gitstratum backup list` says which positions \
             there are, and --at names one",
            position.name, only.name
        )));
    };
    let mut repository = Repository::clone(repository);
    if let Some(name) = &only.new_name {
        repository.name = RepositoryName::parse(name)
            .map_err(|reason| refused(format!("{name:?} cannot be a name: {reason}")))?;
    }
    Ok(Planned { number, repository, deleted_for_ms: None })
}
