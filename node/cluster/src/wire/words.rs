//! String sanitizing.
//!
//! Words that came over the wire, made fit for a log and for a terminal.
//!
//! Peers' reasons and names are shown to people: in errors, in `status`, in the log. What came is
//! anything; a line break in it would be taken for a line of ours, and an escape sequence would
//! be obeyed by the terminal. Here is the one place where both are taken out.
//!
//! Invariant: nothing that a peer wrote goes into an error or out of [`crate::rpc`]
//! without passing here, or a check of names.

use gitstratum_core::limits::WORDS_BYTES_MAX;
use gitstratum_proto::v1;

/// The words with everything escaped that moves a cursor, or hides or turns what stands beside
/// it; at most `limits::WORDS_BYTES_MAX` bytes of them.
pub fn words(raw: &str) -> String {
    let mut clean = String::new();
    for (at, character) in raw.char_indices() {
        if clean.len() >= WORDS_BYTES_MAX {
            clean.push_str(&format!("... and {} bytes more", raw.len() - at));
            break;
        }
        match is_plain(character) {
            true => clean.push(character),
            false => clean.extend(character.escape_default()),
        }
    }
    clean
}

fn is_plain(character: char) -> bool {
    let invisible = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !invisible
}

fn clean(raw: &mut String) {
    if raw.len() > WORDS_BYTES_MAX || !raw.chars().all(is_plain) {
        *raw = words(raw);
    }
}

/// Makes all that a node says of itself fit to be shown. Most messages are taken apart to their
/// last field, so that one that is added is not forgotten here.
pub fn clean_status(status: &mut v1::StatusResponse) {
    let v1::StatusResponse {
        node_id,
        boot_id: _,
        layout_version: _,
        uptime_ms: _,
        software_version,
        store,
        peers,
        pool,
        hints,
        reconcile,
        scrub,
        cluster_id,
        jobs,
        metrics,
        features_off,
    } = status;
    jobs.iter_mut().for_each(clean_job);
    clean(node_id);
    clean(cluster_id);
    clean(software_version);
    for v1::FeatureOff { feature, nodes } in features_off {
        clean(feature);
        for v1::LackingNode { node_id, version } in nodes {
            [node_id].into_iter().chain(version).for_each(clean);
        }
    }
    if let Some(store) = store {
        clean_store(store);
    }
    for v1::PeerStatus { node_id, address, reachable: _, error, round_trip_us: _ } in peers {
        [node_id, address, error].into_iter().for_each(clean);
    }
    if let Some(pool) = pool {
        clean_pool(pool);
    }
    if let Some(hints) = hints {
        clean_hints(hints);
    }
    if let Some(v1::ReconcileStatus { catching_up: _, peers, off: _, absence_unproven: _ }) =
        reconcile
    {
        for peer in peers {
            [&mut peer.node_id, &mut peer.last_error].into_iter().for_each(clean);
        }
    }
    if let Some(scrub) = scrub {
        clean_scrub(scrub);
    }
    if let Some(v1::Metrics { words, samples: _ }) = metrics {
        words.iter_mut().for_each(clean);
    }
}

fn clean_store(store: &mut v1::StoreStatus) {
    let v1::StoreStatus { failed, puts_refused, puts_refused_for_ms: _, lost } = store;
    [failed, puts_refused].into_iter().for_each(clean);
    lost.iter_mut().for_each(clean);
}

fn clean_pool(pool: &mut v1::PoolStatus) {
    for v1::PoolPeer { node_id, address, connections: _, backing_off } in &mut pool.peers {
        [node_id, address, backing_off].into_iter().for_each(clean);
    }
}

fn clean_hints(hints: &mut v1::HintStatus) {
    let v1::HintStatus { dirty, targets, targets_total: _, oldest } = hints;
    dirty.iter_mut().for_each(|range| clean(&mut range.node_id));
    for v1::HintTarget { node_id, pending: _, oldest_age_ms: _, last_error, eta_ms: _ } in targets {
        [node_id, last_error].into_iter().for_each(clean);
    }
    for v1::Missed { node_id, id: _, reason, class: _ } in oldest {
        [node_id, reason].into_iter().for_each(clean);
    }
}

/// Makes what a node says of a job fit to be shown.
pub fn clean_job(job: &mut v1::JobStatus) {
    let v1::JobStatus {
        job,
        state: _,
        done_permille: _,
        bytes_per_second: _,
        bytes_per_second_max: _,
        eta_ms: _,
        next_in_ms: _,
        last_error,
    } = job;
    [job, last_error].into_iter().for_each(clean);
}

