//! What compressing every object of a real repository by itself saves, and what it costs.
//!
//! An object whose compressed form is not at least a sixteenth smaller is kept raw, as a
//! store would keep it, but the time that the attempt took still counts. Time is that of
//! this thread on a processor: nothing waits here, and the machine may be busy otherwise.
//! Codecs keep their tables from one object to the next, and outputs go to buffers that
//! are there already.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use rustix::time::{ClockId, clock_gettime};
use zstd::bulk::{Compressor, Decompressor};

use crate::Outcome;

/// Objects are read until they have so many bytes, then compressed.
const PORTION_BYTES: usize = 64 << 20;
/// A compressed object saves this part of its size, or is kept raw.
const SAVED_PART_MIN: usize = 16;
/// Upper bounds of the size classes, in bytes.
const CLASSES: &[usize] = &[512, 1 << 10, 2 << 10, 4 << 10, 16 << 10, 128 << 10, usize::MAX];

/// What to compress.
#[derive(Args, Clone, Debug)]
pub struct Task {
    /// The repository.
    #[arg(long)]
    repo: PathBuf,
}

/// Compresses all objects in every way and prints what came of it.
pub fn run(task: &Task) -> Outcome<()> {
    let mut git = Command::new("git");
    git.arg("-C").arg(&task.repo).args(["cat-file", "--batch", "--batch-all-objects"]);
    let mut git = git.arg("--unordered").stdout(Stdio::piped()).spawn()?;
    let mut listing = BufReader::with_capacity(1 << 20, git.stdout.take().ok_or("no output")?);
    let mut codecs = Codec::all()?;
    let mut cells = BTreeMap::new();
    loop {
        let portion = read_portion(&mut listing)?;
        if portion.is_empty() {
            break;
        }
        for (place, codec) in codecs.iter_mut().enumerate() {
            for (group, objects) in &portion {
                let totals = codec.measure(objects)?;
                cells.entry((place, group.clone())).or_insert_with(Totals::default).add(&totals);
            }
        }
    }
    let status = git.wait()?;
    if !status.success() {
        return Err(format!("git cat-file: {status}").into());
    }
    print(&codecs, &cells);
    Ok(())
}

/// What each codec makes of objects: its name, and bytes stored per byte of data.
pub fn ratios(objects: &[impl AsRef<[u8]>]) -> Outcome<Vec<(&'static str, f64)>> {
    let ratio = |mut codec: Codec| {
        let totals = codec.measure(objects)?;
        Ok((codec.name, totals.stored_bytes as f64 / totals.bytes as f64))
    };
    Codec::all()?.into_iter().map(ratio).collect()
}

/// The kind of an object and the place of its size among the classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    kind: String,
    class: usize,
}

type Portion = BTreeMap<Group, Vec<Vec<u8>>>;

/// The next objects, by group; none at the end.
fn read_portion(listing: &mut impl BufRead) -> Outcome<Portion> {
    let (mut portion, mut bytes) = (Portion::new(), 0);
    let mut head = String::new();
    while bytes < PORTION_BYTES {
        head.clear();
        if listing.read_line(&mut head)? == 0 {
            break;
        }
        let [_, kind, size] = head.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("git said {head:?}").into());
        };
        // A line end follows the data.
        let mut data = vec![0; size.parse::<usize>()? + 1];
        listing.read_exact(&mut data)?;
        data.pop();
        bytes += data.len();
        let class = CLASSES.iter().position(|&bound| data.len() < bound);
        let class = class.ok_or("an object of impossible size")?;
        portion.entry(Group { kind: kind.to_owned(), class }).or_default().push(data);
    }
    Ok(portion)
}

/// Sums over objects.
#[derive(Clone, Debug, Default)]
struct Totals {
    objects: u64,
    bytes: u64,
    /// Objects that did not shrink enough.
    raw_objects: u64,
    /// Bytes as stored.
    stored_bytes: u64,
    compressing: Duration,
    /// Of the objects that were not kept raw, in the size they had before.
    shrunk_bytes: u64,
    decompressing: Duration,
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.raw_objects += other.raw_objects;
        self.stored_bytes += other.stored_bytes;
        self.compressing += other.compressing;
        self.shrunk_bytes += other.shrunk_bytes;
        self.decompressing += other.decompressing;
    }
}

/// What this thread has spent on a processor.
fn thread_time() -> Outcome<Duration> {
    Ok(Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))?)
}

/// A way to compress, with what it keeps between objects.
struct Codec {
    name: &'static str,
    state: State,
}

enum State {
    Lz4(Box<CompressTable>),
    Zstd(Box<(Compressor<'static>, Decompressor<'static>)>),
}

impl Codec {
    fn lz4() -> Self {
        Codec { name: "lz4", state: State::Lz4(Box::default()) }
    }

    fn zstd(name: &'static str, level: i32) -> Outcome<Self> {
        let both = Box::new((Compressor::new(level)?, Decompressor::new()?));
        Ok(Codec { name, state: State::Zstd(both) })
    }

    fn all() -> Outcome<Vec<Self>> {
        Ok(vec![Codec::lz4(), Codec::zstd("zstd -1", 1)?, Codec::zstd("zstd -3", 3)?])
    }

    /// Room that is enough for any output of `len` bytes.
    fn bound(&self, len: usize) -> usize {
        match self.state {
            State::Lz4(_) => get_maximum_output_size(len),
            State::Zstd(_) => zstd::zstd_safe::compress_bound(len),
        }
    }

