//! What the system says of processes and file systems (Linux's `/proc`).

use std::path::Path;
use std::process::Command;

use crate::Outcome;

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
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
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

/// Peak resident memory of a process in KiB; `None` once it has ended.
pub fn peak_memory_kib(pid: u32) -> Option<u64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// Bytes that a process made the system send to disks.
pub fn disk_bytes_written(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/io");
    field(&path, "write_bytes:").ok_or_else(|| format!("{path}: no write_bytes").into())
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
