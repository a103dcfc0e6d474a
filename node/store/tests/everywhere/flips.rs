//! Every bit of a store flipped, one at a time: of a closed one, and of a running one.

use std::fmt;

use gitstratum_core::replica::StoreError;
use gitstratum_host::Disk;
use gitstratum_store::{SegmentStore, Store};

use super::model::{Model, new_disk, open, read, simulate};
use super::work::{Log, draw, work};

/// Operations that the store of this test comes from.
const OPERATIONS: usize = 25;

/// What was gone through.
#[derive(Debug, Default)]
pub struct Counts {
    files: u64,
    bytes: u64,
    pub flips: u64,
    /// Stores that did not open.
    pub refused: u64,
    /// Gets that gave the right bytes, and an error.
    right: u64,
    pub errors: u64,
    /// Gets that gave the right bytes of a deleted object.
    back: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { files, bytes, flips, refused, right, errors, back } = self;
        write!(
            f,
            "flips everywhere: {flips} flips in {files} files of {bytes} bytes; {refused} stores \
             refused to open; {right} gets gave the right bytes, {errors} an error, {back} what was deleted"
        )
    }
}

/// Flips every `stride`-th bit of the files of a store, each in a copy of its own.
///
/// # Panics
/// When the store gives other bytes, or does not say which file keeps it from opening.
pub fn everywhere(seed: u64, stride: usize) -> Counts {
    let (disk, log) = (new_disk(seed), Log::new());
    let done = simulate(seed, work(disk.clone(), draw(seed, OPERATIONS), log.clone()));
    done.unwrap_or_else(|problem| panic!("seed {seed}: {problem:?}"));
    let model = log.now();
    let mut counts = Counts::default();
    // A snapshot's files are the store's own under other names.
    let files = disk.files().into_iter().filter(|(path, _)| !path.starts_with("snapshots/"));
    for (path, len) in files {
        counts.files += 1;
        counts.bytes += len;
        for bit in (0..len * 8).step_by(stride) {
            for running in [false, true] {
                let flipped = flipped(&disk, &model, &path, bit, running, &mut counts);
                simulate(seed, flipped).unwrap_or_else(|problem| {
                    panic!("seed {seed}, {path}, bit {bit}, running {running}: {problem}")
                });
            }
        }
    }
    counts
}

async fn flipped(
    disk: &Disk,
    model: &Model,
    path: &str,
    bit: u64,
    running: bool,
    counts: &mut Counts,
) -> Result<(), String> {
    let disk = disk.copy();
    counts.flips += 1;
    let flip = || disk.flip_bit(path, bit).map_err(|error| error.to_string());
    if running {
        let store = open(&disk).await.map_err(|error| format!("opening: {error}"))?;
        if !disk.files().iter().any(|(file, len)| file == path && bit / 8 < *len) {
            // Opening put an end to it.
            return Ok(());
        }
        flip()?;
        look(&store, model, counts).await?;
        return heal(&store, model).await;
    }
    flip()?;
    let store = match open(&disk).await {
        Ok(store) => store,
        Err(error) => {
            counts.refused += 1;
            // A flipped letter in the node's name makes it another node's name.
            let says_why = error.to_string().contains(path) || path == "node";
            return says_why.then_some(()).ok_or(format!("opening does not name it: {error}"));
        }
    };
    look(&store, model, counts).await?;
    heal(&store, model).await
}

/// Reads everything: right bytes, or an error, but what was acknowledged is not "absent".
async fn look(store: &SegmentStore, model: &Model, counts: &mut Counts) -> Result<(), String> {
    for (n, object) in model.objects.iter().enumerate() {
        let held = model.expected[n] == super::model::Expected::Present;
        match read(store, object.id()).await {
            Ok(Some((kind, data))) if kind != object.kind() || data != object.data() => {
                return Err(format!("object {n} came back as other bytes"));
            }
            Ok(Some(_)) if !model.begun[n] => return Err(format!("object {n} was never put")),
            // What was deleted comes back when the bits that said so are gone.
            Ok(Some(_)) if !held => counts.back += 1,
            Ok(Some(_)) => counts.right += 1,
            Ok(None) if held => {
                return Err(format!("object {n} was acknowledged and is called absent"));
            }
            Ok(None) => {}
            Err(StoreError::Damaged { .. } | StoreError::Io { .. }) => counts.errors += 1,
            Err(error) => return Err(format!("object {n}: {error}")),
        }
    }
    Ok(())
}

/// What repair would do: everything put again is whole again.
async fn heal(store: &SegmentStore, model: &Model) -> Result<(), String> {
    for (n, object) in model.objects.iter().enumerate() {
        let stored = store.put(vec![object.clone()]).await.remove(0);
        stored.map_err(|error| format!("object {n} could not be put again: {error}"))?;
        match read(store, object.id()).await {
            Ok(Some((_, data))) if data == object.data() => {}
            other => return Err(format!("object {n} put again came back as {other:?}")),
        }
    }
    store.close().await;
    Ok(())
}
