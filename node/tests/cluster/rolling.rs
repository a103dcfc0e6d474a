//! A rolling restart under load: pushes, clones and puts go on while one node after the other is told to
//! stop, ends, and comes back.
//!
//! Git clients are as behind a balancer that does not know who restarts: each command goes to the next
//! node in turn, and to another one when it fails. What ran on the node that restarts may fail, and
//! nothing else; no command is lost that could be tried elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::git_push::try_git;
use crate::monitor;
use crate::support::{git, listen, make_repository, output, run, wait_for_voters, wait_until};
use crate::trio::Cluster;

const NODES: usize = 3;
/// Clients of each kind.
const CLIENTS: usize = 2;
/// Commands of each kind that end well before the first restart, and after the last one.
const SETTLED: usize = 2;

/// One run of a command against one node.
struct Attempt {
    what: &'static str,
    node: usize,
    began: Instant,
    ended: Instant,
    /// What it said, if it failed.
    failed: Option<String>,
}

/// From when a node was told to stop until it was ready again.
struct Restart {
    node: usize,
    began: Instant,
    ended: Instant,
}

impl Restart {
    fn concerns(&self, attempt: &Attempt) -> bool {
        self.node == attempt.node && attempt.began <= self.ended && attempt.ended >= self.began
    }
}

/// What clients did.
#[derive(Default)]
struct Load {
    ends: AtomicBool,
    attempts: Mutex<Vec<Attempt>>,
    /// Commands that failed wherever they were tried.
    lost: Mutex<Vec<String>>,
    pushed: AtomicUsize,
    cloned: AtomicUsize,
    put: AtomicUsize,
}

impl Load {
    /// Runs a command against one node after the other, from this one on, until it ends well.
    fn through(
        &self,
        what: &'static str,
        first: usize,
        run: impl Fn(usize) -> (bool, String),
    ) -> bool {
        let mut last = String::new();
        for node in (first..first + NODES).map(|node| node % NODES) {
            let began = Instant::now();
            let (is_ok, said) = run(node);
            let failed = (!is_ok).then(|| said.clone());
            let attempt = Attempt { what, node, began, ended: Instant::now(), failed };
            self.attempts.lock().unwrap().push(attempt);
            if is_ok {
                return true;
            }
            last = said;
        }
        self.lost.lock().unwrap().push(format!("{what}: {last}"));
        false
    }

    fn counts(&self) -> [usize; 3] {
        [&self.pushed, &self.cloned, &self.put].map(|count| count.load(Ordering::SeqCst))
    }

    /// Waits until some more of each kind ended well.
    fn goes_on(&self) {
        let before = self.counts();
        wait_until("clients go on", || {
            let now = self.counts();
            now.iter().zip(before).all(|(now, before)| *now >= before + SETTLED)
        });
    }
}

/// Where a node is reached.
struct Addresses {
    http: String,
    monitor: String,
}

impl Addresses {
    fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.http)
    }

    fn wait_until_ready(&self) {
        wait_until("the node is ready", || {
            // It may not listen yet.
            std::net::TcpStream::connect(&self.monitor).is_ok()
                && monitor::get(&self.monitor, "/readyz").0 == 200
        });
    }
}

/// Pushes one commit after the other; gives the last one that was acknowledged.
fn push(load: &Load, work: &Path, name: &str, nodes: &[Addresses]) -> String {
    let mut acknowledged = String::new();
    for turn in 0.. {
        if load.ends.load(Ordering::SeqCst) {
            break;
        }
        let message = format!("turn {turn}");
        let commit = ["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", &message];
        let commit = git(work, &commit).trim().to_owned();
        git(work, &["update-ref", "refs/heads/main", &commit]);
        let pushed = load.through("push", turn, |node| {
            try_git(work, &["push", "-q", &nodes[node].url(name), "refs/heads/main"])
        });
        if pushed {
            load.pushed.fetch_add(1, Ordering::SeqCst);
            acknowledged = commit;
        }
    }
    acknowledged
}

