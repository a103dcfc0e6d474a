//! Answers of remotes, well-formed and otherwise, as text: what is read of them.

use std::convert::Infallible;

use gitstratum_git::pkt_line::Packets;
use gitstratum_git::service::Head;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Lines as packets; `0000` and `0001` are the marks.
fn packets(lines: &[&str]) -> Bytes {
    let mut packets = Packets::new();
    for line in lines {
        match *line {
            "0000" => packets.flush(),
            "0001" => packets.delimiter(),
            line => packets.data(format!("{line}\n").as_bytes()),
        };
    }
    packets.take()
}

fn answer(bytes: Bytes) -> Answer {
    let body = Full::new(bytes).map_err(|never: Infallible| match never {});
    Answer::new("http://remote/x".to_owned(), body)
}

/// An advertisement and, of version 2, what it says to `ls-refs`.
async fn listed(
    lines: &[&str],
    refs: &[&str],
    selection: &Selection,
) -> Result<(HashAlgorithm, RemoteRefs), RemoteError> {
    let advertisement = Advertisement::read(&mut answer(packets(lines)), selection).await?;
    let refs = match &advertisement.refs {
        Some(refs) => refs.clone(),
        None => advertisement.read_ls_refs(&mut answer(packets(refs)), selection).await?,
    };
    Ok((advertisement.object_format, refs))
}

