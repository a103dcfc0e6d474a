//! Log sampling: what repeats itself many times a second is written a few times, and then counted.
//!
//! A part of the program's log, and of nothing else. Of warnings and errors that are alike it lets
//! the first few through at once. What comes after them within [`WINDOW`] is held back, and a line says
//! how many there were and of what, as long as there are any: also when no more come. Events are alike
//! that come from one place in the source and have the same fields, numbers and ids apart; so one peer's
//! trouble does not hide another's. Other levels, and the audit log, are left alone.
//!
//! Invariant: each event is written or counted, and what was counted is said within [`WINDOW`] and a
//! [`LOOK_INTERVAL`], or when the program ends. Memory is bounded by the number of places in the source
//! that warn.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gitstratum_core::metrics::Counter;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, error, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// So many that are alike are written at once.
const WRITTEN_AT_ONCE: u32 = 5;
/// Then it is said once in so long how many there were.
const WINDOW: Duration = Duration::from_secs(10);
/// How often it is looked whether something is to be said.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Kinds that are told apart of one place in the source; all others of it are one kind.
const KINDS_MAX: usize = 16;
/// What is shown of a line that stands for others.
const SHOWN_BYTES_MAX: usize = 200;
/// The log of pushes, which has every line.
const AUDIT: &str = "audit";

/// Events that are alike.
struct Kind {
    /// Of their fields; none of the last kind of a place.
    hash: Option<u64>,
    began: Instant,
    written: u32,
    held_back: u64,
    metadata: &'static Metadata<'static>,
    /// The first of them that was held back.
    shown: String,
}

/// What is to be said of a kind.
#[derive(Debug)]
struct Due {
    held_back: u64,
    within: Duration,
    metadata: &'static Metadata<'static>,
    shown: String,
}

#[derive(Default)]
struct Shared {
    is_on: AtomicBool,
    hashing: RandomState,
    kinds: Mutex<HashMap<Identifier, Vec<Kind>>>,
    held_back: Counter,
}

/// Holds back what repeats itself, once it is switched on. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Repeats(Arc<Shared>);

impl Repeats {
    /// Holds repeats back from now on, or lets all through.
    pub(super) fn switch(&self, on: bool) {
        self.0.is_on.store(on, Ordering::Relaxed);
    }

    /// Lines that were held back.
    pub(super) fn held_back(&self) -> &Counter {
        &self.0.held_back
    }

    /// Says what was held back, in time, until it is dropped.
    pub(super) async fn tell(self) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            self.due(Instant::now(), WINDOW).into_iter().for_each(Due::say);
        }
    }

    /// Says what was held back and not said yet: nobody will later.
    pub(super) fn tell_all(&self) {
        self.due(Instant::now(), Duration::ZERO).into_iter().for_each(Due::say);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identifier, Vec<Kind>>> {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event is to be written; counts it if not.
    fn lets_through(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        let may_be_held = *metadata.level() <= Level::WARN
            && ![AUDIT, TOLD].contains(&metadata.target())
            && self.0.is_on.load(Ordering::Relaxed);
        !may_be_held || self.passes(event, Instant::now())
    }

    /// As it is one that may be held back.
    fn passes(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        let mut hashed = Hashed::new(&self.0.hashing);
        event.record(&mut hashed);
        let mut all = self.lock();
        let kinds = all.entry(metadata.callsite()).or_default();
        let kind = kind_of(kinds, hashed.hasher.finish(), metadata, now);
        if kind.held_back == 0 && now.duration_since(kind.began) >= WINDOW {
            (kind.began, kind.written) = (now, 0);
        }
        if kind.written < WRITTEN_AT_ONCE {
            kind.written += 1;
            return true;
        }
        if kind.held_back == 0 {
            let mut shown = Shown::default();
            event.record(&mut shown);
            kind.shown = shown.0;
        }
        kind.held_back += 1;
        self.0.held_back.inc();
        false
    }

    /// What is to be said of kinds whose window is so old. Those that nothing came of are forgotten.
    fn due(&self, now: Instant, old: Duration) -> Vec<Due> {
        let (mut all, mut due) = (self.lock(), Vec::new());
        for kinds in all.values_mut() {
            kinds.retain_mut(|kind| {
                let within = now.duration_since(kind.began);
                if within < old || (kind.held_back == 0 && within < WINDOW) {
                    return true;
                }
                let held_back = std::mem::take(&mut kind.held_back);
                if held_back == 0 {
                    return false;
                }
                let shown = std::mem::take(&mut kind.shown);
                due.push(Due { held_back, within, metadata: kind.metadata, shown });
                // It goes on, perhaps: then a line in each window is enough.
                (kind.began, kind.written) = (now, WRITTEN_AT_ONCE);
                true
            });
        }
        due
    }
}

/// The kind of this hash, which may be new, among those of one place.
fn kind_of<'k>(
    kinds: &'k mut Vec<Kind>,
    hash: u64,
    metadata: &'static Metadata<'static>,
    now: Instant,
) -> &'k mut Kind {
    let hash = (kinds.iter().any(|kind| kind.hash == Some(hash)) || kinds.len() < KINDS_MAX)
        .then_some(hash);
    let at = kinds.iter().position(|kind| kind.hash == hash).unwrap_or_else(|| {
        let (shown, written, held_back) = (String::new(), 0, 0);
        kinds.push(Kind { hash, began: now, written, held_back, metadata, shown });
        kinds.len() - 1
    });
    &mut kinds[at]
}

