//! Progress of long work: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::note;
use crate::transfer::Progress;

const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What is under way.
struct Work {
    doing: String,
    objects_total: u64,
    objects: u64,
    bytes: u64,
    began: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Work {
    fn line(&self) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = self.objects as f64 / seconds;
        let left = self.objects_total.saturating_sub(self.objects) as f64 / rate.max(0.001);
        format!(
            "{}: {} of {} objects, {}, {rate:.0} objects/s, {left:.0} s left",
            self.doing,
            self.objects,
            self.objects_total,
            HumanBytes(self.bytes),
        )
    }
}

/// Progress on standard error.
#[derive(Default)]
pub(super) struct Shown {
    work: Mutex<Option<Work>>,
    /// What came to its end, a line each.
    ended: Mutex<Vec<String>>,
}

impl Shown {
    /// Says how it went: after the result, which whoever reads both as one may be content with.
    pub(super) fn summarize(&self) {
        let ended = std::mem::take(&mut *self.ended.lock().expect("nothing panics while it lists"));
        ended.iter().for_each(note);
    }
}

impl Progress for Shown {
    fn begin(&self, doing: &str, objects: u64) {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{prefix:9} {bar:30} {pos}/{len} objects  {per_sec}  {msg}  {eta} left";
            let style = ProgressStyle::with_template(style).expect("the template is constant");
            ProgressBar::new(objects).with_style(style).with_prefix(doing.to_owned())
        });
        let now = Instant::now();
        let work = Work {
            doing: doing.to_owned(),
            objects_total: objects,
            objects: 0,
            bytes: 0,
            began: now,
            last_line: now,
            bar,
        };
        *self.work.lock().expect("nothing panics while it shows progress") = Some(work);
    }

    fn advance(&self, objects: u64, bytes: u64) {
        let mut work = self.work.lock().expect("nothing panics while it shows progress");
        let Some(work) = &mut *work else { return };
        work.objects += objects;
        work.bytes += bytes;
        if let Some(bar) = &work.bar {
            bar.set_position(work.objects);
            bar.set_message(HumanBytes(work.bytes).to_string());
        } else if work.last_line.elapsed() >= LINE_INTERVAL {
            work.last_line = Instant::now();
            note(work.line());
        }
    }

    fn end(&self) {
        let work = self.work.lock().expect("nothing panics while it shows progress").take();
        let Some(work) = work else { return };
        if let Some(bar) = &work.bar {
            bar.finish_and_clear();
        }
        self.ended.lock().expect("nothing panics while it lists").push(work.line());
    }
}