fn names(refs: &RemoteRefs) -> Vec<&str> {
    refs.refs.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn refs_are_read_as_each_version_lists_them() {
    let (head, caps) = (format!("{A} HEAD\0symref=HEAD:refs/heads/trunk agent=x"), "version 2");
    let (trunk, tag) = (format!("{A} refs/heads/trunk"), format!("{B} refs/tags/v1"));
    let (peeled, pull) = (format!("{A} refs/tags/v1^{{}}"), format!("{A} refs/pull/1/head"));
    let old: &[&str] =
        &["# service=git-upload-pack", "0000", &head, &pull, &trunk, &tag, &peeled, "0000"];
    let first = [&["version 1"], &old[2..]].concat();
    let usual = Selection::Usual;
    for lines in [old, &old[2..], &first] {
        let (format, refs) = listed(lines, &[], &usual).await.unwrap();
        assert_eq!(format, HashAlgorithm::Sha1);
        assert_eq!(names(&refs), ["refs/heads/trunk", "refs/tags/v1"]);
        assert_eq!(refs.refs["refs/tags/v1"].to_string(), B);
        assert_eq!(refs.head, Some(Head::Branch("refs/heads/trunk".to_owned())));
    }
    let head = format!("{A} HEAD symref-target:refs/heads/trunk");
    let lines = [caps, "ls-refs=unborn", "object-format=sha1", "0000"];
    let refs = [head.as_str(), &pull, &trunk, &tag, "0000"];
    let (_, refs) = listed(&lines, &refs, &usual).await.unwrap();
    assert_eq!(names(&refs), ["refs/heads/trunk", "refs/tags/v1"]);
    let unborn = ["unborn HEAD symref-target:refs/heads/x", "0000"];
    let (_, refs) = listed(&lines, &unborn, &usual).await.unwrap();
    assert!(refs.refs.is_empty());
    assert_eq!(refs.head, Some(Head::Branch("refs/heads/x".to_owned())));
    // A server that tells only which object HEAD is.
    let (main, head) = (format!("{A} refs/heads/a"), format!("{A} HEAD\0agent=x"));
    let (_, refs) = listed(&[&head, &main, "0000"], &[], &usual).await.unwrap();
    assert_eq!(refs.head, Some(Head::Branch("refs/heads/a".to_owned())));
    let (_, refs) = listed(&[&head, "0000"], &[], &usual).await.unwrap();
    assert_eq!(refs.head, Some(Head::Detached(A.parse().unwrap())));
    // One that has nothing.
    let nothing = format!("{} capabilities^{{}}\0agent=x object-format=sha256", "0".repeat(64));
    let (format, refs) = listed(&[&nothing, "0000"], &[], &usual).await.unwrap();
    assert_eq!((format, refs), (HashAlgorithm::Sha256, RemoteRefs::default()));
    let (_, refs) = listed(&["0000"], &[], &usual).await.unwrap();
    assert_eq!(refs, RemoteRefs::default());
}

#[tokio::test]
async fn advertisements_that_make_no_sense_are_refused_in_words() {
    let (shallow, branch) = (format!("{A} HEAD\0agent=x"), format!("shallow {A}"));
    let long = format!("{A}aa HEAD\0agent=x");
    let format = "object-format=sha512";
    for (lines, words) in [
        (vec![], "ends in the middle"),
        (vec!["version 2", "agent=x"], "ends in the middle"),
        (vec!["ERR \u{1b}[31mnot\tallowed"], "says:  [31mnot allowed"),
        (vec!["hello"], "\"hello\" where it should not"),
        (vec!["version 2", format, "0000"], "ids of sha512"),
        (vec![&long, "0000"], "where it should not"),
        (vec![&shallow, &branch, "0000"], "shallow repository"),
    ] {
        let error = listed(&lines, &[], &Selection::Usual).await.unwrap_err().to_string();
        assert!(error.starts_with("http://remote/x") && error.contains(words), "{error}");
    }
    let bytes = Bytes::from_static(b"00zz<html>");
    let error = Advertisement::read(&mut answer(bytes), &Selection::Usual).await.unwrap_err();
    assert!(matches!(error, RemoteError::Packet { .. }), "{error}");
}

/// What an answer to a fetch has: the acknowledged ids, and the pack.
async fn fetched(
    bytes: Bytes,
    version: u8,
    is_done: bool,
) -> Result<(Vec<String>, Option<Vec<u8>>), RemoteError> {
    let answer = answer(bytes);
    let (common, pack) = match version {
        2 => fetch::read_version_2(answer).await?,
        _ => fetch::read_version_0(answer, is_done).await?,
    };
    let common = common.iter().map(ToString::to_string).collect();
    let Some(mut pack) = pack else { return Ok((common, None)) };
    let mut bytes = Vec::new();
    while let Some(part) = pack.next(&mut |_| {}).await? {
        bytes.extend_from_slice(&part);
    }
    Ok((common, Some(bytes)))
}

#[tokio::test]
async fn acknowledgements_and_packs_are_read_as_each_version_sends_them() {
    let (ack, ready) = (format!("ACK {A}"), format!("ACK {B} ready"));
    let pack = ["\u{1}PA", "\u{2}Counting: 1\rCounting: 2", "\u{1}", "\u{1}CK", "0000"];
    let bytes = Some(b"PA\n\nCK\n".to_vec());
    let acknowledgments = ["acknowledgments", &ack, "ready", "0001", "packfile"];
    let read = fetched(packets(&[&acknowledgments[..], &pack].concat()), 2, false).await.unwrap();
    assert_eq!(read, (vec![A.to_owned()], bytes.clone()));
    let read = fetched(packets(&["acknowledgments", "NAK", "0000"]), 2, false).await.unwrap();
    assert_eq!(read, (vec![], None));
    let read = fetched(packets(&[&["packfile"], &pack[..]].concat()), 2, true).await.unwrap();
    assert_eq!(read, (vec![], bytes.clone()));
    // What is only "ready" the remote may not have.
    let common = format!("ACK {A} common");
    let read = fetched(packets(&[&common, &ready, "NAK"]), 0, false).await.unwrap();
    assert_eq!(read, (vec![A.to_owned()], None));
    let read = fetched(packets(&[&[common.as_str(), &ack], &pack[..]].concat()), 0, true).await;
    assert_eq!(read.unwrap(), (vec![A.to_owned()], bytes));
}

#[tokio::test]
async fn fetches_that_go_wrong_are_told_in_the_words_of_the_remote() {
    let boundary = format!("shallow {A}");
    for (lines, version, words) in [
        (vec!["packfile", "\u{1}PACK"], 2, "ends in the middle"),
        (vec!["packfile", "\u{1}PACK", "\u{3}out of memory\n"], 2, "says: out of memory"),
        (vec!["packfile", "PACK", "0000"], 2, "where it should not"),
        (vec!["packfile", "\u{1}PACK", "0001"], 2, "Delimiter in it"),
        (vec!["shallow-info", &boundary, "0001", "packfile"], 2, "shallow repository"),
        (vec!["ERR upload-pack: not our ref"], 2, "says: upload-pack: not our ref"),
        (vec!["wanted-refs", "0001"], 2, "\"wanted-refs\" where it should not"),
        (vec!["0000"], 2, "section without a name"),
        (vec!["NAK"], 0, "ends in the middle"),
        (vec!["NAK", "0000"], 0, "where it should not"),
        (vec!["NAK", "\u{3}no"], 0, "says: no"),
    ] {
        let error = fetched(packets(&lines), version, true).await.unwrap_err().to_string();
        assert!(error.contains(words), "{lines:?}: {error}");
    }
}

proptest! {
    #[test]
    fn whatever_a_remote_answers_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        lines in proptest::collection::vec("(ACK |NAK|version |packfile|0000|\u{1}|[a-f]{40} )?.{0,30}", 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for bytes in [Bytes::from(bytes), packets(&lines)] {
            runtime.block_on(async {
                let _ = Advertisement::read(&mut answer(bytes.clone()), &Selection::Usual).await;
                for (version, is_done) in [(2, false), (0, true), (0, false)] {
                    let _ = fetched(bytes.clone(), version, is_done).await;
                }
            });
        }
    }
}
