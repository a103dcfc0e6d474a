//! Selection: which repositories of a catalog a backup has, and its text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use gitstratum_catalog::State;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::state::{Counts, Record};

use super::super::BackupError;

/// What a backup has of a state.
#[derive(Debug)]
pub(super) struct Selection {
    /// Repositories, with the names that they have or had.
    pub(super) repositories: BTreeMap<RepositoryId, String>,
    /// How many of them have a name.
    pub(super) live: u64,
    /// How many were deleted.
    pub(super) deleted: u64,
    /// Those that were being restored, and lack what is still to come.
    pub(super) left_out: Vec<String>,
    /// Members, tokens, events and the layout too: everything was asked for.
    is_whole: bool,
    counts: Counts,
}

impl Selection {
    /// All repositories, or those of these names.
    pub(super) fn of(state: &State, only: &[String]) -> Result<Self, BackupError> {
        let mut selection = Selection {
            repositories: BTreeMap::new(),
            live: 0,
            deleted: 0,
            left_out: Vec::new(),
            is_whole: only.is_empty(),
            counts: Counts::default(),
        };
        for name in only {
            let Some((id, _)) = state.repository_named(name) else {
                return Err(BackupError::Refused(format!(
                    "there is no repository named {name}: `gitstratum repo list` says which there \
                     are"
                )));
            };
            selection.repositories.insert(id, name.clone());
        }
        for record in state.records() {
            let Record::Repository { id, repository } = record else { continue };
            let name = repository.name.to_string();
            if repository.is_being_restored() {
                selection.left_out.push(name);
            } else if selection.is_whole {
                selection.repositories.insert(id, name);
            }
            if selection.repositories.contains_key(&id) {
                match repository.deleted {
                    Some(_) => selection.deleted += 1,
                    None => selection.live += 1,
                }
            }
        }
        let mut counts = Counts::default();
        for record in state.records().filter(|record| selection.has(record)) {
            match record {
                Record::Repository { .. } => counts.repositories += 1,
                Record::Ref { .. } => counts.refs += 1,
                Record::Pack { .. } => counts.packs += 1,
                Record::Layout { .. } => counts.layouts += 1,
                Record::Node { .. } => counts.nodes += 1,
                Record::Token { .. } => counts.tokens += 1,
                Record::Event { .. } => counts.events += 1,
                Record::Head(_) | Record::Answer { .. } | Record::End(_) => {}
            }
        }
        Ok(Selection { counts, ..selection })
    }

    /// How much it has of everything.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn has(&self, record: &Record) -> bool {
        match record {
            Record::Head(_) | Record::End(_) => true,
            Record::Repository { id: repository, .. }
            | Record::Ref { repository, .. }
            | Record::Pack { repository, .. } => self.repositories.contains_key(repository),
            Record::Answer { .. } => false,
            Record::Layout { .. }
            | Record::Node { .. }
            | Record::Token { .. }
            | Record::Event { .. } => self.is_whole,
        }
    }

    /// Writes its text, in the form of a dump.
    pub(super) fn write(&self, state: &State, to: &mut dyn Write) -> io::Result<()> {
        for record in state.records().filter(|record| self.has(record)) {
            let record = match record {
                Record::End(_) => Record::End(self.counts),
                other => other,
            };
            serde_json::to_writer(&mut *to, &record)?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }
}
