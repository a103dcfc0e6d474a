//! Certificates that are revoked while their holders are connected.

use std::fs;

use gitstratum_proto::v1;

use super::misuse::dial;
use super::nodes::{Nodes, Tls, text};
use super::tokens::said;
use crate::support::{output, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_opens_nothing_and_what_it_had_opened_serves_nothing() {
    let mut nodes = Nodes::alone();
    nodes.issue("ours", "--client", "bob");
    nodes.place("revoked.txt", "# none yet\n");
    nodes.configure_revoking(0, Tls::Required);
    nodes.start(0);
    let alice = dial(&nodes, "alice", "", None).await.unwrap();
    let bob = dial(&nodes, "bob", "", None).await.unwrap();
    alice.rpc().status(v1::StatusRequest {}).await.unwrap();

    let line = output(&["cert", "revoke", text(&nodes.used("alice.pem"))], "");
    let line = String::from_utf8(line.stdout).unwrap();
    assert!(line.contains("  client alice, valid until 20"), "{line}");
    nodes.place("revoked.txt", &line);
    let status = |client| nodes.command(&["status"], Some(client)).output().unwrap();
    wait_until("a handshake is refused", || !status("alice").status.success());
    let refused = said(&status("alice"));
    assert!(refused.contains("it knows that our certificate was revoked"), "{refused}");
    let refused = alice.rpc().status(v1::StatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused}");
    assert!(refused.message().contains("was revoked"), "{refused}");
    bob.rpc().status(v1::StatusRequest {}).await.unwrap();
    assert!(status("bob").status.success());
    assert!(nodes.log(0).contains("its certificate was revoked"), "{}", nodes.log(0));

    // Those who dial have a list of their own.
    let line = output(&["cert", "revoke", text(&nodes.used("n1.pem"))], "");
    let list = nodes.path("of-bob.txt");
    fs::write(&list, line.stdout).unwrap();
    let mut command = nodes.command(&["status", "--tls-revoked", text(&list)], Some("bob"));
    let refused = said(&command.output().unwrap());
    assert!(refused.contains("TLS: its certificate was revoked"), "{refused}");
    drop((alice, bob));
    nodes.stop(0);

    // Nobody is let in by a line that was not understood.
    nodes.place("revoked.txt", "client alice\n");
    let started = output(&["serve", "--config", text(&nodes.config(0))], "");
    let refused = said(&started);
    assert_eq!(started.status.code(), Some(2), "{refused}");
    assert!(refused.contains("tls.revoked: ") && refused.contains("line 1"), "{refused}");
    nodes.stop_all();
}
