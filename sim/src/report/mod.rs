//! HTML report.
//!
//! A page a person can look at: what happened to each machine, what the clients got, and
//! what the checkers say. One file, nothing loaded from elsewhere.
//!
//! The page is a picture of the trace and computes nothing that a verdict rests on.

mod chart;

#[cfg(test)]
mod tests;

use std::fmt::Write;

use html_escape::encode_text;

use crate::trace::{Event, Record};
use crate::verdict::{History, Verdict, Violation};

/// Violations that are listed; the trace has what led to the others.
const VIOLATIONS_LISTED_MAX: usize = 100;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;\
padding:0 1rem;color:#222;background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\
.pass{color:#17712f}.fail,.stuck{color:#b3261e}svg{width:100%;height:auto}\
svg text{font:11px system-ui,sans-serif;fill:#444}code{font-size:12px;word-break:break-all}\
li{margin:.3rem 0}.key span{margin-right:1.2rem}.key i{display:inline-block;width:.8em;\
height:.8em;margin-right:.3em}";

/// The page of one run.
pub fn page(trace: &[Record], verdict: Verdict, violations: &[Violation], digest: &str) -> String {
    let history = History::of(trace);
    let (scenario, seed) =
        history.setting.map_or(("unknown", 0), |setting| (setting.scenario.as_str(), setting.seed));
    let word = verdict.word();
    let mut page = String::new();
    let sections = [
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <title>{0} seed {seed}: {word}</title><style>{STYLE}</style>\
             <h1>{0}, seed {seed}: <span class=\"{word}\">{word}</span></h1>\
             <p>digest <code>{digest}</code></p>",
            encode_text(scenario)
        ),
        list_of(violations),
        "<h2>Machines</h2><p class=\"key\"><span><i style=\"background:#8fc79a\"></i>listens\
         </span><span><i style=\"background:#e3b341\"></i>runs, cut off</span><span>\
         <i style=\"background:#d9d9d9\"></i>down</span></p>"
            .to_owned(),
        chart::machines(trace, &history),
        "<h2>Objects per second</h2><p class=\"key\"><span><i style=\"background:#8fc79a\"></i>\
         answered</span><span><i style=\"background:#b3261e\"></i>failed</span></p>"
            .to_owned(),
        chart::rates(trace, &history),
        "<h2>Time to answer</h2><p>One dot a call: puts dark, gets light, failures red.</p>"
            .to_owned(),
        chart::latencies(trace, &history),
        events(trace),
        "</html>\n".to_owned(),
    ];
    sections.iter().for_each(|section| page.push_str(section));
    page
}

fn list_of(violations: &[Violation]) -> String {
    if violations.is_empty() {
        return "<p>Every checker is content.</p>".to_owned();
    }
    let mut list = format!("<h2>{} violations</h2><ul>", violations.len());
    for violation in violations.iter().take(VIOLATIONS_LISTED_MAX) {
        push(&mut list, format_args!("<li>{}</li>", encode_text(&violation.to_string())));
    }
    list + "</ul>"
}

/// What was done to the machines, in words.
fn events(trace: &[Record]) -> String {
    let mut list = "<h2>Events</h2><ul>".to_owned();
    for record in trace {
        let actor = encode_text(&record.actor);
        let what = match &record.event {
            Event::Phase { phase } => format!("phase: {phase:?}"),
            Event::Started { address } => format!("{actor} started at {address}"),
            Event::Ready => format!("{actor} listens"),
            Event::Stopped { by } => format!("{actor} stopped: {by:?}"),
            Event::Exited { reason } => {
                format!("{actor} stopped by itself: {}", encode_text(reason))
            }
            Event::Cut { to } => format!("{actor} no longer reaches {to}"),
            Event::Mended { to } => format!("{actor} reaches {to} again"),
            Event::Link { to, latency_us: [least, most], loss } => {
                format!("{actor} to {to}: {least} to {most} us, {loss} lost")
            }
            Event::LinkRestored { to } => format!("{actor} to {to}: as at first"),
            Event::Paused => format!("{actor} stands still"),
            Event::Throttled { factor } => format!("{actor} is {factor} times slower"),
            Event::Resumed => format!("{actor} goes on"),
            Event::ClockSet { ahead_ms } => format!("{actor}'s clock is {ahead_ms} ms ahead"),
            Event::ConnectionsForgotten => "the firewall forgets all connections".to_owned(),
            Event::NameServiceDelay { delay_us } => {
                format!("the name service answers {delay_us} us late")
            }
            Event::Quiet => "no worker begins anything".to_owned(),
            Event::QuietEnded => "the workers go on".to_owned(),
            Event::Burst { callers } => format!("{callers} callers at once on {actor}"),
            Event::WritesWillPanic { nodes, times } => {
                format!("writes to {} panic {times} times on each client", nodes.join(", "))
            }
            Event::Stranger { address, speaks } => {
                format!("{actor}, who speaks {speaks}, answers at {address}")
            }
            Event::Dns { address } => format!("{actor} resolves to {address:?}"),
            Event::Disk { trouble, .. } => format!("disk of {actor}: {}", encode_text(trouble)),
            Event::DiskReplaced => format!("disk of {actor}: replaced by an empty one"),
            Event::DiskReleased => format!("disk of {actor}: well again"),
            Event::Rotted { path, bit } => format!("disk of {actor}: bit {bit} of {path} flips"),
            Event::FileDamaged { path, bytes, left: None } => {
                format!("disk of {actor}: {path} of {bytes} bytes is lost")
            }
            Event::FileDamaged { path, bytes, left: Some(left) } => {
                format!("disk of {actor}: {left} of {bytes} bytes are left of {path}")
            }
            Event::FaultMissed { wanted } => {
                format!("disk of {actor}: nothing to damage: {}", encode_text(wanted))
            }
            Event::Condemned { ids, .. } => format!("{} objects are to be deleted", ids.len()),
            Event::Deleted { objects, .. } => format!("{actor} deleted {objects} objects"),
            Event::NotDeleted { reason, .. } => {
                format!("{actor} did not delete all: {}", encode_text(reason))
            }
            Event::CompactionStruck { at, .. } => format!("{actor} compacts: {at:?}"),
            Event::Panicked { message } => format!("panic: {}", encode_text(message)),
            Event::Stuck { phase } => format!("stuck in phase {phase:?}"),
            _ => continue,
        };
        push(&mut list, format_args!("<li>{} s: {what}</li>", seconds(record.at_us)));
    }
    list + "</ul>"
}

fn seconds(at_us: u64) -> String {
    format!("{:.3}", at_us as f64 / 1e6)
}

/// Adds text to a string, which cannot fail.
fn push(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a string takes all");
}
