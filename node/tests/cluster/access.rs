//! Access tokens at the door for Git: stock git with good ones, and everybody else.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::{Dev, Serve, first_port, listen, make_repository, output, run, wait_until};

/// Three nodes that ask for tokens, and what was asked of them.
pub struct Secured {
    dir: tempfile::TempDir,
    pub dev: Dev,
    /// Every secret that there was.
    pub secrets: Vec<String>,
}

/// What git came to.
struct Said {
    is_ok: bool,
    text: String,
}

impl Secured {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // An open cluster, which is then told to ask for tokens.
        let data = dir.path().join("data");
        let open = Dev::start(&data);
        let configs: Vec<_> = open.nodes.iter().map(|node| node.dir.join("config.toml")).collect();
        open.terminate();
        for config in configs {
            let text = fs::read_to_string(&config).unwrap();
            let closed = text.replacen("tokens = \"off\"", "tokens = \"required\"", 1);
            assert_ne!(closed, text);
            fs::write(&config, closed).unwrap();
        }
        let mut dev = Dev::start(&data);
        dev.wait_for_line("Git clients need an access token");
        wait_until("all three vote", || {
            let listed = output(&["node", "list", "--json"], &dev.peers());
            String::from_utf8_lossy(&listed.stdout).matches("\"voter\"").count() == 3
        });
        make_repository(&dir.path().join("work"), 5);
        let secrets = vec![fs::read_to_string(dir.path().join("data/token")).unwrap()];
        Secured { dir, dev, secrets }
    }

    pub fn token(&mut self, name: &str, scope: &str, prefix: &str) -> String {
        let create = ["token", "create", name, "--scope", scope, "--prefix", prefix];
        let secret = run(&create, &self.dev.peers()).trim().to_owned();
        self.secrets.push(secret.clone());
        secret
    }

    /// The URL of a repository at a node, with a user part.
    fn url(&self, node: usize, user: &str, name: &str) -> String {
        let git = self.dev.nodes[node].git.replacen("http://", &format!("http://{user}"), 1);
        format!("{git}{name}.git")
    }

    fn git(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new("git");
        command.current_dir(self.dir.path().join("work")).args(arguments).stdin(Stdio::null());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "true");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Said { is_ok: output.status.success(), text }
    }

    /// The answer of a node to a request of these header lines: its status, and all of it.
    fn http(&self, node: usize, path: &str, headers: &str) -> (u16, String) {
        let address = self.dev.nodes[node].git.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    pub fn log(&self, node: usize) -> String {
        fs::read_to_string(self.dev.nodes[node].dir.join("log")).unwrap()
    }
}

fn bearer(secret: &str) -> String {
    format!("http.extraHeader=Authorization: Bearer {secret}")
}

const REFS: &str = "/team/project.git/info/refs?service=git-upload-pack";

