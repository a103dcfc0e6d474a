//! Times the indexer on a pack file: `index_pack FILE.pack [sha256]`.
//!
//! What it does is what `git index-pack --threads=1 --strict FILE.pack` does, but for reading the
//! file and writing an index, so the two can be compared.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use gitstratum_core::object::HashAlgorithm;
use gitstratum_git::fsck::Policy;
use gitstratum_git::pack::index::{IndexLimits, Indexer, Step};
use gitstratum_git::pack::scan::Splitter;

/// What a connection brings at once.
const PART_BYTES: usize = 64 << 10;

#[expect(clippy::disallowed_methods, reason = "it runs on a real machine, to be timed")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path: PathBuf = arguments.next().ok_or("usage: index_pack FILE.pack [sha256]")?.into();
    let algorithm = match arguments.next() {
        Some(_) => HashAlgorithm::Sha256,
        None => HashAlgorithm::Sha1,
    };
    let pack = Bytes::from(std::fs::read(&path)?);
    let body = pack.slice(12..);

    let begun = Instant::now();
    let mut splitter = Splitter::new(algorithm);
    splitter.feed(pack.slice(..12))?;
    let objects = splitter.header().map_or(0, |header| header.objects);
    let mut indexer = Indexer::new(algorithm, objects, Policy::default(), IndexLimits::default())?;
    for at in (12..pack.len()).step_by(PART_BYTES) {
        for piece in splitter.feed(pack.slice(at..pack.len().min(at + PART_BYTES)))? {
            indexer.feed(&piece)?;
        }
    }
    let scanned = splitter.finish()?;
    indexer.finish_input()?;
    let fed = begun.elapsed();
    let (resolved, _) = indexer.progress();
    let (mut reads, mut read_bytes) = (0u64, 0u64);
    loop {
        match indexer.step()? {
            Step::Again | Step::Append(_) => {}
            Step::Done => break,
            Step::Read { offset, len } => {
                let begin = usize::try_from(offset)?;
                reads += 1;
                read_bytes += len as u64;
                indexer.provide_body(offset, body.slice(begin..begin + len));
            }
            Step::Bases(ids) => {
                ids.into_iter().try_for_each(|id| indexer.provide_base(id, None))?
            }
        }
    }
    let indexed = indexer.finish();
    let took = begun.elapsed();
    let mebibytes = |bytes: u64| bytes >> 20;
    writeln!(
        std::io::stdout(),
        "{} objects, {} commits, {} MiB packed, {} MiB inflated: {took:.2?}\n\
         {resolved} resolved while it was fed, in {fed:.2?}; then {reads} reads of {} MiB\n\
         {} fsck warnings, {} duplicates, {} missing",
        indexed.objects.len(),
        indexed.commits().len(),
        mebibytes(scanned.body_bytes),
        mebibytes(indexed.inflated_bytes),
        mebibytes(read_bytes),
        indexed.warnings_count,
        indexed.duplicates,
        indexed.missing.len(),
    )?;
    Ok(())
}
