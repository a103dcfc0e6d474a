//! fsck policy: which findings are errors.

use super::message::{MessageId, Severity};

/// A severity for each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// In the order of the ids.
    severities: Vec<Severity>,
}

/// A message that no policy may let pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot demote {0} to {1:?}: an object with it cannot be read safely")]
pub struct NotDemotable(pub MessageId, pub Severity);

impl Default for Policy {
    fn default() -> Self {
        Policy { severities: MessageId::ALL.iter().map(|id| id.default_severity()).collect() }
    }
}

impl Policy {
    /// How bad a message is.
    pub fn severity(&self, id: MessageId) -> Severity {
        self.severities[id as usize]
    }

    /// Says how bad a message is.
    ///
    /// # Errors
    /// [`NotDemotable`] for one that is fatal and shall not be an error.
    pub fn set(&mut self, id: MessageId, severity: Severity) -> Result<(), NotDemotable> {
        if id.default_severity() == Severity::Fatal {
            if severity < Severity::Error {
                return Err(NotDemotable(id, severity));
            }
            return Ok(());
        }
        self.severities[id as usize] = severity;
        Ok(())
    }
}
