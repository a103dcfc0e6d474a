//! Parts of the page: numbers for people, cells that keep their label where a table has no room, small
//! charts.

use maud::{Markup, Render, html};
use time::OffsetDateTime;

/// What stands where there is nothing to say.
pub(super) const NONE: &str = "–";

/// A cell of a table. On a narrow screen a row is a block, where `label` stands above the cell, and
/// cells with [`NONE`] are left out.
pub(super) fn cell(label: &str, content: impl Render) -> Markup {
    let content = content.render();
    html! { td.none[content.0 == NONE] role="cell" data-label=(label) { (content) } }
}

/// The same, of a number.
pub(super) fn number(label: &str, content: impl Render) -> Markup {
    let content = content.render();
    html! { td.number.none[content.0 == NONE] role="cell" data-label=(label) { (content) } }
}

/// The head of a table: a caption, and the titles of its columns, of which those that begin with `#`
/// are of numbers.
pub(super) fn head(caption: impl Render, columns: &[&str]) -> Markup {
    html! {
        caption { (caption) }
        thead role="rowgroup" {
            tr role="row" {
                @for column in columns {
                    @match column.strip_prefix('#') {
                        Some(column) => { th.number role="columnheader" scope="col" { (column) } }
                        None => { th role="columnheader" scope="col" { (column) } }
                    }
                }
            }
        }
    }
}

/// A whole number in groups of three digits.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes, in the largest binary unit that has one of them.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let unit = (bytes.ilog2() / 10) as usize;
    let value = bytes as f64 / f64::powi(1024.0, unit as i32);
    match value {
        ..10.0 => format!("{value:.1} {}", UNITS[unit - 1]),
        _ => format!("{value:.0} {}", UNITS[unit - 1]),
    }
}

/// An estimate of a duration, with the two digits that it is worth.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} µs", seconds * 1e6),
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// A moment as UTC, to the second: `2031-05-04 03:02:01 UTC`. What no calendar has is left as it is.
pub(super) fn utc(unix_ms: u64) -> Markup {
    let moment = i64::try_from(unix_ms / 1000).ok();
    match moment.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) {
        Some(at) => {
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            let (hour, minute, second) = at.to_hms();
            let date = format!("{year:04}-{month:02}-{day:02}");
            let time = format!("{hour:02}:{minute:02}:{second:02}");
            html! { time datetime=(format!("{date}T{time}Z")) { (date) " " (time) " UTC" } }
        }
        None => html! { (unix_ms) " ms after 1970" },
    }
}

/// A date as UTC: `2031-05-04`.
pub(super) fn date(unix_ms: u64) -> Markup {
    let moment = i64::try_from(unix_ms / 1000).ok();
    match moment.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) {
        Some(at) => {
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            let date = format!("{year:04}-{month:02}-{day:02}");
            html! { time datetime=(date) { (date) } }
        }
        None => html! { (unix_ms) " ms after 1970" },
    }
}

/// A bar for each minute of an hour, the last one at the right. What it says in words stands beside it,
/// so that it is no more than a picture to those who do not see it.
pub(super) fn bars(minutes: &[u64]) -> Markup {
    const WIDTH: usize = 60;
    const HEIGHT: f64 = 20.0;
    let most = minutes.iter().copied().max().unwrap_or(0).max(1) as f64;
    let first = WIDTH.saturating_sub(minutes.len());
    let bars = minutes.iter().rev().take(WIDTH).rev().enumerate();
    html! {
        svg.bars viewBox="0 0 180 21" preserveAspectRatio="xMinYMid" aria-hidden="true" focusable="false" {
            line x1="0" y1="20.5" x2="180" y2="20.5" {}
            @for (at, count) in bars.filter(|(_, count)| **count > 0) {
                // A minute in which something happened is seen, however little that was.
                @let height = (*count as f64 / most * HEIGHT).max(1.5);
                rect x=(3 * (first + at)) y=(format!("{:.1}", HEIGHT - height)) width="2"
                    height=(format!("{height:.1}")) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        for (number, words) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), words);
        }
        for (size, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (15 << 20, "15 MiB"),
            ((1 << 40) + (1 << 39), "1.5 TiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(size), words);
        }
        for (took, words) in
            [(0.00023, "230 µs"), (0.0042, "4.2 ms"), (0.25, "250 ms"), (75.0, "75 s")]
        {
            assert_eq!(seconds(took), words);
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        let moment = |ms| utc(ms).into_string();
        assert!(moment(951_827_696_000).contains(">2000-02-29 12:34:56 UTC<"));
        assert!(moment(951_827_696_000).contains("datetime=\"2000-02-29T12:34:56Z\""));
        assert!(date(951_827_696_000).into_string().contains(">2000-02-29<"));
        assert_eq!(moment(u64::MAX), format!("{} ms after 1970", u64::MAX));
    }

    #[test]
    fn the_last_minute_is_at_the_right_and_minutes_without_anything_have_no_bar() {
        let drawn = bars(&[0, 4, 0, 1]).into_string();
        assert_eq!(drawn.matches("<rect").count(), 2, "{drawn}");
        assert!(drawn.contains("x=\"177\"") && drawn.contains("x=\"171\""), "{drawn}");
        assert_eq!(bars(&[1; 70]).into_string().matches("<rect").count(), 60);
    }
}
