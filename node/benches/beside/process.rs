//! Server processes, and what the system says of them (Linux's `/proc`).

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// Ticks a second in which the system counts time on processors for programs to read; the same on
/// all of Linux's architectures.
const TICKS_PER_SECOND: u64 = 100;

/// Servers that are killed when the value is dropped.
pub struct Servers {
    dir: PathBuf,
    started: Vec<(Vec<String>, Child)>,
    program: PathBuf,
}

impl Servers {
    /// None yet; they log to files in `dir`.
    pub fn new(program: &Path, dir: &Path) -> Outcome<Self> {
        fs::create_dir_all(dir)?;
        let (program, dir) = (program.to_owned(), dir.to_owned());
        Ok(Servers { dir, started: Vec::new(), program })
    }

    /// Starts one more.
    pub fn start(&mut self, arguments: Vec<String>) -> Outcome<()> {
        let child = self.spawn(self.started.len(), &arguments)?;
        self.started.push((arguments, child));
        Ok(())
    }

    /// Ends one as a crash would.
    pub fn kill(&mut self, server: usize) -> Outcome<()> {
        let (_, child) = &mut self.started[server];
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts one that was killed.
    pub fn start_again(&mut self, server: usize) -> Outcome<()> {
        let arguments = self.started[server].0.clone();
        self.started[server].1 = self.spawn(server, &arguments)?;
        Ok(())
    }

    fn spawn(&self, server: usize, arguments: &[String]) -> Outcome<Child> {
        let log = self.dir.join(format!("server-{server}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = command(&self.program);
        // Nodes end when we do, even where we cannot end them.
        command.args(arguments).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        command.spawn().map_err(|error| format!("{}: {error}", self.program.display()).into())
    }

    /// Time that all of them were on processors since they started, the system's work for them
    /// included.
    pub fn processor_time(&self) -> Outcome<Duration> {
        let each = self.started.iter().map(|(_, child)| processor_time(&child.id().to_string()));
        each.sum()
    }

    /// Bytes that the device has written on which their data is, since the system started and whoever's
    /// they were. What processes are told they wrote counts whole pages of memory, many times as much.
    pub fn device_bytes(&self) -> Option<u64> {
        const SECTOR_BYTES: u64 = 512;
        const SECTORS_WRITTEN: usize = 6;
        let device = fs::metadata(&self.dir).ok()?.dev();
        let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
        let minor = (device & 0xff) | ((device >> 12) & !0xff);
        let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
        let sectors: u64 = stat.split_whitespace().nth(SECTORS_WRITTEN)?.parse().ok()?;
        Some(sectors * SECTOR_BYTES)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, child) in &mut self.started {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Time that a process was on processors: its id, or `self`.
pub fn processor_time(process: &str) -> Outcome<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path)?;
    // The program's name is in brackets, and may have anything in it.
    let fields = stat.rsplit_once(')').ok_or_else(|| format!("{path}: no name"))?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let mut ticks = 0;
    // In user mode, and in the kernel.
    for field in [11, 12] {
        let field = fields.get(field).ok_or_else(|| format!("{path}: too short"))?;
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// A program, without what the environment may say to nodes.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GITSTRATUM_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end.
pub fn run(program: &Path, arguments: &[&str]) -> Outcome<String> {
    let mut command = command(program);
    let ended = command.args(arguments).stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| format!("{}: {error}", program.display()))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        return Err(format!("{command:?}: {}: {said}", ended.status).into());
    }
    Ok(String::from_utf8(ended.stdout)?)
}

/// The first line of what a program says of its version.
pub fn version(program: &Path) -> Outcome<String> {
    let said = run(program, &["--version"])?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

/// What the figures depend on: processors, and how much else they have to do.
pub fn machine() -> Outcome<String> {
    let processors = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!("{processors} processors, load {load} before we began"))
}

/// Loopback addresses that nobody listens on now.
pub fn free_addresses(count: usize) -> Outcome<Vec<SocketAddr>> {
    // All are held until the last is found, so that they differ.
    let bound: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    Ok(bound.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

/// An empty directory on a disk; what it held is removed.
pub fn fresh_directory(dir: &Path) -> Outcome<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut kind = (0, "unknown");
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(_), Some(point), Some(of)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // The longest mount point wins, and of equal ones the last that was mounted.
        if dir.starts_with(point) && point.len() >= kind.0 {
            kind = (point.len(), of);
        }
    }
    match kind.1 {
        "tmpfs" | "ramfs" => {
            Err(format!("{} is memory: give a --dir on a disk", dir.display()).into())
        }
        _ => Ok(dir),
    }
}
