//! `store verify` and `store stats`: a store's files, without a node.

use std::path::Path;

use gitstratum_host::Disk;
use gitstratum_store::offline;
use indicatif::HumanBytes;
use serde::Serialize;

use super::arguments::{Store, StoreCommand};
use super::output::show_json;
use super::progress::Shown;
use super::{Failure, note, show};
use crate::abridge::abridged;
use crate::transfer::Progress;

/// Does what the arguments say.
pub(super) async fn store(asked: Store) -> Result<(), Failure> {
    match asked.command {
        StoreCommand::Stats { directory, json } => stats(&directory, json).await,
        StoreCommand::Verify { directory, all } => verify(&directory, all).await,
    }
}

/// What `store stats` says, for programs.
#[derive(Serialize)]
struct Stats<'s> {
    node: &'s str,
    objects: u64,
    payload_bytes: u64,
    large_objects: u64,
    sealed_segments: u64,
    unindexed_segments: u64,
    disk_bytes: u64,
    garbage_bytes: u64,
    leftovers: u64,
}

async fn stats(directory: &Path, as_json: bool) -> Result<(), Failure> {
    let stats = offline::stats(&Disk::new(directory)).await?;
    let owner = stats.owner.as_ref().map_or("", |owner| owner.as_str());
    if as_json {
        return show_json(&Stats {
            node: owner,
            objects: stats.objects,
            payload_bytes: stats.payload_bytes,
            large_objects: stats.large_objects,
            sealed_segments: stats.sealed_segments,
            unindexed_segments: stats.unindexed_segments,
            disk_bytes: stats.disk_bytes,
            garbage_bytes: stats.garbage_bytes,
            leftovers: stats.leftovers,
        });
    }
    let per_byte = stats.disk_bytes as f64 / stats.payload_bytes.max(1) as f64;
    show(&format!(
        "data of node       {owner}\n\
         objects            {} ({} in files of their own)\n\
         bytes of objects   {} ({})\n\
         bytes on disk      {} ({}), {per_byte:.3} for each byte of an object\n\
         garbage            {} ({})\n\
         segments           {} sealed, {} not\n\
         leftovers          {}\n",
        stats.objects,
        stats.large_objects,
        stats.payload_bytes,
        HumanBytes(stats.payload_bytes),
        stats.disk_bytes,
        HumanBytes(stats.disk_bytes),
        stats.garbage_bytes,
        HumanBytes(stats.garbage_bytes),
        stats.sealed_segments,
        stats.unindexed_segments,
        stats.leftovers,
    ))
}

async fn verify(directory: &Path, all: bool) -> Result<(), Failure> {
    let disk = Disk::new(directory);
    // Also what refuses a directory that is no store, before anything long begins.
    let objects = offline::stats(&disk).await?.objects;
    let shown = Shown::default();
    shown.begin("verifying", objects);
    let (mut objects_before, mut bytes_before) = (0, 0);
    let verified = offline::verify(&disk, |objects, bytes| {
        shown.advance(objects - objects_before, bytes - bytes_before);
        (objects_before, bytes_before) = (objects, bytes);
    })
    .await?;
    shown.end();
    let (sound, bytes, problems) = (verified.sound, verified.bytes, verified.problems.len());
    let lines = |lines: Vec<String>| if all { lines } else { abridged(lines) };
    match problems {
        0 => show(&format!("{sound} records, {bytes} bytes: all sound\n"))?,
        _ => show(&format!("{}\n", lines(verified.problems).join("\n")))?,
    }
    shown.summarize();
    let remarks = verified.remarks.into_iter().map(|remark| format!("note: {remark}"));
    lines(remarks.collect()).iter().for_each(note);
    match problems {
        0 => Ok(()),
        _ => Err(Failure::Operation(format!("{problems} problems; {sound} records are sound"))),
    }
}
