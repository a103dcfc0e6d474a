//! Names: `repo`, `token`, `events` and `catalog`.

mod events;
mod repositories;
mod text;
mod tokens;

use gitstratum_catalog::{Answer, Operation, Query};
use gitstratum_cluster::client::Client;
use serde::Serialize;

use super::arguments::ClientArguments;
use super::{Failure, connect, seeded_by_the_system};
use crate::catalog::{CallError, CatalogClient};

pub(super) use events::events;
pub(super) use repositories::{find, repo};
pub(super) use text::text;
pub(super) use tokens::{create_token, token};

/// How often a command of which nobody knows whether it was done is sent again.
const REPEATS: usize = 3;

pub(super) async fn catalog(arguments: &ClientArguments) -> Result<CatalogClient, Failure> {
    of_client(connect(arguments).await?)
}

/// The catalog of the cluster that this client knows.
pub(super) fn of_client(client: Client) -> Result<CatalogClient, Failure> {
    Ok(CatalogClient::new(client, &who(), &mut seeded_by_the_system()?))
}

/// On whose behalf commands are, for events and reflogs: nothing is allowed by it.
pub(super) fn who() -> String {
    std::env::var("USER").unwrap_or_else(|_| "gitstratum".to_owned())
}

/// Has the catalog do something, and finds out whether it did.
pub(super) async fn call(
    catalog: &mut CatalogClient,
    operation: Operation,
) -> Result<gitstratum_catalog::Outcome, Failure> {
    catalog.call_repeatedly(operation, REPEATS).await.map_err(failed)
}

pub(super) async fn ask(catalog: &CatalogClient, query: &Query) -> Result<Answer, Failure> {
    catalog.ask(query).await.map_err(failed)
}

pub(super) fn failed(error: CallError) -> Failure {
    Failure::Operation(error.to_string())
}

/// An answer to another question.
pub(super) fn other<T>() -> Result<T, Failure> {
    Err(failed(CallError::Other))
}

/// One line of JSON.
pub(super) fn line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value);
    Ok(text.map_err(|error| Failure::Operation(error.to_string()))? + "\n")
}

/// A time as UTC, such as 2031-05-04 03:02:01.
pub(super) fn utc(ms: u64) -> String {
    use gix::date::Time;
    use gix::date::time::format::ISO8601;

    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let text = Time::new(seconds, 0).format_or_unix(ISO8601);
    text.strip_suffix(" +0000").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_709_251_199_999), "2024-02-29 23:59:59");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00");
    }
}
