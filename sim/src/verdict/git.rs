//! Git history: the requests of Git clients in order, and what the objects of a run name.

use std::collections::BTreeMap;

use crate::trace::{Event, GitCall, GitObject, GitOutcome, Phase, Record};

/// One request and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// Number of the request.
    pub(super) op: u64,
    /// Who asked.
    pub(super) client: &'a str,
    /// Which node.
    pub(super) node: &'a str,
    /// The repository that it is about.
    pub(super) repository: &'a str,
    /// What was asked.
    pub(super) call: &'a GitCall,
    /// In which part of the run.
    pub(super) phase: Option<Phase>,
    /// When it began.
    pub(super) asked_us: u64,
    /// When it was answered, or the client gave up, and with what.
    pub(super) answer: Option<(u64, &'a GitOutcome)>,
}

/// All that Git clients did.
#[derive(Debug, Default)]
pub(super) struct GitHistory<'a> {
    /// In the order in which they began.
    pub(super) requests: Vec<Request<'a>>,
    /// By id.
    pub(super) objects: BTreeMap<&'a str, &'a GitObject>,
}

impl<'a> GitHistory<'a> {
    /// Puts a trace in order.
    pub(super) fn of(trace: &'a [Record]) -> Self {
        let mut history = GitHistory::default();
        let mut places: BTreeMap<u64, usize> = BTreeMap::new();
        let mut phase = None;
        for record in trace {
            match &record.event {
                Event::Phase { phase: next } => phase = Some(*next),
                Event::GitMade { objects } => {
                    let made = objects.iter().map(|object| (object.id.as_str(), object));
                    history.objects.extend(made);
                }
                Event::GitAsked { op, node, repository, call } => {
                    places.insert(*op, history.requests.len());
                    history.requests.push(Request {
                        op: *op,
                        client: &record.actor,
                        node,
                        repository,
                        call,
                        phase,
                        asked_us: record.at_us,
                        answer: None,
                    });
                }
                Event::GitAnswered { op, outcome } => {
                    if let Some(place) = places.get(op) {
                        history.requests[*place].answer = Some((record.at_us, outcome));
                    }
                }
                _ => {}
            }
        }
        history
    }
}
