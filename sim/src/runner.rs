//! Simulation runner.
//!
//! One run: scenario and seed in, trace out.
//!
//! Invariant: a run shares nothing with any other. It has a thread of its own, because
//! the standard library keeps its hash keys per thread, and a runtime of its own; the
//! records are handed in from outside, so that they outlive a panic of the run.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic;
use std::sync::{Arc, Mutex, Once, PoisonError};

use madsim::runtime::Runtime;

use first_panic::PANIC;

use crate::scenario::{Control, Plan};
use crate::trace::{Event, Record, Records};
use crate::verdict::{Verdict, Violation, deterministic, judge, verdict};
use crate::world;

/// A run and the judgement on it.
#[derive(Debug)]
pub struct Run {
    /// Everything that happened.
    pub trace: Vec<Record>,
    /// The judgement.
    pub verdict: Verdict,
    /// What it rests on.
    pub violations: Vec<Violation>,
    /// Digest of the trace.
    pub digest: String,
}

impl Run {
    fn of(trace: Vec<Record>, mut extra: Vec<Violation>) -> Self {
        extra.extend(judge(&trace));
        let verdict = verdict(&trace, &extra);
        let digest = crate::trace::digest(&trace);
        Run { trace, verdict, violations: extra, digest }
    }
}

/// Runs a seed once and judges it.
pub fn run_once(plan: &Plan, seed: u64) -> Run {
    Run::of(trace_of(plan, None, seed), Vec::new())
}

/// Runs a seed once with what a control weakens, and judges it.
pub fn run_weakened(plan: &Plan, control: Control, seed: u64) -> Run {
    Run::of(trace_of(plan, Some(control), seed), Vec::new())
}

/// Runs a seed twice, judges the first run, and compares it with the second (I9).
pub fn run_checked(plan: &Plan, seed: u64) -> Run {
    let first = trace_of(plan, None, seed);
    let second = trace_of(plan, None, seed);
    let differences = deterministic(&first, &second);
    Run::of(first, differences)
}

fn trace_of(plan: &Plan, control: Option<Control>, seed: u64) -> Vec<Record> {
    let records: Records = Arc::default();
    let into = records.clone();
    let plan = plan.clone();
    let ended = on_a_fresh_thread(move || {
        runtime(seed).block_on(world::run(plan, control, seed, into));
    });
    let mut trace = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
    if let Err(message) = ended {
        let at_us = trace.last().map_or(0, |record| record.at_us);
        let event = Event::Panicked { message };
        trace.push(Record { at_us, actor: "world".to_owned(), event });
    }
    trace
}

/// A simulated world in which nothing may leave the simulation.
pub(crate) fn runtime(seed: u64) -> Runtime {
    let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.set_allow_system_thread(false);
    runtime
}

#[allow(clippy::disallowed_macros, reason = "a run has its thread to itself")]
mod first_panic {
    use std::cell::RefCell;

    thread_local! {
        /// The message of the first panic on this thread. Only the panic hook can know where
        /// a panic came from.
        pub(super) static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    }
}

/// Runs `work` on a thread that nothing has run on before; a panic becomes its message.
#[allow(clippy::disallowed_methods, reason = "the testbed's own threads are outside the worlds")]
pub(crate) fn on_a_fresh_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    keep_panic_messages();
    let caught = std::thread::spawn(move || {
        panic::catch_unwind(panic::AssertUnwindSafe(work))
            .map_err(|payload| PANIC.take().unwrap_or_else(|| text_of(payload.as_ref())))
    });
    match caught.join() {
        Ok(result) => result,
        Err(payload) => Err(text_of(payload.as_ref())),
    }
}

/// Keeps panics off the terminal: they are results, reported with the replay command.
fn keep_panic_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
            let message = text_of(info.payload()) + &place.unwrap_or_default();
            // A thread that is ending has no place to keep it any more; nor any use.
            let _ = PANIC.try_with(|first| {
                first.borrow_mut().get_or_insert(message);
            });
        }));
    });
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Carries out `work` for every item on `jobs` threads and hands the results, in no
/// particular order, to `done`, which says whether to go on.
#[allow(clippy::disallowed_methods, reason = "the testbed's own threads are outside the worlds")]
pub fn in_parallel<I: Sync, T: Send>(
    items: &[I],
    jobs: usize,
    work: impl Fn(&I) -> T + Sync,
    mut done: impl FnMut(&I, T) -> bool,
) {
    let next = Mutex::new(0..items.len());
    let (results, incoming) = std::sync::mpsc::sync_channel(jobs.max(1));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let results = results.clone();
            scope.spawn(|| {
                let results = results;
                loop {
                    let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(index) = taken else { return };
                    // Nobody listens any more: the sweep was cut short.
                    if results.send((index, work(&items[index]))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        for (index, result) in incoming {
            if !done(&items[index], result) {
                *next.lock().unwrap_or_else(PoisonError::into_inner) = 0..0;
            }
        }
    });
}
