//! What the page says of clusters that are well, lack a node, are being filled; and what nobody can put
//! into it.

use std::time::Duration;

use gitstratum_catalog::command::{CreateRepository, Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::entity::{Pack, RepositoryLimits};
use gitstratum_catalog::ids::{ClientId, PackId, RepositoryId};
use gitstratum_catalog::{Command, Operation, Reply, Request, State};
use gitstratum_cluster::wire::metrics::metrics_to_wire;
use gitstratum_core::metrics::{Sample, Samples};
use gitstratum_core::object::HashAlgorithm;
use gitstratum_core::placement::{Layout, Member, NodeId};
use gitstratum_proto::v1::{
    FeatureOff, HintStatus, HintTarget, LackingNode, PeerStatus, ReconcilePeer, ReconcileProgress,
    ReconcileStatus, StatusResponse, StoreStatus,
};

use super::finding::{Judgement, Weight};
use super::overview::{CatalogReport, NodeReport, Said, Silence};
use super::repositories::Row;
use super::*;
use crate::monitor::history::{Asked as AskedFor, ErrorClass, Hour};

const DAY_S: f64 = 86_400.0;
const NOW_MS: u64 = 1_900_000_000_000;

fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Sample { name: format!("gitstratum_{name}"), labels: labels.collect(), value }
}

/// What a node says that has nothing to complain of.
fn said(node: &str) -> Said {
    let status = StatusResponse {
        node_id: node.to_owned(),
        layout_version: 1,
        uptime_ms: 90_000,
        software_version: "1.2.3".to_owned(),
        metrics: Some(Default::default()),
        ..Default::default()
    };
    let metrics = vec![
        sample("store_objects", &[], 1234.0),
        sample("catalog_member", &[], 1.0),
        sample("ready", &[("check", "store")], 1.0),
    ];
    Said { status, metrics: Samples(metrics) }
}

/// Three nodes of which all is well.
fn healthy() -> Overview {
    let members = (1..=3).map(|n| {
        let id = NodeId::new(format!("n{n}"));
        Member::active(id, format!("127.0.0.1:740{n}"), format!("z{n}"), 1)
    });
    let layout = Arc::new(Layout::first((3, 2, 2), members.collect()));
    let report = |member: &Member| NodeReport {
        member: member.clone(),
        said: Ok(said(member.node_id.as_str())),
    };
    let nodes = layout.members.iter().map(report).collect();
    let voters = (1..=3).map(|n| format!("n{n}")).collect();
    let catalog = CatalogReport { trouble: None, leader: Some("n2".to_owned()), term: 4, voters };
    Overview {
        node: NodeId::new("n1"),
        at_ms: NOW_MS,
        layout,
        nodes,
        catalog: Some(catalog),
        hour: Hour::default(),
    }
}

impl Overview {
    /// Has a node say nothing.
    fn silence(&mut self, at: usize) {
        let reason = "connection refused".to_owned();
        let heard_ago = Some(Duration::from_secs(240));
        self.nodes[at].said = Err(Silence { reason, heard_ago });
    }

    /// As it comes over the wire, numbers and all.
    fn told(mut self) -> Self {
        for said in self.nodes.iter_mut().filter_map(|node| node.said.as_mut().ok()) {
            said.status.metrics = Some(metrics_to_wire(&said.metrics));
        }
        self
    }

    fn said_by(&mut self, at: usize) -> &mut Said {
        self.nodes[at].said.as_mut().unwrap()
    }
}

/// The page, with this list of repositories.
fn html(seen: &Overview, asked: &Asked, listing: &Listing) -> String {
    Shown { seen, asked, listing: Some(listing) }.document().into_string()
}

fn page(seen: &Overview) -> String {
    html(seen, &Asked { refreshes: true, ..Asked::default() }, &Listing::default())
}

fn has_all(page: &str, words: &[&str]) {
    let shown = page.split("</style>").nth(1).unwrap();
    for words in words {
        assert!(page.contains(words), "{words:?} is not in {shown}");
    }
}

