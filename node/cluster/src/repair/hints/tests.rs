//! What a log of hints holds through restarts, damage and bounds. Crashes at every operation
//! of the disk are in the testbed, which has such a disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_core::placement::{Layout, Member, Placement};
use gitstratum_core::replica::{Missed, Recorded};
use gitstratum_host::Disk;
use gitstratum_host::disk::{OpenMode, Scratch};

use super::*;

fn node(name: &str) -> NodeId {
    NodeId::new(name)
}

fn id(text: &str) -> ObjectId {
    let data = Bytes::from(text.to_owned());
    Object::hash(HashAlgorithm::Sha1, Kind::Blob, data).unwrap().id()
}

fn missed(target: &str, text: &str) -> Missed {
    let class = ReasonClass::TimedOut;
    Missed { node_id: node(target), id: id(text), class, reason: "late".into() }
}

/// A disk whose root is there, as it is once the store was opened.
async fn scratch() -> Scratch {
    let scratch = gitstratum_host::disk::scratch();
    scratch.disk.create_dir_all("").await.unwrap();
    scratch
}

async fn open(disk: &Disk) -> Arc<HintLog> {
    open_with(disk, HintOptions::default()).await
}

async fn open_with(disk: &Disk, options: HintOptions) -> Arc<HintLog> {
    HintLog::open(disk, options, &[node("n2"), node("n3")]).await.unwrap()
}

/// Targets and ids held, by target and age.
fn held(log: &Arc<HintLog>) -> Vec<(String, ObjectId)> {
    let targets = log.targets().into_iter();
    targets
        .flat_map(|target| log.oldest(&target, usize::MAX))
        .map(|hint| (hint.target.to_string(), hint.id))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, ObjectId)> {
    expected.iter().map(|(target, text)| ((*target).to_owned(), id(text))).collect()
}

/// The dirty ranges, as words.
fn dirty(log: &Arc<HintLog>) -> Vec<String> {
    let ranges = DirtyRanges::of(log).list().into_iter();
    ranges.map(|range| format!("{} {}", range.target, range.prefix)).collect()
}

async fn contents(disk: &Disk) -> Bytes {
    disk.read_whole(FILE).await.unwrap()
}

async fn overwrite(disk: &Disk, path: &str, contents: &[u8]) {
    disk.replace(path, Bytes::copy_from_slice(contents)).await.unwrap();
}

/// What the counts say adds up, whatever was done before.
#[track_caller]
fn assert_accounted(log: &Arc<HintLog>) {
    let numbers = log.numbers();
    assert_eq!(numbers.recorded, numbers.pending + numbers.settled.sum());
    assert_eq!(numbers.pending, held(log).len() as u64);
}

#[tokio::test]
async fn hints_are_held_once_each_in_the_order_of_age_also_after_reopening() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let first = vec![missed("n2", "b"), missed("n3", "b"), missed("n2", "a")];
    let recorded = log.record(first.clone(), 7).await.unwrap();
    assert_eq!(recorded, Recorded { new: 3, ..Recorded::default() });
    let again = [first.clone(), vec![missed("n4", "a"); 2]].concat();
    let recorded = log.record(again, 7).await.unwrap();
    assert_eq!(recorded, Recorded { new: 1, already: 4, moved_to_ranges: 0 });
    let expected = pairs(&[("n2", "b"), ("n2", "a"), ("n3", "b"), ("n4", "a")]);
    assert_eq!(held(&log), expected);
    let hints = log.oldest(&node("n2"), 1);
    drop(log);
    let log = open(&scratch.disk).await;
    assert_eq!(held(&log), expected);
    assert_eq!(log.oldest(&node("n2"), 1), hints, "with their times, layouts and reasons");
    assert_eq!((hints[0].layout_version, hints[0].class), (7, ReasonClass::TimedOut));
    assert_accounted(&log);
}

