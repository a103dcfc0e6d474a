//! Children of a test: started, watched, and ended with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use super::ports::listen;

/// What cargo built for this test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_gitstratum");

const PATIENCE: Duration = Duration::from_secs(60);

/// The program with these arguments, its output caught. No peers for commands that take none.
pub fn gitstratum(arguments: &[&str], peers: &str) -> Command {
    prepared(Command::new(PROGRAM), arguments, peers)
}

/// As [`gitstratum`], for a command that becomes the program.
pub fn prepared(mut command: Command, arguments: &[&str], peers: &str) -> Command {
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GITSTRATUM_")) {
        command.env_remove(name);
    }
    if !peers.is_empty() {
        command.env("GITSTRATUM_PEERS", peers);
    }
    command
}

/// Runs the program to its end.
pub fn output(arguments: &[&str], peers: &str) -> Output {
    gitstratum(arguments, peers).output().unwrap()
}

/// Runs the program, which has to succeed, and returns what it printed.
pub fn run(arguments: &[&str], peers: &str) -> String {
    succeeded(arguments, output(arguments, peers))
}

/// Runs git apart from the user's configuration.
pub fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(dir).args(arguments).stdin(Stdio::null());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "A");
        command.env(format!("GIT_{role}_EMAIL"), "a@example.org");
    }
    succeeded(arguments, command.output().unwrap())
}

fn succeeded(arguments: &[&str], output: Output) -> String {
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A repository from the seeded script: merges, tags, deltas, large blobs.
pub fn make_repository(path: &Path, commits: u32) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/make-repo");
    let commits = commits.to_string();
    let made = Command::new(script).arg(path).args(["--commits", &commits]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// The files of one kind in a directory, sorted.
pub fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.to_str().unwrap().ends_with(suffix)).collect();
    files.sort();
    files
}

/// Waits for a condition, not for ever.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a process that one of our children started, as a crash would.
pub fn kill(pid: u32) {
    signal("-KILL", pid);
}

/// Asks such a process to stop.
pub fn terminate(pid: u32) {
    signal("-TERM", pid);
}

/// Sends such a process a signal, as "-STOP".
pub fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A child that is killed when the test ends without having stopped it.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::start_logging(Stdio::inherit(), command)
    }

    fn start_logging(log: Stdio, mut command: Command) -> Self {
        let mut child = command.stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Read apart from the test, so that the test can lose its patience.
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Running { child, lines }
    }

    fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|error| panic!("no line came: {error}; {:?}", self.child.try_wait()))
    }

    /// Asks it to stop, and waits until it has.
    fn terminate(self) {
        terminate(self.child.id());
        let ended = self.ended();
        assert!(ended.success(), "{ended:?}");
    }

    /// Waits until it ends, and says how.
    fn ended(mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("it stops", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node of its own.
pub struct Serve(Running);

impl Serve {
    /// Has it read its configuration again.
    pub fn hang_up(&self) {
        signal("-HUP", self.0.child.id());
    }

    /// Has its process stand still; its kernel goes on for it.
    pub fn pause(&self) {
        signal("-STOP", self.0.child.id());
    }

    /// Ends [`Serve::pause`].
    pub fn resume(&self) {
        signal("-CONT", self.0.child.id());
    }

    /// Ends it as a crash would.
    pub fn kill(self) {
        drop(self);
    }

    /// Starts it and waits until it listens. Its directory is made before, where it is new.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), arguments)
    }

    /// The same, with its log there.
    pub fn start_logging(log: Stdio, arguments: &[&str]) -> Self {
        Self::start_as(log, Command::new(PROGRAM), arguments)
    }

    /// As [`Serve::start`], for a command that becomes the program.
    pub fn start_by(command: Command, arguments: &[&str]) -> Self {
        Self::start_as(Stdio::inherit(), command, arguments)
    }

    fn start_as(log: Stdio, command: Command, arguments: &[&str]) -> Self {
        make_if_new(arguments);
        Self::start_made(log, command, arguments)
    }

    /// The same, where its directory is made.
    pub fn start_made(log: Stdio, command: Command, arguments: &[&str]) -> Self {
        // It ends with us, even if we cannot end it.
        let arguments = [&["serve", "--while-stdin-is-open"], arguments].concat();
        let mut command = prepared(command, &arguments, "");
        command.stdin(Stdio::piped());
        let mut running = Running::start_logging(log, command);
        assert!(running.line().starts_with("listening "));
        Serve(running)
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(self) {
        self.0.terminate();
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        terminate(self.0.child.id());
    }

    /// Waits until it ends, and says how.
    pub fn ended(self) -> ExitStatus {
        self.0.ended()
    }
}

/// Makes the data directory of a node that is started with these arguments, unless it is one.
fn make_if_new(arguments: &[&str]) {
    let made = output(&[&["init"], arguments].concat(), "");
    let said = String::from_utf8_lossy(&made.stderr);
    let is_one = ["already: gitstratum serve", "is a copy of a node's store"];
    let is_one = is_one.iter().any(|words| said.contains(words));
    assert!(made.status.success() || is_one, "{made:?}");
}

/// Waits until three nodes vote in the catalog of these peers.
pub fn wait_for_voters(peers: &str) {
    wait_until("all three vote", || {
        let listed = output(&["node", "list", "--json"], peers);
        String::from_utf8_lossy(&listed.stdout).matches("\"voter\"").count() == 3
    });
}

/// A node that `dev` started.
pub struct Node {
    pub address: String,
    /// The URL that its repositories are below.
    pub git: String,
    pub pid: u32,
    pub dir: PathBuf,
}

/// What `dev` takes ports from: not the ones of another test, which is short of those that it uses
/// while its nodes are dead.
pub fn first_port() -> String {
    static CHOSEN: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id() + 97 * CHOSEN.fetch_add(1, Ordering::Relaxed);
    (7401 + own % 1200 * 20).to_string()
}

/// A cluster that `dev` runs.
pub struct Dev {
    running: Running,
    pub nodes: Vec<Node>,
}

impl Dev {
    /// Starts three nodes with their data under `data`.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same, with more arguments.
    pub fn start_with(data: &Path, more: &[&str]) -> Self {
        let (data_argument, port) = (data.to_str().unwrap(), first_port());
        let arguments = ["dev", "--data", data_argument, "--first-port", &port];
        let arguments = [&arguments[..], more].concat();
        let mut running = Running::start(gitstratum(&arguments, ""));
        let mut nodes = Vec::new();
        for n in 1..=3 {
            let line = running.line();
            let words: Vec<_> = line.split(' ').collect();
            let id = format!("n{n}");
            let ["node", named, address, "git", git, "pid", pid] = words[..] else {
                panic!("{line}")
            };
            assert_eq!(named, id);
            let (address, git, pid) = (address.to_owned(), git.to_owned(), pid.parse().unwrap());
            nodes.push(Node { address, git, pid, dir: data.join(id) });
        }
        Dev { running, nodes }
    }

    /// What goes into `GITSTRATUM_PEERS`.
    pub fn peers(&self) -> String {
        self.nodes.iter().map(|node| node.address.as_str()).collect::<Vec<_>>().join(",")
    }

    /// Reads what `dev` prints up to a line that begins so.
    pub fn wait_for_line(&mut self, start: &str) {
        while !self.running.line().starts_with(start) {}
    }

    /// Waits until all three nodes vote in the catalog.
    pub fn wait_for_voters(&self) {
        wait_for_voters(&self.peers());
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(self) {
        self.running.terminate();
    }
}
