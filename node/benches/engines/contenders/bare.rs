//! The limit: a loop that appends the same bytes to one file and calls `fdatasync` after
//! each group, in as many groups as our store made of them. It hashes nothing, frames
//! nothing and would find nothing again.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::Outcome;
use crate::corpus::Corpus;

/// The one file.
pub const APPENDED: &str = "appended";

/// Appends all objects in `groups` groups of equally many objects; how long each took.
pub fn append_in_groups(dir: &Path, corpus: &Corpus, groups: u64) -> Outcome<Vec<Duration>> {
    let mut file = File::create_new(dir.join(APPENDED))?;
    let groups = groups.clamp(1, corpus.objects);
    // Data lies in memory as it will in the file.
    let ends: Vec<u64> = corpus.ends().collect();
    let mut stream = corpus.blocks.iter().map(|block| &block.data[..]);
    let (mut rest, mut written): (&[u8], u64) = (&[], 0);
    let mut latencies = Vec::new();
    for group in 1..=groups {
        let last = usize::try_from(corpus.objects * group / groups)? - 1;
        let begun = Instant::now();
        while written < ends[last] {
            if rest.is_empty() {
                rest = stream.next().ok_or("the blocks are shorter than their objects")?;
            }
            let missing = usize::try_from(ends[last] - written)?;
            let (now, later) = rest.split_at(rest.len().min(missing));
            file.write_all(now)?;
            written += now.len() as u64;
            rest = later;
        }
        file.sync_data()?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}