#[tokio::test]
async fn settled_hints_stay_settled_and_are_counted_by_outcome() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let all = ["a", "b", "c", "d"].map(|text| missed("n2", text));
    log.record(all.into(), 0).await.unwrap();
    let outcomes = vec![(id("a"), Outcome::Delivered), (id("b"), Outcome::Deleted)];
    log.settle(&node("n2"), outcomes.clone()).await.unwrap();
    log.settle(&node("n2"), outcomes).await.unwrap();
    log.settle(&node("n2"), vec![(id("c"), Outcome::MovedToRanges)]).await.unwrap();
    for log in [log, open(&scratch.disk).await] {
        assert_eq!(held(&log), pairs(&[("n2", "d")]));
        let settled = Settled { delivered: 1, deleted: 1, replaced: 0, moved_to_ranges: 1 };
        assert_eq!(log.numbers().settled, settled, "nothing is settled twice");
        assert_eq!(dirty(&log), [format!("n2 {}", IdPrefix::of(&id("c")))]);
        assert_eq!(log.numbers().recorded, 4);
        assert_accounted(&log);
    }
}

#[tokio::test]
async fn a_replaced_hint_leaves_one_for_each_present_replica() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    log.record(vec![missed("n2", "a"), missed("n3", "a")], 0).await.unwrap();
    let hint = log.oldest(&node("n2"), 1).remove(0);
    let replacement = vec![(hint, vec![node("n3"), node("n4")])];
    log.replace(replacement.clone()).await.unwrap();
    log.replace(replacement).await.unwrap();
    for log in [log, open(&scratch.disk).await] {
        assert_eq!(held(&log), pairs(&[("n3", "a"), ("n4", "a")]));
        assert_eq!((log.numbers().settled.replaced, log.numbers().recorded), (1, 3));
        assert_accounted(&log);
    }
}

#[tokio::test]
async fn past_the_bound_ranges_are_dirty_durably_and_nothing_is_dropped_in_silence() {
    let scratch = scratch().await;
    let options = HintOptions { bytes_max: 200, ..HintOptions::default() };
    let log = open_with(&scratch.disk, options.clone()).await;
    let texts: Vec<String> = (0..20).map(|n| format!("object {n}")).collect();
    let report: Vec<_> = texts.iter().map(|text| missed("n2", text)).collect();
    let recorded = log.record(report, 0).await.unwrap();
    assert_eq!((recorded.new + recorded.moved_to_ranges, recorded.already), (20, 0));
    assert!(recorded.new > 0 && recorded.moved_to_ranges > 0, "{recorded:?}");
    for log in [log, open_with(&scratch.disk, options).await] {
        assert!(log.numbers().bytes <= 200);
        let ranges = DirtyRanges::of(&log).list();
        for text in &texts {
            let id = id(text);
            let is_held = held(&log).contains(&("n2".to_owned(), id));
            let is_dirty = ranges.iter().any(|range| range.prefix.contains(&id));
            assert!(is_held || is_dirty, "{text} is forgotten");
        }
        assert_eq!(log.numbers().settled.moved_to_ranges, recorded.moved_to_ranges);
        assert_eq!(log.numbers().recorded, 20);
        assert_accounted(&log);
    }
}

#[tokio::test]
async fn a_hint_that_is_too_old_becomes_a_dirty_range() {
    let scratch = scratch().await;
    let age_max = Duration::from_secs(60);
    let log = open_with(&scratch.disk, HintOptions { age_max, ..HintOptions::default() }).await;
    log.record(vec![missed("n2", "a")], 0).await.unwrap();
    let recorded_at_ms = log.oldest(&node("n2"), 1)[0].recorded_at_ms;
    assert_eq!(log.expire(recorded_at_ms + 60_000).await.unwrap(), 0);
    assert_eq!(log.expire(0).await.unwrap(), 0, "a clock that went back makes nothing old");
    assert_eq!(log.expire(recorded_at_ms + 60_001).await.unwrap(), 1);
    let log = open(&scratch.disk).await;
    assert_eq!(held(&log), []);
    assert_eq!(dirty(&log), [format!("n2 {}", IdPrefix::of(&id("a")))]);
    assert_accounted(&log);
}

