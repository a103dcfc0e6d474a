//! Clones that are whole and clones that are not; pushes that last and pushes that do not.

use std::collections::BTreeMap;

use super::*;
use crate::trace::{
    CLONER, Delivery, GitCall, GitObject, GitOutcome, GitSetting, GitUpdate, RefVerdict, Service,
};

/// Ids of commits that follow one another, each with a tree and a blob.
const COMMITS: [&str; 3] = ["c1", "c2", "c3"];

impl Trace {
    /// A trace in which the three commits were made.
    fn begin_with_history() -> Self {
        let mut trace = Trace::begin();
        trace.set(|setting| {
            setting.git = Some(GitSetting {
                answer_within_us: SECOND,
                pushes_min: 0,
                fetches_min: 0,
                swept_within_us: None,
            });
        });
        let mut objects = Vec::new();
        for (place, commit) in COMMITS.iter().enumerate() {
            let (tree, blob) = (format!("t{}", place + 1), format!("b{}", place + 1));
            let parents = COMMITS[..place].last().iter().map(|it| (**it).to_owned()).collect();
            objects.push(GitObject { id: (*commit).into(), parents, names: vec![tree.clone()] });
            objects.push(GitObject { id: tree, parents: vec![], names: vec![blob.clone()] });
            objects.push(GitObject { id: blob, parents: vec![], names: vec![] });
        }
        trace.add("g1", Event::GitMade { objects });
        trace
    }

    /// A request and its answer, a moment later.
    fn git(&mut self, client: &str, call: GitCall, outcome: GitOutcome) -> &mut Self {
        let (node, repository) = ("n1".to_owned(), "r".to_owned());
        self.ops += 1;
        let op = self.ops;
        self.add(client, Event::GitAsked { op, node, repository, call });
        self.add(client, Event::GitAnswered { op, outcome })
    }

    fn told_refs(&mut self, refs: &[(&str, &str)]) -> &mut Self {
        let refs = refs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned()));
        let outcome = GitOutcome::Refs { refs: refs.collect::<BTreeMap<_, _>>() };
        self.git("g2", GitCall::Refs { service: Service::Push }, outcome)
    }

    fn push(&mut self, old: Option<&str>, new: &str, outcome: GitOutcome) -> &mut Self {
        self.push_as(Delivery::Whole, old, new, outcome)
    }

    fn push_as(
        &mut self,
        delivery: Delivery,
        old: Option<&str>,
        new: &str,
        outcome: GitOutcome,
    ) -> &mut Self {
        let (old, new) = (old.map(str::to_owned), Some(new.to_owned()));
        let updates = vec![GitUpdate { name: "main".into(), old, new }];
        let call = GitCall::Push { atomic: false, updates, objects: vec![], delivery };
        self.git("g1", call, outcome)
    }

    fn fetch(
        &mut self,
        (wants, haves, depth): (&[&str], &[&str], Option<u32>),
        objects: &[&str],
        shallow: &[&str],
    ) -> &mut Self {
        let call = GitCall::Fetch { wants: text(wants), haves: text(haves), depth };
        let outcome = GitOutcome::Fetched { objects: text(objects), shallow: text(shallow) };
        self.git("g2", call, outcome)
    }

    #[track_caller]
    fn finds(&mut self, rules: &[&str]) -> String {
        self.end();
        let found = judge(&self.records);
        assert_eq!(found.iter().map(|it| it.rule).collect::<Vec<_>>(), rules, "{found:#?}");
        found.first().map_or(String::new(), |it| it.message.clone())
    }
}

fn acked_push() -> GitOutcome {
    GitOutcome::Pushed { verdicts: vec![RefVerdict::Applied] }
}

const ALL_OBJECTS: [&str; 9] = ["b1", "b2", "b3", "c1", "c2", "c3", "t1", "t2", "t3"];

#[test]
fn clones_and_fetches_that_bring_everything_are_whole() {
    let mut trace = Trace::begin_with_history();
    trace.fetch((&["c3"], &[], None), &ALL_OBJECTS, &[]);
    trace.fetch((&["c3"], &["c2"], None), &["b3", "c3", "t3"], &[]);
    trace.fetch((&["c3"], &[], Some(2)), &["b2", "b3", "c2", "c3", "t2", "t3"], &["c2"]);
    trace.finds(&[]);
}

#[test]
fn a_clone_that_lacks_an_object_is_found() {
    let mut trace = Trace::begin_with_history();
    let lacks = ["b1", "b2", "b3", "c1", "c2", "c3", "t1", "t3"];
    trace.fetch((&["c3"], &[], None), &lacks, &[]);
    assert!(trace.finds(&["I12 reachable"]).ends_with("t2 is missing, which c2 names"));
}

