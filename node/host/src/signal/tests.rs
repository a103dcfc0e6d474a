//! A real signal, sent to this process.

use std::process::Command;
use std::time::Duration;

/// One test, because they are sent to all that watch.
#[tokio::test]
async fn a_signal_is_a_request_to_stop_and_waits_for_whoever_asks() {
    let mut requests = super::Terminations::watch();
    let early = tokio::time::timeout(Duration::from_millis(10), requests.next()).await;
    assert!(early.is_err(), "nobody has asked yet");

    for signal in ["TERM", "INT"] {
        let kill = format!("kill -{signal} {}", std::process::id());
        // Nobody waits yet, and it does not end us.
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let asked = tokio::time::timeout(Duration::from_secs(5), requests.next()).await;
        asked.unwrap_or_else(|_| panic!("SIG{signal} was lost"));
    }
}
