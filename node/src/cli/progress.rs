//! Progress of long work: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::note;
use crate::transfer::Progress;

const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What is under way.
struct Work {
    doing: String,
    /// Nothing where only bytes are counted.
    objects_total: Option<u64>,
    objects: u64,
    bytes: u64,
    /// What was said last of what is being done.
    remark: String,
    began: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Work {
    fn begin(doing: &str, objects_total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = match objects_total {
                Some(_) => "{prefix:9} {bar:30} {pos}/{len} objects  {per_sec}  {msg}  {eta} left",
                None => "{prefix:9} {spinner} {msg}",
            };
            let style = ProgressStyle::with_template(style).expect("the templates are constant");
            let bar = objects_total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            bar.with_style(style).with_prefix(doing.to_owned())
        });
        let now = Instant::now();
        Work {
            doing: doing.to_owned(),
            objects_total,
            objects: 0,
            bytes: 0,
            remark: String::new(),
            began: now,
            last_line: now,
            bar,
        }
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64().max(0.001)
    }

    /// Bytes, where they are what is counted, and what was said last.
    fn message(&self) -> String {
        let bytes = HumanBytes(self.bytes);
        let mut message = bytes.to_string();
        if self.objects_total.is_none() {
            let rate = HumanBytes((self.bytes as f64 / self.seconds()) as u64);
            message = format!("{bytes}, {rate}/s");
        }
        if !self.remark.is_empty() {
            message = format!("{message}, {}", self.remark);
        }
        message
    }

    fn line(&self) -> String {
        let Some(total) = self.objects_total else {
            return format!("{}: {}", self.doing, self.message());
        };
        let rate = self.objects as f64 / self.seconds();
        let left = total.saturating_sub(self.objects) as f64 / rate.max(0.001);
        format!(
            "{}: {} of {total} objects, {}, {rate:.0} objects/s, {left:.0} s left",
            self.doing,
            self.objects,
            self.message(),
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
    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().expect("nothing panics while it shows progress")
    }

    /// Says how it went: after the result, which whoever reads both as one may be content with.
    pub(super) fn summarize(&self) {
        let ended = std::mem::take(&mut *self.ended.lock().expect("nothing panics while it lists"));
        ended.iter().for_each(note);
    }
}

impl Progress for Shown {
    fn begin(&self, doing: &str, objects: u64) {
        *self.work() = Some(Work::begin(doing, Some(objects)));
    }

    fn begin_bytes(&self, doing: &str) {
        *self.work() = Some(Work::begin(doing, None));
    }

    fn remark(&self, words: &str) {
        if let Some(work) = &mut *self.work() {
            work.remark = words.to_owned();
        }
    }

    fn advance(&self, objects: u64, bytes: u64) {
        let mut work = self.work();
        let Some(work) = &mut *work else { return };
        work.objects += objects;
        work.bytes += bytes;
        if let Some(bar) = &work.bar {
            match work.objects_total {
                Some(_) => bar.set_position(work.objects),
                None => bar.tick(),
            }
            bar.set_message(work.message());
        } else if work.last_line.elapsed() >= LINE_INTERVAL {
            work.last_line = Instant::now();
            note(work.line());
        }
    }

    fn end(&self) {
        let Some(mut work) = self.work().take() else { return };
        work.remark.clear();
        if let Some(bar) = &work.bar {
            bar.finish_and_clear();
        }
        self.ended.lock().expect("nothing panics while it lists").push(work.line());
    }
}
