//! What repeats itself is written a few times, counted, and said.

use std::io;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as log, registry};

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines since the last time.
    fn lines(&self) -> Vec<String> {
        let logged = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(logged).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Has `work` log through the filter, as a program does.
fn logging(json: bool, work: impl FnOnce(&Repeats, &Log)) {
    let (repeats, log) = (Repeats::default(), Log::default());
    repeats.switch(true);
    let writer = log.clone();
    let lines = log::layer::<Registry>().with_writer(move || writer.clone()).with_ansi(false);
    let repeated = repeats.clone();
    let lines = match json {
        true => {
            lines.json().map_event_format(|format| Sampled { format, repeats: repeated }).boxed()
        }
        false => lines.map_event_format(|format| Sampled { format, repeats: repeated }).boxed(),
    };
    let subscriber = registry().with(lines.with_filter(EnvFilter::new("info")));
    tracing::subscriber::with_default(subscriber, || work(&repeats, &log));
}

fn fail(peer: &str, reason: &str) {
    warn!(peer, reason, "the peer fails");
}

/// A moment after all windows that are open.
fn later() -> Instant {
    Instant::now() + WINDOW
}

#[test]
fn a_storm_is_a_few_lines_and_one_that_says_how_many_there_were_also_when_it_ends() {
    logging(false, |repeats, log| {
        (0..1239).for_each(|number| fail("n2", &format!("timed out after {number} ms")));
        let lines = log.lines();
        assert_eq!(lines.len(), WRITTEN_AT_ONCE as usize, "{lines:?}");
        assert_eq!(repeats.held_back().get(), 1234);
        assert!(repeats.due(Instant::now(), WINDOW).is_empty(), "it is not time yet");

        // No more come, and it is said all the same.
        repeats.due(later(), WINDOW).into_iter().for_each(Due::say);
        let lines = log.lines();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.contains(
            " WARN gitstratum::log: (and 1234 more like this within 10 s) the peer fails"
        ));
        assert!(line.contains("peer=\"n2\" reason=\"timed out after 5 ms\""), "{line}");
        assert!(line.contains("held_back=1234 within_s=10"), "{line}");

        // It is quiet, so all is as in the beginning.
        assert!(repeats.due(later() + 2 * WINDOW, WINDOW).is_empty());
        assert!(repeats.lock().values().all(Vec::is_empty), "it is forgotten");
        fail("n2", "timed out after 7 ms");
        assert_eq!(log.lines().len(), 1);
    });
}

#[test]
fn a_storm_that_goes_on_is_one_line_in_each_window() {
    logging(false, |repeats, log| {
        let storm = || (0..100).for_each(|_| fail("n2", "connection refused"));
        storm();
        log.lines();
        for round in 1..=3 {
            repeats.due(Instant::now() + round * WINDOW, WINDOW).into_iter().for_each(Due::say);
            assert_eq!(log.lines().len(), 1);
            // The window that began then is still open.
            storm();
            assert_eq!(log.lines().len(), 0, "nothing is written in between");
        }
        repeats.tell_all();
        assert_eq!(log.lines().len(), 1, "whoever ends says what is left");
        assert_eq!(repeats.held_back().get(), 4 * 100 - u64::from(WRITTEN_AT_ONCE));
    });
}

#[test]
fn what_is_not_alike_is_told_apart_and_what_is_no_trouble_is_left_alone() {
    logging(false, |repeats, log| {
        (0..100).for_each(|_| fail("n2", "connection refused"));
        log.lines();
        fail("n3", "connection refused");
        fail("n2", "disk full");
        warn!(peer = "n2", reason = "connection refused", "somewhere else in the source");
        let lines = log.lines();
        // A peer's number is its name, and one number is like another.
        assert_eq!(lines.len(), 3, "{lines:?}");
        for _ in 0..100 {
            tracing::info!("served");
            error!(target: "audit", "pushed");
        }
        assert_eq!(log.lines().len(), 200);
        repeats.switch(false);
        (0..100).for_each(|_| fail("n2", "connection refused"));
        assert_eq!(log.lines().len(), 100, "it is switched off");
    });
}

#[test]
fn whatever_comes_is_written_or_counted_and_takes_little_memory() {
    logging(false, |repeats, log| {
        let letters = |number: u32| char::from(b'a' + (number % 26) as u8);
        for number in 0..10_000u32 {
            let word: String = [number, number / 26, number / 676].map(letters).iter().collect();
            fail("n2", &format!("no {word}"));
        }
        let kinds = repeats.lock().values().map(Vec::len).sum::<usize>();
        assert_eq!(kinds, KINDS_MAX + 1);
        let written = log.lines().len() as u64;
        assert!(written <= (KINDS_MAX as u64 + 1) * u64::from(WRITTEN_AT_ONCE), "{written}");
        assert_eq!(written + repeats.held_back().get(), 10_000);
        let said: u64 = repeats.due(later(), WINDOW).iter().map(|due| due.held_back).sum();
        assert_eq!(said, repeats.held_back().get(), "nothing is lost in silence");
        fail(&"x".repeat(1 << 20), "no");
        assert!(repeats.lock().values().flatten().all(|kind| kind.shown.len() < 300));
    });
}

#[test]
fn json_has_the_count_as_a_number() {
    logging(true, |repeats, log| {
        (0..7).for_each(|_| error!(reason = "sync failed", "it takes no writes"));
        log.lines();
        repeats.tell_all();
        let lines = log.lines();
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((lines.len(), &line["level"]), (1, &"ERROR".into()));
        assert_eq!(line["fields"]["held_back"], 2);
        assert_eq!(line["fields"]["source"], module_path!());
    });
}
