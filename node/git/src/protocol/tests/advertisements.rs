//! What clients hear first.

use gitstratum_core::object::HashAlgorithm;

use super::super::{AGENT, Output, Service, Session, Version, advertise};
use crate::fixture::{Scripted, id, lines};
use crate::service::{Head, Refs};

async fn heard(service: Service, version: Version, repository: &Scripted) -> Vec<String> {
    let (output, mut parts) = Output::channel();
    let session = Session { id: "s-1".into() };
    advertise(service, version, repository, &session, &output).await.unwrap();
    drop(output);
    let mut answer = Vec::new();
    while let Some(part) = parts.recv().await {
        answer.extend_from_slice(&part);
    }
    lines(&answer)
}

const FETCH: &str = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since \
                     deepen-not deepen-relative no-progress include-tag multi_ack_detailed \
                     allow-tip-sha1-in-want allow-reachable-sha1-in-want no-done";
const PUSH: &str = "report-status report-status-v2 delete-refs side-band-64k quiet atomic \
                    ofs-delta push-options";

#[tokio::test]
async fn refs_are_listed_for_a_fetch_with_head_first_and_tags_peeled() {
    let repository = Scripted::default();
    let common = format!("object-format=sha1 session-id=s-1 agent={AGENT}");
    let first = format!("01 HEAD|{FETCH} symref=HEAD:refs/heads/main filter {common}");
    let listed = [
        first.as_str(),
        "01 refs/heads/main",
        "02 refs/heads/topic",
        "03 refs/tags/v1",
        "01 refs/tags/v1^{}",
        "0000",
    ];
    let service = ["# service=git-upload-pack", "0000"];
    let v0 = heard(Service::UploadPack, Version::V0, &repository).await;
    assert_eq!(v0, [&service[..], &listed].concat());
    let v1 = heard(Service::UploadPack, Version::V1, &repository).await;
    assert_eq!(v1, [&service[..], &["version 1"], &listed].concat());
}

#[tokio::test]
async fn version_2_lists_capabilities_alone() {
    let listed = heard(Service::UploadPack, Version::V2, &Scripted::default()).await;
    let agent = format!("agent={AGENT}");
    let expected = [
        "version 2",
        &agent,
        "ls-refs=unborn",
        "fetch=shallow wait-for-done filter",
        "server-option",
        "object-format=sha1",
        "session-id=s-1",
        "0000",
    ];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn refs_are_listed_for_a_push_without_head_in_version_0_whatever_is_asked() {
    let common = format!("object-format=sha1 session-id=s-1 agent={AGENT}");
    let first = format!("01 refs/heads/main|{PUSH} {common}");
    let listed = heard(Service::ReceivePack, Version::V2, &Scripted::default()).await;
    let expected = [
        "# service=git-receive-pack",
        "0000",
        &first,
        "02 refs/heads/topic",
        "03 refs/tags/v1",
        "0000",
    ];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn one_without_refs_lists_its_capabilities_for_no_object() {
    let refs = Refs { head: Head::Branch("refs/heads/main".into()), refs: Vec::new() };
    let repository = Scripted { format: HashAlgorithm::Sha256, refs, ..Scripted::default() };
    for service in [Service::UploadPack, Service::ReceivePack] {
        let listed = heard(service, Version::V0, &repository).await;
        assert_eq!(listed.len(), 4, "{listed:?}");
        assert!(listed[2].starts_with("00 capabilities^{}|"), "{listed:?}");
        assert!(listed[2].contains("object-format=sha256") && !listed[2].contains("symref"));
    }
}

#[tokio::test]
async fn a_detached_head_is_of_no_branch() {
    let refs = Refs { head: Head::Detached(id(7)), ..Scripted::default().refs };
    let repository = Scripted { refs, ..Scripted::default() };
    let listed = heard(Service::UploadPack, Version::V0, &repository).await;
    assert!(listed[2].starts_with("07 HEAD|") && !listed[2].contains("symref"), "{listed:?}");
}
