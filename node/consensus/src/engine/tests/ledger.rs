//! The state machine of these tests: a list of commands, and where the log had them.

use bytes::Bytes;

use crate::machine::{LoadError, Loader, Machine};

/// Every command that was applied, with its index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ledger(pub(super) Vec<(u64, Bytes)>);

impl Machine for Ledger {
    type Loader = Loading;

    fn apply(&mut self, index: u64, command: &Bytes) -> Bytes {
        self.0.push((index, command.clone()));
        Bytes::from(self.0.len().to_string())
    }

    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_> {
        Box::new(
            self.0
                .iter()
                .map(|(index, command)| Bytes::from([&index.to_le_bytes()[..], command].concat())),
        )
    }
}

#[derive(Default)]
pub(super) struct Loading(Ledger);

impl Loader for Loading {
    type Machine = Ledger;

    fn take(&mut self, part: Bytes) -> Result<(), LoadError> {
        let (index, _) = part.split_first_chunk().ok_or("a part is too short")?;
        self.0.0.push((u64::from_le_bytes(*index), part.slice(8..)));
        Ok(())
    }

    fn finish(self) -> Result<Ledger, LoadError> {
        Ok(self.0)
    }
}
