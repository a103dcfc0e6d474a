//! The peer: this program once more, as a process of its own that can be killed, stopped
//! and followed by another on its address.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gitstratum::config::{Config, ConfigOverrides};
use gitstratum::server::{Serving, serve};
use gitstratum_host::{Disk, Host, Net};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::Outcome;
use crate::namespace::Network;

/// Serves as a lone node, until whoever started us has gone.
pub async fn run(id: &str, address: &str, data: &str) -> Outcome<()> {
    let overrides = ConfigOverrides {
        data: Some(data.into()),
        listen: Some(address.parse()?),
        node_id: Some(id.to_owned()),
        ..ConfigOverrides::default()
    };
    let loaded = Config::from_toml("", "arguments", overrides)?;
    let host = Host { net: Net::new(), disk: Disk::new(&loaded.data) };
    let orphaned = async {
        let read = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        // However it ends, nobody is there any more.
        let _ = read.await;
    };
    let ready = |_: Serving| println!("listening");
    let rng = ChaCha12Rng::seed_from_u64(1);
    Ok(serve(loaded.config, host, rng, ready, orphaned).await?)
}

/// Such a process; killed when dropped.
pub struct Node {
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Starts a node and waits until it listens; behind the firewall of `network`, if one
    /// is given.
    pub fn start(id: &str, address: &str, data: &Path, network: Option<&Network>) -> Outcome<Self> {
        let program = std::env::current_exe()?;
        let mut command = match network {
            Some(network) => network.behind(program),
            None => Command::new(program),
        };
        command.args(["node", id, address]).arg(data);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let node = Node { child };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() { Err(format!("node {id} did not start").into()) } else { Ok(node) }
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, signal: &str) -> Outcome<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("kill {signal}: {sent}").into()) }
    }
}