/// Makes what a node says of its scrub fit to be shown.
fn clean_scrub(scrub: &mut v1::ScrubStatus) {
    let v1::ScrubStatus { interval_ms: _, present: _, last: _, damaged } = scrub;
    damaged.iter_mut().for_each(|damaged| clean(&mut damaged.reason));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_turns_the_line_is_shown_and_not_done() {
        assert_eq!(words("disk full: 3 of 4 — größer"), "disk full: 3 of 4 — größer");
        assert_eq!(
            words("a\nnode n2 ok\r\x1b[2J\u{9b}31m\t"),
            "a\\nnode n2 ok\\r\\u{1b}[2J\\u{9b}31m\\t"
        );
        assert_eq!(words("ab\u{202e}dc\u{2028}\u{feff}"), "ab\\u{202e}dc\\u{2028}\\u{feff}");
    }

    #[test]
    fn words_are_bounded_wherever_a_character_ends() {
        let most = "ü".repeat(WORDS_BYTES_MAX);
        let cut = words(&most);
        let rest = format!("... and {} bytes more", most.len() - WORDS_BYTES_MAX);
        assert_eq!(cut, "ü".repeat(WORDS_BYTES_MAX / 2) + &rest);
        assert!(words(&"\u{1b}".repeat(1 << 20)).len() < WORDS_BYTES_MAX + 40);
    }

    #[test]
    fn no_error_of_a_peer_has_its_raw_words() {
        let after = std::time::Duration::from_secs(1);
        let raw = "disk\x1b[31m\nfull";
        let failure = |kind: v1::FailureKind| {
            let (kind, message) = (kind.into(), raw.to_owned());
            v1::Failure { kind, message, layout_version: 1 }
        };
        let details = |kind| prost::Message::encode_to_vec(&failure(kind)).into();
        let kinds = (0..=20).filter_map(|kind| v1::FailureKind::try_from(kind).ok());
        for kind in kinds {
            let status = tonic::Status::with_details(tonic::Code::Internal, raw, details(kind));
            let shown = super::super::status::node_error_of(&status, "a:1", after).to_string();
            assert!(shown.chars().all(is_plain), "{kind:?}: {shown:?}");
            let id = gitstratum_core::object::ObjectId::from_bytes(&[7; 20]).unwrap();
            let shown = super::super::status::store_error_of(failure(kind), id).to_string();
            assert!(shown.chars().all(is_plain), "{kind:?}: {shown:?}");
        }
        for code in 1..=16 {
            let status = tonic::Status::new(tonic::Code::from(code), raw);
            let shown = super::super::status::node_error_of(&status, "a:1", after).to_string();
            assert!(shown.chars().all(is_plain), "{code}: {shown:?}");
        }
    }

    #[test]
    fn all_that_a_node_says_of_itself_is_cleaned() {
        let raw = || "x\x1b[31m\ny".to_owned();
        let mut status = v1::StatusResponse {
            node_id: raw(),
            software_version: raw(),
            features_off: vec![v1::FeatureOff {
                feature: raw(),
                nodes: vec![v1::LackingNode { node_id: raw(), version: Some(raw()) }],
            }],
            store: Some(v1::StoreStatus { failed: raw(), ..Default::default() }),
            peers: vec![v1::PeerStatus {
                node_id: raw(),
                address: raw(),
                error: raw(),
                ..Default::default()
            }],
            pool: Some(v1::PoolStatus {
                peers: vec![v1::PoolPeer {
                    node_id: raw(),
                    address: raw(),
                    backing_off: raw(),
                    ..Default::default()
                }],
            }),
            hints: Some(v1::HintStatus {
                dirty: vec![v1::DirtyRange { node_id: raw(), ..Default::default() }],
                targets: vec![v1::HintTarget {
                    node_id: raw(),
                    last_error: raw(),
                    ..Default::default()
                }],
                oldest: vec![v1::Missed { node_id: raw(), reason: raw(), ..Default::default() }],
                ..Default::default()
            }),
            metrics: Some(v1::Metrics { words: vec![raw(), raw()], samples: Vec::new() }),
            reconcile: Some(v1::ReconcileStatus {
                peers: vec![v1::ReconcilePeer {
                    node_id: raw(),
                    last_error: raw(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            jobs: vec![v1::JobStatus { job: raw(), last_error: raw(), ..Default::default() }],
            scrub: Some(v1::ScrubStatus {
                damaged: vec![v1::DamagedObject { reason: raw(), ..Default::default() }],
                ..Default::default()
            }),
            ..Default::default()
        };
        let before = format!("{status:?}").matches("\\u{1b}").count();
        clean_status(&mut status);
        let after = format!("{status:?}");
        // Debug output escapes once; what was escaped here is escaped twice there.
        assert_eq!(after.matches("\\\\u{1b}[31m\\\\ny").count(), before);
        assert_eq!(before, 24);
    }
}