#[test]
fn stock_git_is_let_in_by_tokens_and_by_nothing_else() {
    let mut at = Secured::start();
    let peers = at.dev.peers();
    let (writer, reader) = (at.token("ci", "write", "team"), at.token("bob", "read", "team"));
    let other = at.token("elsewhere", "write", "other");

    // Made a moment ago through one node, it is good at every other one: by its header, and as the
    // password of any user. The first push makes the repository.
    let push = at.git(&["-c", &bearer(&writer), "push", &at.url(1, "", "team/project"), "main"]);
    assert!(push.is_ok, "{}", push.text);
    let url = at.url(2, &format!("anyone:{reader}@"), "team/project");
    let clone = at.git(&["clone", "-q", &url, "../clone"]);
    assert!(clone.is_ok, "{}", clone.text);
    let original = at.git(&["rev-parse", "main"]).text;
    assert_eq!(at.git(&["-C", "../clone", "rev-parse", "origin/main"]).text, original);
    // The command's own.
    let dev = at.secrets[0].trim().to_owned();
    let push = at.git(&["push", &at.url(0, &format!("x:{dev}@"), "elsewhere"), "main"]);
    assert!(push.is_ok, "{}", push.text);

    // Everybody else, each at another node.
    let bad = format!("x:gst_{}@", "0".repeat(64));
    for (node, user, name, verb, words) in [
        (0, String::new(), "team/project", "push", "Authentication failed"),
        (1, String::new(), "team/project", "ls-remote", "Authentication failed"),
        (2, String::new(), "team/none", "ls-remote", "Authentication failed"),
        (0, bad, "team/project", "ls-remote", "Authentication failed"),
        (
            1,
            format!("x:{reader}@"),
            "team/project",
            "push",
            "has the scope read, and a push takes write",
        ),
        (2, format!("x:{other}@"), "team/project", "push", "repository \"team/project\" not found"),
        (
            0,
            format!("x:{other}@"),
            "team/project",
            "ls-remote",
            "repository \"team/project\" not found",
        ),
        (1, format!("x:{other}@"), "team/none", "ls-remote", "repository \"team/none\" not found"),
        // Nor does it make what it may not write to.
        (
            2,
            format!("x:{writer}@"),
            "another/project",
            "push",
            "repository \"another/project\" not found",
        ),
    ] {
        let url = at.url(node, &user, name);
        let said = match verb {
            "push" => at.git(&["push", &url, "HEAD:refs/heads/new"]),
            _ => at.git(&["ls-remote", &url]),
        };
        assert!(!said.is_ok && said.text.contains(words), "{verb} {url}: {}", said.text);
    }
    let listed = run(&["repo", "list"], &peers);
    assert!(!listed.contains("another"), "{listed}");

    // From the moment when a revocation is acknowledged, at every node.
    run(&["token", "revoke", "2"], &peers);
    for node in 0..3 {
        let said =
            at.git(&["-c", &bearer(&writer), "ls-remote", &at.url(node, "", "team/project")]);
        assert!(!said.is_ok && said.text.contains("Authentication failed"), "{}", said.text);
    }

    // What is public is read by anybody, once the node has heard of it, and pushed to by nobody.
    run(&["repo", "set", "team/project", "--public", "true"], &peers);
    assert!(run(&["repo", "show", "team/project"], &peers).contains("public        yes"));
    let url = at.url(0, "", "team/project");
    wait_until("the node has heard that it is public", || at.git(&["ls-remote", &url]).is_ok);
    let push = at.git(&["push", &url, "HEAD:refs/heads/new"]);
    assert!(!push.is_ok && push.text.contains("Authentication failed"), "{}", push.text);
    run(&["repo", "set", "team/project", "--public", "false"], &peers);
    assert!(!at.git(&["ls-remote", &url]).is_ok);

    // Pushes are in the log, with who; secrets are nowhere.
    let log = at.log(1);
    let audited = log.lines().find(|line| line.contains("audit") && line.contains("push")).unwrap();
    for words in ["token=2", "holder=\"ci\"", "repository=\"team/project\"", "refs/heads/main"] {
        assert!(audited.contains(words), "{words}: {audited}");
    }
    let mut shown: Vec<String> = (0..3).map(|node| at.log(node)).collect();
    for command in [&["events"][..], &["token", "list", "--json"], &["status", "--json"]] {
        shown.push(run(command, &peers));
    }
    let clone = at.git(&["-C", "../clone", "log", "-g", "--format=%gn %ge"]).text;
    shown.push(clone);
    for text in &shown {
        assert!(at.secrets.iter().all(|secret| !text.contains(secret.trim())), "{text}");
    }
    at.dev.terminate();
}

