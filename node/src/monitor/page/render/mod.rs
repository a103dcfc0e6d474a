//! The status page as HTML: its frame, and what stands first.
//!
//! Invariants: everything that is put into it is escaped by the template; no element says anything by
//! its colour alone; and it names no address outside itself, which the policy that goes with it forbids
//! too.

mod hour;
mod nodes;
mod parts;
mod repair;
mod repositories;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gitstratum_core::placement::ClusterId;
use http::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::super::history::{FETCHES, PUSHES};
use super::finding::{Finding, Judgement, Weight};
use super::overview::Overview;
use super::repositories::Listing;
use super::runbook::{self, Paragraph};
use super::{Asked, REFRESH, REFRESH_OFF};
use crate::reports::{Lacking, time};
use parts::{count, utc};

/// All of its style.
const STYLE: &str = include_str!("style.css");
/// Between two loads of the page.
const REFRESH_S: u32 = 15;

/// What a browser may do for this page: apply this style, and send its form back to where it came from.
pub(super) fn policy() -> HeaderValue {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("Base64 and words of ASCII")
}

/// What one viewer is shown.
pub(super) struct Shown<'a> {
    pub(super) seen: &'a Overview,
    pub(super) asked: &'a Asked,
    /// Nothing where this node has no catalog.
    pub(super) listing: Option<&'a Listing>,
}

/// How much a finding matters, in a word and a sign, and as the style knows it.
fn mark(weight: Option<Weight>) -> (&'static str, &'static str, &'static str) {
    match weight {
        None => ("good", "✓", "Well"),
        Some(Weight::Note) => ("good", "i", "Note"),
        Some(Weight::Warning) => ("warning", "!", "Look"),
        Some(Weight::Critical) => ("critical", "✕", "Affected"),
    }
}

/// A sign that stands for a word beside it.
fn sign(weight: Option<Weight>) -> Markup {
    let (class, sign, _) = mark(weight);
    html! { span.sign.(class) aria-hidden="true" { (sign) } }
}

impl Shown<'_> {
    /// The whole page.
    pub(super) fn document(&self) -> Markup {
        let judgement = Judgement::of(self.seen);
        let (_, _, word) = mark(judgement.weight);
        let cluster = self.seen.layout.cluster.as_ref().map(ClusterId::to_string);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    @if self.refreshes() {
                        meta http-equiv="refresh" content=(REFRESH_S);
                    }
                    title { (word) " · " (self.seen.node) " · GitStratum" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#main" { "Skip to what is wrong" }
                    (self.header(cluster.as_deref()))
                    main #main tabindex="-1" {
                        (verdict(&judgement))
                        (self.tiles())
                        (self.nodes())
                        (self.repair())
                        (self.hour())
                        (self.repositories())
                        (self.certificates())
                    }
                    footer {
                        p {
                            "This page changes nothing. For programs there are "
                            a href="/metrics" { "/metrics" } ", " a href="/readyz" { "/readyz" } " and "
                            code { "gitstratum status --json" } "."
                        }
                    }
                }
            }
        }
    }

    fn refreshes(&self) -> bool {
        // Nobody's list is to jump back while it is read.
        self.asked.refreshes && self.asked.wanted == Default::default()
    }

    fn header(&self, cluster: Option<&str>) -> Markup {
        html! {
            header {
                p.brand { "GitStratum" }
                p.seen {
                    "As node " strong { (self.seen.node) } " sees it at " (utc(self.seen.at_ms))
                    @if let Some(cluster) = cluster { ". Cluster " code { (cluster) } }
                    ". "
                    @if self.refreshes() {
                        "Loaded again every " (REFRESH_S) " s: "
                        a href=(format!("?{REFRESH}={REFRESH_OFF}")) { "stop" } "."
                    } @else {
                        "Not loaded again by itself: " a href="?" { "follow" } "."
                    }
                }
                nav aria-label="Sections" {
                    ul {
                        @for (id, title) in [
                            ("nodes", "Nodes"),
                            ("repair", "Replicas and repair"),
                            ("hour", "Last hour"),
                            ("errors", "Errors"),
                            ("repositories", "Repositories"),
                            ("certificates", "Certificates"),
                        ] {
                            li { a href=(format!("#{id}")) { (title) } }
                        }
                    }
                }
            }
        }
    }

    /// The numbers that are looked for first.
    fn tiles(&self) -> Markup {
        let seen = self.seen;
        let answer = seen.said().count();
        let lacking = Lacking::of(seen.said().map(|(_, said)| &said.status));
        let leader = seen.catalog.as_ref().map(|catalog| match &catalog.leader {
            Some(leader) => (leader.clone(), format!("leads in term {}", catalog.term)),
            None => ("nobody".to_owned(), "leads the catalog".to_owned()),
        });
        let asked = |what: &str| {
            seen.hour.asked.iter().find(|asked| asked.what == what).map_or(0, |asked| asked.count)
        };
        let covers = time(seen.hour.covers.as_millis() as u64);
        let layout = &seen.layout;
        let tiles = [
            Some((format!("{answer} of {}", seen.nodes.len()), "nodes answer".to_owned())),
            leader,
            Some((
                if lacking.objects == 0 { "none".to_owned() } else { count(lacking.objects) },
                "objects known to lack a replica".to_owned(),
            )),
            Some((
                format!("{} / {}", count(asked(PUSHES)), count(asked(FETCHES))),
                format!("push / fetch requests at this node in {covers}"),
            )),
            Some((
                format!("{} · {} · {}", layout.replicas, layout.write_quorum, layout.read_quorum),
                format!("replicas · to write · to read, by layout {}", layout.version),
            )),
        ];
        html! {
            dl.tiles {
                @for (value, what) in tiles.into_iter().flatten() {
                    div { dt { (what) } dd { (value) } }
                }
            }
        }
    }
}

/// Whether all is well, and if not, what is wrong and what to do.
fn verdict(judgement: &Judgement) -> Markup {
    let (class, _, word) = mark(judgement.weight);
    html! {
        section.verdict.(class) aria-labelledby="verdict" {
            h1 #verdict { (sign(judgement.weight)) span.hidden { (word) ": " } (judgement.sentence) }
            @if judgement.weight.is_some() {
                ul.findings {
                    @for finding in &judgement.findings { li { (described(finding)) } }
                }
            }
        }
    }
}

fn described(finding: &Finding) -> Markup {
    let (_, _, word) = mark(Some(finding.weight));
    let runbook = runbook::section(finding.alert);
    html! {
        p.finding {
            (sign(Some(finding.weight)))
            span {
                strong { (word) ": " } (finding.what)
                @if !finding.why.is_empty() { ": " (finding.why) }
                "."
            }
        }
        @if !runbook.is_empty() {
            details {
                summary { "What to do: " (finding.alert) }
                @for Paragraph { about, text } in &runbook {
                    p { strong { (about) ": " } (text) }
                }
                p.soft { "From node/docs/alerts.md." }
            }
        }
    }
}