#[test]
fn a_fetch_that_lacks_what_the_client_has_not_is_found() {
    let mut trace = Trace::begin_with_history();
    trace.fetch((&["c3"], &["c1"], None), &["b3", "c3", "t3"], &[]);
    trace.finds(&["I12 reachable"]);
}

#[test]
fn bytes_that_nobody_made_are_found() {
    let mut trace = Trace::begin_with_history();
    trace.fetch((&["c1"], &[], None), &["b1", "c1", "t1", "b9"], &[]);
    assert!(trace.finds(&["I12 reachable"]).ends_with("b9 has bytes that nobody made"));
}

#[test]
fn history_that_is_cut_too_early_is_found() {
    let mut trace = Trace::begin_with_history();
    trace.fetch((&["c3"], &[], Some(2)), &["b3", "c3", "t3"], &["c3"]);
    trace.finds(&["I12 reachable"]);
    let mut trace = Trace::begin_with_history();
    trace.fetch((&["c3"], &[], None), &["b3", "c3", "t3"], &["c3"]);
    trace.finds(&["I12 reachable"]);
}

#[test]
fn refs_that_follow_pushes_are_in_order() {
    let mut trace = Trace::begin_with_history();
    trace.told_refs(&[]).push(None, "c1", acked_push()).told_refs(&[("main", "c1")]);
    trace.push(Some("c1"), "c2", GitOutcome::Unknown { error: "gone".into() });
    trace.told_refs(&[("main", "c1")]).told_refs(&[("main", "c2")]);
    let moved = GitOutcome::Pushed { verdicts: vec![RefVerdict::Moved] };
    trace.push(Some("c1"), "c3", moved).told_refs(&[("main", "c2")]);
    trace.finds(&[]);
}

#[test]
fn an_acknowledged_push_that_is_not_told_is_lost() {
    let mut trace = Trace::begin_with_history();
    trace.told_refs(&[]).push(None, "c1", acked_push()).push(Some("c1"), "c2", acked_push());
    trace.told_refs(&[("main", "c1")]);
    trace.finds(&["I10 linearizable", "I13 pushed"]);
}

#[test]
fn a_refused_push_that_was_done_is_found() {
    let mut trace = Trace::begin_with_history();
    trace.told_refs(&[]).push(None, "c1", acked_push());
    trace.push(Some("c1"), "c2", GitOutcome::NotDone { error: "no quorum".into() });
    trace.told_refs(&[("main", "c2")]);
    trace.finds(&["I10 linearizable", "I13 pushed"]);
}

#[test]
fn a_push_that_lacked_an_object_must_not_be_acknowledged() {
    let mut trace = Trace::begin_with_history();
    trace.told_refs(&[]).push_as(Delivery::Incomplete, None, "c1", acked_push());
    trace.finds(&["I13 pushed"]);
}

#[test]
fn a_repository_that_cannot_be_cloned_when_the_faults_are_over_is_lost() {
    let mut trace = Trace::begin_with_history();
    let call = GitCall::Fetch { wants: text(&["c1"]), haves: vec![], depth: None };
    let failed = || GitOutcome::Unknown { error: "a chunk is lost".into() };
    trace.git(CLONER, call.clone(), failed());
    let all = ["b1", "c1", "t1"];
    let fetched = GitOutcome::Fetched { objects: text(&all), shallow: vec![] };
    trace.git(CLONER, call.clone(), fetched).finds(&[]);
    let mut trace = Trace::begin_with_history();
    trace.git(CLONER, call, failed()).finds(&["I13 pushed"]);
}

#[test]
fn a_node_that_can_be_reached_answers() {
    let mut trace = Trace::begin_with_history();
    trace.told_refs(&[]).push(None, "c1", GitOutcome::TimedOut);
    trace.finds(&["git.answer_within"]);
}

#[test]
fn too_little_done_is_found() {
    let mut trace = Trace::begin_with_history();
    trace.set(|setting| {
        let git = setting.git.as_mut().expect("there is one");
        (git.pushes_min, git.fetches_min) = (2, 1);
    });
    trace.told_refs(&[]).push(None, "c1", acked_push());
    trace.finds(&["git.pushes_min", "git.fetches_min"]);
}

#[test]
fn a_node_whose_disk_was_replaced_need_not_give_clones_and_others_do() {
    let refused = || GitOutcome::NotDone { error: "no member".into() };
    let clone = || GitCall::Refs { service: Service::Fetch };
    let mut trace = Trace::begin_with_history();
    trace.add("n1", Event::DiskReplaced).git(CLONER, clone(), refused());
    trace.end();
    assert_eq!(judge(&trace.records), []);

    let mut trace = Trace::begin_with_history();
    trace.add("n2", Event::DiskReplaced).git(CLONER, clone(), refused());
    trace.end();
    let found = judge(&trace.records);
    assert_eq!((found.len(), found[0].rule), (1, "I13 pushed"), "{found:?}");
}