#[tokio::test]
async fn a_range_that_was_marked_again_since_it_was_listed_stays_dirty() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let ranges = DirtyRanges::of(&log);
    let (n2, byte) = (node("n2"), IdPrefix::Byte(7));
    ranges.mark(&n2, byte).await.unwrap();
    let listed = ranges.list().remove(0);
    ranges.mark(&n2, byte).await.unwrap();
    assert_eq!(ranges.clear(&[listed]).await.unwrap(), 0);
    assert_eq!(dirty(&open(&scratch.disk).await), ["n2 07*"]);
    assert_eq!(ranges.clear(&ranges.list()).await.unwrap(), 1);
    assert_eq!(dirty(&open(&scratch.disk).await), Vec::<String>::new());
    ranges.mark(&n2, byte).await.unwrap();
    ranges.mark(&n2, IdPrefix::All).await.unwrap();
    let all = ranges.list().remove(0);
    ranges.mark(&n2, byte).await.unwrap();
    assert_eq!(dirty(&log), ["n2 *"], "all of them says it");
    assert_eq!(ranges.clear(&[all]).await.unwrap(), 0, "and part of it was marked since");
}

#[tokio::test]
async fn the_file_does_not_outgrow_what_is_held() {
    let scratch = scratch().await;
    let options = HintOptions { slack_bytes: 1000, ..HintOptions::default() };
    let log = open_with(&scratch.disk, options.clone()).await;
    log.record(vec![missed("n3", "stays")], 0).await.unwrap();
    for n in 0..200 {
        let text = format!("object {n}");
        log.record(vec![missed("n2", &text)], 0).await.unwrap();
        log.settle(&node("n2"), vec![(id(&text), Outcome::Delivered)]).await.unwrap();
        assert!(contents(&scratch.disk).await.len() < 1500);
    }
    let log = open_with(&scratch.disk, options).await;
    assert_eq!(held(&log), pairs(&[("n3", "stays")]));
    assert_eq!((log.numbers().settled.delivered, log.numbers().recorded), (200, 201));
}

/// The file with one hint, and with a second.
async fn two_frames(disk: &Disk) -> (Bytes, Bytes) {
    let log = open(disk).await;
    log.record(vec![missed("n2", "a")], 0).await.unwrap();
    let whole = contents(disk).await;
    log.record(vec![missed("n3", "b"), missed("n3", "c")], 0).await.unwrap();
    (whole, contents(disk).await)
}

#[tokio::test]
async fn an_append_torn_at_any_byte_costs_only_itself_and_is_not_kept_silent() {
    let scratch = scratch().await;
    let (whole, both) = two_frames(&scratch.disk).await;
    for cut in whole.len()..both.len() {
        overwrite(&scratch.disk, FILE, &both[..cut]).await;
        let log = open(&scratch.disk).await;
        assert_eq!(held(&log), pairs(&[("n2", "a")]), "cut at {cut}");
        let torn = cut > whole.len();
        assert_eq!(dirty(&log).len(), if torn { 2 } else { 0 }, "cut at {cut}");
        log.record(vec![missed("n2", "d")], 0).await.unwrap();
        let log = open(&scratch.disk).await;
        assert_eq!(held(&log), pairs(&[("n2", "a"), ("n2", "d")]), "cut at {cut}");
        assert_eq!(dirty(&log).len(), if torn { 2 } else { 0 }, "kept, cut at {cut}");
    }
}

