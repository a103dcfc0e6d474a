//! The text form: that it comes back, and which line is wrong where it does not.

use super::*;
use crate::fixture::*;

fn text(state: &State) -> String {
    let mut text = Vec::new();
    dump(state, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn reason(text: &str) -> String {
    load(text.as_bytes()).expect_err("it is refused").to_string()
}

#[test]
fn a_state_comes_back_from_its_dump_without_answers() {
    let state = rich().state;
    let text = text(&state);
    let back = load(text.as_bytes()).unwrap();
    assert_eq!(back.counts().answers, 0);
    assert_ne!(state.counts().answers, 0);
    let without = |state: &State| {
        let records = state.records();
        let records =
            records.filter(|record| !matches!(record, Record::Answer { .. } | Record::End(_)));
        records.collect::<Vec<_>>()
    };
    assert_eq!(without(&back), without(&state));
    assert_eq!(self::text(&back), text);
    assert_eq!(load(self::text(&back).as_bytes()).unwrap(), back);
}

#[test]
fn a_text_of_a_newer_version_is_refused_for_its_format() {
    let newer = "{\"kind\":\"head\",\"format\":2,\"what_comes\":\"later\"}\n{\"kind\":\"later\"}\n";
    let expected =
        "line 1: the catalog's text has format 2, and this program reads formats up to 1";
    assert!(reason(newer).starts_with(expected), "{}", reason(newer));
}

#[test]
fn what_nodes_state_of_their_programs_is_no_part_of_the_text() {
    let (mut told, mut untold) = (Machine::new(), Machine::new());
    told.done(states("n1", 1, "0.2.0", &["restore"]));
    untold.done(join("n1", 1));
    assert_ne!(told.state, untold.state);
    assert_eq!(text(&told.state), text(&untold.state));
    assert_eq!(load(text(&told.state).as_bytes()).unwrap().nodes().count(), 1);
}

#[test]
fn pages_are_the_whole_text() {
    let state = rich().state;
    for bytes in [1, 700, 1 << 20] {
        let (mut all, mut skip) = (String::new(), Some(0));
        while let Some(from) = skip {
            let (text, next) = lines(&state, from, bytes);
            assert!(!text.is_empty());
            all += &text;
            skip = next;
        }
        assert_eq!(all, text(&state), "{bytes}");
    }
}

#[test]
fn a_dump_that_was_cut_anywhere_is_none() {
    let text = text(&rich().state);
    // The end of the last line alone says nothing.
    for end in 0..text.len() - 1 {
        assert!(load(&text.as_bytes()[..end]).is_err(), "up to {end}");
    }
}

#[test]
fn lines_look_as_the_documents_say() {
    let text = text(&rich().state);
    let line = |kind: &str| {
        let start = format!("{{\"kind\":\"{kind}\"");
        text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{kind}"))
    };
    for (kind, expected) in [
        (
            "head",
            r#"{"kind":"head","format":1,"group":0,"position":14,"clock_ms":2000,"last_repository":3,"last_raft":2,"last_token":1,"last_event":18}"#,
        ),
        (
            "repository",
            r#"{"kind":"repository","id":1,"repository":{"name":"project","object_format":"sha1","description":"","limits":{"refs_max":null,"push_bytes_max":null,"repository_bytes_max":null},"hidden_refs":["refs/hidden"],"created_at_ms":1000,"generation":0,"deleted":null}}"#,
        ),
        (
            "ref",
            r#"{"kind":"ref","repository":1,"name":"HEAD","ref":{"target":{"symbolic":"refs/heads/main"},"peeled":null,"log":[{"old":null,"at_ms":1000,"note":{"who":"ann","message":"created"}}]}}"#,
        ),
        (
            "pack",
            r#"{"kind":"pack","repository":1,"pack":{"id":"0707070707070707070707070707070707070707070707070707070707070707","bytes":1000,"objects":3,"chunks":1,"source":"0102"}}"#,
        ),
        (
            "node",
            r#"{"kind":"node","id":"n1","node":{"raft":1,"directory":"01010101010101010101010101010101","address":"n1:7400","state":"voter"}}"#,
        ),
        (
            "token",
            r#"{"kind":"token","id":1,"hash":"0505050505050505050505050505050505050505050505050505050505050505","token":{"description":"ci","access":"write","prefix":"team","created_at_ms":1000,"expires_at_ms":1099511627776}}"#,
        ),
        (
            "event",
            r#"{"kind":"event","event":{"number":1,"position":1,"at_ms":1000,"who":"ann","change":"repository_created","repository":1,"name":"project"}}"#,
        ),
        (
            "end",
            r#"{"kind":"end","repositories":3,"refs":5,"packs":2,"layouts":1,"nodes":2,"tokens":1,"events":18}"#,
        ),
    ] {
        assert_eq!(line(kind), expected);
    }
    let public = r#""created_at_ms":1000,"generation":0,"deleted":null,"public":true}}"#;
    assert!(text.lines().any(|line| line.contains("team/a") && line.ends_with(public)), "{text}");
    assert!(line("layout").starts_with(r#"{"kind":"layout","layout":"format = 1\n"#));
}

#[test]
fn an_edit_that_cannot_be_is_refused_with_its_line() {
    let text = text(&rich().state);
    for (from, to, expected) in [
        ("\"name\":\"team/a\"", "\"name\":\"project/a\"", "line 3: project/a and project"),
        ("\"name\":\"team/a\"", "\"name\":\"team//a\"", "line 3: it has an empty part"),
        ("\"name\":\"team/a\"", "\"nime\":\"team/a\"", "line 3: unknown field `nime`"),
        (
            "{\"kind\":\"repository\",\"id\":2",
            "{\"kind\":\"repository\",\"id\":1",
            "line 3: it is out of order",
        ),
        (
            "{\"kind\":\"repository\",\"id\":3",
            "{\"kind\":\"repository\",\"id\":4",
            "line 4: its number 4",
        ),
        ("\"refs\":5", "\"refs\":6", "line 34: the end says"),
        ("refs/heads/main\",\"ref\"", "refs/tags\",\"ref\"", "line 7: it and refs/tags"),
        ("\"format\":1,", "\"format\":2,", "line 1: the catalog's text has format 2"),
        ("\"last_event\":18", "\"last_event\":17", "line 33: its number 18"),
        ("\"raft\":2", "\"raft\":1", "line 14: the raft id belongs to another"),
        ("write_quorum = 2", "write_quorum = 3", "line 12: "),
        ("\"position\":14", "\"position\":18446744073709551615", "line 1: position in the head"),
        ("\"pack\":{\"id\":\"07", "\"pack\":{\"id\":\"0a", "line 11: it is out of order"),
    ] {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{from}");
        let reason = reason(&edited);
        assert!(reason.starts_with(expected), "{to}: {reason}");
    }
    let swapped = text.lines().rev().collect::<Vec<_>>().join("\n");
    assert_eq!(reason(&swapped), "line 1: the first record is no head");
    assert_eq!(
        reason(&(text.clone() + &text)),
        "line 35: it is out of order, or there twice, or one is missing before it"
    );
    assert_eq!(reason(""), "line 1: the sequence does not stop with its end");
}
