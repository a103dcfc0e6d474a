//! The catalog's state as the machine that the group replicates.

use bytes::Bytes;
use gitstratum_catalog::encode::{SnapshotReader, decode_command, encode_reply, snapshot};
use gitstratum_catalog::{Command, State};
use gitstratum_consensus::{LoadError, Loader, Machine};

/// The only group there is now.
pub const GROUP: u32 = 0;

/// The catalog's state.
#[derive(Clone, Debug)]
pub struct Catalog(pub State);

impl Machine for Catalog {
    type Loader = Loading;

    /// # Panics
    /// When the command cannot be read: a newer version proposed it, and this node no longer knows
    /// what the others know. Whoever proposes checks what it proposes.
    fn apply(&mut self, index: u64, command: &Bytes) -> Bytes {
        let command: Command = decode_command(command)
            .unwrap_or_else(|error| panic!("entry {index} of the catalog's log: {error}"));
        encode_reply(&self.0.apply(index, command)).into()
    }

    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_> {
        Box::new(snapshot(&self.0).map(Bytes::from))
    }
}

/// Reads a saved state.
#[derive(Default)]
pub struct Loading(Option<SnapshotReader>);

impl Loader for Loading {
    type Machine = Catalog;

    fn take(&mut self, part: Bytes) -> Result<(), LoadError> {
        Ok(self.0.get_or_insert_default().add(&part)?)
    }

    fn finish(self) -> Result<Catalog, LoadError> {
        match self.0 {
            Some(reader) => Ok(Catalog(reader.finish()?)),
            None => Ok(Catalog(State::new(GROUP))),
        }
    }
}
