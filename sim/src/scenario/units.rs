//! Lengths of time as scenario files write them: `"250ms"`, `"5s"`, `"1m"`, `"2h"`, and
//! ranges of them. Numbers are whole: a fraction of a second is written in milliseconds.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

/// One length of time or a range `[shortest, longest]`, as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a length of time such as \"5s\", or two: [\"5s\", \"8s\"]")]
pub(super) enum Span {
    /// Always the same.
    One(String),
    /// Anything between.
    Two([String; 2]),
}

/// Reads one length of time.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("{text:?} is no length of time such as \"250ms\", \"5s\" or \"1m\"");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let per_unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(per_unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

/// Reads a length of time or a range of them.
pub(super) fn span(text: &Span) -> Result<RangeInclusive<Duration>, String> {
    match text {
        Span::One(one) => duration(one).map(|one| one..=one),
        Span::Two([shortest, longest]) => ordered(duration(shortest)?, duration(longest)?),
    }
}

/// A range of times given as plain numbers of `unit`.
pub(super) fn scaled(
    [least, most]: [f64; 2],
    unit: Duration,
) -> Result<RangeInclusive<Duration>, String> {
    if !(0.0..=1e9).contains(&least) || !(0.0..=1e9).contains(&most) {
        return Err("must not be negative or absurdly long".to_owned());
    }
    ordered(unit.mul_f64(least), unit.mul_f64(most))
}

fn ordered(least: Duration, most: Duration) -> Result<RangeInclusive<Duration>, String> {
    if least > most {
        return Err("is the wrong way round: the shorter comes first".to_owned());
    }
    Ok(least..=most)
}