/// Clones the same repository again and again.
fn clone(load: &Load, dir: &Path, client: usize, head: &str, nodes: &[Addresses]) {
    for turn in client.. {
        if load.ends.load(Ordering::SeqCst) {
            break;
        }
        let to = dir.join(format!("clone-{client}"));
        let cloned = load.through("clone", turn, |node| {
            let _ = fs::remove_dir_all(&to);
            try_git(dir, &["clone", "-q", "--bare", &nodes[node].url("base"), to.to_str().unwrap()])
        });
        if cloned {
            assert_eq!(git(&to, &["rev-parse", "HEAD"]).trim(), head);
            load.cloned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Puts objects by the command, which tries again by itself; gives the ids of those that it acknowledged.
fn put(load: &Load, dir: &Path, client: usize, peers: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for turn in 0.. {
        if load.ends.load(Ordering::SeqCst) {
            break;
        }
        let files: Vec<PathBuf> =
            (0..4).map(|n| dir.join(format!("put-{client}-{turn}-{n}"))).collect();
        for file in &files {
            fs::write(file, file.to_str().unwrap()).unwrap();
        }
        let files = files.iter().map(|file| file.to_str().unwrap());
        let done = output(&["put"].into_iter().chain(files).collect::<Vec<_>>(), peers);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        match done.status.success() {
            true => {
                ids.extend(String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned));
                load.put.fetch_add(1, Ordering::SeqCst);
            }
            false => load.lost.lock().unwrap().push(format!("put: {said}")),
        }
    }
    ids
}

/// Restarts every node, each when the one before is ready.
fn restart_all(load: &Load, cluster: &mut Cluster, nodes: &[Addresses]) -> Vec<Restart> {
    let restarts = (0..NODES).map(|node| {
        load.goes_on();
        let began = Instant::now();
        cluster.nodes[node].take().unwrap().terminate();
        let ended = began.elapsed();
        cluster.start_node(node);
        nodes[node].wait_until_ready();
        println!("n{} ended within {ended:?} and was ready after {:?}", node + 1, began.elapsed());
        Restart { node, began, ended: Instant::now() }
    });
    let restarts = restarts.collect();
    load.goes_on();
    load.ends.store(true, Ordering::SeqCst);
    restarts
}

#[test]
fn a_rolling_restart_fails_nothing_but_what_ran_on_the_node_that_restarts() {
    let nodes: Vec<_> =
        (0..NODES).map(|_| Addresses { http: listen(), monitor: listen() }).collect();
    let settings = |node: &Addresses| {
        let Addresses { http, monitor } = node;
        format!(
            "[http]\nlisten = \"{http}\"\ncreate_on_push = true\n[monitor]\nlisten = \"{monitor}\""
        )
    };
    let settings: Vec<_> = nodes.iter().map(settings).collect();
    let mut cluster = Cluster::start_with([&settings[0], &settings[1], &settings[2]]);
    wait_for_voters(&cluster.peers);
    nodes.iter().for_each(Addresses::wait_until_ready);
    let dir = cluster.dir.path().to_owned();
    let works: Vec<_> = (0..CLIENTS).map(|client| dir.join(format!("work-{client}"))).collect();
    works.iter().for_each(|work| make_repository(work, 5));
    let head = git(&works[0], &["rev-parse", "HEAD"]).trim().to_owned();
    git(&works[0], &["push", "-q", &nodes[0].url("base"), "refs/heads/main"]);

    let (load, peers) = (Load::default(), cluster.peers.clone());
    let (restarts, pushed, ids) = std::thread::scope(|scope| {
        let (load, nodes, dir, head, peers) = (&load, &nodes[..], &dir, &head, &peers);
        let pushers: Vec<_> = works
            .iter()
            .enumerate()
            .map(|(n, work)| scope.spawn(move || push(load, work, &format!("team/p{n}"), nodes)))
            .collect();
        for client in 0..CLIENTS {
            scope.spawn(move || clone(load, dir, client, head, nodes));
        }
        let putters: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || put(load, dir, client, peers))).collect();
        let restarts = restart_all(load, &mut cluster, nodes);
        let pushed: Vec<_> = pushers.into_iter().map(|it| it.join().unwrap()).collect();
        let ids: Vec<_> = putters.into_iter().flat_map(|it| it.join().unwrap()).collect();
        (restarts, pushed, ids)
    });

    let attempts = load.attempts.into_inner().unwrap();
    let failed: Vec<_> = attempts.iter().filter(|attempt| attempt.failed.is_some()).collect();
    let there = |attempt: &&&Attempt| restarts.iter().any(|restart| restart.concerns(attempt));
    let on_restarted = failed.iter().filter(there).count();
    let lost = load.lost.into_inner().unwrap();
    for what in ["push", "clone"] {
        let of = |attempts: &[&Attempt]| attempts.iter().filter(|it| it.what == what).count();
        let all: Vec<_> = attempts.iter().collect();
        println!("{what}: {} attempts, {} failed and were tried elsewhere", of(&all), of(&failed));
    }
    println!("put: {} objects", ids.len());
    println!("{on_restarted} of {} failures ran on the node that restarted", failed.len());
    println!("{} commands were lost", lost.len());
    let elsewhere: Vec<_> = failed.iter().filter(|attempt| !there(attempt)).collect();
    for Attempt { what, node, failed, .. } in &elsewhere {
        println!("{what} at n{}: {}", node + 1, failed.as_deref().unwrap_or_default());
    }
    assert!(
        elsewhere.is_empty(),
        "{} commands failed at nodes that did not restart",
        elsewhere.len()
    );
    assert!(lost.is_empty(), "{lost:?}");

    // What was acknowledged is there, through every node.
    for (client, commit) in pushed.iter().enumerate() {
        for node in &nodes {
            let listed = git(&dir, &["ls-remote", &node.url(&format!("team/p{client}")), "main"]);
            assert!(listed.starts_with(commit), "{commit} is not what {listed} says");
        }
    }
    for id in ids.iter().step_by(ids.len().div_ceil(20)) {
        assert!(run(&["get", id], &peers).contains("put-"), "{id}");
    }
}
