//! A real signal, sent to this process.

use std::pin::pin;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_sigterm_is_a_request_to_stop() {
    let mut asked = pin!(super::termination());
    let early = tokio::time::timeout(Duration::from_millis(10), &mut asked).await;
    assert!(early.is_err(), "nobody has asked yet");

    let kill = format!("kill -TERM {}", std::process::id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    tokio::time::timeout(Duration::from_secs(5), asked).await.expect("the signal arrives");
}