#[tokio::test]
async fn a_flipped_bit_forgets_no_hint_and_makes_none_up() {
    let scratch = scratch().await;
    let (_, both) = two_frames(&scratch.disk).await;
    let expected = pairs(&[("n2", "a"), ("n3", "b"), ("n3", "c")]);
    let mut refused = 0;
    for byte in 0..both.len() {
        // One bit of each byte: the real disk syncs every file that is written here.
        let bit = byte * 8 + byte % 8;
        let mut flipped = both.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        overwrite(&scratch.disk, FILE, &flipped).await;
        let opened = HintLog::open(&scratch.disk, HintOptions::default(), &[node("n3")]).await;
        let log = match opened {
            Ok(log) => log,
            Err(HintError::Newer(_)) => {
                refused += 1;
                continue;
            }
            Err(error) => panic!("bit {bit}: {error}"),
        };
        let held = held(&log);
        assert!(held.iter().all(|hint| expected.contains(hint)), "bit {bit}: made up");
        // n2 is known by its hint alone, which may be what was lost.
        let lost: Vec<_> = expected
            .iter()
            .filter(|(node, _)| node == "n3")
            .filter(|h| !held.contains(h))
            .collect();
        let all_dirty = dirty(&log).contains(&"n3 *".to_owned());
        assert!(lost.is_empty() || all_dirty, "bit {bit}: {lost:?} lost in silence");
        assert!(held.len() == expected.len() || all_dirty, "bit {bit}");
    }
    assert!(refused < 3, "only the version in the header is not read: {refused}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let scratch = scratch().await;
    overwrite(&scratch.disk, FILE, b"gitstratum hints 2\nwhatever").await;
    let opened = HintLog::open(&scratch.disk, HintOptions::default(), &[]).await;
    let said = opened.err().unwrap().to_string();
    assert!(
        said.starts_with("hints.log has format 2, and this program reads formats up to 1"),
        "{said}"
    );
    assert_eq!(contents(&scratch.disk).await, b"gitstratum hints 2\nwhatever".as_slice());
}

fn line(target: &str, text: &str) -> String {
    let body = format!("{target} {} refused", id(text));
    format!("{:08x} {body}\n", crc32c::crc32c(body.as_bytes()))
}

#[tokio::test]
async fn the_record_of_an_earlier_version_is_taken_over_once() {
    let scratch = scratch().await;
    let torn = line("n2", "torn");
    let old = line("n2", "a") + &line("n3", "b") + &torn[..torn.len() - 3];
    overwrite(&scratch.disk, "missed.log", old.as_bytes()).await;
    let log = open(&scratch.disk).await;
    assert_eq!(held(&log), pairs(&[("n2", "a"), ("n3", "b")]));
    assert!(!scratch.disk.exists("missed.log").await.unwrap());
    // As after a crash between the two steps.
    overwrite(&scratch.disk, "missed.log", old.as_bytes()).await;
    let log = open(&scratch.disk).await;
    assert_eq!(held(&log), pairs(&[("n2", "a"), ("n3", "b")]));
    assert_eq!(log.numbers().recorded, 2);
    assert!(!scratch.disk.exists("missed.log").await.unwrap());
}

#[tokio::test]
async fn a_reporter_that_goes_away_loses_no_hint() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    {
        let mut recording = std::pin::pin!(log.record(vec![missed("n2", "a")], 0));
        assert!(futures_util::poll!(&mut recording).is_pending());
    }
    log.record(vec![missed("n3", "b")], 0).await.unwrap();
    assert_eq!(held(&open(&scratch.disk).await), pairs(&[("n2", "a"), ("n3", "b")]));
}

#[tokio::test]
async fn reports_that_wait_for_one_another_are_each_answered_for_their_own() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let reports = (0..40).map(|n| log.record(vec![missed("n2", &format!("{}", n / 2))], 0));
    let recorded = futures_util::future::join_all(reports).await;
    let sum = recorded.into_iter().fold(Recorded::default(), |mut sum, recorded| {
        sum += recorded.unwrap();
        sum
    });
    assert_eq!(sum, Recorded { new: 20, already: 20, moved_to_ranges: 0 });
    assert_eq!(held(&open(&scratch.disk).await).len(), 20);
}

