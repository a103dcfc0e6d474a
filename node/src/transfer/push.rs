//! Pushes of a transfer: ref updates with what they need, and what became of them.

use async_trait::async_trait;
use gitstratum_core::limits;
use gitstratum_git::service::{
    PackBody, ProgressSink, PushRequest, RefCommand, Repository, RepositoryError,
};

use super::progress::Counters;
use crate::abridge::in_one_line;

/// Why a push did not do all that it was to do.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The cluster did not do it, or nobody knows.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The cluster refuses the objects.
    #[error("the objects are refused: {0}")]
    Unpacked(String),
    /// The cluster refuses refs; all others are there.
    #[error("refs are refused: {}", in_one_line(.0))]
    Refused(Vec<String>),
}

/// Pushes; keeps in `warnings` what is said meanwhile and stays of interest.
///
/// # Errors
/// [`PushError`].
pub(super) async fn push(
    repository: &dyn Repository,
    commands: Vec<RefCommand>,
    pack: Option<PackBody>,
    counters: &Counters,
    warnings: &mut Vec<String>,
) -> Result<(), PushError> {
    let names: Vec<String> = commands.iter().map(|command| command.name.clone()).collect();
    let request =
        PushRequest { commands, atomic: false, options: Vec::new(), client_shallow: Vec::new() };
    let mut said = Said { warnings, counters };
    let outcome = repository.push(request, pack, &mut said).await?;
    outcome.unpacked.map_err(PushError::Unpacked)?;
    let refused: Vec<String> = names
        .iter()
        .zip(outcome.verdicts)
        .filter_map(|(name, verdict)| Some(format!("{name}: {}", verdict.err()?)))
        .take(limits::FSCK_FINDINGS_LISTED_MAX)
        .collect();
    match refused.is_empty() {
        true => Ok(()),
        false => Err(PushError::Refused(refused)),
    }
}

/// Keeps what a push says, the first lines of it; what is overwritten on a terminal is a remark.
struct Said<'a> {
    warnings: &'a mut Vec<String>,
    counters: &'a Counters,
}

#[async_trait]
impl ProgressSink for Said<'_> {
    async fn progress(&mut self, text: &str) {
        if !text.ends_with('\n') {
            self.counters.remark(text.trim_end().to_owned());
        } else if self.warnings.len() < limits::FSCK_FINDINGS_LISTED_MAX {
            self.warnings.push(text.trim_end().to_owned());
        }
    }
}