#[test]
fn of_a_cluster_that_is_well_it_says_so_in_one_sentence_and_nothing_else_above_it() {
    let seen = healthy();
    let judgement = Judgement::of(&seen);
    assert_eq!((judgement.weight, judgement.findings.len()), (None, 0), "{judgement:?}");
    let page = page(&seen);
    has_all(
        &page,
        &[
            "<title>Well · n1 · GitStratum</title>",
            "All is well: all 3 nodes answer, n2 leads, and nothing is known to lack a replica.",
            "3 of 3",
            "leads in term 4",
            "2030-03-17 17:46:40 UTC",
            "<meta http-equiv=\"refresh\" content=\"15\">",
            "up for 90 s",
            "1,234",
        ],
    );
    assert!(!page.contains("<details>") && !page.contains("does not answer"), "{page}");
    // Nothing of it is anywhere else, and no script is in it.
    for elsewhere in ["http://", "https://", "//", "src=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn a_node_that_is_down_is_named_with_since_when_why_and_what_to_do() {
    let mut seen = healthy();
    seen.silence(2);
    let judgement = Judgement::of(&seen);
    assert_eq!(judgement.weight, Some(Weight::Warning));
    has_all(
        &page(&seen),
        &[
            "Clients are served, and somebody should look: n3 does not answer.",
            "n3 does not answer: heard of 4 min ago; connection refused.",
            "2 of 3",
            "What to do: GitStratumDown",
            "Never start an old copy of its disk.",
        ],
    );
    // Of three with two copies each to write and to read, two that are down are too many.
    seen.silence(1);
    seen.catalog.as_mut().unwrap().trouble = Some("it heard of no leader".to_owned());
    let judgement = Judgement::of(&seen);
    assert_eq!(judgement.weight, Some(Weight::Critical));
    assert!(
        judgement.sentence.starts_with("Clients are affected: 2 of 3 nodes do not answer (n2, n3)")
    );
    assert!(judgement.sentence.ends_with("There are 3 more findings."), "{}", judgement.sentence);
    has_all(&page(&seen), &["What to do: GitStratumNoLeader", "<title>Affected"]);
}

#[test]
fn a_node_that_is_being_filled_is_seen_with_its_progress_and_the_time_left() {
    let mut seen = healthy();
    let progress = ReconcileProgress {
        done_permille: 421,
        missing_locally: 5000,
        transferred: 4000,
        bytes_transferred: 8 << 20,
        eta_ms: Some(180_000),
        ..Default::default()
    };
    let peer =
        ReconcilePeer { node_id: "n1".to_owned(), progress: Some(progress), ..Default::default() };
    seen.said_by(2).status.reconcile =
        Some(ReconcileStatus { absence_unproven: true, peers: vec![peer], ..Default::default() });
    let target = HintTarget {
        node_id: "n3".to_owned(),
        pending: 17,
        last_error: "it is <full>".to_owned(),
        ..Default::default()
    };
    let waiting = HintStatus { targets: vec![target], targets_total: 1, ..Default::default() };
    seen.said_by(0).status.hints = Some(waiting);
    seen.said_by(0).metrics.0.push(sample("hints_pending", &[], 17.0));
    let seen = seen.told();
    let page = page(&seen);
    has_all(
        &page,
        &[
            "about 5017 objects lack a replica, about 3 min left",
            "n3 is being filled: its data directory was new",
            "<progress max=\"1000\" value=\"421\" aria-label=\"n3 with n1\">",
            "42.1 %",
            "catches up: its data directory was new",
            "it is &lt;full&gt;",
            "8.0 MiB",
            "Some of it waits for a node that does not take it now.",
        ],
    );
}

#[test]
fn whatever_is_wrong_the_runbook_has_a_section_that_says_what_to_do() {
    let mut seen = healthy();
    let sick = seen.said_by(1);
    sick.status.store =
        Some(StoreStatus { failed: "a sync failed".to_owned(), ..Default::default() });
    sick.status.peers = vec![PeerStatus { node_id: "n1".to_owned(), ..Default::default() }];
    sick.status.software_version = "1.2.4".to_owned();
    sick.status.layout_version = 2;
    let node_id = "n3".to_owned();
    let nodes = vec![LackingNode { node_id, version: None }];
    sick.status.features_off = vec![FeatureOff { feature: "restore".to_owned(), nodes }];
    for (name, labels, value) in [
        ("store_damaged_objects", &[][..], 3.0),
        ("server_requests_max", &[], 8.0),
        ("server_requests_in_flight", &[], 8.0),
        ("hints_bytes", &[], 9.0),
        ("hints_max_bytes", &[], 10.0),
        ("hints_dirty_ranges", &[], 1.0),
        ("catalog_applied_index", &[], 20_001.0),
        ("ready", &[("check", "quorum")], 0.0),
        ("certificate_expiry_timestamp_seconds", &[("use", "git")], NOW_MS as f64 / 1e3 + DAY_S),
        ("certificate_expiry_timestamp_seconds", &[("use", "cluster")], NOW_MS as f64 / 1e3 - 1.0),
    ] {
        sick.metrics.0.push(sample(name, labels, value));
    }
    seen.silence(2);
    seen.catalog.as_mut().unwrap().trouble = Some("nobody leads".to_owned());
    seen.hour.asked = vec![AskedFor { count: 100, failed: 6, ..Default::default() }];
    seen.hour.errors = vec![ErrorClass {
        class: "Objects not repaired",
        detail: String::new(),
        alert: "GitStratumRepairFails",
        count: 2,
        last_ago: Duration::from_secs(60),
        minutes: vec![2],
    }];
    let seen = seen.told();
    let judgement = Judgement::of(&seen);
    let found: BTreeMap<_, _> = judgement
        .findings
        .iter()
        .map(|finding| (finding.alert, finding.weight))
        .filter(|(alert, _)| !alert.is_empty())
        .collect();
    let alerts: Vec<_> = found.into_keys().collect();
    let expected = [
        "GitStratumCatalogBehind",
        "GitStratumCertificateExpires",
        "GitStratumDamage",
        "GitStratumDown",
        "GitStratumGitFails",
        "GitStratumHintsFill",
        "GitStratumNoLeader",
        "GitStratumNotReady",
        "GitStratumOverloaded",
        "GitStratumPeerUnreachable",
        "GitStratumRepairFails",
        "GitStratumUnderReplicated",
    ];
    assert_eq!(alerts, expected);
    assert!(judgement.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.weight)));
    let notes = judgement.findings.iter().filter(|finding| finding.weight == Weight::Note);
    let notes: Vec<_> = notes.map(|finding| finding.what.as_str()).collect();
    assert_eq!(
        notes,
        [
            "nodes run different versions: 1.2.3, 1.2.4",
            "`restore` is off: n3 (states no version, as 0.1 does) lack it",
            "n2 goes by layout 2, this node by 1"
        ]
    );
    for alert in alerts {
        assert_eq!(runbook::section(alert).len(), 3, "{alert}");
    }
    let page = page(&seen);
    has_all(&page, &["has expired", "expires in 24 h", "takes no writes: a sync failed"]);
}

