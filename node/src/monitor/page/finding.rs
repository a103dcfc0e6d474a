//! What is wrong with a cluster, in words, and which alert's section of the runbook says what to do.
//!
//! Pure: out of what was gathered, and nothing else. Thresholds are those of `node/deploy/alerts.yml`,
//! without the time for which they have to hold there.

use std::collections::BTreeSet;

use gitstratum_core::metrics::Samples;
use gitstratum_core::placement::Member;

use super::overview::{Overview, Said, Silence};
use crate::reports::{Lacking, features_off, is_overloaded, time};

/// Entries that a node may be behind another in the catalog.
const ENTRIES_BEHIND_MAX: f64 = 10_000.0;
/// Share of the room for hints that may be taken.
const HINTS_SHARE_MAX: f64 = 0.8;
/// Share of Git requests that may fail, and as of how many that is told.
const GIT_FAILED_SHARE_MAX: f64 = 0.05;
const GIT_REQUESTS_MIN: u64 = 20;
/// A certificate is good for so long still, in seconds.
const CERTIFICATE_LEFT_MIN: f64 = 14.0 * 86_400.0;

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Good to know; nobody has to do anything.
    Note,
    /// Somebody is to look at it. Clients are served.
    Warning,
    /// Clients are refused, or soon are.
    Critical,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) weight: Weight,
    /// A sentence, without its dot.
    pub(super) what: String,
    /// More of it; empty where that is all.
    pub(super) why: String,
    /// Whose section in `node/docs/alerts.md` says what to do; empty where nothing is to be done.
    pub(super) alert: &'static str,
}

/// What is to be said of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// How much the worst of it matters; nothing where all is well.
    pub(super) weight: Option<Weight>,
    /// In one sentence.
    pub(super) sentence: String,
    /// What matters most first.
    pub(super) findings: Vec<Finding>,
}

impl Judgement {
    /// Of what was gathered.
    pub(super) fn of(seen: &Overview) -> Self {
        let mut findings = Findings::default();
        findings.nodes(seen);
        findings.catalog(seen);
        findings.stores(seen);
        findings.replication(seen);
        findings.reach(seen);
        findings.requests(seen);
        findings.certificates(seen);
        findings.versions(seen);
        let Findings(mut findings) = findings;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
        let weight = findings.first().map(|finding| finding.weight);
        Judgement { weight, sentence: sentence(seen, &findings), findings }
    }
}

