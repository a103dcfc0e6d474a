//! What the benchmark prints: medians of the rounds, and medians of the rounds' ratios.

use std::time::Duration;

use crate::bare::Flushes;
use crate::contender::Contender;
use crate::load::{Load, Turn};

/// What one contender came to, round by round.
pub struct Side<T> {
    name: &'static str,
    rounds: Vec<T>,
}

impl<T> Side<T> {
    /// Nothing yet.
    pub fn of(contender: &dyn Contender) -> Self {
        Side { name: contender.name(), rounds: Vec::new() }
    }

    /// What came of the next round.
    pub fn push(&mut self, round: T) {
        self.rounds.push(round);
    }
}

/// A load with what came of it.
pub struct Row {
    name: &'static str,
    sides: Vec<Side<Turn>>,
}

impl Row {
    /// An empty one.
    pub fn new(load: &Load, contenders: &[Box<dyn Contender>]) -> Self {
        let sides = contenders.iter().map(|one| Side::of(&**one)).collect();
        Row { name: load.name, sides }
    }

    /// Takes the turn of the contender in this place.
    pub fn take(&mut self, place: usize, turn: Turn) {
        self.sides[place].push(turn);
    }
}

/// Prints the disk's line and the table of loads.
pub fn print(flushes: &[Flushes], rows: Vec<Row>) {
    if flushes.is_empty() {
        return;
    }
    println!(
        "the disk alone, one record and one flush after the other: {:.0}/s, p50 {} ms, p99 {} ms",
        median(flushes.iter().map(|one| one.per_second)),
        millis(median(flushes.iter().map(|one| one.p50.as_secs_f64()))),
        millis(median(flushes.iter().map(|one| one.p99.as_secs_f64()))),
    );
    println!(
        "medians of {} rounds; times: how many times as many calls a second as the other, the median \
         of the rounds' ratios; CPU: of all three servers, and of the clients, per call\n",
        flushes.len()
    );
    println!(
        "{:<36} {:<8} {:>8} {:>6} {:>8} {:>8} {:>9} {:>9}",
        "load", "of", "calls/s", "times", "p50 ms", "p99 ms", "CPU µs", "clients"
    );
    for row in rows {
        for (place, side) in row.sides.iter().enumerate() {
            let of = |value: fn(&Turn) -> f64| median(side.rounds.iter().map(value));
            let times = match &row.sides[..] {
                [ours, theirs] if place == 0 => {
                    let rounds = ours.rounds.iter().zip(&theirs.rounds);
                    let ratios = rounds.map(|(ours, theirs)| ours.per_second / theirs.per_second);
                    format!("{:.2}", median(ratios))
                }
                _ => String::new(),
            };
            println!(
                "{:<36} {:<8} {:>8.0} {:>6} {:>8} {:>8} {:>9.0} {:>9.0}",
                row.name,
                side.name,
                of(|turn| turn.per_second),
                times,
                millis(of(|turn| turn.p50.as_secs_f64())),
                millis(of(|turn| turn.p99.as_secs_f64())),
                of(|turn| turn.servers_processor.as_secs_f64()) * 1e6,
                of(|turn| turn.callers_processor.as_secs_f64()) * 1e6,
            );
        }
    }
}

/// Prints how long it took after each crash.
pub fn print_crashes(sides: Vec<Side<Duration>>) {
    println!("\nfrom a crash of the leader to the first update that began after it, in ms");
    for Side { name, rounds } in sides {
        let times: Vec<_> = rounds.iter().map(|took| took.as_millis().to_string()).collect();
        println!("{name:<8} {}", times.join(" "));
    }
}

fn millis(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e3)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}
