//! Long work, and clients that are slow.

use std::time::Duration;

use gitstratum_core::limits::GIT_KEEPALIVE_INTERVAL;

use super::super::{Service, Version};
use crate::fixture::{Scripted, exchange, id, lines, request};

/// Long enough for one keepalive, and not for two.
const THINKS: Duration = Duration::from_millis(GIT_KEEPALIVE_INTERVAL.as_millis() as u64 * 3 / 2);

#[tokio::test]
async fn who_waits_hears_that_it_goes_on() {
    let repository = Scripted { thinks: THINKS, ..Scripted::default() };
    let want = format!("want {}", id(1));
    let fetch = request(&["command=fetch", "0001", &want, "done", "0000"]);
    let raw = request(&[&want, "0000", "done"]);
    let command = format!("{} {} refs/a\0side-band-64k quiet", "0".repeat(40), id(1));
    let push = [request(&[&command, "0000"]), b"PACK".to_vec()].concat();
    let (fetched, raw, pushed) = futures_util::future::join3(
        exchange(Service::UploadPack, Version::V2, &repository, &fetch),
        exchange(Service::UploadPack, Version::V0, &repository, &raw),
        exchange(Service::ReceivePack, Version::V0, &repository, &push),
    )
    .await;
    assert_eq!(lines(&fetched.0), ["packfile", "\u{1}", "\u{1}PACK", "0000"]);
    assert_eq!(raw.0, b"0008NAK\nPACK", "nothing can be said within a bare pack");
    assert_eq!(lines(&pushed.0), ["\u{1}", "0000"]);
}