    fn compress(&mut self, data: &[u8], output: &mut [u8]) -> Outcome<usize> {
        Ok(match &mut self.state {
            State::Lz4(table) => compress_into_with_table(data, output, table)?,
            State::Zstd(both) => both.0.compress_to_buffer(data, output)?,
        })
    }

    fn decompress(&mut self, compressed: &[u8], output: &mut [u8]) -> Outcome<usize> {
        Ok(match &mut self.state {
            State::Lz4(_) => decompress_into(compressed, output)?,
            State::Zstd(both) => both.1.decompress_to_buffer(compressed, output)?,
        })
    }

    fn measure(&mut self, objects: &[impl AsRef<[u8]>]) -> Outcome<Totals> {
        let objects: Vec<&[u8]> = objects.iter().map(AsRef::as_ref).collect();
        let bounds: Vec<usize> = objects.iter().map(|data| self.bound(data.len())).collect();
        // Filled, not only allocated, so that no page is new when the clock runs.
        let mut outputs = vec![1; bounds.iter().sum()];
        let mut lens = Vec::with_capacity(objects.len());
        let mut rest = &mut outputs[..];
        let begun = thread_time()?;
        for (data, bound) in objects.iter().zip(&bounds) {
            let (output, after) = rest.split_at_mut(*bound);
            lens.push(self.compress(data, output)?);
            rest = after;
        }
        let mut totals = Totals { compressing: thread_time()? - begun, ..Totals::default() };
        let mut shrunk = Vec::new();
        let mut begin = 0;
        for ((data, bound), len) in objects.iter().zip(&bounds).zip(lens) {
            totals.objects += 1;
            totals.bytes += data.len() as u64;
            if len + data.len().div_ceil(SAVED_PART_MIN) <= data.len() && !data.is_empty() {
                totals.stored_bytes += len as u64;
                totals.shrunk_bytes += data.len() as u64;
                shrunk.push((data, &outputs[begin..begin + len]));
            } else {
                totals.stored_bytes += data.len() as u64;
                totals.raw_objects += 1;
            }
            begin += bound;
        }
        let longest = shrunk.iter().map(|(data, _)| data.len()).max().unwrap_or(0);
        let mut output = vec![1; longest];
        let begun = thread_time()?;
        for (data, compressed) in &shrunk {
            let len = self.decompress(compressed, &mut output[..data.len()])?;
            assert_eq!(len, data.len(), "a codec returns what it was given");
        }
        totals.decompressing = thread_time()? - begun;
        let (data, compressed) = match shrunk.last() {
            Some(last) => *last,
            None => return Ok(totals),
        };
        self.decompress(compressed, &mut output[..data.len()])?;
        assert_eq!(&output[..data.len()], &data[..], "a codec returns what it was given");
        Ok(totals)
    }
}

/// Some of the objects, under the name they are printed with.
struct Part {
    name: String,
    /// Which size class, if only one.
    class: Option<usize>,
    /// Which kind, if only one.
    kind: Option<&'static str>,
}

impl Part {
    fn all() -> Vec<Part> {
        let mut parts = vec![Part { name: "all objects".to_owned(), class: None, kind: None }];
        parts.extend(CLASSES.iter().enumerate().map(|(class, bound)| {
            let name = match *bound {
                usize::MAX => "larger".to_owned(),
                bound => format!("below {bound} bytes"),
            };
            Part { name, class: Some(class), kind: None }
        }));
        parts.extend(["blob", "tree", "commit", "tag"].map(|kind| {
            let name = format!("{kind}s");
            Part { name, class: None, kind: Some(kind) }
        }));
        parts
    }

    fn holds(&self, group: &Group) -> bool {
        self.class.is_none_or(|class| class == group.class)
            && self.kind.is_none_or(|kind| kind == group.kind)
    }
}

fn print(codecs: &[Codec], cells: &BTreeMap<(usize, Group), Totals>) {
    let sum = |codec: usize, part: &Part| {
        let mut totals = Totals::default();
        let chosen = cells.iter().filter(|((c, group), _)| *c == codec && part.holds(group));
        chosen.for_each(|(_, cell)| totals.add(cell));
        totals
    };
    println!(
        "{:<20} {:>9} {:>9} {:<8} {:>7} {:>7} {:>9} {:>11}",
        "", "objects", "MB", "codec", "ratio", "raw", "compress", "decompress"
    );
    println!("{:<48} {:>7} {:>7} {:>9} {:>11}", "", "", "", "MB/s", "MB/s");
    for part in &Part::all() {
        let stored = sum(0, part);
        if stored.objects == 0 {
            continue;
        }
        println!(
            "{:<20} {:>9} {:>9.1} {:<8} {:>7.3}",
            part.name,
            stored.objects,
            stored.bytes as f64 / 1e6,
            "stored",
            1.0
        );
        for (place, codec) in codecs.iter().enumerate() {
            let totals = sum(place, part);
            println!(
                "{:<40} {:<8} {:>7.3} {:>6.1}% {:>9.0} {:>11.0}",
                "",
                codec.name,
                totals.stored_bytes as f64 / totals.bytes as f64,
                100.0 * totals.raw_objects as f64 / totals.objects as f64,
                rate(totals.bytes, totals.compressing),
                rate(totals.shrunk_bytes, totals.decompressing),
            );
        }
    }
}

fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64().max(1e-9)
}