#[test]
fn requests_that_mean_no_good_are_refused_and_honest_ones_beside_them_are_served() {
    let mut at = Secured::start();
    let secret = at.token("ci", "write", "");
    let pushed = at.git(&["-c", &bearer(&secret), "push", &at.url(0, "", "team/project"), "main"]);
    assert!(pushed.is_ok, "{}", pushed.text);
    let good = format!("Authorization: Bearer {secret}\r\n");
    let honest = |at: &Secured| at.http(0, REFS, &good).0;
    let basic = |encoded: &str| format!("Authorization: Basic {encoded}\r\n");
    let long = format!("Authorization: Bearer {}\r\n", "x".repeat(400_000));
    for (path, headers, status, words) in [
        (REFS.to_owned(), String::new(), 401, "an access token is needed here"),
        (REFS.to_owned(), good.clone() + &good, 401, "there are two of them"),
        (REFS.to_owned(), basic("!"), 401, "it is not Base64"),
        // A user name that would be a line of its own.
        (REFS.to_owned(), basic("YW5uClg6IHk6cHc="), 401, "control characters"),
        (REFS.to_owned(), "Authorization: Negotiate x\r\n".to_owned(), 401, "neither Basic nor"),
        (REFS.to_owned(), long, 431, ""),
        (
            format!("{REFS}&access_token={secret}"),
            String::new(),
            400,
            "a URL is no place for a secret",
        ),
        (format!("{REFS}&x={secret}"), good.clone(), 400, "a URL is no place for a secret"),
        (format!("/{secret}{REFS}"), good.clone(), 400, "a URL is no place for a secret"),
        (format!("/..%2f{REFS}"), good.clone(), 404, "no repository has this path"),
        (format!("/a%0d%0aX:%20y{REFS}"), good.clone(), 404, "no repository has this path"),
    ] {
        let (found, answer) = at.http(0, &path, &headers);
        assert!(found == status && answer.contains(words), "{path}: {answer}");
        assert!(!answer.contains(&secret) && !answer.contains("\r\nX: y"), "{answer}");
        assert_eq!(
            answer.contains("WWW-Authenticate: Basic")
                || answer.contains("www-authenticate: Basic"),
            status == 401,
            "{answer}"
        );
        assert_eq!(honest(&at), 200);
    }
    // One who guesses, and an honest one at the same address.
    let mut limited = 0;
    for guess in 0..60 {
        let (status, answer) =
            at.http(0, REFS, &format!("Authorization: Bearer gst_{guess:064x}\r\n"));
        assert!(matches!(status, 401 | 429), "{answer}");
        if status == 429 {
            limited += 1;
            assert!(answer.to_lowercase().contains("\r\nretry-after: 3\r\n"), "{answer}");
        }
        assert_eq!(honest(&at), 200);
    }
    assert!(limited >= 20, "{limited}");
    assert!(at.log(0).contains("access tokens that are not known were given"));
    assert!(at.secrets.iter().all(|secret| !at.log(0).contains(secret.trim())));

    // Without the others a node cannot say what there is.
    for node in [1, 2] {
        crate::support::kill(at.dev.nodes[node].pid);
    }
    wait_until("the node notices that it is alone", || honest(&at) == 503);
    let (_, answer) = at.http(0, REFS, "Authorization: Bearer gst_new\r\n");
    assert!(answer.contains("503") || answer.contains("429"), "{answer}");
    at.dev.terminate();
}

#[test]
fn what_dev_was_started_with_stays_and_the_demo_goes_with_tokens_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    Dev::start(&data).terminate();
    let refused = output(&["dev", "--data", data.to_str().unwrap(), "--secure"], "");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("holds a cluster that asks for no tokens"), "{said}");

    let data = dir.path().join("secure");
    let (data_argument, port) = (data.to_str().unwrap(), first_port());
    let demo = ["dev", "--data", data_argument, "--first-port", &port];
    let said = run(&[&demo[..], &["--secure", "--demo", "--once"]].concat(), "");
    assert!(said.contains("demo: cloned through node n2"), "{said}");
    let secret = fs::read_to_string(data.join("token")).unwrap();
    let mut dev = Dev::start_with(&data, &[]);
    dev.wait_for_line(&format!("  git clone https://dev:{}@", secret.trim()));
    dev.terminate();
}

#[test]
fn a_node_that_others_can_reach_without_tokens_or_without_tls_says_so_when_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let log_of = |name: &str, http: &str, tokens: &str| {
        let (data, config) = (dir.path().join(name), dir.path().join(format!("{name}.toml")));
        let text = format!(
            "listen = \"{}\"\ndata = \"{}\"\n[http]\nlisten = \"{http}\"\n[access]\ntokens = \"{tokens}\"\n",
            listen(),
            data.display()
        );
        fs::write(&config, text).unwrap();
        let log = dir.path().join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        Serve::start_logging(file.into(), &["--config", config.to_str().unwrap()]).terminate();
        fs::read_to_string(log).unwrap()
    };
    let everywhere = || listen().replace("127.0.0.1", "0.0.0.0");
    let said = log_of("open", &everywhere(), "off");
    assert!(said.contains("no access tokens are asked for"), "{said}");
    let said = log_of("plain", &everywhere(), "required");
    assert!(said.contains("access tokens come to this address as plain text"), "{said}");
    let said = log_of("own", &listen(), "off");
    assert!(!said.contains("token"), "{said}");
}
