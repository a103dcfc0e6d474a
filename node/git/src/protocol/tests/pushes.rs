//! Pushes as they stand on the wire.

use super::super::{Failure, Service, Version};
use crate::fixture::{REQUEST, Scripted, exchange, id, lines, request};
use crate::service::{PushOutcome, RepositoryError};

async fn push(
    repository: &Scripted,
    asked: &[&str],
    pack: &[u8],
) -> (Vec<String>, Result<(), Failure>) {
    let bytes = [request(asked), pack.to_vec()].concat();
    let (answer, ended) = exchange(Service::ReceivePack, Version::V0, repository, &bytes).await;
    (lines(&answer), ended)
}

/// The report in the first band of an answer, and what it ends with.
fn report(answer: &[String]) -> Vec<String> {
    let banded = answer.iter().filter_map(|line| line.strip_prefix('\u{1}'));
    lines(banded.collect::<String>().as_bytes())
}

fn create(name: &str) -> String {
    format!("{} {} {name}", "0".repeat(40), id(1))
}

fn delete(name: &str) -> String {
    format!("{} {} {name}", id(1), "0".repeat(40))
}

#[tokio::test]
async fn a_push_is_taken_and_each_of_its_refs_reported() {
    let verdicts = vec![Ok(()), Err("hook declined\nfor a reason".into())];
    let outcome = PushOutcome { unpacked: Ok(()), verdicts };
    let repository = Scripted { push: Ok(outcome), ..Scripted::default() };
    let capabilities = "report-status push-options atomic object-format=sha1 agent=git/2";
    let first = format!("{}\0 {capabilities}", create("refs/heads/a"));
    let asked = [&first, &*create("refs/heads/b"), "0000", "ci.skip", "0000"];
    let (answer, ended) = push(&repository, &asked, b"PACK...").await;
    let expected = ["unpack ok", "ok refs/heads/a", "ng refs/heads/b hook declined for a reason"];
    assert_eq!(answer[..3], expected);
    assert_eq!(answer[3..], ["0000"]);
    ended.unwrap();
    let asked = repository.asked.lock().unwrap();
    let (request, pack) = &asked.pushes[0];
    assert_eq!((request.atomic, &request.options[..]), (true, &["ci.skip".to_owned()][..]));
    assert_eq!(request.commands[1].name, "refs/heads/b");
    assert_eq!(pack.as_deref(), Some(&b"PACK..."[..]));
}

#[tokio::test]
async fn progress_is_shown_once_the_pack_is_there_and_only_to_who_wants_it() {
    let repository = Scripted::default();
    let with = |capabilities: &str| format!("{}\0{capabilities}", create("refs/heads/a"));
    let loud = with("report-status-v2 side-band-64k");
    let (answer, _) = push(&repository, &[&loud, "0000"], b"PACK").await;
    assert_eq!(answer[0], "\u{2}late");
    assert_eq!(answer.last().unwrap(), "0000");
    let quiet = with("report-status side-band-64k quiet");
    let (answer, _) = push(&repository, &[&quiet, "0000"], b"PACK").await;
    assert!(answer.iter().all(|line| !line.contains("late")), "{answer:?}");
    let (answer, _) = push(&repository, &[&with("side-band-64k quiet"), "0000"], b"PACK").await;
    assert_eq!(answer, ["0000"], "no report was asked for");
}

#[tokio::test]
async fn deletions_alone_bring_no_pack_and_nothing_is_answered_with_nothing() {
    let repository = Scripted::default();
    let command = format!("{}\0report-status", delete("refs/heads/a"));
    let (answer, _) = push(&repository, &[&command, "0000"], b"").await;
    assert_eq!(answer, ["unpack ok", "ok refs/heads/a", "0000"]);
    assert_eq!(repository.asked.lock().unwrap().pushes[0].1, None);
    for nothing in [&[][..], &["0000"]] {
        let (answer, ended) = push(&repository, nothing, b"").await;
        assert!(answer.is_empty() && ended.is_ok());
    }
}

#[tokio::test]
async fn a_pack_that_is_not_taken_refuses_every_ref() {
    let outcome = PushOutcome { unpacked: Err("bad pack".into()), verdicts: vec![Ok(()); 2] };
    let repository = Scripted { push: Ok(outcome), ..Scripted::default() };
    let first = format!("{}\0report-status", create("refs/heads/a"));
    let (answer, ended) = push(&repository, &[&first, &create("refs/x"), "0000"], b"PACK").await;
    let expected =
        ["unpack bad pack", "ng refs/heads/a unpacker error", "ng refs/x unpacker error", "0000"];
    assert_eq!(answer, expected);
    ended.unwrap();
}

