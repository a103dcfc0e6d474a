//! `import` and `export`: whole repositories, with progress and a summary.

use std::path::Path;

use gitstratum_cluster::client::Client;
use gitstratum_cluster::wire::metrics::metrics_of;

use super::arguments::{Export, Import};
use super::progress::Shown;
use super::{Failure, connect, connect_for_puts, interruptible, nodes, note, show};
use crate::transfer::export::{self, ExportReport};
use crate::transfer::import::{self, ImportOptions, ImportReport};

const GO_ON: &str = "run the same command again: what is there already is not sent again";

/// Stores a repository and prints its manifest's id, last.
pub(super) async fn import(asked: Import) -> Result<(), Failure> {
    let client = connect_for_puts(&asked.client, asked.consistency).await?;
    let options = ImportOptions { allow_missing: asked.allow_missing };
    let shown = Shown::default();
    let stored = async { Ok(import::import(&client, &asked.repository, options, &shown).await?) };
    let report = interruptible(GO_ON, stored).await?;
    // Before anything that may fail, or never be read: nothing else names what was stored.
    let printed = show(&format!("{}\n", report.manifest));
    let summarized = async {
        summarize(&client, &report, &shown).await;
        Ok(())
    };
    interruptible(&format!("all of {} is stored", report.manifest), summarized).await?;
    printed
}

/// Stores a repository, waits for the last replica, and says what went where.
pub(super) async fn import_into(
    client: &Client,
    repository: &Path,
    options: ImportOptions,
) -> Result<ImportReport, Failure> {
    let shown = Shown::default();
    let report = import::import(client, repository, options, &shown).await?;
    summarize(client, &report, &shown).await;
    Ok(report)
}

/// Waits for the last replica, and says what went where, and what is to be warned of.
async fn summarize(client: &Client, report: &ImportReport, shown: &Shown) {
    for line in import::warning_lines(&report.warnings) {
        note(format_args!("warning: {line}"));
    }
    client.drain().await;
    let stats = client.stats();
    shown.summarize();
    note(format_args!(
        "imported {} objects, {} bytes, as {}: {} sent ({} bytes), {} were there already",
        report.objects,
        report.bytes,
        report.manifest,
        report.sent_objects,
        report.sent_bytes,
        report.already_present,
    ));
    // Who was fastest, then what every node has now that the slower ones are done too.
    for (node_id, acks) in &report.replica_acks {
        note(format_args!("  {node_id}: acknowledged {acks} in time for the quorum"));
    }
    for (member, status) in client.status().await {
        if nodes::is_removed(&member) && status.is_err() {
            continue;
        }
        let node_id = member.node_id;
        match status.map(|status| metrics_of(&status)) {
            Ok(metrics) => {
                let objects = metrics.count("gitstratum_store_objects");
                let bytes = metrics.count("gitstratum_store_payload_bytes");
                note(format_args!("  {node_id}: holds {objects} objects, {bytes} bytes in all"));
            }
            Err(error) => note(format_args!("  {node_id}: cannot say what it holds: {error}")),
        }
    }
    if stats.replica_failures > 0 {
        note(format_args!(
            "{} replica writes failed: {} will be delivered (see `gitstratum status`), {} are in \
             dirty ranges, {} recorded nowhere",
            stats.replica_failures,
            stats.missed_recorded + stats.missed_already_recorded,
            stats.missed_moved_to_ranges,
            stats.missed_lost
        ));
    }
}

/// Rebuilds a bare repository.
pub(super) async fn export(asked: Export) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    interruptible(GO_ON, export_from(&client, &asked)).await?;
    Ok(())
}

async fn export_from(client: &Client, asked: &Export) -> Result<ExportReport, Failure> {
    export_to(client, asked.manifest, &asked.directory).await
}

/// Rebuilds a bare repository and says what came.
pub(super) async fn export_to(
    client: &Client,
    manifest: gitstratum_core::object::ObjectId,
    directory: &Path,
) -> Result<ExportReport, Failure> {
    let shown = Shown::default();
    let report = export::export(client, manifest, directory, &shown).await?;
    shown.summarize();
    note(format_args!(
        "exported {} objects, {} bytes, in {} packs, and {} refs to {}; {} were there already",
        report.objects,
        report.bytes,
        report.packs,
        report.refs,
        directory.display(),
        report.already_present,
    ));
    if report.missing > 0 {
        note(format_args!(
            "warning: the repository lacked {} objects that its references reach when it was \
             imported; `git fsck` names them",
            report.missing
        ));
    }
    Ok(report)
}
