//! SVG charts.
//!
//! The drawings of a page, as inline SVG over one axis of simulated time.

use std::collections::BTreeMap;

use html_escape::encode_text;

use super::push;
use crate::trace::{Event, Outcome, Record};
use crate::verdict::History;

/// Width of a drawing, and of the names at its left, in its own units.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 50.0;
/// Height of a machine's bar, and of the other drawings.
const ROW: f64 = 24.0;
const HEIGHT: f64 = 160.0;
/// Room for the axis.
const AXIS: f64 = 18.0;

const LISTENS: &str = "#8fc79a";
const CUT_OFF: &str = "#e3b341";
const DOWN: &str = "#d9d9d9";
const FAILED: &str = "#b3261e";

/// Simulated time to the drawing's horizontal.
struct Scale {
    end_us: u64,
}

impl Scale {
    fn of(trace: &[Record]) -> Self {
        Scale { end_us: trace.last().map_or(1, |record| record.at_us.max(1)) }
    }

    fn x(&self, at_us: u64) -> f64 {
        LEFT + (WIDTH - LEFT) * at_us as f64 / self.end_us as f64
    }

    /// A drawing of this height with the axis below.
    fn drawing(&self, height: f64, contents: &str) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" xmlns=\"http://www.w3.org/2000/svg\">{contents}",
            height + AXIS
        );
        let seconds = usize::try_from(self.end_us / 1_000_000).expect("a run is short");
        let between = [1, 2, 5, 10, 20, 60, 120, 300, 600];
        let step = between.into_iter().find(|step| seconds / step <= 12).unwrap_or(3600);
        for second in (0..=seconds).step_by(step) {
            let x = self.x(second as u64 * 1_000_000);
            push(
                &mut svg,
                format_args!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height}\" \
                     stroke=\"#0002\"/><text x=\"{x:.1}\" y=\"{}\">{second} s</text>",
                    height + AXIS - 4.0
                ),
            );
        }
        svg + "</svg>"
    }
}

/// One bar a node: when it listened, was cut off, or was down.
pub(super) fn machines(trace: &[Record], history: &History<'_>) -> String {
    let scale = Scale::of(trace);
    let nodes = history.setting.map_or(&[][..], |setting| &setting.nodes);
    let mut contents = String::new();
    for (row, node) in nodes.iter().enumerate() {
        let y = row as f64 * ROW;
        let (below, name) = (y + 15.0, encode_text(node));
        push(&mut contents, format_args!("<text x=\"4\" y=\"{below}\">{name}</text>"));
        let mut began_us = 0;
        let mut state = NodeState::default();
        for record in trace {
            let before = state.colour();
            state.take(node, record);
            if state.colour() != before {
                bar(&mut contents, &scale, y, (began_us, record.at_us), before);
                began_us = record.at_us;
            }
        }
        bar(&mut contents, &scale, y, (began_us, scale.end_us), state.colour());
    }
    scale.drawing(nodes.len() as f64 * ROW, &contents)
}

#[derive(Default)]
struct NodeState {
    listens: bool,
    /// Directions between this node and any other machine that are cut.
    cuts: usize,
}

impl NodeState {
    fn take(&mut self, node: &str, record: &Record) {
        let ours = record.actor == node;
        match &record.event {
            Event::Ready if ours => self.listens = true,
            Event::Stopped { .. } | Event::Exited { .. } if ours => self.listens = false,
            Event::Cut { to } if ours || to == node => self.cuts += 1,
            Event::Mended { to } if ours || to == node => self.cuts -= 1,
            _ => {}
        }
    }

    fn colour(&self) -> &'static str {
        match (self.listens, self.cuts) {
            (false, _) => DOWN,
            (true, 0) => LISTENS,
            (true, _) => CUT_OFF,
        }
    }
}

fn bar(contents: &mut String, scale: &Scale, y: f64, (from, to): (u64, u64), colour: &str) {
    let (x, end) = (scale.x(from), scale.x(to));
    push(
        contents,
        format_args!(
            "<rect x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>",
            y + 2.0,
            end - x,
            ROW - 4.0
        ),
    );
}

fn is_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::PutFailed { .. } | Outcome::Unavailable { .. })
}

/// Objects answered and failed in each second.
pub(super) fn rates(trace: &[Record], history: &History<'_>) -> String {
    let scale = Scale::of(trace);
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for operation in history.operations.values() {
        for (_, outcome, at_us) in operation.answers() {
            let (answered, failed) = seconds.entry(at_us / 1_000_000).or_default();
            *if is_failure(outcome) { failed } else { answered } += 1;
        }
    }
    let most = seconds.values().map(|(answered, failed)| answered + failed).max().unwrap_or(1);
    let height = |count: u64| HEIGHT * count as f64 / most as f64;
    let mut contents = format!("<text x=\"4\" y=\"12\">{most}</text>");
    for (second, (answered, failed)) in seconds {
        let x = scale.x(second * 1_000_000);
        let width = (scale.x((second + 1) * 1_000_000) - x - 1.0).max(0.5);
        let mut base = HEIGHT;
        for (count, colour) in [(answered, LISTENS), (failed, FAILED)] {
            base -= height(count);
            push(
                &mut contents,
                format_args!(
                    "<rect x=\"{x:.1}\" y=\"{base:.1}\" width=\"{width:.1}\" \
                     height=\"{:.1}\" fill=\"{colour}\"/>",
                    height(count)
                ),
            );
        }
    }
    scale.drawing(HEIGHT, &contents)
}

/// One dot a call: when it began, and how long it took on a logarithmic scale from 1 ms.
pub(super) fn latencies(trace: &[Record], history: &History<'_>) -> String {
    const DECADES: u32 = 4;
    let scale = Scale::of(trace);
    let y = |took_us: u64| {
        let decades = (took_us.max(1_000) as f64 / 1_000.0).log10();
        HEIGHT - HEIGHT * (decades / f64::from(DECADES)).min(1.0)
    };
    let mut contents = String::new();
    for decade in 0..=DECADES {
        let took_ms = 10_u64.pow(decade);
        let at = y(took_ms * 1_000);
        push(
            &mut contents,
            format_args!(
                "<text x=\"2\" y=\"{:.1}\">{took_ms} ms</text><line x1=\"{LEFT}\" \
                 x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#0002\"/>",
                (at + 4.0).max(10.0)
            ),
        );
    }
    for operation in history.operations.values() {
        let Some(ended_us) = operation.ended_us else { continue };
        let colour = match (operation.outcomes.iter().any(is_failure), operation.call.is_put()) {
            (true, _) => FAILED,
            (false, true) => "#1f4e79",
            (false, false) => "#7fb2e5",
        };
        push(
            &mut contents,
            format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"1.6\" fill=\"{colour}\"/>",
                scale.x(operation.began_us),
                y(ended_us - operation.began_us)
            ),
        );
    }
    scale.drawing(HEIGHT, &contents)
}
