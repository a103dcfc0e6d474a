//! `import` and `export`: whole repositories, with progress and a summary.

use std::path::Path;

use super::arguments::{Export, Import};
use super::progress::Shown;
use super::{Failure, connect, connect_for_puts, interruptible};
use crate::client::Client;
use crate::client::export::{self, ExportReport};
use crate::client::import::{self, ImportOptions, ImportReport};

const GO_ON: &str = "run the same command again: what is there already is not sent again";

/// Stores a repository and prints its manifest's id, last.
pub(super) async fn import(asked: Import) -> Result<(), Failure> {
    let client = connect_for_puts(&asked.client, asked.consistency).await?;
    let options = ImportOptions { allow_missing: asked.allow_missing };
    let report = interruptible(GO_ON, import_into(&client, &asked.repository, options)).await?;
    println!("{}", report.manifest);
    Ok(())
}

/// Stores a repository, waits for the last replica, and says what went where.
pub(super) async fn import_into(
    client: &Client,
    repository: &Path,
    options: ImportOptions,
) -> Result<ImportReport, Failure> {
    let report = import::import(client, repository, options, &Shown::default()).await?;
    for line in import::warning_lines(&report.warnings) {
        eprintln!("warning: {line}");
    }
    client.drain().await;
    let stats = client.stats();
    eprintln!(
        "imported {} objects, {} bytes: {} sent ({} bytes), {} were there already",
        report.objects,
        report.bytes,
        report.sent_objects,
        report.sent_bytes,
        report.already_present,
    );
    // Who was fastest, then what every node has now that the slower ones are done too.
    for (node_id, acks) in &report.replica_acks {
        eprintln!("  {node_id}: acknowledged {acks} in time for the quorum");
    }
    for (member, status) in client.status().await {
        let node_id = member.node_id;
        match status.map(|status| status.store.unwrap_or_default()) {
            Ok(store) => {
                let (objects, bytes) = (store.objects, store.payload_bytes);
                eprintln!("  {node_id}: holds {objects} objects, {bytes} bytes in all");
            }
            Err(error) => eprintln!("  {node_id}: cannot say what it holds: {error}"),
        }
    }
    if stats.replica_failures > 0 {
        eprintln!(
            "{} replica writes failed: {} will be delivered (see `gitstratum status`), {} are in \
             dirty ranges, {} recorded nowhere",
            stats.replica_failures,
            stats.missed_recorded + stats.missed_already_recorded,
            stats.missed_ranged,
            stats.missed_lost
        );
    }
    Ok(report)
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
    manifest: crate::object::ObjectId,
    directory: &Path,
) -> Result<ExportReport, Failure> {
    let shown = Shown::default();
    let report = export::export(client, manifest, directory, &shown).await?;
    eprintln!(
        "exported {} objects, {} bytes, in {} packs, and {} refs to {}; {} were there already",
        report.objects,
        report.bytes,
        report.packs,
        report.refs,
        directory.display(),
        report.already_present,
    );
    if report.missing > 0 {
        eprintln!(
            "warning: the repository lacked {} objects that its references reach when it was \
             imported; `git fsck` names them",
            report.missing
        );
    }
    Ok(report)
}