/// The one sentence.
fn sentence(seen: &Overview, findings: &[Finding]) -> String {
    let Some(worst) = findings.first() else {
        let nodes = match seen.nodes.len() {
            1 => "the node answers".to_owned(),
            count => format!("all {count} nodes answer"),
        };
        let leader = seen.catalog.as_ref().and_then(|catalog| catalog.leader.as_ref());
        let leader = leader.map(|node| format!(", {node} leads")).unwrap_or_default();
        return format!("All is well: {nodes}{leader}, and nothing is known to lack a replica.");
    };
    let begin = match worst.weight {
        Weight::Note => "All is well, and there is something to know",
        Weight::Warning => "Clients are served, and somebody should look",
        Weight::Critical => "Clients are affected",
    };
    let more = match findings.len() - 1 {
        0 => String::new(),
        1 => " There is one more finding.".to_owned(),
        more => format!(" There are {more} more findings."),
    };
    format!("{begin}: {}.{more}", worst.what)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, what: impl Into<String>, alert: &'static str) {
        self.add_with(weight, what, "", alert);
    }

    fn add_with(
        &mut self,
        weight: Weight,
        what: impl Into<String>,
        why: impl Into<String>,
        alert: &'static str,
    ) {
        self.0.push(Finding { weight, what: what.into(), why: why.into(), alert });
    }

    /// Who does not answer.
    fn nodes(&mut self, seen: &Overview) {
        let layout = &seen.layout;
        let silent: Vec<_> = seen.silent().collect();
        let counted = silent.iter().filter(|(it, _)| layout.is_read_from(&it.node_id)).count();
        let spare = layout.replicas - layout.write_quorum.max(layout.read_quorum);
        if counted > spare {
            let names: Vec<_> = silent.iter().map(|(member, _)| member.node_id.as_str()).collect();
            let of = seen.nodes.len();
            let what = format!("{counted} of {of} nodes do not answer ({})", names.join(", "));
            let why = format!(
                "objects with more than {spare} of their replicas there are neither written nor proved \
                 absent"
            );
            self.add_with(Weight::Critical, what, why, "GitStratumDown");
        }
        for (member, silence) in silent {
            let what = format!("{} does not answer", member.node_id);
            self.add_with(Weight::Warning, what, why_silent(silence), "GitStratumDown");
        }
    }

    /// Who does not reach whom.
    fn reach(&mut self, seen: &Overview) {
        let answers: BTreeSet<_> = seen.said().map(|(member, _)| member.node_id.as_str()).collect();
        for (member, said) in seen.said() {
            let unreached = said.status.peers.iter().filter(|peer| !peer.reachable);
            // Of one that is silent for us too that is told already.
            for peer in unreached.filter(|peer| answers.contains(peer.node_id.as_str())) {
                let (node, other, error) = (&member.node_id, &peer.node_id, &peer.error);
                let what = format!("{node} does not reach {other}, which answers here");
                self.add_with(Weight::Warning, what, error, "GitStratumPeerUnreachable");
            }
        }
    }

    fn catalog(&mut self, seen: &Overview) {
        let Some(catalog) = &seen.catalog else { return };
        if let Some(trouble) = &catalog.trouble {
            let what = "repositories cannot be pushed to or cloned here";
            self.add_with(Weight::Critical, what, trouble, "GitStratumNoLeader");
        }
        let applied = |said: &Said| said.metrics.get("gitstratum_catalog_applied_index");
        let last = seen.said().map(|(_, said)| applied(said)).fold(0.0, f64::max);
        for (member, said) in seen.said() {
            let behind = last - applied(said);
            if behind > ENTRIES_BEHIND_MAX && said.metrics.get("gitstratum_catalog_member") > 0.0 {
                let what = format!("{} lacks {behind} entries of the catalog", member.node_id);
                self.add(Weight::Warning, what, "GitStratumCatalogBehind");
            }
        }
    }

    /// What is wrong with disks and with what is on them, and who is not ready.
    fn stores(&mut self, seen: &Overview) {
        for (member, said) in seen.said() {
            let node = &member.node_id;
            let store = said.status.store.clone().unwrap_or_default();
            if !store.failed.is_empty() {
                let what = format!("{node} takes no writes");
                self.add_with(Weight::Warning, what, store.failed, "GitStratumNotReady");
            } else if !store.puts_refused.is_empty() {
                let what = format!("{node} takes no puts");
                self.add_with(Weight::Warning, what, store.puts_refused, "GitStratumNotReady");
            }
            let damaged = said.metrics.count("gitstratum_store_damaged_objects");
            if damaged > 0 {
                let what = format!("{node} has {damaged} damaged objects, which repair replaces");
                self.add(Weight::Warning, what, "GitStratumDamage");
            }
            if is_overloaded(&said.metrics) {
                let what = format!("{node} is overloaded: it refuses requests");
                self.add(Weight::Warning, what, "GitStratumOverloaded");
            }
            let (taken, room) = (
                said.metrics.get("gitstratum_hints_bytes"),
                said.metrics.get("gitstratum_hints_max_bytes"),
            );
            if taken > HINTS_SHARE_MAX * room && room > 0.0 {
                let what = format!("{node} has little room left for hints of what others lack");
                self.add(Weight::Warning, what, "GitStratumHintsFill");
            }
            for check in unready(&said.metrics).filter(|check| *check != "store") {
                let what = format!("{node} is not ready: its check {check:?} fails");
                self.add(Weight::Warning, what, "GitStratumNotReady");
            }
        }
    }

    /// What lacks replicas, and who catches up.
    fn replication(&mut self, seen: &Overview) {
        let lacking = Lacking::of(seen.said().map(|(_, said)| &said.status));
        if !lacking.is_none() {
            let left = match lacking.eta_ms {
                Some(ms) => format!(", about {} left", time(ms)),
                None => ", time left unknown".to_owned(),
            };
            let what = match lacking.objects {
                0 => format!("replicas may lack objects, and are to be compared{left}"),
                objects => format!("about {objects} objects lack a replica{left}"),
            };
            let why = match lacking.dirty_ranges {
                0 => String::new(),
                ranges => format!("{ranges} ranges of ids are to be compared"),
            };
            self.add_with(Weight::Warning, what, why, "GitStratumUnderReplicated");
        }
        for (member, said) in seen.said() {
            let reconcile = said.status.reconcile.clone().unwrap_or_default();
            if reconcile.absence_unproven {
                let what =
                    format!("{} is being filled: its data directory was new", member.node_id);
                self.add(Weight::Note, what, "");
            }
        }
        if !seen.layout.previous.is_empty() {
            let what = format!(
                "objects may still be where layouts before version {} placed them",
                seen.layout.version
            );
            self.add(Weight::Note, what, "");
        }
    }

    /// What went wrong with requests at this node in the last hour.
    fn requests(&mut self, seen: &Overview) {
        let git = seen.hour.asked.iter().take(3);
        let (count, failed) =
            git.fold((0, 0), |(count, failed), asked| (count + asked.count, failed + asked.failed));
        if count >= GIT_REQUESTS_MIN && failed as f64 > GIT_FAILED_SHARE_MAX * count as f64 {
            let what = format!("{failed} of {count} Git requests failed here lately");
            self.add(Weight::Warning, what, "GitStratumGitFails");
        }
        let unrepaired =
            seen.hour.errors.iter().filter(|class| class.alert == "GitStratumRepairFails");
        let unrepaired: u64 = unrepaired.map(|class| class.count).sum();
        if unrepaired > 0 {
            let what = format!("repair failed here {unrepaired} times lately");
            self.add(Weight::Warning, what, "GitStratumRepairFails");
        }
    }

    fn certificates(&mut self, seen: &Overview) {
        for certificate in certificates(seen) {
            let Certificate { node, shown_to, left_s, .. } = &certificate;
            if *left_s >= CERTIFICATE_LEFT_MIN {
                continue;
            }
            let (weight, when) = match *left_s {
                left if left <= 0.0 => (Weight::Critical, "has expired".to_owned()),
                left => (Weight::Warning, format!("expires in {}", time((left * 1000.0) as u64))),
            };
            let what = format!("the certificate that {node} shows to {shown_to} {when}");
            self.add(weight, what, "GitStratumCertificateExpires");
        }
    }

    fn versions(&mut self, seen: &Overview) {
        let versions: BTreeSet<_> =
            seen.said().map(|(_, said)| said.status.software_version.as_str()).collect();
        if versions.len() > 1 {
            let versions: Vec<_> = versions.into_iter().collect();
            let what = format!("nodes run different versions: {}", versions.join(", "));
            self.add(Weight::Note, what, "");
        }
        for line in features_off(seen.said().map(|(_, said)| &said.status)) {
            self.add(Weight::Note, line, "");
        }
        let ours = seen.layout.version;
        let other = seen.said().find(|(_, said)| said.status.layout_version != ours);
        if let Some((member, said)) = other {
            let theirs = said.status.layout_version;
            let what = format!("{} goes by layout {theirs}, this node by {ours}", member.node_id);
            self.add(Weight::Note, what, "");
        }
    }
}

