//! What the system says of processes, files and file systems (Linux's `/proc`).

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// Bytes of the blocks that `stat` counts in.
const STAT_BLOCK_BYTES: u64 = 512;

/// Runs a command to its end and returns what it printed.
pub fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?}: {}: {stderr}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The kind of the file system that holds `dir`, an absolute path.
pub fn file_system(dir: &Path) -> Outcome<String> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut best = (0, "unknown".to_owned());
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(_), Some(point), Some(kind)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // The longest mount point wins, and of equal ones the last that was mounted.
        if dir.starts_with(point) && point.len() >= best.0 {
            best = (point.len(), kind.to_owned());
        }
    }
    Ok(best.1)
}

/// Processes that wanted to run during the last minute, on average, for each processor.
pub fn load() -> Outcome<f64> {
    let averages = fs::read_to_string("/proc/loadavg")?;
    let minute: f64 = averages.split(' ').next().unwrap_or_default().parse()?;
    Ok(minute / std::thread::available_parallelism()?.get() as f64)
}

/// Memory of this process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now, in bytes.
    pub resident_bytes: u64,
    /// Resident at most so far, in bytes.
    pub peak_bytes: u64,
}

/// Memory of this process.
pub fn memory() -> Outcome<Memory> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(Memory {
        resident_bytes: field(&status, "VmRSS:")? << 10,
        peak_bytes: field(&status, "VmHWM:")? << 10,
    })
}

/// Counts this thread's system calls that read. One that found a page missing in the cache and
/// is made again where it may wait, on another thread, counts once.
pub struct ReadCalls {
    before: u64,
}

impl ReadCalls {
    /// Begins to count.
    pub fn begin() -> Outcome<Self> {
        // The call that reads the number is not part of it yet.
        Ok(ReadCalls { before: Self::read()? + 1 })
    }

    /// How many there were.
    pub fn end(self) -> Outcome<u64> {
        Ok(Self::read()? - self.before)
    }

    fn read() -> Outcome<u64> {
        let mut text = [0; 1024];
        let len = fs::File::open("/proc/thread-self/io")?.read(&mut text)?;
        field(std::str::from_utf8(&text[..len])?, "syscr:")
    }
}

fn field(text: &str, name: &str) -> Outcome<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("the system says nothing of {name}"))?.parse()?)
}

/// Makes sure that the next so many bytes of memory, but at most half of what is free, are
/// there: a virtual machine gives what lies idle back to its host, and whoever touches it
/// next waits for it to come back. Without this, each contender pays for those before it.
pub fn warm_memory(bytes: u64) -> Outcome<()> {
    const PAGE_BYTES: usize = 4096;
    let available = field(&fs::read_to_string("/proc/meminfo")?, "MemAvailable:")? << 10;
    let mut memory = vec![0_u8; usize::try_from(bytes.min(available / 2))?];
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    std::hint::black_box(&memory);
    Ok(())
}

/// Has the standard library find out what the processor can do, which it does once in a
/// process: in a virtual machine each of its questions is an exit to the host, and whichever
/// contender computes a checksum first would wait for them.
pub fn know_processor() {
    #[cfg(target_arch = "x86_64")]
    std::hint::black_box(std::arch::is_x86_feature_detected!("sse4.2"));
}

/// Bytes of disk that the files below a directory occupy.
pub fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for_each_file(dir, &mut |path| {
        bytes += fs::metadata(path)?.blocks() * STAT_BLOCK_BYTES;
        Ok(())
    })?;
    Ok(bytes)
}

/// Reads this program and all files below a directory, so that they are in the page cache.
pub fn warm(dir: &Path) -> io::Result<()> {
    let mut read = |path: &Path| {
        io::copy(&mut fs::File::open(path)?, &mut io::sink())?;
        Ok(())
    };
    for_each_file(dir, &mut read)?;
    // Last: what was not called for minutes may have left the cache.
    read(&std::env::current_exe()?)
}

fn for_each_file(dir: &Path, visit: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => for_each_file(&entry.path(), visit)?,
            false => visit(&entry.path())?,
        }
    }
    Ok(())
}
