//! Messages of the group: that they look as they always did, and may get more fields.

use std::fmt::Write;

use super::*;
use crate::entry::{Content, Members};

fn ballot() -> Ballot {
    Ballot { term: 7, candidate: 300, elected: true }
}

fn position(index: u64) -> Position {
    Position { term: 6, leader: 2, index }
}

/// A request of each kind, with something in each field.
fn requests() -> Vec<(&'static str, Request)> {
    let members = Members {
        voters: vec![[1, 2].into(), [2, 3].into()],
        nodes: [(1, "n1".to_owned()), (2, "n2".to_owned())].into(),
    };
    let contents =
        [Content::Blank, Content::Command(Bytes::from_static(b"do")), Content::Members(members)];
    let entries = (70_000..).zip(contents);
    let entries = entries.map(|(index, content)| Entry { position: position(index), content });
    let vote = || VoteRequest { ballot: ballot(), last: Some(position(70_002)), transfer: true };
    vec![
        (
            "append",
            Request::Append(Append {
                ballot: ballot(),
                previous: Some(position(69_999)),
                entries: entries.collect(),
                committed: Some(position(69_998)),
            }),
        ),
        (
            "sign of life",
            Request::Append(Append {
                ballot: ballot(),
                previous: None,
                entries: vec![],
                committed: None,
            }),
        ),
        ("vote", Request::Vote(vote())),
        ("pre-vote", Request::PreVote(vote())),
        (
            "snapshot",
            Request::Snapshot(SnapshotPart {
                ballot: ballot(),
                offset: 1 << 33,
                bytes: Bytes::from_static(b"part"),
                total: 1 << 34,
            }),
        ),
        (
            "transfer leader",
            Request::TransferLeader(TransferLeader {
                from: ballot(),
                to: 3,
                last: Some(position(5)),
            }),
        ),
        ("propose", Request::Propose(Bytes::from_static(b"do"))),
        ("read index", Request::ReadIndex),
    ]
}

/// A response of each kind.
fn responses() -> Vec<(&'static str, Response)> {
    let member = Member { id: 3, node: "n3".to_owned() };
    let proposed = Proposed { index: 70_000, reply: Bytes::from_static(b"done") };
    let voted = Voted { ballot: ballot(), granted: true, last: Some(position(1)) };
    vec![
        ("all appended", Response::Append(Appended::All)),
        ("appended up to", Response::Append(Appended::UpTo(Some(position(4))))),
        ("conflict", Response::Append(Appended::Conflict)),
        ("higher ballot", Response::Append(Appended::HigherBallot(ballot()))),
        ("voted", Response::Vote(voted)),
        ("part taken", Response::Snapshot(SnapshotTaken::Part)),
        ("snapshot installed", Response::Snapshot(SnapshotTaken::Installed(ballot()))),
        ("snapshot restarted", Response::Snapshot(SnapshotTaken::Restart)),
        ("leader transferred", Response::LeaderTransferred),
        ("proposed", Response::Proposed(proposed)),
        ("read index", Response::ReadIndex(70_000)),
        ("not leader", Response::Refused(Refusal::NotLeader(Some(member)))),
        ("wrong member", Response::Refused(Refusal::WrongMember(4))),
        ("wrong group", Response::Refused(Refusal::WrongGroup)),
        ("unknown", Response::Refused(Refusal::Unknown)),
        ("no majority", Response::Refused(Refusal::NoMajority)),
    ]
}

fn encoded(value: &impl Encode<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_to(&mut bytes, value);
    bytes
}

#[test]
fn messages_look_as_they_did_in_version_0_1() {
    let mut text = String::new();
    for (name, request) in requests() {
        let envelope = Envelope { group: 0, from: 1, to: 300, request };
        writeln!(text, "request, {name}: {}", hex::encode(encoded(&envelope))).unwrap();
    }
    for (name, response) in responses() {
        writeln!(text, "response, {name}: {}", hex::encode(encoded(&response))).unwrap();
    }
    let recorded = include_str!("tests/messages-0.1.txt");
    assert_eq!(text, recorded, "members of two versions must read each other's messages:\n{text}");
    for line in recorded.lines() {
        let (name, bytes) = line.split_once(": ").unwrap();
        let bytes = hex::decode(bytes).unwrap();
        let again = match name.starts_with("request") {
            true => encoded(&minicbor::decode::<Envelope>(&bytes).unwrap()),
            false => encoded(&minicbor::decode::<Response>(&bytes).unwrap()),
        };
        assert_eq!(again, bytes, "{name}");
    }
}

#[test]
fn a_field_that_a_newer_version_adds_is_skipped() {
    let envelope = Envelope { group: 0, from: 1, to: 3, request: Request::ReadIndex };
    let bytes = encoded(&envelope);
    assert_eq!(bytes[0], 0x84, "an array of four fields");
    // A fifth field, which is a map with text in it.
    let newer = [&[0x85][..], &bytes[1..], &[0xa1, 0x01, 0x61, b'x']].concat();
    let read: Envelope = minicbor::decode(&newer).unwrap();
    assert_eq!(encoded(&read), bytes);
}