#[tokio::test]
async fn leftovers_of_a_replacement_are_in_nobody_s_way() {
    let scratch = scratch().await;
    overwrite(&scratch.disk, "hints.log.tmp", b"half of").await;
    let file = scratch.disk.open("hints.log.tmp", OpenMode::Read).await;
    assert!(file.is_ok());
    let log = open(&scratch.disk).await;
    log.record(vec![missed("n2", "a")], 0).await.unwrap();
    assert_eq!(held(&open(&scratch.disk).await), pairs(&[("n2", "a")]));
}

/// Three members, all of them replicas of everything, in version `version`.
fn placement(version: u64) -> Placement {
    let member =
        |id: &str| Member::active(node(id), format!("{id}.example:7400"), "z".to_owned(), 1);
    let members = ["n1", "n2", "n3"].map(member);
    let layout = Layout { version, ..Layout::first((3, 2, 2), members.into()) };
    Placement::new(Arc::new(layout.validated().unwrap()))
}

#[tokio::test]
async fn an_old_log_with_hints_for_names_that_no_layout_has_keeps_them_for_present_replicas() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let strangers: Vec<_> =
        (0..500).map(|n| missed(&format!("stranger-{n}"), &format!("{}", n % 50))).collect();
    log.record(strangers, u64::MAX).await.unwrap();
    log.record(vec![missed("n2", "ours")], 1).await.unwrap();
    drop(log);
    let log = open(&scratch.disk).await;
    assert_eq!(log.targets().len(), 501);
    log.keep_to(&placement(1), &node("n1")).await;
    for log in [log, open(&scratch.disk).await] {
        assert_eq!(log.targets(), [node("n2"), node("n3")]);
        let numbers = log.numbers();
        assert_eq!((numbers.pending, numbers.settled.replaced), (1 + 2 * 50, 500));
        assert_accounted(&log);
    }
}

#[tokio::test]
async fn the_bound_of_hints_holds_for_those_that_are_found_at_the_start() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let all: Vec<_> = (0..100).map(|n| missed("n2", &n.to_string())).collect();
    log.record(all, 1).await.unwrap();
    let bytes = log.numbers().bytes;
    let oldest = log.oldest(&node("n2"), 10);
    drop(log);
    let options = HintOptions { bytes_max: bytes / 10, ..HintOptions::default() };
    let log = open_with(&scratch.disk, options).await;
    log.keep_to(&placement(1), &node("n1")).await;
    for log in [log, open(&scratch.disk).await] {
        let numbers = log.numbers();
        assert_eq!((numbers.pending, numbers.settled.moved_to_ranges), (10, 90));
        assert_eq!(log.oldest(&node("n2"), 100), oldest, "the newest become ranges");
        assert!(numbers.dirty_ranges > 0 && numbers.bytes <= bytes / 10);
        assert_accounted(&log);
    }
    // What takes an old hint's place finds no more room than there is.
    let log =
        open_with(&scratch.disk, HintOptions { bytes_max: 1, ..HintOptions::default() }).await;
    let replaced = vec![(log.oldest(&node("n2"), 1).remove(0), vec![node("n3")])];
    log.replace(replaced).await.unwrap();
    assert_eq!(log.targets(), [node("n2")]);
    assert_accounted(&log);
}

#[tokio::test]
async fn the_nodes_of_the_oldest_hints_are_listed_and_all_are_counted() {
    let scratch = scratch().await;
    let log = open(&scratch.disk).await;
    let all: Vec<_> = (0..300).map(|n| missed(&format!("n{n:03}"), "a")).collect();
    log.record(all, 1).await.unwrap();
    let lists = log.lists();
    assert_eq!((lists.targets.len(), lists.targets_total), (256, 300));
    assert!(lists.targets.is_sorted_by_key(|target| target.node_id.clone()));
}
