//! `events`.

use std::time::Duration;

use gitstratum_catalog::{Answer, Query};

use super::super::arguments::Events;
use super::super::{Failure, show};
use super::{ask, catalog, line, other};

/// Events of a page.
const PAGE: u32 = 500;
/// Between two looks for more.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints committed changes in order, a JSON object a line.
pub(crate) async fn events(asked: Events) -> Result<(), Failure> {
    let catalog = catalog(&asked.client).await?;
    let mut since = asked.since;
    loop {
        let query = Query::Events { since, max: PAGE };
        let (events, last) = match ask(&catalog, &query).await? {
            Answer::Events { events, last } => (events, last),
            Answer::EventsRefused(error) => return Err(Failure::Operation(error.to_string())),
            _ => return other(),
        };
        let text: Result<String, _> = events.iter().map(line).collect();
        show(&text?)?;
        since = events.last().map_or(since, |event| event.number);
        if since < last {
            continue;
        }
        if !asked.follow {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