fn why_silent(silence: &Silence) -> String {
    let since = match silence.heard_ago {
        Some(ago) => format!("heard of {} ago", time(ago.as_millis() as u64)),
        None => "not heard of since this node started".to_owned(),
    };
    format!("{since}; {}", silence.reason)
}

/// Checks of readiness that fail.
fn unready(metrics: &Samples) -> impl Iterator<Item = &str> {
    let ready = metrics.0.iter().filter(|sample| sample.name == "gitstratum_ready");
    let failed = ready.filter(|sample| sample.value == 0.0);
    failed.filter_map(|sample| Some(sample.labels.first()?.1.as_str()))
}

/// A certificate that a node shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Certificate {
    pub(super) node: String,
    /// To whom.
    pub(super) shown_to: String,
    /// When it expires, in unix seconds.
    pub(super) until_s: f64,
    /// How long it is good still; below 0 where it has expired.
    pub(super) left_s: f64,
}

/// Those of all nodes that answered.
pub(super) fn certificates(seen: &Overview) -> Vec<Certificate> {
    let now_s = seen.at_ms as f64 / 1000.0;
    let of_node = |(member, said): (&Member, &Said)| {
        let node = member.node_id.to_string();
        let name = "gitstratum_certificate_expiry_timestamp_seconds";
        let shown = said.metrics.0.iter().filter(|sample| sample.name == name);
        let certificates = shown.map(|sample| Certificate {
            node: node.clone(),
            shown_to: match sample.labels.first().map(|(_, uses)| uses.as_str()) {
                Some("git") => "Git clients".to_owned(),
                Some("cluster") => "nodes and commands".to_owned(),
                Some("monitor") => "whoever watches it".to_owned(),
                other => other.unwrap_or("others").to_owned(),
            },
            until_s: sample.value,
            left_s: sample.value - now_s,
        });
        certificates.collect::<Vec<_>>()
    };
    seen.said().flat_map(of_node).collect()
}
