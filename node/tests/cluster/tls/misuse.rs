//! What is refused at the nodes' port, and in which words.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gitstratum_cluster::transport::{Connection, Dialler, PROTOCOLS, Security};
use gitstratum_core::placement::NodeId;
use gitstratum_core::replica::{DialError, Stage};
use gitstratum_host::Net;
use gitstratum_host::tls::{Connector, Trust};
use gitstratum_proto::v1;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

use super::nodes::{Nodes, Tls, When, text};
use crate::support::{output, wait_until};

/// Where alone this node of one is reached.
fn at(nodes: &Nodes, node: usize) -> Vec<String> {
    vec!["--peers".to_owned(), nodes.address(node).to_owned()]
}

/// Whether that node alone answers alice; that the others do not is another matter.
fn is_let_in(nodes: &Nodes, node: usize) -> bool {
    let at = at(nodes, node);
    let output = nodes.output(&["status", &at[0], &at[1]]);
    !String::from_utf8_lossy(&output.stderr).contains("no peer answered")
}

/// `status` of that node alone fails with this code and these words, in one line.
#[track_caller]
fn refused(nodes: &Nodes, node: usize, client: Option<&str>, code: i32, words: &str) {
    let at = at(nodes, node);
    let output = nodes.command(&["status", &at[0], &at[1]], client).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{words:?} is not in {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[test]
fn whoever_is_not_let_in_is_told_why_in_a_line_of_its_own() {
    let mut nodes = Nodes::new();
    nodes.configure(0, Tls::Required);
    nodes.configure(1, Tls::Absent);
    nodes.start(0);
    nodes.start(1);
    let client = "NAME.client.gitstratum.internal";
    let alice = client.replace("NAME", "alice");
    let alice = [alice.as_str()];
    nodes.forge("ours", "past", &alice, When::Past, &[ClientAuth]);
    nodes.forge("ours", "future", &alice, When::Future, &[ClientAuth]);
    nodes.forge("ours", "nobody", &["git.example.org"], When::Now, &[ClientAuth]);
    nodes.forge("ours", "server", &alice, When::Now, &[ServerAuth]);
    nodes.forge("others", "foreign", &alice, When::Now, &[ClientAuth]);
    let both = [text(&nodes.trusted()), text(&nodes.authority("others").join("authority.pem"))]
        .map(|path| fs::read_to_string(path).unwrap());

    let expired = "it finds that our certificate has expired, or is not valid yet";
    refused(&nodes, 0, None, 1, "the node requires TLS: ");
    refused(&nodes, 0, Some("past"), 1, expired);
    refused(&nodes, 0, Some("future"), 1, expired);
    refused(&nodes, 1, Some("alice"), 1, "it does not speak TLS");
    // What can be told before anybody is asked is wrong usage.
    refused(&nodes, 0, Some("nobody"), 2, "--tls-certificate");
    refused(&nodes, 0, Some("nobody"), 2, "for no node and no client");
    refused(&nodes, 0, Some("server"), 2, "it is made for another purpose");
    refused(&nodes, 0, Some("foreign"), 2, "no authority in");
    refused(&nodes, 0, Some("absent"), 2, "No such file");
    let key = nodes.used("alice.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    refused(&nodes, 0, Some("alice"), 2, "--tls-key: ");
    refused(&nodes, 0, Some("alice"), 2, "everybody on this machine may read it");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let mut half = nodes.command(&["status"], Some("alice"));
    let half = half.env_remove("GITSTRATUM_TLS_KEY").output().unwrap();
    let said = String::from_utf8_lossy(&half.stderr).into_owned();
    assert!(half.status.code() == Some(2) && said.contains("--tls-key: missing beside"), "{said}");

    // A client that trusts more than the node does.
    fs::write(nodes.trusted(), both.concat()).unwrap();
    let unknown = "it does not know the authority that signed our certificate";
    refused(&nodes, 0, Some("foreign"), 1, unknown);
    fs::write(nodes.trusted(), &both[1]).unwrap();
    let unknown = "an authority that is not trusted here signed its certificate";
    refused(&nodes, 0, Some("foreign"), 1, unknown);
    fs::write(nodes.trusted(), &both[0]).unwrap();

    let log = nodes.log(0);
    for words in [
        "the client does not speak TLS, which is required",
        "an authority that is not trusted here signed its certificate",
        "its certificate has expired",
        "the client does not know the authority that signed our certificate",
    ] {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    assert!(is_let_in(&nodes, 0), "alice is, after all that");
    nodes.stop_all();
}

#[test]
fn a_node_with_a_certificate_that_is_out_of_date_serves_and_is_told_from_others() {
    let mut nodes = Nodes::new();
    nodes.configure(0, Tls::Required);
    let n1 = ["n1.node.gitstratum.internal"];
    for (when, said_by_node, said_by_client) in [
        (When::Past, "for nodes and commands has expired", "its certificate has expired"),
        (
            When::Future,
            "for nodes and commands is not valid yet",
            "its certificate is not valid yet",
        ),
    ] {
        nodes.forge("ours", "n1", &n1, when, &[ServerAuth, ClientAuth]);
        nodes.start(0);
        refused(&nodes, 0, Some("alice"), 1, said_by_client);
        assert!(nodes.log(0).contains(said_by_node), "{}", nodes.log(0));
        nodes.stop(0);
    }
    // A good one is taken without a restart.
    nodes.start(0);
    assert!(!is_let_in(&nodes, 0));
    nodes.issue_nodes("ours");
    wait_until("a good one is shown", || is_let_in(&nodes, 0));
    nodes.stop_all();
}

#[test]
fn a_wrong_tls_part_is_refused_by_field_before_a_port_is_bound() {
    let nodes = Nodes::new();
    nodes.configure(0, Tls::Required);
    let made = output(&["init", "--config", text(&nodes.config(0))], "");
    assert!(made.status.success(), "{made:?}");
    // Nobody else may bind it while we do: so what is refused was refused before.
    let _taken = TcpListener::bind(nodes.address(0)).unwrap();
    let refused = |lines: &str, words: &str| {
        nodes.configure_with(0, lines);
        let refused = output(&["serve", "--config", text(&nodes.config(0))], "");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{words:?} is not in {said}");
    };
    let tls = |certificate: &str, key: &str, authority: &str| {
        let file = |name: &str| text(&nodes.used(name)).to_owned();
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\nauthority = {:?}\n",
            file(certificate),
            file(key),
            file(authority)
        )
    };
    refused("[tls]\ncertificate = \"c\"\n", "tls.key: missing beside tls.certificate");
    refused("[tls]\nkey = \"k\"\ncertificate = \"c\"\n", "tls.authority: missing beside");
    refused("[tls]\nmode = \"accepted\"\n", "tls.certificate: missing beside tls.mode");
    refused("[tls]\nmode = \"maybe\"\n", "tls.mode: unknown variant `maybe`");
    refused(
        &tls("n3.pem", "n3.key", "authority.pem"),
        "n3.pem: it is the certificate of node n3, and this is node n1",
    );
    refused(&tls("alice.pem", "alice.key", "authority.pem"), "tls.certificate: ");
    refused(&tls("n1.pem", "n3.key", "authority.pem"), "tls.key: ");
    refused(&tls("n1.key", "n1.key", "authority.pem"), "there is no certificate in it");
    refused(&tls("n1.pem", "n1.key", "n1.key"), "tls.authority: ");
    refused(&tls("n1.pem", "n1.key", "none.pem"), "No such file");
    fs::copy(nodes.authority("others").join("authority.pem"), nodes.used("others.pem")).unwrap();
    refused(&tls("n1.pem", "n1.key", "others.pem"), "no authority in");
    let key = nodes.used("n1.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    refused(
        &tls("n1.pem", "n1.key", "authority.pem"),
        &format!("tls.key: {}: everybody on this machine may read it (mode 644)", text(&key)),
    );
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    // Then the port is what is wrong.
    nodes.configure(0, Tls::Required);
    let taken = output(&["serve", "--config", text(&nodes.config(0))], "");
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(taken.status.code() == Some(1) && said.contains("listen: "), "{said}");
}

#[test]
fn certificates_are_issued_for_ids_that_they_can_hold_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("certificates");
    let issue = |arguments: &[&str]| {
        output(&[&["cert", "issue", "--dir", text(&at)], arguments].concat(), "")
    };
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let output = issue(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(words), "{said}");
    };
    refused(&["--node", "n1"], 1, "`gitstratum cert init` makes it");
    assert!(output(&["cert", "init", "--dir", text(&at)], "").status.success());
    let authority = fs::read(at.join("authority.key")).unwrap();
    for node in ["N1", "a.b", "x-", ""] {
        refused(&["--node", node], 2, "cannot be in a certificate");
    }
    refused(&["--node", "authority"], 2, "is the authority's");
    refused(&["authority"], 2, "is the authority's");
    assert_eq!(fs::read(at.join("authority.key")).unwrap(), authority);
    assert!(issue(&["--node", "n1"]).status.success());
    refused(&["--client", "n1"], 1, "is the certificate of node n1");
    assert!(issue(&["--node", "n1"]).status.success(), "another one for the same node");
    assert!(issue(&["--client", "alice"]).status.success());
    assert!(issue(&["git.example.org"]).status.success());
    refused(&["--node", "n2", "git.example.org"], 2, "cannot be used with");
    let show = |name: &str| {
        let shown = output(&["cert", "show", text(&at.join(name))], "");
        String::from_utf8(shown.stdout).unwrap()
    };
    for (file, words) in [
        ("n1.pem", "made for     node n1, under [tls]"),
        ("alice.pem", "made for     client alice, as --tls-certificate"),
        ("git.example.org.pem", "made for     an HTTPS server"),
        ("authority.pem", "made for     signing others"),
    ] {
        assert!(show(file).contains(words), "{}", show(file));
    }
}

/// Connects to a node with one of the certificates that are used, as `caller`.
pub async fn dial(
    nodes: &Nodes,
    client: &str,
    caller: &str,
    expected: Option<&str>,
) -> Result<Connection, DialError> {
    let own = [nodes.used(&format!("{client}.pem")), nodes.used(&format!("{client}.key"))];
    let own: Option<(&Path, &Path)> = Some((&own[0], &own[1]));
    let trust = Trust::read(&nodes.trusted(), own, None, &PROTOCOLS).await.unwrap();
    let security = Security::Tls { connector: Connector::new(trust), falls_back: false };
    let dialler = Dialler::new(Net::new(), caller).secured(security);
    let expected = expected.map(NodeId::new);
    dialler.open(nodes.address(0), expected.as_ref()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_for_a_node_whose_certificate_it_does_not_have() {
    let mut nodes = Nodes::new();
    nodes.configure(0, Tls::Required);
    nodes.start(0);
    let problem = async |client: &str, caller: &str, expected: Option<&str>| {
        let error = dial(&nodes, client, caller, expected).await.map(drop).unwrap_err();
        (error.stage, error.problem.to_string())
    };
    // Whoever answers is not whom we wanted.
    let (stage, said) = problem("alice", "", Some("n2")).await;
    assert_eq!(stage, Stage::Secure, "{said}");
    assert!(said.contains("the certificate of node n1, not that of node n2"), "{said}");
    // Whoever calls is not who it says.
    for (client, caller) in [("alice", "n2"), ("n3", "n2")] {
        let (stage, said) = problem(client, caller, Some("n1")).await;
        assert_eq!(stage, Stage::Identify, "{said}");
        assert!(said.contains("says that it is node n2, with the certificate of"), "{said}");
    }
    let (stage, said) = problem("alice", "", Some("N1")).await;
    assert!(stage == Stage::Secure && said.contains("cannot be in a certificate"), "{said}");

    let alice = dial(&nodes, "alice", "", None).await.unwrap();
    let node = dial(&nodes, "n2", "n2", Some("n1")).await.unwrap();
    assert_eq!(alice.identity().node_id.as_str(), "n1");
    let agree = v1::AgreeRequest::default;
    let denied = alice.rpc().agree(agree()).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
    assert!(denied.message().contains("Agree is for nodes among each other"), "{denied}");
    node.rpc().agree(agree()).await.unwrap();
    let compare = |caller: &str| v1::CompareRequest { caller: caller.into(), ..Default::default() };
    let denied = node.rpc().compare(compare("n3")).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied, "{denied}");
    // Nor does a node what operators do.
    let denied = node.rpc().snapshot(v1::SnapshotRequest { name: "a".into() }).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied, "{denied}");
    assert!(denied.message().contains("for those who give commands"), "{denied}");
    assert!(nodes.log(0).contains("requests were refused that are not allowed"));
    drop((alice, node));
    nodes.stop_all();
}