impl Due {
    /// Logs it, as an event that is of none of these kinds.
    fn say(self) {
        let Due { held_back, within, metadata, shown } = self;
        let within_s = within.as_secs_f64().round() as u64;
        let source = metadata.target();
        match *metadata.level() {
            Level::ERROR => error!(
                target: TOLD,
                held_back, within_s, source, "(and {held_back} more like this within {within_s} s) {shown}"
            ),
            _ => warn!(
                target: TOLD,
                held_back, within_s, source, "(and {held_back} more like this within {within_s} s) {shown}"
            ),
        }
    }
}

/// The target of lines that stand for others.
const TOLD: &str = "gitstratum::log";

/// A format of the log that writes nothing of what is held back. (A filter that looks at events
/// would be the place for it, but where no other layer takes the event, the library takes the next one
/// for refused, too.)
pub(super) struct Sampled<F> {
    pub(super) format: F,
    pub(super) repeats: Repeats,
}

impl<S, N, F> FormatEvent<S, N> for Sampled<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.repeats.lets_through(event) {
            true => self.format.format_event(context, writer, event),
            false => Ok(()),
        }
    }
}

/// Hashes fields as they are written, of which numbers and ids are left out.
struct Hashed {
    hasher: <RandomState as BuildHasher>::Hasher,
    /// Of a word that is being written.
    word: Word,
}

/// Letters and digits that follow each other.
#[derive(Default)]
struct Word {
    bytes: [u8; 32],
    len: usize,
    has_digit: bool,
}

impl Hashed {
    fn new(hashing: &RandomState) -> Self {
        Hashed { hasher: hashing.build_hasher(), word: Word::default() }
    }

    /// A word with a digit among others that may be digits stands for any such.
    fn end_word(&mut self) {
        let Word { bytes, len, has_digit } = std::mem::take(&mut self.word);
        let word = &bytes[..len.min(bytes.len())];
        let is_id = has_digit && word.iter().all(u8::is_ascii_hexdigit);
        self.hasher.write(if is_id { b"0" } else { word });
    }
}

impl fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if !byte.is_ascii_alphanumeric() {
                self.end_word();
                self.hasher.write_u8(byte);
                continue;
            }
            if let Some(place) = self.word.bytes.get_mut(self.word.len) {
                *place = byte;
            }
            self.word.len += 1;
            self.word.has_digit |= byte.is_ascii_digit();
        }
        Ok(())
    }
}

impl Visit for Hashed {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.hasher.write(field.name().as_bytes());
        // A value that cannot be written is hashed as far as it goes.
        let _ = write!(self, "={value:?}");
        self.end_word();
    }
}

/// A line, as a reader would know it again.
#[derive(Default)]
struct Shown(String);

impl Visit for Shown {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        let part =
            if name == "message" { format!("{value:?}") } else { format!("{name}={value:?}") };
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&part);
        if self.0.len() > SHOWN_BYTES_MAX {
            let end = self.0.floor_char_boundary(SHOWN_BYTES_MAX);
            self.0.truncate(end);
            self.0.push('…');
        }
    }
}

#[cfg(test)]
mod tests;