#[test]
fn no_name_no_reason_and_no_search_gets_markup_into_the_page() {
    let raw = "<script>alert('x')</script>\"><img src=x>&amp;";
    let mut seen = healthy();
    seen.nodes[0].member.zone = raw.to_owned();
    seen.nodes[1].member.address = raw.to_owned();
    let sick = seen.said_by(0);
    sick.status.software_version = raw.to_owned();
    sick.status.store = Some(StoreStatus { failed: raw.to_owned(), ..Default::default() });
    sick.status.jobs = vec![gitstratum_proto::v1::JobStatus {
        job: raw.to_owned(),
        last_error: raw.to_owned(),
        ..Default::default()
    }];
    seen.nodes[2].said = Err(Silence { reason: raw.to_owned(), heard_ago: None });
    let row = Row {
        name: raw.to_owned(),
        is_public: false,
        refs: 1,
        packs: 1,
        objects: 1,
        bytes: 1,
        is_cut: true,
        created_at_ms: 0,
    };
    let listing = Listing { rows: vec![row], total: None, next: Some(raw.to_owned()) };
    let wanted = Wanted { prefix: raw.to_owned(), after: raw.to_owned() };
    let page = html(&seen, &Asked { wanted, ..Asked::default() }, &listing);
    assert!(page.matches("&lt;script&gt;").count() >= 8, "{page}");
    for markup in ["<script", "<img", "\"><img", "&amp;amp;amp;"] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }
    assert!(page.contains("repositories=%3Cscript%3E"), "{page}");
}

#[test]
fn a_request_says_which_repositories_and_whether_the_page_is_loaded_again() {
    let asked = |query: &str| {
        let uri: Uri = format!("/status{query}").parse().unwrap();
        Asked::new(&uri, Viewer::default())
    };
    assert!(asked("").refreshes && !asked("?refresh=off").refreshes);
    let searched = asked("?after=a%2Fb&repositories=caf%C3%A9+x&other=1");
    assert_eq!(searched.wanted, Wanted { prefix: "café x".into(), after: "a/b".into() });
    let page = html(&healthy(), &searched, &Listing::default());
    assert!(!page.contains("http-equiv=\"refresh\""), "a list that is read does not jump");
    assert!(!html(&healthy(), &asked("?refresh=off"), &Listing::default()).contains("http-equiv"));
}

