//! Three nodes with certificates of an authority of their own, and commands with one of theirs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::support::{Serve, gitstratum, listen, run, wait_until};

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What stands under `[tls]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Absent,
    Accepted,
    Required,
}

/// When certificates are valid that an authority signs by hand.
#[derive(Clone, Copy)]
pub enum When {
    Past,
    Now,
    Future,
}

/// Three nodes, N = 3, W = 2, R = 2, which may not run. Their certificates, and that of the client
/// alice, are in the directory `used`, as is the authority that is trusted.
pub struct Nodes {
    dir: tempfile::TempDir,
    addresses: Vec<String>,
    http: Vec<String>,
    monitors: Vec<String>,
    running: Vec<Option<Serve>>,
}

impl Nodes {
    pub fn new() -> Self {
        Self::of(3)
    }

    /// The first alone, N = 1.
    pub fn alone() -> Self {
        Self::of(1)
    }

    fn of(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let addresses: Vec<_> = (0..3).map(|_| listen()).collect();
        let http = (0..3).map(|_| listen()).collect();
        let monitors = (0..3).map(|_| listen()).collect();
        let quorum = count / 2 + 1;
        let mut layout = format!(
            "[cluster]\nversion = 1\nreplicas = {count}\nwrite_quorum = {quorum}\nread_quorum = {quorum}\n"
        );
        for (n, address) in (1..).zip(&addresses).take(count) {
            layout += &format!("[[node]]\nid = \"n{n}\"\naddress = \"{address}\"\n");
        }
        fs::write(dir.path().join("layout.toml"), layout).unwrap();
        let nodes = Nodes { dir, addresses, http, monitors, running: vec![None, None, None] };
        fs::create_dir(nodes.path("used")).unwrap();
        let authority = nodes.authority("ours");
        fs::copy(authority.join("authority.pem"), nodes.trusted()).unwrap();
        nodes.issue_nodes("ours");
        nodes.issue("ours", "--client", "alice");
        nodes
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn used(&self, name: &str) -> PathBuf {
        self.path("used").join(name)
    }

    /// The authorities that nodes and commands trust.
    pub fn trusted(&self) -> PathBuf {
        self.used("authority.pem")
    }

    pub fn address(&self, node: usize) -> &str {
        &self.addresses[node]
    }

    /// Where a node says what it counts.
    pub fn monitor(&self, node: usize) -> &str {
        &self.monitors[node]
    }

    pub fn url(&self, node: usize) -> String {
        format!("http://{}/project.git", self.http[node])
    }

    /// The directory of an authority, which is made if there is none.
    pub fn authority(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        if !dir.exists() {
            run(&["cert", "init", "--dir", text(&dir), "--name", name], "");
        }
        dir
    }

    /// Certificates of the nodes, signed by this authority, in the place of those that are used.
    pub fn issue_nodes(&self, authority: &str) {
        ["n1", "n2", "n3"].iter().for_each(|id| self.issue(authority, "--node", id));
    }

    /// One of a node or a client.
    pub fn issue(&self, authority: &str, kind: &str, name: &str) {
        let dir = self.authority(authority);
        let made = run(&["cert", "issue", "--dir", text(&dir), kind, name], "");
        for file in made.lines() {
            let name = Path::new(file).file_name().unwrap().to_str().unwrap();
            self.place(name, &fs::read_to_string(file).unwrap());
        }
    }

    /// A certificate by this authority that no command would make, and its key, as NAME.pem and
    /// NAME.key among those that are used.
    pub fn forge(
        &self,
        authority: &str,
        file: &str,
        names: &[&str],
        when: When,
        usages: &[ExtendedKeyUsagePurpose],
    ) {
        let dir = self.authority(authority);
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let signing = KeyPair::from_pem(&read("authority.key")).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&read("authority.pem"), signing).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        match when {
            When::Past => params.not_after = date_time_ymd(2001, 2, 3),
            When::Now => {}
            When::Future => params.not_before = date_time_ymd(2999, 2, 3),
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        self.place(&format!("{file}.key"), &key.serialize_pem());
        self.place(&format!("{file}.pem"), &certificate.pem());
    }

    /// Puts a file among those that are used, whole, which its owner alone may read.
    pub fn place(&self, name: &str, content: &str) {
        let new = self.used("new");
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.used(name)).unwrap();
    }

    /// Writes the configuration of a node.
    pub fn configure(&self, node: usize, tls: Tls) {
        self.configure_with(node, &self.tls(node, tls));
    }

    /// The same, with access tokens at the port of nodes and commands.
    pub fn configure_access(&self, node: usize, tls: Tls, command_tokens: &str) {
        let tls = self.tls(node, tls);
        let access = format!("{tls}[access]\ncommand_tokens = \"{command_tokens}\"\n");
        self.configure_with(node, &access);
    }

    /// The same, with the list of certificates that were revoked, `revoked.txt` among what is used.
    pub fn configure_revoking(&self, node: usize, tls: Tls) {
        let list = format!("revoked = {:?}\n", text(&self.used("revoked.txt")));
        self.configure_with(node, &(self.tls(node, tls) + &list));
    }

    /// `[tls]` of a node.
    fn tls(&self, node: usize, tls: Tls) -> String {
        let id = format!("n{}", node + 1);
        let mode = match tls {
            Tls::Absent => return String::new(),
            Tls::Accepted => "accepted",
            Tls::Required => "required",
        };
        let used = self.path("used");
        let used = text(&used);
        format!(
            "[tls]\ncertificate = \"{used}/{id}.pem\"\nkey = \"{used}/{id}.key\"\n\
             authority = \"{used}/authority.pem\"\nmode = \"{mode}\"\n"
        )
    }

    /// The same, with these lines at its end.
    pub fn configure_with(&self, node: usize, more: &str) {
        let id = format!("n{}", node + 1);
        let lines = format!(
            "node_id = \"{id}\"\nlisten = \"{}\"\ndata = \"{}\"\nlayout = \"{}\"\n\
             [http]\nlisten = \"{}\"\ncreate_on_push = true\n\
             [monitor]\nlisten = \"{}\"\n{more}",
            self.addresses[node],
            text(&self.path(&id)),
            text(&self.path("layout.toml")),
            self.http[node],
            self.monitors[node],
        );
        fs::write(self.config(node), lines).unwrap();
    }

    pub fn config(&self, node: usize) -> PathBuf {
        self.path(&format!("n{}.toml", node + 1))
    }

    pub fn start(&mut self, node: usize) {
        let log = self.path(&format!("n{}.log", node + 1));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let config = self.config(node);
        self.running[node] = Some(Serve::start_logging(log.into(), &["--config", text(&config)]));
    }

    pub fn stop(&mut self, node: usize) {
        self.running[node].take().unwrap().terminate();
    }

    pub fn stop_all(mut self) {
        let running = self.running.iter_mut().filter_map(Option::take);
        running.for_each(Serve::terminate);
    }

    pub fn log(&self, node: usize) -> String {
        fs::read_to_string(self.path(&format!("n{}.log", node + 1))).unwrap()
    }

    /// A command with the certificate of this name, or without TLS.
    pub fn command(&self, arguments: &[&str], client: Option<&str>) -> Command {
        let mut command = gitstratum(arguments, &self.addresses.join(","));
        if let Some(client) = client {
            secure(&mut command, &self.path("used"), client);
        }
        command
    }

    /// What a command of alice's comes to.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments, Some("alice")).output().unwrap()
    }

    /// The same, which has to succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn wait_for_voters(&self) {
        wait_until("all three vote", || {
            let listed = self.output(&["node", "list", "--json"]);
            String::from_utf8_lossy(&listed.stdout).matches("\"voter\"").count() == 3
        });
    }

    /// How many nodes hold an object.
    pub fn holders(&self, id: &str) -> usize {
        let said = String::from_utf8(self.output(&["has", id]).stdout).unwrap();
        (1..=3).filter(|n| said.contains(&format!("n{n}"))).count()
    }

    /// Whether each node answers, and reaches the two others.
    pub fn all_reachable(&self) -> bool {
        let status = self.output(&["status", "--json"]);
        let Ok(status) = serde_json::from_slice::<serde_json::Value>(&status.stdout) else {
            return false;
        };
        let answers = status["nodes"].as_array().into_iter().flatten();
        let reaches = |node: &serde_json::Value| {
            let peers = node["peers"].as_array().into_iter().flatten();
            peers.filter(|peer| peer["reachable"] == true).count() == 2
        };
        answers.filter(|node| reaches(node)).count() == 3
    }

    /// Waits until two more puts of [`Nodes::while_written_to_by`] have begun.
    pub fn wait_for_a_put(&self) {
        let begun = || fs::read_to_string(self.path("written")).unwrap_or_default();
        for _ in 0..2 {
            let before = begun();
            wait_until("another put begins", || begun() != before);
        }
    }

    /// Waits until each node has said so often that its files have changed.
    pub fn wait_for_changes(&self, times: usize) {
        wait_until("the files are read again", || {
            let changed = "the certificate for nodes and commands has changed";
            (0..3).all(|node| self.log(node).matches(changed).count() >= times)
        });
    }

    /// Does this while this client writes objects, or one without TLS; none of its requests may fail.
    /// Returns how many there were.
    pub fn while_written_to_by(
        &mut self,
        client: &Mutex<Option<&'static str>>,
        work: impl FnOnce(&mut Self),
    ) -> usize {
        let (stop, file) = (AtomicBool::new(false), self.path("written"));
        let (peers, used) = (self.addresses.join(","), self.path("used"));
        let write = |n: usize| {
            fs::write(&file, format!("written {n}")).unwrap();
            let client = *client.lock().unwrap();
            let mut command = gitstratum(&["put", text(&file)], &peers);
            if let Some(client) = client {
                secure(&mut command, &used, client);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "put {n} of {client:?}: {output:?}");
        };
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    write(written);
                    written += 1;
                }
                written
            });
            work(self);
            stop.store(true, Ordering::Relaxed);
            writing.join().unwrap()
        })
    }
}

/// Gives a command the certificate of this client.
fn secure(command: &mut Command, used: &Path, client: &str) {
    command.env("GITSTRATUM_TLS_AUTHORITY", used.join("authority.pem"));
    command.env("GITSTRATUM_TLS_CERTIFICATE", used.join(format!("{client}.pem")));
    command.env("GITSTRATUM_TLS_KEY", used.join(format!("{client}.key")));
}