#[tokio::test]
async fn a_push_that_fails_is_told_in_the_report_or_else_in_the_third_band() {
    let error = RepositoryError::Unavailable("too few nodes answer".into());
    let repository = Scripted { push: Err(error), ..Scripted::default() };
    let command = |capabilities: &str| format!("{}\0{capabilities}", create("refs/heads/a"));
    let (answer, ended) = push(&repository, &[&command("report-status"), "0000"], b"PACK").await;
    let told = "too few nodes answer";
    assert_eq!(answer, [&format!("unpack {told}"), &format!("ng refs/heads/a {told}"), "0000"]);
    let failure = ended.unwrap_err();
    assert!(failure.told && !failure.error.is_clients());
    let (answer, _) = push(&repository, &[&command("side-band-64k quiet"), "0000"], b"PACK").await;
    assert_eq!(answer, [format!("\u{3}too few nodes answer (request {REQUEST})")]);
    let (answer, _) = push(&repository, &[&command(""), "0000"], b"PACK").await;
    assert_eq!(answer, [format!("ERR too few nodes answer (request {REQUEST})")]);
}

#[tokio::test]
async fn refs_that_make_no_sense_are_refused_without_asking_the_repository() {
    let first = format!("{}\0report-status side-band-64k quiet", create("refs/heads/a"));
    let twice = [&first, &*create("refs/heads/a"), &create("refs/heads/b"), "0000"];
    let repository = Scripted::default();
    let (answer, _) = push(&repository, &twice, b"PACK").await;
    let expected = [
        "unpack ok",
        "ng refs/heads/a multiple updates for ref not allowed",
        "ng refs/heads/a multiple updates for ref not allowed",
        "ng refs/heads/b another ref has multiple updates",
        "0000",
    ];
    assert_eq!(report(&answer), expected);
    assert!(answer.contains(&format!("\u{2}request {REQUEST}")), "{answer:?}");
    assert!(repository.asked.lock().unwrap().pushes.is_empty());

    let command = format!("{}\0report-status", create("HEAD"));
    let (answer, _) = push(&repository, &[&command, "0000"], b"PACK").await;
    assert_eq!(answer, ["unpack ok", "ng HEAD funny refname", "0000"]);

    for (capabilities, other) in [("", "ok refs/b"), (" atomic", "ng refs/b atomic push failure")] {
        let mut command = create("refs/heads/").into_bytes();
        command.extend_from_slice(b"\xff\0report-status");
        command.extend_from_slice(capabilities.as_bytes());
        let mut packets = crate::pkt_line::Packets::new();
        packets.data(&command).data(create("refs/b").as_bytes()).flush();
        let bytes = [&packets.take()[..], b"PACK"].concat();
        let exchanged = exchange(Service::ReceivePack, Version::V0, &repository, &bytes);
        let answer = exchanged.await.0;
        let name = b"ng refs/heads/\xff funny refname\n";
        assert!(answer.windows(name.len()).any(|part| part == name), "the name as it came");
        assert!(String::from_utf8_lossy(&answer).contains(other));
    }
}

#[tokio::test]
async fn what_cannot_be_read_as_a_push_is_refused_in_a_packet() {
    let format = format!("{}\0object-format=sha256", create("refs/heads/a"));
    let cases: &[(&[&str], &str)] = &[
        (&["hello", "0000"], "ERR protocol error: expected old/new/ref, got 'hello'"),
        (&["shallow 12", "0000"], "ERR protocol error: expected shallow sha, got '12'"),
        (
            &["push-cert\0atomic", "0000"],
            "ERR push certificates are not supported: push without --signed",
        ),
        (&[&create("refs/heads/a")], "ERR expected flush after the commands"),
        (&[&format, "0000"], "ERR mismatched object format: server sha1; client sha256"),
    ];
    for (asked, expected) in cases {
        let (answer, ended) = push(&Scripted::default(), asked, b"").await;
        assert_eq!(answer, [format!("{expected} (request {REQUEST})")]);
        assert!(ended.unwrap_err().told);
    }
}

#[tokio::test]
async fn what_a_refused_client_still_sends_is_received() {
    let outcome = PushOutcome { unpacked: Err("too large".into()), verdicts: vec![Ok(())] };
    let repository = Scripted { push: Ok(outcome), reads: 2, ..Scripted::default() };
    let first = format!("{}\0report-status", create("refs/heads/a"));
    let (answer, _) = push(&repository, &[&first, "0000"], &[b'x'; 10_000]).await;
    assert_eq!(answer, ["unpack too large", "ng refs/heads/a unpacker error", "0000"]);
    let asked = repository.asked.lock().unwrap();
    assert!(asked.pushes[0].1.as_ref().unwrap().len() < 20, "it has read no more");
}
