//! Replicas and repair: what is known to be on too few nodes, and how far what mends it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gitstratum_proto::v1::{JobState, JobStatus, ReconcileProgress, StatusResponse};
use maud::{Markup, html};

use super::Shown;
use super::parts::{NONE, bytes, cell, count, head, number};
use crate::reports::{Lacking, time, under_way};

impl Shown<'_> {
    pub(super) fn repair(&self) -> Markup {
        let lacking = Lacking::of(self.seen.said().map(|(_, said)| &said.status));
        let nodes = self.seen.said().map(|(member, said)| (member.node_id.as_str(), &said.status));
        let nodes: Vec<(&str, &StatusResponse)> = nodes.collect();
        html! {
            section #repair aria-labelledby="repair-title" {
                h2 #repair-title { "Replicas and repair" }
                p { (summary(&lacking)) }
                (comparisons(&nodes))
                (hints(&nodes))
                (jobs(&nodes))
            }
        }
    }
}

/// What lacks replicas, in a sentence or two.
fn summary(lacking: &Lacking) -> String {
    if lacking.is_none() {
        return "Nothing is known to lack a replica.".to_owned();
    }
    let (objects, bytes) = (count(lacking.objects), bytes(lacking.bytes as u64));
    let mut words = format!("About {objects} objects ({bytes}) lack a replica");
    if lacking.dirty_ranges > 0 {
        let _ = write!(words, ", and {} ranges of ids are to be compared", lacking.dirty_ranges);
    }
    match lacking.eta_ms {
        Some(ms) => {
            let _ = write!(words, ". About {} left.", time(ms));
        }
        None => words.push_str(". Nothing tells how long it takes."),
    }
    if lacking.hints_wait {
        words.push_str(" Some of it waits for a node that does not take it now.");
    }
    words
}

/// Comparisons under way.
fn comparisons(nodes: &[(&str, &StatusResponse)]) -> Markup {
    let all = nodes.iter().flat_map(|(node, status)| {
        under_way(status).map(|(peer, progress)| (*node, peer.to_owned(), *progress))
    });
    let all: Vec<(&str, String, ReconcileProgress)> = all.collect();
    let columns = ["Node", "With", "Compared", "#Lack here", "#Lack there", "#Brought", "#Left"];
    html! {
        @if !all.is_empty() {
            table role="table" {
                (head("Comparisons of replicas under way", &columns))
                tbody role="rowgroup" {
                    @for (node, peer, progress) in &all {
                        @let left = progress.eta_ms.map_or("unknown".to_owned(), time);
                        tr role="row" {
                            th scope="row" role="rowheader" { (node) }
                            (cell("With", peer))
                            (cell("Compared", share(progress.done_permille, &format!("{node} with {peer}"))))
                            (number("Lack here", count(progress.missing_locally)))
                            (number("Lack there", count(progress.missing_remotely)))
                            (number("Brought", bytes(progress.bytes_transferred)))
                            (number("Left", left))
                        }
                    }
                }
            }
        }
    }
}

/// What nodes keep for others.
fn hints(nodes: &[(&str, &StatusResponse)]) -> Markup {
    let all = nodes.iter().flat_map(|(node, status)| {
        status.hints.iter().flat_map(move |hints| hints.targets.iter().map(move |it| (*node, it)))
    });
    let all: Vec<_> = all.collect();
    html! {
        @if !all.is_empty() {
            table role="table" {
                (head(
                    "Writes that a node keeps for another, which missed them",
                    &["Kept by", "For", "#Writes", "#Oldest", "#Left", "Why they wait"],
                ))
                tbody role="rowgroup" {
                    @for (node, target) in &all {
                        tr role="row" {
                            th scope="row" role="rowheader" { (node) }
                            (cell("For", &target.node_id))
                            (number("Writes", count(target.pending)))
                            (number("Oldest", time(target.oldest_age_ms)))
                            (number("Left", target.eta_ms.map_or("unknown".to_owned(), time)))
                            (cell("Why they wait", some(&target.last_error)))
                        }
                    }
                }
            }
        }
    }
}

/// What nodes do by themselves: a row for each that does something, or failed to.
fn jobs(nodes: &[(&str, &StatusResponse)]) -> Markup {
    let all =
        nodes.iter().flat_map(|(node, status)| status.jobs.iter().map(move |job| (*node, job)));
    let (idle, busy): (Vec<_>, Vec<_>) =
        all.partition(|(_, job)| job.state() == JobState::Idle && job.last_error.is_empty());
    let columns = ["Node", "Job", "State", "Done", "#Rate", "#Left", "Last error"];
    html! {
        @if !busy.is_empty() {
            table role="table" {
                (head("Work that nodes do by themselves", &columns))
                tbody role="rowgroup" {
                    @for (node, job) in busy {
                        @let rate = job.bytes_per_second.map(|rate| bytes(rate) + "/s");
                        @let done = job.done_permille.map(|done| share(done, &format!("{} on {node}", job.job)));
                        tr role="row" {
                            th scope="row" role="rowheader" { (node) }
                            (cell("Job", &job.job))
                            (cell("State", state(job)))
                            (cell("Done", done.unwrap_or_else(|| html! { (NONE) })))
                            (number("Rate", rate.as_deref().unwrap_or(NONE)))
                            (number("Left", job.eta_ms.map_or(NONE.to_owned(), time)))
                            (cell("Last error", some(&job.last_error)))
                        }
                    }
                }
            }
        }
        @if !idle.is_empty() { p.idle { (idle_words(&idle)) } }
    }
}

/// Jobs that do nothing, in one sentence.
fn idle_words(jobs: &[(&str, &JobStatus)]) -> String {
    let mut by_name: BTreeMap<&str, (usize, Option<u64>)> = BTreeMap::new();
    for (_, job) in jobs {
        let (count, next_ms) = by_name.entry(&job.job).or_default();
        *count += 1;
        *next_ms = next_ms.iter().chain(&job.next_in_ms).min().copied();
    }
    let words = by_name.into_iter().map(|(job, (count, next_ms))| {
        let nodes = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
        let next = next_ms.map(|ms| format!(", which begins in {} at the earliest", time(ms)));
        format!("{job} on {nodes}{}", next.unwrap_or_default())
    });
    format!("Idle: {}.", words.collect::<Vec<_>>().join("; "))
}

/// Words, where there are some.
fn some(words: &str) -> &str {
    if words.is_empty() { NONE } else { words }
}

fn state(job: &JobStatus) -> String {
    match job.state() {
        JobState::Idle => match job.next_in_ms {
            Some(ms) => format!("idle, next in {}", time(ms)),
            None => "idle".to_owned(),
        },
        JobState::Running => "running".to_owned(),
        JobState::Interrupted => "interrupted, goes on when it is due".to_owned(),
        JobState::Paused => "paused".to_owned(),
        JobState::Off => "off".to_owned(),
        JobState::Unspecified => "unknown".to_owned(),
    }
}

/// A share of a thousand as a bar, and in words beside it.
fn share(permille: u32, of_what: &str) -> Markup {
    let percent = format!("{}.{} %", permille / 10, permille % 10);
    html! {
        span.share {
            progress max="1000" value=(permille) aria-label=(of_what) {}
            span { (percent) }
        }
    }
}
