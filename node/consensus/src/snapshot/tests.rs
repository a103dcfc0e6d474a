//! A snapshot is what was written, or an error.

use bytes::Bytes;
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, scratch};

use super::{Head, Snapshot, SnapshotError, current, load, open, put_in_force, write};
use crate::entry::{Members, Position};
use crate::machine::{LoadError, Loader, Machine, loader_of};

/// The parts themselves.
#[derive(Clone, Default)]
struct Parts(Vec<Bytes>);

impl Machine for Parts {
    type Loader = Self;

    fn apply(&mut self, _: u64, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn save(&self) -> Box<dyn Iterator<Item = Bytes> + Send + '_> {
        Box::new(self.0.iter().cloned())
    }
}

impl Loader for Parts {
    type Machine = Self;

    fn take(&mut self, part: Bytes) -> Result<(), LoadError> {
        self.0.push(part);
        Ok(())
    }

    fn finish(self) -> Result<Self, LoadError> {
        Ok(self)
    }
}

async fn loaded(snapshot: &Snapshot) -> Result<Vec<Bytes>, SnapshotError> {
    Ok(load(snapshot, loader_of::<Parts>()).await?.save().collect())
}

fn head() -> Head {
    let at = |index| Some(Position { term: 2, leader: 1, index });
    let nodes = [(1, "n1".to_owned())].into();
    Head::new(0, at(9), at(4), Members { voters: vec![[1].into()], nodes })
}

fn parts() -> Vec<Bytes> {
    [0, 1, 1000, 300_000].map(|len| Bytes::from(vec![7; len])).into()
}

async fn written(disk: &Disk) -> Snapshot {
    disk.create_dir_all("group").await.unwrap();
    write(disk, "group/aside".to_owned(), head(), Box::new(parts().into_iter())).await.unwrap()
}

#[tokio::test]
async fn what_was_written_is_loaded_again() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let aside = written(disk).await;
    assert!(current(disk, "group", 0).await.unwrap().is_none());
    put_in_force(disk, "group", aside).await.unwrap();
    let snapshot = current(disk, "group", 0).await.unwrap().expect("it is in force");
    assert_eq!(snapshot.head, head());
    assert!(loaded(&snapshot).await.unwrap() == parts());
    let foreign = current(disk, "group", 1).await.err();
    assert!(matches!(foreign, Some(SnapshotError::Foreign { found: 0, expected: 1, .. })));
}

#[tokio::test]
async fn a_flipped_bit_or_a_cut_anywhere_is_an_error() {
    let scratch = scratch();
    let disk = &scratch.disk;
    let snapshot = written(disk).await;
    let file = disk.open(&snapshot.path, OpenMode::ReadWrite).await.unwrap();
    let loads = || async {
        let snapshot = open(disk, snapshot.path.clone(), 0).await?;
        loaded(&snapshot).await
    };
    let len = snapshot.bytes;
    for at in (0..400).chain((400..len).step_by(9_973)).chain(len - 40..len) {
        let byte = file.read_at(at, 1).await.unwrap();
        file.write_at(at, vec![Bytes::from(vec![byte[0] ^ 1])]).await.unwrap();
        assert!(loads().await.is_err(), "byte {at} was changed");
        file.write_at(at, vec![byte]).await.unwrap();
    }
    assert!(loads().await.is_ok());
    for cut in [0, 10, 100, 1_300, len - 100, len - 27, len - 1] {
        let tail = file.read_at(cut, (len - cut) as usize).await.unwrap();
        file.set_len(cut).await.unwrap();
        assert!(loads().await.is_err(), "cut to {cut} bytes");
        file.write_at(cut, vec![tail]).await.unwrap();
    }
    assert!(loads().await.is_ok());
}
