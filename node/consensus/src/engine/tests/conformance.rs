//! The engine's own suite for log and state storage, on our disk.

use std::io;

use futures_util::Stream;
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, Scratch, scratch};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, StorageError};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::ledger::Ledger;
use crate::engine::applier::{Applier, RaftSnapshot, Saver};
use crate::engine::log::Log;
use crate::engine::types::{LogId, SnapshotMeta, StoredMembership, Types};
use crate::journal::{Identity, Journal};
use crate::machine::loader_of;
use crate::snapshot::{self, Snapshot};

/// The state machine as a receiver has it: what it installs was sent to its own disk before.
struct Receiver {
    disk: Disk,
    applier: Applier,
}

impl RaftStateMachine<Types> for Receiver {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Saver;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        self.applier.applied_state().await
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        self.applier.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> Saver {
        self.applier.get_snapshot_builder().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Snapshot,
    ) -> Result<(), io::Error> {
        let bytes = snapshot.file.read_at(0, snapshot.bytes as usize).await?;
        let aside = "group/snapshot.incoming".to_owned();
        let file = self.disk.open(&aside, OpenMode::CreateNew).await?;
        file.write_at_and_sync(0, vec![bytes]).await?;
        let received = snapshot::open(&self.disk, aside, 0).await?;
        self.applier.install_snapshot(meta, received).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        self.applier.get_current_snapshot().await
    }
}

struct Builder;

impl StoreBuilder<Types, Log, Receiver, Scratch> for Builder {
    async fn build(&self) -> Result<(Scratch, Log, Receiver), StorageError<Types>> {
        let scratch = scratch();
        let (disk, identity) = (scratch.disk.clone(), Identity { group: 0, member: 0 });
        let rng = || ChaCha12Rng::seed_from_u64(0);
        Journal::create(&disk, "group", identity, rng()).await.unwrap();
        let (journal, replay) = Journal::open(&disk, "group", identity, rng()).await.unwrap();
        let log = Log::new(journal, replay).unwrap();
        let applier = Applier::new(disk.clone(), "group", 0, loader_of::<Ledger>).unwrap();
        Ok((scratch, log, Receiver { disk, applier }))
    }
}

#[tokio::test]
async fn log_and_state_storage_are_what_the_engine_expects() {
    Suite::test_all(Builder).await.unwrap();
}
