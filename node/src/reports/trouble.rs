//! What is wrong with a node and its store, as the node says it.

use gitstratum_core::metrics::Samples;
use gitstratum_proto::v1::{StatusResponse, StoreStatus};

use super::time;

/// Whether as many requests are in flight as may be.
pub(crate) fn is_overloaded(metrics: &Samples) -> bool {
    let max = metrics.count("gitstratum_server_requests_max");
    max > 0 && metrics.count("gitstratum_server_requests_in_flight") >= max
}

/// All of it, in words; nothing where all is well.
pub(crate) fn troubles(status: &StatusResponse, metrics: &Samples) -> Vec<String> {
    let mut wrong = Vec::new();
    if status.metrics.is_none() {
        wrong.push("tells no numbers: its program is an earlier one".to_owned());
    }
    if is_overloaded(metrics) {
        let in_flight = metrics.count("gitstratum_server_requests_in_flight");
        wrong.push(format!("overloaded: {in_flight} requests in flight"));
    }
    let unsaid = StoreStatus::default();
    let store = status.store.as_ref().unwrap_or(&unsaid);
    if !store.failed.is_empty() {
        wrong.push(format!("takes no writes: {}", store.failed));
    }
    if !store.puts_refused.is_empty() {
        let since =
            store.puts_refused_for_ms.map_or_else(String::new, |ms| format!(" (for {})", time(ms)));
        wrong.push(format!("takes no puts: {}{since}", store.puts_refused));
    }
    let damaged = metrics.count("gitstratum_store_damaged_objects");
    if damaged > 0 {
        wrong.push(format!("{damaged} damaged objects"));
    }
    if status.reconcile.as_ref().is_some_and(|reconcile| reconcile.absence_unproven) {
        wrong.push("catches up: its data directory was new".to_owned());
    }
    wrong
}
