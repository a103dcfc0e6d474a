//! Fetches as they stand on the wire, in all versions.

use bytes::Bytes;

use super::super::upload_pack::stateless::{Acknowledge, Told, acknowledge};
use super::super::{Failure, Service, Version};
use crate::fixture::{REQUEST, Scripted, exchange, id, lines, request};
use crate::pkt_line::Packets;
use crate::service::{Depth, Filter, Head, RepositoryError, Shallow};

/// The lines of the answer to these lines.
async fn answer(version: Version, repository: &Scripted, asked: &[&str]) -> Vec<String> {
    let (answer, _) = ended(version, repository, asked).await;
    lines(&answer)
}

async fn ended(
    version: Version,
    repository: &Scripted,
    asked: &[&str],
) -> (Vec<u8>, Result<(), Failure>) {
    exchange(Service::UploadPack, version, repository, &request(asked)).await
}

type Lines<'a> = &'a [&'a str];

fn want(byte: u8) -> String {
    format!("want {}", id(byte))
}

fn have(byte: u8) -> String {
    format!("have {}", id(byte))
}

#[tokio::test]
async fn several_commands_are_answered_one_after_another() {
    let asked = [
        "command=ls-refs\n",
        "agent=git/2.47",
        "object-format=sha1",
        "0001",
        "peel",
        "symrefs",
        "ref-prefix refs/tags/",
        "ref-prefix HEAD",
        "0000",
        "command=fetch",
        "0001",
        &want(1),
        "done",
        "no-progress",
        "0000",
        "command=ls-refs",
        "0000",
        "0000",
        "command=nobody listens any more",
    ];
    let read = answer(Version::V2, &Scripted::default(), &asked).await;
    let expected = [
        "01 HEAD symref-target:refs/heads/main",
        "03 refs/tags/v1 peeled:0101010101010101010101010101010101010101",
        "0000",
        "packfile",
        "\u{1}PACK",
        "0000",
        "01 HEAD",
        "01 refs/heads/main",
        "02 refs/heads/topic",
        "03 refs/tags/v1",
        "0000",
    ];
    assert_eq!(read, expected);
}

#[tokio::test]
async fn an_unborn_head_is_told_to_who_asks() {
    let mut repository = Scripted::default();
    repository.refs.head = Head::Branch("refs/heads/next".into());
    let ask = |more: &'static [&'static str]| {
        [&["command=ls-refs", "0001", "ref-prefix HEAD"], more, &["0000"]].concat()
    };
    let told = answer(Version::V2, &repository, &ask(&["symrefs", "unborn"])).await;
    assert_eq!(told, ["unborn HEAD symref-target:refs/heads/next", "0000"]);
    assert_eq!(answer(Version::V2, &repository, &ask(&["symrefs"])).await, ["0000"]);
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused_in_a_packet() {
    let unknown = format!("want {}", id(77));
    let cases: &[(&[&str], &str)] = &[
        (&["command=dance", "0000"], "ERR invalid command 'dance'"),
        (&["agent=x", "0000"], "ERR no command requested"),
        (&["command=fetch", "sing", "0000"], "ERR unknown capability 'sing'"),
        (&["command=fetch", "command=fetch", "0000"], "ERR a request makes one command"),
        (
            &["command=fetch", "object-format=sha256", "0000"],
            "ERR mismatched object format: server sha1; client sha256",
        ),
        (&["command=ls-refs", "0001", "pull", "0000"], "ERR unexpected line: 'pull'"),
        (
            &["command=fetch", "0001", "want-ref refs/heads/main", "0000"],
            "ERR unexpected line: 'want-ref refs/heads/main'",
        ),
        (&["command=fetch", "0001", "done"], "ERR expected flush after fetch arguments"),
        (
            &["command=fetch", "0001", &unknown, "done", "0000"],
            "ERR upload-pack: not our ref 4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d",
        ),
        (&["command=fetch"], "ERR expected flush or delimiter after capabilities"),
    ];
    for (asked, expected) in cases {
        let (answer, ended) = ended(Version::V2, &Scripted::default(), asked).await;
        let mut read = lines(&answer);
        if expected.contains("not our ref") {
            read[0] = String::from_utf8_lossy(&answer[4..]).trim_end().to_owned();
        }
        assert_eq!(read, [format!("{expected} (request {REQUEST})")]);
        let failure = ended.unwrap_err();
        assert!(failure.told && failure.error.is_clients(), "{failure}");
    }
    let mut cut = request(&["command=fetch"]);
    cut.truncate(9);
    let (answer, _) = exchange(Service::UploadPack, Version::V2, &Scripted::default(), &cut).await;
    assert!(lines(&answer)[0].starts_with("ERR protocol error: the request ends within a packet"));
}

#[tokio::test]
async fn version_2_acknowledges_until_it_is_ready_or_the_client_is_done() {
    let (one, two, unknown) = (have(1), have(2), have(50));
    let want = want(3);
    let ask = |haves: &[&str], more: &[&str]| {
        let (one, two) = (["command=fetch", "0001", &want], ["0000"]);
        request(&[&one, haves, more, &two].concat())
    };
    let mut repository = Scripted::default();
    let cases: &[(bool, Lines, Lines, Lines)] = &[
        (false, &[&unknown], &[], &["acknowledgments", "NAK", "0000"]),
        (true, &[&unknown], &[], &["acknowledgments", "NAK", "0000"]),
        (false, &[&one, &unknown, &two], &[], &["acknowledgments", "ACK 01", "ACK 02", "0000"]),
        (true, &[&one], &["wait-for-done"], &["acknowledgments", "ACK 01", "0000"]),
        (
            true,
            &[&one],
            &[],
            &["acknowledgments", "ACK 01", "ready", "0001", "packfile", "\u{1}PACK", "0000"],
        ),
        (true, &[&one], &["done"], &["packfile", "\u{1}PACK", "0000"]),
        (false, &[], &[], &["packfile", "\u{1}PACK", "0000"]),
    ];
    for (ready, haves, more, expected) in cases {
        repository.ready = *ready;
        let bytes = ask(haves, more);
        let (answer, _) = exchange(Service::UploadPack, Version::V2, &repository, &bytes).await;
        assert_eq!(lines(&answer), *expected, "{haves:?} {more:?}");
    }
    let packs = repository.asked.lock().unwrap().packs.clone();
    assert_eq!((&packs[0].common[..], &packs[2].common[..]), (&[id(1)][..], &[][..]));
    let only_haves = ["command=fetch", "0001", "wait-for-done", &one, "0000"];
    let read = answer(Version::V2, &repository, &only_haves).await;
    assert_eq!(read, ["acknowledgments", "ACK 01", "0000"]);
}

#[tokio::test]
async fn what_is_asked_of_a_pack_reaches_the_repository() {
    let repository = Scripted {
        shallow: Shallow { shallow: vec![id(4)], unshallow: vec![id(5)] },
        ..Scripted::default()
    };
    let (five, unknown) = (format!("shallow {}", id(5)), format!("shallow {}", id(66)));
    let asked = [
        "command=fetch",
        "0001",
        &want(1),
        &want(1),
        "thin-pack",
        "ofs-delta",
        "include-tag",
        "deepen-since 1000",
        "deepen-not topic",
        "filter blob:limit=1k",
        &five,
        &unknown,
        "done",
        "0000",
    ];
    let read = answer(Version::V2, &repository, &asked).await;
    let sections = ["shallow-info", "shallow 04", "unshallow 05", "0001", "packfile"];
    assert_eq!(read[..5], sections);
    let asked = repository.asked.lock().unwrap();
    let not = vec![id(2).to_string()];
    assert_eq!(asked.depths, [Depth::Since { since: 1000, not }]);
    let pack = &asked.packs[0];
    assert_eq!((&pack.wants, &pack.client_shallow), (&vec![id(1)], &vec![id(5)]));
    assert!(pack.thin && pack.ofs_delta && pack.include_tag);
    assert_eq!(
        (&pack.shallow, pack.filter.clone()),
        (&repository.shallow, Some(Filter::BlobLimit(1024)))
    );
}

#[tokio::test]
async fn a_shallow_client_that_asks_for_no_depth_hears_that_nothing_changes() {
    let shallow = format!("shallow {}", id(5));
    let asked = ["command=fetch", "0001", &want(1), &shallow, "done", "0000"];
    let read = answer(Version::V2, &Scripted::default(), &asked).await;
    assert_eq!(read[..3], ["shallow-info", "0001", "packfile"]);
    let both = ["command=fetch", "0001", &want(1), "deepen 1", "deepen-since 5", "done", "0000"];
    let read = answer(Version::V2, &Scripted::default(), &both).await;
    assert!(read[0].contains("cannot be used together"), "{read:?}");
}

#[tokio::test]
async fn versions_0_and_1_send_the_boundary_first_and_nothing_more_where_the_body_ends() {
    let repository = Scripted {
        shallow: Shallow { shallow: vec![id(4)], unshallow: vec![] },
        ..Scripted::default()
    };
    let want = format!("{} multi_ack_detailed side-band-64k deepen-relative", want(1));
    for version in [Version::V0, Version::V1] {
        let read = answer(version, &repository, &[&want, "deepen 2", "0000"]).await;
        assert_eq!(read, ["shallow 04", "0000"]);
    }
    let read = answer(Version::V0, &repository, &[&want, "deepen 2", "0000", "done"]).await;
    assert_eq!(read, ["shallow 04", "0000", "NAK", "\u{1}PACK", "0000"]);
    assert_eq!(repository.asked.lock().unwrap().depths, vec![Depth::Relative(2); 3]);
    // Without a depth there must be no such section.
    let read = answer(Version::V0, &repository, &[&want, "0000", "done"]).await;
    assert_eq!(read, ["NAK", "\u{1}PACK", "0000"]);
    for nothing in [&[][..], &["0000"]] {
        assert_eq!(answer(Version::V0, &repository, nothing).await, [""; 0]);
    }
}

#[test]
fn versions_0_and_1_acknowledge_as_much_as_the_client_understands() {
    let haves = [(id(9), false), (id(1), true), (id(8), false), (id(2), true)];
    let said = |mode, known: &[(_, bool)], ready, done| {
        let mut packets = Packets::new();
        let follows = acknowledge(mode, &Told { haves: known, ready, done }, &mut packets);
        let mut said = lines(&packets.take());
        said.extend(follows.then(|| "pack".to_owned()));
        said.join(", ")
    };
    let (first, each) = (Acknowledge::First, Acknowledge::Each);
    let detailed = Acknowledge::Detailed { no_done: false };
    let no_done = Acknowledge::Detailed { no_done: true };
    assert_eq!(said(first, &haves, false, false), "ACK 01");
    assert_eq!(said(first, &haves, false, true), "ACK 01, pack");
    assert_eq!(said(first, &haves[..1], false, false), "NAK");
    assert_eq!(said(first, &[], false, true), "NAK, pack");
    assert_eq!(said(each, &haves, false, false), "ACK 01 continue, ACK 02 continue, NAK");
    assert_eq!(said(each, &haves, false, true), "ACK 01 continue, ACK 02 continue, ACK 02, pack");
    assert_eq!(said(detailed, &haves, false, false), "ACK 01 common, ACK 02 common, NAK");
    let with_ready = "ACK 09 ready, ACK 01 common, ACK 08 ready, ACK 02 common, NAK";
    assert_eq!(said(detailed, &haves, true, false), with_ready);
    assert_eq!(said(no_done, &haves, true, false), format!("{with_ready}, ACK 02, pack"));
    assert_eq!(
        said(no_done, &haves[1..2], true, false),
        "ACK 01 common, ACK 01 ready, NAK, ACK 01, pack"
    );
    assert_eq!(said(no_done, &haves[1..2], false, false), "ACK 01 common, NAK");
}

#[tokio::test]
async fn a_pack_is_cut_for_the_side_band_that_was_agreed_on() {
    let pack: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let parts = [&pack[..10], &pack[10..70_000], &pack[70_000..]].map(Bytes::copy_from_slice);
    let repository =
        Scripted { pack: parts.to_vec(), progress: Some("half\r"), ..Scripted::default() };
    for (capabilities, largest) in [(" side-band-64k", 65_516), (" side-band", 996), ("", 0)] {
        let asked = [&format!("{}{capabilities}", want(1)), "0000", "done"];
        let (answer, ended) = ended(Version::V0, &repository, &asked).await;
        ended.unwrap();
        let rest = answer.strip_prefix(b"0008NAK\n").unwrap();
        if largest == 0 {
            assert_eq!(rest, pack);
            continue;
        }
        let mut decoder = crate::pkt_line::Decoder::new();
        decoder.feed(rest);
        let (mut received, mut shown) = (Vec::new(), Vec::new());
        while let Some(crate::pkt_line::Packet::Data(data)) = decoder.next_packet().unwrap() {
            assert!(data.len() <= largest);
            match data[0] {
                1 => received.extend_from_slice(&data[1..]),
                2 => shown.extend_from_slice(&data[1..]),
                band => panic!("band {band}"),
            }
        }
        assert_eq!((received, &shown[..]), (pack.clone(), &b"half\r"[..]));
        assert_eq!(decoder.into_rest(), "");
    }
}

#[tokio::test]
async fn a_pack_that_fails_ends_with_the_reason_where_there_is_a_side_band() {
    let damaged = RepositoryError::Damaged("pack 7 is not whole".into());
    let repository = Scripted { pack_ends: Err(damaged), ..Scripted::default() };
    let framed = [&format!("{} side-band-64k", want(1)), "0000", "done"];
    let (answer, failed) = ended(Version::V0, &repository, &framed).await;
    assert_eq!(
        *lines(&answer).last().unwrap(),
        format!("\u{3}pack 7 is not whole (request {REQUEST})")
    );
    let failure = failed.unwrap_err();
    assert!(failure.told && !failure.error.is_clients());
    let raw = [&want(1), "0000", "done"];
    let (_, failed) = ended(Version::V0, &repository, &raw.map(|line| line as &str)).await;
    assert!(!failed.unwrap_err().told, "the transport must break off");
}
