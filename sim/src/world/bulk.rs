//! The repository of many refs that nobody updates, made by a step.

use super::catalog::with_client;
use super::{Cluster, Run};
use crate::trace::Event;
use crate::workload::bulk;

/// Makes it with so many refs.
pub(super) async fn make(run: &Run, cluster: &Cluster, refs: u32) {
    let made = with_client(run, cluster, "bulk".to_owned(), move |mut caller| async move {
        bulk::make(&mut caller, refs).await
    });
    if let Err(reason) = made.await {
        run.recorder.record("world", Event::FaultMissed { wanted: reason });
    }
}

/// Records what is left of it, if a step made it.
pub(super) async fn read(run: &Run, cluster: &Cluster) -> Result<(), String> {
    let Some(made) = run.plan.bulk_refs() else { return Ok(()) };
    let counted = with_client(run, cluster, "bulk-count".to_owned(), move |caller| async move {
        bulk::count(&caller, made).await
    });
    let (found, others) = counted.await?;
    run.recorder.record("world", Event::BulkRefs { made, found, others });
    Ok(())
}
