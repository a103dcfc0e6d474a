//! Cluster-wide commands.
//!
//! What commands have in common that ask every node how it is, or tell every node what to do:
//! what is partial, who was not told, and how numbers read.

use std::fmt::{self, Display, Write as _};

use gitstratum_cluster::client::Answered;
use gitstratum_core::object::ObjectId;
use gitstratum_core::placement::{Member, MemberState};
use gitstratum_core::replica::NodeError;
use gitstratum_proto::v1::{HintTarget, StatusResponse};
use serde::Serialize;

use super::arguments::ClientArguments;
use super::{Failure, connect_for_status, note, show};

pub(super) use crate::reports::time;

/// How every node is; those that do not say so soon could not be asked.
pub(super) async fn ask(
    client: &ClientArguments,
) -> Result<Vec<Answered<StatusResponse>>, Failure> {
    Ok(connect_for_status(client).await?.status().await)
}

/// Prints what each node was told to do, and fails when one was not told.
pub(super) fn told<T>(answers: &[Answered<T>], done: &str) -> Result<(), Failure> {
    let mut failed = 0;
    for (member, answer) in answers {
        let node = &member.node_id;
        match answer {
            Ok(_) => show(&format!("{node}: {done}\n"))?,
            Err(error) => {
                failed += 1;
                note(format_args!("{node}: {error}"));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Operation(format!("{failed} of {} nodes were not told", answers.len()))),
    }
}

/// Whether a node could not be asked that has a part in the cluster.
pub(super) fn is_partial<T>(answers: &[Answered<T>]) -> bool {
    unasked(answers) > 0
}

/// Nodes that could not be asked; none that was removed, which may be gone.
fn unasked<T>(answers: &[Answered<T>]) -> usize {
    let unasked = |(member, answer): &&Answered<T>| answer.is_err() && !is_removed(member);
    answers.iter().filter(unasked).count()
}

/// Whether a node left the cluster for good.
pub(super) fn is_removed(member: &Member) -> bool {
    member.state == MemberState::Removed
}

/// What to say of a node that did not answer.
pub(super) fn silent(member: &Member, error: &NodeError) -> String {
    match is_removed(member) {
        true => format!("removed; does not answer: {error}"),
        // It answered: that it has too much to do.
        false if error.is_overload() => error.to_string(),
        false => format!("not asked: {error}"),
    }
}

/// Says so, if it is.
pub(super) fn write_partial<T>(out: &mut String, answers: &[Answered<T>]) -> fmt::Result {
    let unasked = unasked(answers);
    if unasked > 0 {
        let nodes = answers.iter().filter(|(member, _)| !is_removed(member)).count();
        writeln!(out, "partial: {unasked} of {nodes} nodes could not be asked")?;
    }
    Ok(())
}

/// What each node says, for people; or that it could not be asked.
pub(super) fn write_each<T>(
    out: &mut String,
    answers: &[Answered<T>],
    describe: impl Fn(&mut String, &str, &T) -> fmt::Result,
) -> fmt::Result {
    for (member, answer) in answers {
        let node = member.node_id.as_str();
        match answer {
            Ok(status) => describe(out, node, status)?,
            Err(error) => writeln!(out, "{node:<12} {}", silent(member, error))?,
        }
    }
    Ok(())
}

/// What all nodes say, for programs.
#[derive(Serialize)]
pub(super) struct AllNodes<'a, T> {
    partial: bool,
    nodes: Vec<Said<'a, T>>,
}

/// What a node says, or that it could not be asked.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a, T> {
    Answer(T),
    Silence(Silence<'a>),
}

#[derive(Serialize)]
struct Silence<'a> {
    node: &'a str,
    address: &'a str,
    member: &'static str,
    reachable: bool,
    overloaded: bool,
    error: String,
}

impl<'a, T> AllNodes<'a, T> {
    /// What these nodes say, described.
    pub(super) fn of<S>(
        answers: &'a [Answered<S>],
        described: impl Fn(&'a Member, &'a S) -> T,
    ) -> Self {
        let nodes = answers.iter().map(|(member, answer)| match answer {
            Ok(said) => Said::Answer(described(member, said)),
            Err(error) => Said::Silence(Silence {
                node: member.node_id.as_str(),
                address: &member.address,
                member: member.state.word(),
                reachable: error.is_overload(),
                overloaded: error.is_overload(),
                error: error.to_string(),
            }),
        });
        AllNodes { partial: is_partial(answers), nodes: nodes.collect() }
    }
}

/// The hints that a node keeps for another, for programs.
#[derive(Serialize)]
pub(super) struct HintsFor<'s> {
    node: &'s str,
    pending: u64,
    oldest_age_ms: u64,
    last_error: &'s str,
    eta_ms: Option<u64>,
}

impl<'s> From<&'s HintTarget> for HintsFor<'s> {
    fn from(target: &'s HintTarget) -> Self {
        HintsFor {
            node: &target.node_id,
            pending: target.pending,
            oldest_age_ms: target.oldest_age_ms,
            last_error: &target.last_error,
            eta_ms: target.eta_ms,
        }
    }
}

/// Why hints wait, after what says that they do; nothing where nobody knows.
pub(super) fn waits(target: &HintTarget) -> String {
    match target.last_error.as_str() {
        "" => String::new(),
        last_error => format!("; they wait: {last_error}"),
    }
}

/// An id as people and git write it.
pub(super) fn id(raw: &[u8]) -> String {
    ObjectId::from_bytes(raw).map_or_else(|error| error.to_string(), |id| id.to_string())
}

/// Shares of a thousand, as percent.
pub(super) fn percent(permille: u32) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// How long something still takes.
pub(super) fn left(ms: u64) -> impl Display {
    format!("about {} left", time(ms))
}
