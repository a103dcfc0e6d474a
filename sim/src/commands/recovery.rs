//! `recovery`: how soon a pool uses a peer again, ours beside the naive one.
//!
//! For every scenario the runs of all seeds are taken together. A recovery begins when a
//! node can be reached again after it could not, or when connections may have died
//! although every node could be reached all the time.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use super::CommandError;
use super::output::Progress;
use crate::runner::{in_parallel, run_once, run_weakened};
use crate::scenario::{Control, Plan, load_all};
use crate::trace::{Event, Record};
use crate::verdict::{History, recoveries};

/// What is measured of one or more runs.
#[derive(Clone, Debug, Default)]
struct Measured {
    /// From each return of a node to a client's first success with it, microseconds.
    first_success_us: Vec<u64>,
    /// Returns after which a client that needed the node had no success.
    never: u64,
    /// Calls that failed between the return and the first success.
    failed_between: u64,
    /// Objects that came to somebody they were not meant for.
    wrong_peer_writes: u64,
    /// Dials of all machines under load.
    dials: u64,
}

impl Measured {
    fn of(trace: &[Record]) -> Self {
        let history = History::of(trace);
        let mut measured = Measured::default();
        for recovery in recoveries(&history) {
            measured.failed_between += recovery.failed;
            match recovery.first_success_us {
                Some(first) => measured.first_success_us.push(first - recovery.at_us),
                None if recovery.failed > 0 => measured.never += 1,
                // Nobody asked.
                None => {}
            }
        }
        measured.wrong_peer_writes = history.wrong_peer_writes();
        let dials = trace.iter().filter(|record| matches!(record.event, Event::Dialled { .. }));
        measured.dials = dials.filter(|record| record.actor.starts_with('c')).count() as u64;
        measured
    }

    fn add(&mut self, other: Measured) {
        self.first_success_us.extend(other.first_success_us);
        self.never += other.never;
        self.failed_between += other.failed_between;
        self.wrong_peer_writes += other.wrong_peer_writes;
        self.dials += other.dials;
    }

    /// `median/worst`, or how often there was none.
    fn times(&self) -> String {
        let mut sorted = self.first_success_us.clone();
        sorted.sort_unstable();
        let seconds = |us: u64| format!("{:.2}", us as f64 / 1e6);
        let times = match (sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(median), Some(worst)) => format!("{}/{}", seconds(*median), seconds(*worst)),
            _ => "-".to_owned(),
        };
        if self.never > 0 { format!("{times}, {} never", self.never) } else { times }
    }

    fn columns(&self, runs: u64) -> String {
        let a_run = |count: u64| format!("{:.1}", count as f64 / runs as f64);
        format!(
            "{:<22} {:>8} {:>6} {:>8}",
            self.times(),
            a_run(self.failed_between),
            a_run(self.wrong_peer_writes),
            a_run(self.dials)
        )
    }
}

/// Prints the table.
pub(super) fn recovery(
    paths: &[PathBuf],
    seeds: Range<u64>,
    jobs: usize,
) -> Result<u8, CommandError> {
    let plans = load_all(paths)?;
    let pools = [None, Some(Control::Naive)];
    let runs = seeds.end - seeds.start;
    let mut items: Vec<(&Plan, Option<Control>, u64)> = Vec::new();
    for seed in seeds {
        for plan in &plans {
            items.extend(pools.map(|pool| (plan, pool, seed)));
        }
    }
    let mut table: BTreeMap<(&str, Option<Control>), Measured> = BTreeMap::new();
    let mut progress = Progress::new(items.len());
    in_parallel(
        &items,
        jobs,
        |&(plan, pool, seed)| {
            let run = match pool {
                None => run_once(plan, seed),
                Some(control) => run_weakened(plan, control, seed),
            };
            Measured::of(&run.trace)
        },
        |&(plan, pool, _), measured| {
            table.entry((&plan.name, pool)).or_default().add(measured);
            progress.step();
            true
        },
    );
    progress.finish();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "first success after the event: median/worst in seconds over {runs} runs and all clients; \
         the other columns are means of a run:"
    )?;
    writeln!(
        out,
        "failed: calls between the event and the first success; wrong: objects written to a \
         wrong peer; dials: connections dialled by clients"
    )?;
    writeln!(out)?;
    let head = format!("{:<22} {:>8} {:>6} {:>8}", "first success", "failed", "wrong", "dials");
    writeln!(out, "{:<28} {:<48} | naive: {head}", "scenario", format!("ours: {head}"))?;
    for plan in &plans {
        let [ours, naive] = pools.map(|pool| {
            table.get(&(plan.name.as_str(), pool)).map_or_else(String::new, |of| of.columns(runs))
        });
        writeln!(out, "{:<28} {ours:<48} |        {naive}", plan.name)?;
    }
    Ok(0)
}