/// Has a state do something; the number of the command is its position too.
fn done(state: &mut State, number: u64, operation: Operation) {
    let request = Request { client: ClientId([7; 16]), number };
    let command = Command { group: 0, request, at_ms: NOW_MS, who: "ann".to_owned(), operation };
    let reply = state.apply(number, command);
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

fn state_of(names: &[String]) -> State {
    let mut state = State::new(0);
    for (at, name) in names.iter().enumerate() {
        let create = CreateRepository {
            name: name.clone(),
            object_format: HashAlgorithm::Sha1,
            default_branch: "refs/heads/main".to_owned(),
            description: String::new(),
            limits: RepositoryLimits::default(),
            hidden_refs: Vec::new(),
        };
        done(&mut state, at as u64 + 1, Operation::CreateRepository(create));
    }
    state
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.rows.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn a_viewer_sees_the_repositories_of_its_prefix_and_no_others_whatever_it_asks_for() {
    let all = ["team/a", "team/b/c", "team-x", "teammate/d", "other"].map(str::to_owned);
    let state = state_of(&all);
    let listed = |scope: &str, prefix: &str, after: &str| {
        let wanted = Wanted { prefix: prefix.to_owned(), after: after.to_owned() };
        Listing::of(&state, scope, &wanted)
    };
    for (scope, prefix, after, expected) in [
        ("", "", "", &["other", "team-x", "team/a", "team/b/c", "teammate/d"][..]),
        ("", "team/", "", &["team/a", "team/b/c"]),
        ("", "", "team-x", &["team/a", "team/b/c", "teammate/d"]),
        ("team", "", "", &["team/a", "team/b/c"]),
        ("team", "te", "", &["team/a", "team/b/c"]),
        ("team", "team/b", "", &["team/b/c"]),
        ("team", "team/", "", &["team/a", "team/b/c"]),
        ("team", "", "team/a", &["team/b/c"]),
        ("team", "teammate", "", &[]),
        ("team", "other", "", &[]),
        ("team", "", "other", &["team/a", "team/b/c"]),
        ("team-x", "", "", &["team-x"]),
        ("team-x", "team", "", &["team-x"]),
        ("team-x", "team-x/", "", &[]),
        ("team-x", "", "team-x", &[]),
        ("tea", "", "", &[]),
    ] {
        let listing = listed(scope, prefix, after);
        assert_eq!(names(&listing), expected, "{scope:?} {prefix:?} {after:?}");
    }
    assert_eq!(listed("", "", "").total, Some(5));
    assert_eq!(
        listed("team", "", "").total,
        None,
        "how many others there are is nobody's business"
    );
}

#[test]
fn a_page_of_repositories_ends_and_the_next_one_goes_on_there() {
    use gitstratum_core::limits::STATUS_PAGE_REPOSITORIES;
    let many: Vec<_> = (0..=STATUS_PAGE_REPOSITORIES).map(|n| format!("r{n:04}")).collect();
    let mut state = state_of(&many);
    let pack = |bytes, drawn| {
        let mut id = [drawn; 32];
        id[..8].copy_from_slice(&NOW_MS.to_be_bytes());
        Pack { id: PackId(id), bytes, objects: 2, chunks: 1, source: Vec::new() }
    };
    let id = "1111111111111111111111111111111111111111".parse().unwrap();
    let new = NewTarget::Object { id, peeled: None };
    let push = Push {
        repository: RepositoryId(1),
        generation: 0,
        atomic: false,
        may_update_hidden: false,
        updates: vec![RefUpdate {
            name: "refs/heads/main".to_owned(),
            expected: Expected::Absent,
            new,
        }],
        packs: vec![pack(1000, 1), pack(500, 2)],
        message: "push".to_owned(),
    };
    done(&mut state, many.len() as u64 + 1, Operation::Push(push));
    let first = Listing::of(&state, "", &Wanted::default());
    assert_eq!(
        (first.rows.len(), first.total),
        (STATUS_PAGE_REPOSITORIES, Some(many.len() as u64))
    );
    let Row { packs, objects, bytes, is_cut, .. } = first.rows[0];
    assert_eq!((packs, objects, bytes, is_cut), (2, 4, 1500, false));
    let wanted = Wanted { after: first.next.clone().unwrap(), ..Wanted::default() };
    let second = Listing::of(&state, "", &wanted);
    assert_eq!((names(&second), &second.next), (vec![many.last().unwrap().as_str()], &None));
    let page = html(&healthy(), &Asked::default(), &first);
    has_all(&page, &["First 50 of 51", "Next page", "?repositories=&amp;after=r0049#repositories"]);
}
