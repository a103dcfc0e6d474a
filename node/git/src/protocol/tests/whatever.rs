//! Requests of any bytes: each is answered by whole packets, and none makes the server panic.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::super::{Service, Version};
use crate::fixture::{Scripted, exchange, id, request};
use crate::pkt_line::{Decoder, Packet};

fn requests() -> Vec<Vec<u8>> {
    let want = format!("want {} side-band-64k multi_ack_detailed no-done", id(1));
    let (have, bare) = (format!("have {}", id(2)), format!("want {}", id(1)));
    let update = format!("{} {} refs/heads/a\0report-status side-band-64k", id(1), id(2));
    vec![
        request(&["command=ls-refs", "0001", "peel", "ref-prefix refs/", "0000"]),
        request(&["command=fetch", "0001", &bare, &have, "deepen 3", "done", "0000"]),
        request(&[&want, "deepen 1", "0000", &have, "0000"]),
        request(&[&want, "0000", &have, "done"]),
        [request(&[&update, "0000"]), b"PACK".to_vec()].concat(),
    ]
}

/// What this strategy makes: the same in every run, so that it can be asked for within a runtime of
/// either world.
fn cases<T>(strategy: impl Strategy<Value = T>, number: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let made = (0..number).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    made.collect()
}

async fn check(bytes: &[u8]) {
    let repository = Scripted { ready: true, ..Scripted::default() };
    for (service, version) in [
        (Service::UploadPack, Version::V0),
        (Service::UploadPack, Version::V2),
        (Service::ReceivePack, Version::V0),
    ] {
        let (answer, ended) = exchange(service, version, &repository, bytes).await;
        // Without a side-band a pack stands there as it is.
        if version == Version::V0 && answer.ends_with(b"PACK") {
            continue;
        }
        let mut decoder = Decoder::new();
        decoder.feed(&answer);
        let mut last = None;
        while let Some(packet) = decoder.next_packet().unwrap() {
            assert!(!last.as_ref().is_some_and(is_error), "nothing follows an error: {bytes:?}");
            last = Some(packet);
        }
        decoder.finish().unwrap();
        if let Err(failure) = ended {
            assert!(failure.told && last.is_some(), "{failure}: {bytes:?}");
        }
    }
}

fn is_error(packet: &Packet) -> bool {
    match packet {
        Packet::Data(data) => data.starts_with(b"ERR ") || data.starts_with(b"\x03"),
        Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => false,
    }
}

#[tokio::test]
async fn any_bytes_are_answered() {
    for bytes in cases(proptest::collection::vec(any::<u8>(), 0..300), 300) {
        check(&bytes).await;
    }
}

#[tokio::test]
async fn requests_with_a_byte_changed_or_cut_off_are_answered() {
    let changes = (0..requests().len(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    for (which, at, byte, is_cut) in cases(changes, 1000) {
        let mut bytes = requests().swap_remove(which);
        let at = at.index(bytes.len());
        if is_cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        check(&bytes).await;
    }
}
