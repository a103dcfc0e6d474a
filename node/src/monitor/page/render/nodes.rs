//! The machines: where they are, since when they run, what they hold, and what is wrong with each; and
//! when their certificates expire.

use gitstratum_core::placement::{Member, MemberState};
use maud::{Markup, html};

use super::super::finding::{Certificate, Weight, certificates};
use super::super::overview::{NodeReport, Said, Silence};
use super::parts::{NONE, bytes, cell, count, date, head, number};
use super::{Shown, sign};
use crate::reports::{known_to_lack, time, troubles};

impl Shown<'_> {
    pub(super) fn nodes(&self) -> Markup {
        let caption = html! {
            "The members of layout " (self.seen.layout.version)
            ": what each says of itself, asked a moment ago"
        };
        let columns = [
            "Node", "Zone", "State", "Catalog", "#Objects", "#Stored", "#Lacks", "Version",
            "#Layout",
        ];
        html! {
            section #nodes aria-labelledby="nodes-title" {
                h2 #nodes-title { "Nodes" }
                table role="table" {
                    (head(caption, &columns))
                    tbody role="rowgroup" {
                        @for node in &self.seen.nodes { (self.node(node)) }
                    }
                }
            }
        }
    }

    fn node(&self, NodeReport { member, said }: &NodeReport) -> Markup {
        html! {
            tr role="row" {
                th scope="row" role="rowheader" {
                    (member.node_id)
                    @if member.node_id == self.seen.node { " " span.soft { "(this one)" } }
                    span.address { (member.address) }
                }
                (cell("Zone", if member.zone.is_empty() { NONE } else { &member.zone }))
                @match said {
                    Ok(said) => { (self.answered(member, said)) }
                    Err(silence) => {
                        (cell("State", silent(silence)))
                        (cell("Catalog", self.part(member)))
                        @for column in ["Objects", "Stored", "Lacks"] { (number(column, NONE)) }
                        (cell("Version", NONE))
                        (number("Layout", NONE))
                    }
                }
            }
        }
    }

    fn answered(&self, member: &Member, said: &Said) -> Markup {
        let (status, metrics) = (&said.status, &said.metrics);
        let troubles = troubles(status, metrics);
        let others = self.seen.said().map(|(_, said)| &said.status);
        let lacks = known_to_lack(member.node_id.as_str(), status, others);
        let weight = (!troubles.is_empty()).then_some(Weight::Warning);
        let state = html! {
            span.state {
                (sign(weight)) span { "up for " (time(status.uptime_ms)) @if draining(member) { ", draining" } }
            }
            @for trouble in &troubles { span.trouble { (trouble) } }
        };
        html! {
            (cell("State", state))
            (cell("Catalog", self.part(member)))
            (number("Objects", count(metrics.count("gitstratum_store_objects"))))
            (number("Stored", bytes(metrics.count("gitstratum_store_disk_bytes"))))
            (number("Lacks", count(lacks)))
            (cell("Version", &status.software_version))
            (number("Layout", status.layout_version))
        }
    }

    /// The part that a node has in the catalog, as this node knows it.
    fn part(&self, member: &Member) -> &'static str {
        let Some(catalog) = &self.seen.catalog else { return NONE };
        let node = member.node_id.as_str();
        match catalog.leader.as_deref() == Some(node) {
            true => "leads",
            false if catalog.voters.iter().any(|voter| voter == node) => "votes",
            false => "follows",
        }
    }

    pub(super) fn certificates(&self) -> Markup {
        let shown = certificates(self.seen);
        html! {
            section #certificates aria-labelledby="certificates-title" {
                h2 #certificates-title { "Certificates" }
                @if shown.is_empty() {
                    p { "No node that answers shows one: they speak plain text." }
                } @else {
                    table role="table" {
                        (head("When the certificates expire that nodes show", &["Node", "Shown to", "Expires", "#Left"]))
                        tbody role="rowgroup" {
                            @for certificate in &shown { (expiry(certificate)) }
                        }
                    }
                }
            }
        }
    }
}

fn draining(member: &Member) -> bool {
    member.state == MemberState::Draining
}

fn silent(silence: &Silence) -> Markup {
    html! {
        span.state {
            (sign(Some(Weight::Critical)))
            span {
                "does not answer; "
                @match silence.heard_ago {
                    Some(ago) => { "heard of " (time(ago.as_millis() as u64)) " ago" }
                    None => { "not heard of since this node started" }
                }
            }
        }
        span.trouble { (silence.reason) }
    }
}

fn expiry(Certificate { node, shown_to, until_s, left_s }: &Certificate) -> Markup {
    let left = match *left_s {
        left if left <= 0.0 => "expired".to_owned(),
        left => time((left * 1000.0) as u64),
    };
    html! {
        tr role="row" {
            th scope="row" role="rowheader" { (node) }
            (cell("Shown to", shown_to))
            (cell("Expires", date((*until_s * 1000.0) as u64)))
            (number("Left", left))
        }
    }
}
