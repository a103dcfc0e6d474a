//! The catalog's clock, in a cluster that nobody asks anything of.
//!
//! It goes on with commands alone, so that all nodes agree on it. Whoever waits until a moment is
//! over has a command carry it there that does nothing else.

use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{Command, Operation, Request, State};
use gitstratum_core::limits;

use super::{Failed, GROUP, Participant};

impl Participant {
    /// Has the catalog's clock come past a moment, in unix milliseconds, and no further: what this
    /// node's own clock says, which may be wrong, is nobody's measure.
    ///
    /// # Errors
    /// [`Failed`]; asking again does no harm.
    pub(crate) async fn advance_clock(&self, past_ms: u64) -> Result<(), Failed> {
        if self.with_local(State::clock_ms) > Some(past_ms) {
            return Ok(());
        }
        // Another client than those that care for members and layouts, at the same time maybe.
        let mut client = self.directory.get().map_or([0; 16], |directory| directory.0);
        client[0] ^= 0x40;
        // One moment is one command, however often it is asked for.
        let request = Request { client: ClientId(client), number: past_ms };
        let at_ms = past_ms.saturating_add(1);
        let (who, operation) = (self.node.to_string(), Operation::AdvanceClock);
        let command = Command { group: GROUP, request, at_ms, who, operation };
        // That an earlier moment is refused after a later one is as well.
        self.command(&command, limits::CATALOG_REQUEST_TIMEOUT).await.map(drop)
    }
}
