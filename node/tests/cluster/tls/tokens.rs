//! Access tokens at the nodes' port: commands that show one and no certificate, what each may do, and
//! everybody who is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use gitstratum_cluster::transport::{Bearer, Connection, Dialler, PROTOCOLS, Security};
use gitstratum_core::replica::DialError;
use gitstratum_host::Net;
use gitstratum_host::tls::{Connector, Trust};
use gitstratum_proto::v1;

use super::nodes::{Nodes, Tls, text};
use crate::monitor::get;
use crate::support::{make_repository, wait_until};

/// What a command comes to that shows a token to one node, and trusts the authority.
pub fn with_token(nodes: &Nodes, secret: &str, node: usize, arguments: &[&str]) -> Output {
    let mut command = nodes.command(arguments, None);
    command.env("GITSTRATUM_PEERS", nodes.address(node));
    command.env("GITSTRATUM_TLS_AUTHORITY", nodes.trusted());
    command.env("GITSTRATUM_TOKEN", secret).output().unwrap()
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

pub fn token(nodes: &Nodes, name: &str, scope: &str, more: &[&str]) -> String {
    let create = ["token", "create", name, "--scope", scope];
    nodes.run(&[&create[..], more].concat()).trim().to_owned()
}

/// Connects to the first node by TLS, with a token or with nothing at all.
async fn dial(nodes: &Nodes, secret: Option<&str>, caller: &str) -> Result<Connection, DialError> {
    let trust = Trust::read(&nodes.trusted(), None, None, &PROTOCOLS).await.unwrap();
    let security = Security::Tls { connector: Connector::new(trust), falls_back: false };
    let bearer = secret.map(|secret| Bearer::new(secret).unwrap());
    let dialler = Dialler::new(Net::new(), caller).secured(security).bearing(bearer);
    dialler.open(nodes.address(0), None).await
}

/// The number that a node's metrics have for requests that were denied for this reason.
fn denied(nodes: &Nodes, reason: &str) -> u64 {
    let (_, metrics) = get(nodes.monitor(0), "/metrics");
    let series = format!("gitstratum_server_requests_denied_total{{reason=\"{reason}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("{series} in {metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_it_allows_and_is_refused_the_rest_in_a_line() {
    let mut nodes = Nodes::alone();
    nodes.configure_access(0, Tls::Required, "required");
    nodes.start(0);
    let (file, kept) = (nodes.path("file"), nodes.path("kept"));
    fs::write(&file, "by a token").unwrap();
    nodes.run(&["repo", "create", "team/project"]);
    let id = nodes.run(&["put", text(&file)]).trim().to_owned();
    let reader = token(&nodes, "bob", "read", &[]);
    let writer = token(&nodes, "ci", "write", &[]);
    let admin = token(&nodes, "ops", "admin", &[]);
    let limited = token(&nodes, "lead", "admin", &["--prefix", "team"]);
    let wrong = format!("gst_{}", "0".repeat(64));

    let work = nodes.path("work");
    make_repository(&work, 2);

    // By whom, what, and what is said where it is refused.
    let (file, kept) = (text(&file), text(&kept));
    let put = ["put", file];
    let layout = nodes.path("layout.toml");
    let apply = ["layout", "apply", text(&layout)];
    let scope = "has the scope";
    for (secret, arguments, refusal) in [
        (&reader, &["get", &id, "-o", kept][..], ""),
        (&reader, &["status"], ""),
        (&reader, &["repo", "show", "team/project"], ""),
        (&reader, &put, "has the scope read, and Put takes write"),
        (&reader, &["repo", "create", "new"], "has the scope read, and this takes write"),
        (&reader, &["token", "list"], scope),
        (&writer, &put, ""),
        (&writer, &["repo", "create", "by/ci"], ""),
        (&writer, &["import", text(&work), "imported"], ""),
        (&writer, &["repo", "delete", "by/ci"], "has the scope write, and this takes admin"),
        (&writer, &["token", "create", "more", "--scope", "admin"], scope),
        (&writer, &["token", "list"], scope),
        (&writer, &["snapshot", "monday"], "has the scope write, and Snapshot takes admin"),
        (&writer, &["scrub", "pause"], "has the scope write, and Job takes admin"),
        (&writer, &["catalog", "dump"], scope),
        (&writer, &apply, "has the scope write, and"),
        (&admin, &["snapshot", "monday"], ""),
        (&admin, &["token", "list"], ""),
        (&admin, &["scrub", "start"], ""),
        (&limited, &["repo", "list", "team/"], ""),
        (&limited, &["repo", "create", "team/other"], ""),
        (&limited, &["repo", "set", "team/other", "--description", "by lead"], ""),
        (&limited, &["repo", "create", "teamwork"], "is for \"team\": this is about another"),
        (&limited, &["repo", "show", "by/ci"], "is for \"team\": this is about another"),
        (&limited, &["repo", "list"], "lists are of what begins with \"team\" and a slash"),
        (&limited, &put, "is for \"team\", and Put takes one that is for everything"),
        (&limited, &["get", &id], "is for \"team\", and"),
        (&limited, &["token", "list"], "this takes one that is for everything"),
        (&wrong, &["status"], "this access token is not known"),
    ] {
        let output = with_token(&nodes, secret, 0, arguments);
        let said = said(&output);
        assert_eq!(output.status.success(), refusal.is_empty(), "{arguments:?}: {said}");
        assert!(said.contains(refusal), "{refusal:?} is not in what {arguments:?} says: {said}");
        assert!(!said.contains(secret.as_str()), "{said}");
    }
    // Events say whose token it was, whatever the command says of itself.
    let events = nodes.run(&["events"]);
    assert!(events.contains("ci (token 2)") && events.contains("lead (token 4)"), "{events}");

    // Nobody passes for a node by a token, and without anything nobody learns even who answers.
    let error = |opened: Result<Connection, DialError>| opened.map(drop).unwrap_err().to_string();
    let said = error(dial(&nodes, Some(&admin), "n2").await);
    assert!(said.contains("says that it is node n2, with access token 3"), "{said}");
    let said = error(dial(&nodes, None, "").await);
    assert!(said.contains("asks for an access token or for a client's certificate"), "{said}");
    let admin = dial(&nodes, Some(&admin), "").await.unwrap();
    let refused = admin.rpc().agree(v1::AgreeRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    assert!(refused.message().contains("for nodes among each other"), "{refused}");
    let mut repair = tonic::Request::new(v1::GetRequest { id: vec![1; 20].into() });
    repair.metadata_mut().insert("gitstratum-background", "1".parse().unwrap());
    let refused = admin.rpc().get(repair).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);

    // What nobody may repeat stands nowhere.
    assert!(denied(&nodes, "not_allowed") > 0 && denied(&nodes, "no_credentials") > 0);
    assert!(!nodes.log(0).contains("gst_"), "{}", nodes.log(0));
    drop(admin);
    nodes.stop_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_are_guessed_are_limited_and_a_good_one_from_there_is_let_in() {
    let mut nodes = Nodes::alone();
    nodes.configure_access(0, Tls::Required, "accepted");
    nodes.start(0);
    let good = token(&nodes, "ci", "read", &[]);
    let short = token(&nodes, "old", "read", &["--expires-days", "1"]);
    let connection = dial(&nodes, Some(&good), "").await.unwrap();
    let mut limited = 0;
    for guess in 0..40 {
        let guessed = dial(&nodes, Some(&format!("gst_{guess:064x}")), "").await;
        let said = guessed.map(drop).unwrap_err().to_string();
        limited += u32::from(said.contains("too many access tokens that are not known"));
        assert!(limited > 0 || said.contains("this access token is not known"), "{said}");
        connection.rpc().status(v1::StatusRequest {}).await.unwrap();
    }
    assert!(limited >= 15, "{limited}");
    assert_eq!(denied(&nodes, "limited"), u64::from(limited));
    assert!(nodes.log(0).contains("requests were refused: who calls?"), "{}", nodes.log(0));
    assert!(dial(&nodes, Some(&short), "").await.is_ok());
    drop(connection);
    nodes.stop_all();
}

#[test]
fn a_cluster_is_brought_to_tokens_and_who_shows_one_is_held_to_it_before_that() {
    let mut nodes = Nodes::alone();
    nodes.configure_access(0, Tls::Absent, "accepted");
    nodes.start(0);
    let plain = |nodes: &Nodes, secret: Option<&str>, arguments: &[&str]| {
        let mut command = nodes.command(arguments, None);
        command.env("GITSTRATUM_PEERS", nodes.address(0));
        if let Some(secret) = secret {
            command.env("GITSTRATUM_TOKEN", secret);
        }
        command.output().unwrap()
    };
    let made = plain(&nodes, None, &["token", "create", "bob", "--scope", "read"]);
    assert!(made.status.success(), "{made:?}");
    let secret = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(plain(&nodes, Some(&secret), &["repo", "list"]).status.success());
    let create = ["repo", "create", "project"];
    let refused = said(&plain(&nodes, Some(&secret), &create));
    assert!(refused.contains("has the scope read"), "{refused}");
    assert!(plain(&nodes, None, &create).status.success(), "who shows none");
    nodes.stop(0);

    nodes.configure_access(0, Tls::Accepted, "required");
    nodes.start(0);
    let refused = said(&plain(&nodes, None, &["repo", "list"]));
    assert!(refused.contains("asks for an access token or for a client's"), "{refused}");
    let is_let_in = || plain(&nodes, Some(&secret), &["repo", "list"]).status.success();
    wait_until("the node has its catalog open", is_let_in);
    nodes.run(&["repo", "list"]);
    nodes.stop_all();
}

#[test]
fn a_token_is_read_from_where_others_cannot_and_goes_where_nobody_reads_it() {
    let nodes = Nodes::alone();
    let file = nodes.path("token");
    fs::write(&file, "gst_1\n").unwrap();
    let refused = |mode: u32, content: &str, environment: &[(&str, &str)], words: &str| {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let mut command = nodes.command(&["status", "--token-file", text(&file)], None);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && !said.contains("gst_1"), "{words:?} is not in {said}");
    };
    refused(0o644, "gst_1", &[], "everybody on this machine may read it (mode 644)");
    refused(0o600, "gst_1", &[("GITSTRATUM_TOKEN", "gst_1")], "stands beside --token-file");
    refused(0o600, "\n", &[], "it is empty");
    refused(0o600, "gst_1 gst_1\n", &[], "and no spaces");
    fs::remove_file(&file).unwrap();
    let output = nodes.command(&["status", "--token-file", text(&file)], None).output().unwrap();
    assert!(said(&output).contains("No such file"), "{output:?}");
    // An address of documentation, which nobody is at; and nobody is connected to.
    let mut command = nodes.command(&["status"], None);
    command.env("GITSTRATUM_PEERS", "192.0.2.1:7400").env("GITSTRATUM_TOKEN", "gst_1");
    let plain = said(&command.output().unwrap());
    assert!(plain.contains("not sent in plain text, but to this machine itself"), "{plain}");
    let mut command = nodes.command(&["status"], None);
    command.env("GITSTRATUM_TOKEN", "gst_1").env("GITSTRATUM_TLS_AUTHORITY", nodes.trusted());
    command.env("GITSTRATUM_TLS_KEY", nodes.used("alice.key"));
    let half = said(&command.output().unwrap());
    assert!(half.contains("--tls-certificate: missing beside"), "{half}");
}
