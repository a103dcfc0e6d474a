//! Durations.
//!
//! Lengths of time as scenario files write them: `"250ms"`, `"5s"`, `"1m"`, `"2h"`, and
//! ranges of them. Numbers are whole: a fraction of a second is written in milliseconds.

use std::ops::{Deref, RangeInclusive};
use std::time::Duration;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units of time in milliseconds, the longest first.
const UNITS_MS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A length of time, written as text such as `"5s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A range of lengths of time, written as one text if it holds but one, else as two:
/// `["5s", "8s"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange(pub RangeInclusive<Duration>);

/// A range of short times, written as two numbers of milliseconds: `[0.3, 2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MillisRange(pub RangeInclusive<Duration>);

impl Deref for Time {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl Deref for TimeRange {
    type Target = RangeInclusive<Duration>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for MillisRange {
    type Target = RangeInclusive<Duration>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Serialize for Time {
    /// In the longest unit of which it is a whole number; fails below a millisecond.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&written(self.0).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).map(Time).map_err(D::Error::custom)
    }
}

/// What stands in a file for a range.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a length of time such as \"5s\", or two: [\"5s\", \"8s\"]")]
enum OneOrTwo {
    One(String),
    Two([String; 2]),
}

impl Serialize for TimeRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (shortest, longest) = (Time(*self.start()), Time(*self.end()));
        if shortest == longest {
            return shortest.serialize(serializer);
        }
        [shortest, longest].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TimeRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = match OneOrTwo::deserialize(deserializer)? {
            OneOrTwo::One(text) => read(&text).map(|time| time..=time),
            OneOrTwo::Two([shortest, longest]) => read(&shortest)
                .and_then(|shortest| read(&longest).map(|longest| (shortest, longest)))
                .and_then(|(shortest, longest)| ordered(shortest, longest)),
        };
        range.map(TimeRange).map_err(D::Error::custom)
    }
}

impl MillisRange {
    /// From so many microseconds to so many.
    pub(super) const fn micros(least: u64, most: u64) -> Self {
        MillisRange(Duration::from_micros(least)..=Duration::from_micros(most))
    }
}

impl Serialize for MillisRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = |time: &Duration| time.as_nanos() as f64 / 1e6;
        [millis(self.start()), millis(self.end())].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MillisRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [least, most] = <[f64; 2]>::deserialize(deserializer)?;
        let sensible = 0.0..=1e9;
        if !sensible.contains(&least) || !sensible.contains(&most) {
            return Err(D::Error::custom("must not be negative or absurdly long"));
        }
        let millis = |number: f64| Duration::from_millis(1).mul_f64(number);
        ordered(millis(least), millis(most)).map(MillisRange).map_err(D::Error::custom)
    }
}

/// Reads one length of time.
fn read(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = UNITS_MS.iter().find(|(name, _)| *name == unit).map(|(_, unit_ms)| *unit_ms);
    let number: Option<u64> = number.parse().ok();
    number
        .zip(unit_ms)
        .and_then(|(number, unit_ms)| number.checked_mul(unit_ms))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is no length of time such as \"250ms\", \"5s\" or \"1m\""))
}

/// Writes one length of time.
fn written(time: Duration) -> Result<String, String> {
    let millis = u64::try_from(time.as_millis()).ok();
    let millis = millis.filter(|&millis| Duration::from_millis(millis) == time);
    let millis = millis.ok_or_else(|| format!("{time:?} is no whole number of milliseconds"))?;
    if millis == 0 {
        return Ok("0s".to_owned());
    }
    let whole = UNITS_MS.iter().find(|(_, unit_ms)| millis.is_multiple_of(*unit_ms));
    let (unit, unit_ms) = whole.expect("every number of milliseconds is whole");
    Ok(format!("{}{unit}", millis / unit_ms))
}

fn ordered(least: Duration, most: Duration) -> Result<RangeInclusive<Duration>, String> {
    if least > most {
        return Err("is the wrong way round: the shorter comes first".to_owned());
    }
    Ok(least..=most)
}
