//! What the benchmark prints: medians of the rounds, and medians of the rounds' ratios.

use std::time::Duration;

use crate::bare::Flushes;
use crate::load::Turn;

/// What one contender came to, round by round.
pub struct Side<T> {
    name: &'static str,
    rounds: Vec<T>,
}

impl<T> Side<T> {
    /// Nothing yet.
    pub fn of(name: &'static str) -> Self {
        Side { name, rounds: Vec::new() }
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
    /// An empty one, of whoever takes part. We come first.
    pub fn new(name: &'static str, sides: impl Iterator<Item = &'static str>) -> Self {
        Row { name, sides: sides.map(Side::of).collect() }
    }

    /// Takes the turn of the contender in this place.
    pub fn take(&mut self, place: usize, turn: Turn) {
        self.sides[place].push(turn);
    }
}

/// Prints the disk's line and the table of loads. Of puts of `payload` bytes it says how many bytes the
/// device wrote for each of them.
pub fn print(flushes: &[Flushes], rows: Vec<Row>, payload: Option<usize>) {
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
        "medians of {} rounds; times: how many times as many calls a second we make as this one, the \
         median of the rounds' ratios; CPU: of all three servers, and of the clients, per call{}\n",
        flushes.len(),
        if payload.is_some() { "; disk: bytes that the device wrote per byte put" } else { "" },
    );
    let disk = |text: String| if payload.is_some() { format!(" {text:>8}") } else { String::new() };
    println!(
        "{:<36} {:<8} {:>8} {:>6} {:>8} {:>8} {:>9} {:>9}{}",
        "load",
        "of",
        "calls/s",
        "times",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "clients",
        disk("disk".into())
    );
    for row in rows {
        for (place, side) in row.sides.iter().enumerate() {
            // Not everybody takes part in every load.
            if side.rounds.is_empty() {
                continue;
            }
            let of = |value: fn(&Turn) -> f64| median(side.rounds.iter().map(value));
            let rounds = row.sides[0].rounds.iter().zip(&side.rounds);
            let ratios = rounds.map(|(ours, theirs)| ours.per_second / theirs.per_second);
            let times = if place == 0 { String::new() } else { format!("{:.2}", median(ratios)) };
            let written = side.rounds.iter().filter_map(|turn| turn.written_bytes);
            let written = payload.map(|payload| median(written) / payload as f64);
            println!(
                "{:<36} {:<8} {:>8.0} {:>6} {:>8} {:>8} {:>9.0} {:>9.0}{}",
                row.name,
                side.name,
                of(|turn| turn.per_second),
                times,
                millis(of(|turn| turn.p50.as_secs_f64())),
                millis(of(|turn| turn.p99.as_secs_f64())),
                of(|turn| turn.servers_processor.as_secs_f64()) * 1e6,
                of(|turn| turn.callers_processor.as_secs_f64()) * 1e6,
                disk(written.map_or_else(String::new, |written| format!("{written:.1}"))),
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
