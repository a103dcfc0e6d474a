//! A cluster of three nodes that a test stops, starts and damages one by one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Serve, listen, run, wait_until};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Three nodes with N = 3, W = 2, R = 2.
pub struct Cluster {
    /// Where their configurations and data are.
    pub dir: tempfile::TempDir,
    /// Those that run.
    pub nodes: Vec<Option<Serve>>,
    /// What goes into `GITSTRATUM_PEERS`.
    pub peers: String,
    /// Their logs are kept apart, each in a file.
    keeps_logs: bool,
}

impl Cluster {
    /// Starts them, and waits until each was compared with the others.
    pub fn start() -> Self {
        Self::start_with(["", "", ""])
    }

    /// The same, with these lines at the end of their configurations.
    pub fn start_with(more: [&str; 3]) -> Self {
        Self::start_keeping(false, more)
    }

    /// The same, with the log of each in a file.
    pub fn start_logging(more: [&str; 3]) -> Self {
        Self::start_keeping(true, more)
    }

    fn start_keeping(keeps_logs: bool, more: [&str; 3]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let addresses: Vec<_> = (0..3).map(|_| listen()).collect();
        let mut layout =
            "[cluster]\nversion = 1\nreplicas = 3\nwrite_quorum = 2\nread_quorum = 2\n".to_owned();
        for (n, address) in (1..).zip(&addresses) {
            layout += &format!("[[node]]\nid = \"n{n}\"\naddress = \"{address}\"\n");
        }
        fs::write(dir.path().join("layout.toml"), layout).unwrap();
        let peers = addresses.join(",");
        let mut cluster = Cluster { dir, nodes: vec![None, None, None], peers, keeps_logs };
        for (node, address) in addresses.iter().enumerate() {
            let lines = format!(
                "node_id = \"n{}\"\nlisten = \"{address}\"\ndata = \"{}\"\nlayout = \"{}\"\n{}\n",
                node + 1,
                text(&cluster.data(node)),
                text(&cluster.dir.path().join("layout.toml")),
                more[node]
            );
            fs::write(cluster.config(node), lines).unwrap();
            cluster.start_node(node);
        }
        wait_until("the nodes were compared", || {
            let status = cluster.repair_status();
            status["nodes"].as_array().unwrap().iter().all(|node| node["absence_unproven"] == false)
        });
        cluster
    }

    fn config(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("n{}.toml", node + 1))
    }

    /// Where a node keeps its data.
    pub fn data(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("n{}", node + 1))
    }

    /// Where the log of one is, if it is kept.
    pub fn log(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("n{}.log", node + 1))
    }

    fn log_of_next_run(&self, node: usize) -> Stdio {
        fs::OpenOptions::new().create(true).append(true).open(self.log(node)).unwrap().into()
    }

    /// Starts one that does not run.
    pub fn start_node(&mut self, node: usize) {
        let config = self.config(node);
        let arguments = ["--config", text(&config)];
        self.nodes[node] = Some(match self.keeps_logs {
            true => Serve::start_logging(self.log_of_next_run(node), &arguments),
            false => Serve::start(&arguments),
        });
    }

    /// Ends one as a crash would.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].take().unwrap().kill();
    }

    /// `repair status`, as JSON.
    pub fn repair_status(&self) -> Value {
        serde_json::from_str(&run(&["repair", "status", "--json"], &self.peers)).unwrap()
    }

    /// Puts so many small files; returns their ids.
    pub fn put(&self, name: &str, count: usize) -> Vec<String> {
        self.put_data(name, (0..count).map(|n| format!("{name} {n}").into_bytes()).collect())
    }

    /// Puts files with these contents; returns their ids.
    pub fn put_data(&self, name: &str, contents: Vec<Vec<u8>>) -> Vec<String> {
        let file = |n: usize| self.dir.path().join(format!("{name}-{n}"));
        let files: Vec<_> = (0..contents.len()).map(file).collect();
        for (file, data) in files.iter().zip(contents) {
            fs::write(file, data).unwrap();
        }
        let arguments: Vec<_> = ["put"].into_iter().chain(files.iter().map(|f| text(f))).collect();
        run(&arguments, &self.peers).lines().map(str::to_owned).collect()
    }

    /// How many nodes hold an object, by `has`.
    pub fn holders(&self, id: &str) -> usize {
        let said = run(&["has", id], &self.peers);
        (1..=3).filter(|n| said.contains(&format!("n{n}"))).count()
    }
}
