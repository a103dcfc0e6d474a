//! `backup` and `restore`: a cluster's repositories in a directory, and back.

use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use gitstratum_catalog::names::RepositoryName;
use indicatif::HumanBytes;

use super::arguments::{Backup, BackupCommand, Restore};
use super::catalog::{of_client, utc};
use super::progress::Shown;
use super::{Failure, connect, interruptible, note, show};
use crate::backup::prune::{Pruned, prune};
use crate::backup::restore::{self, Only, Restored, Wanted};
use crate::backup::take::{Options, Taken, take};
use crate::backup::verify::verify;
use crate::backup::{BackupError, Directory, Manifest, Position};

const GO_ON: &str = "give the same command again: it goes on where it was, and the backups that came \
                     to their end before are as they were";
const GO_ON_RESTORING: &str = "give the same command again: it goes on where it was";

/// Does what `backup` says.
pub(super) async fn backup(asked: Backup) -> Result<(), Failure> {
    match asked.command {
        Some(BackupCommand::List { directory, json }) => list(&directory, json),
        Some(BackupCommand::Verify { directory, jobs }) => {
            interruptible("nothing was changed", check(&directory, jobs.into())).await
        }
        Some(BackupCommand::Prune { directory, keep }) => prune_to(&directory, keep),
        None => {
            let Some(directory) = asked.directory.clone() else {
                return Err(Failure::Usage(
                    "DIR is missing: see `gitstratum backup --help`".into(),
                ));
            };
            take_into(&directory, asked).await
        }
    }
}

async fn take_into(directory: &Path, asked: Backup) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    let catalog = of_client(client.clone())?;
    let options = Options { only: asked.repository, jobs: asked.jobs.into(), verify: asked.verify };
    let shown = Shown::default();
    let taking = async { Ok(take(&client, &catalog, directory, options, &shown).await?) };
    let taken = interruptible(GO_ON, taking).await?;
    // What reads found lacking is given to the replicas before we go.
    client.drain().await;
    show(&format!("{}\n", taken.position.name))?;
    shown.summarize();
    tell(&taken, directory);
    match asked.keep {
        Some(keep) => prune_to(directory, keep),
        None => Ok(()),
    }
}

fn tell(taken: &Taken, directory: &Path) {
    let Manifest { repositories, deleted, refs, tokens, position, objects, bytes, .. } =
        taken.position.manifest;
    note(format_args!(
        "{repositories} repositories, {deleted} deleted ones, {refs} refs and {tokens} access tokens, \
         as they were at position {position} of the catalog, in {objects} chunks, {}; {} of them, {}, are \
         new in {}",
        HumanBytes(bytes),
        taken.new_objects,
        HumanBytes(taken.new_bytes),
        directory.display(),
    ));
    if taken.healed > 0 {
        note(format_args!("{} files were damaged, and are sound again", taken.healed));
    }
    for name in &taken.position.manifest.left_out {
        note(format_args!("{name} is not in it: it is being restored, and not whole yet"));
    }
    note("objects that were put without a name (`gitstratum put`) are not in it");
}

fn list(directory: &Path, json: bool) -> Result<(), Failure> {
    let positions = Position::all(&Directory::read(directory)?)?;
    if json {
        let line = |position: &Position| super::catalog::line(&Line::from(position));
        let lines: Result<String, Failure> = positions.iter().map(line).collect();
        return show(&lines?);
    }
    if positions.is_empty() {
        note("no backup in it came to its end");
        return Ok(());
    }
    let mut table = Table::new();
    let header = ["position", "taken", "repositories", "refs", "chunks", "bytes", "has"];
    table.load_preset(presets::NOTHING).set_header(header);
    for Position { name, manifest, .. } in &positions {
        let has = manifest.only.as_ref().map_or_else(|| "all".to_owned(), |only| only.join(", "));
        table.add_row([
            name.clone(),
            utc(manifest.taken_at_ms),
            manifest.repositories.to_string(),
            manifest.refs.to_string(),
            manifest.objects.to_string(),
            HumanBytes(manifest.bytes).to_string(),
            has,
        ]);
    }
    show(&format!("{}\n", table.trim_fmt()))
}

/// A position as JSON.
#[derive(serde::Serialize)]
struct Line<'a> {
    name: &'a str,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

impl<'a> From<&'a Position> for Line<'a> {
    fn from(position: &'a Position) -> Self {
        Line { name: &position.name, manifest: &position.manifest }
    }
}

async fn check(directory: &Path, jobs: usize) -> Result<(), Failure> {
    let shown = Shown::default();
    let verified = verify(directory, jobs, &shown).await?;
    for problem in &verified.problems {
        show(&format!("{problem}\n"))?;
    }
    shown.summarize();
    if verified.unneeded_files > 0 {
        note(format_args!(
            "{} files, {}, are needed by none of the positions: `gitstratum backup prune` removes them",
            verified.unneeded_files,
            HumanBytes(verified.unneeded_bytes)
        ));
    }
    let what = format!(
        "{} positions, {} packs, {} chunks, {}",
        verified.positions,
        verified.packs,
        verified.objects,
        HumanBytes(verified.bytes)
    );
    match verified.problems.len() {
        0 => show(&format!("{} is sound: {what}\n", directory.display())),
        problems => Err(Failure::Operation(format!(
            "{} is not sound: {problems} problems in {what}; `gitstratum backup --verify` fetches again \
             what the cluster still has",
            directory.display()
        ))),
    }
}

fn prune_to(directory: &Path, keep: u32) -> Result<(), Failure> {
    let Pruned { positions, files, bytes } = prune(directory, keep as usize)?;
    for position in &positions {
        note(format_args!("forgot {position}"));
    }
    note(format_args!("removed {files} files, {}, that nothing needs any more", HumanBytes(bytes)));
    Ok(())
}

/// Does what `restore` says.
pub(super) async fn restore(asked: Restore) -> Result<(), Failure> {
    if let Some(name) = &asked.new_name {
        RepositoryName::parse(name).map_err(|reason| {
            Failure::Usage(format!("--as: {name:?} cannot be a name: {reason}"))
        })?;
    }
    let client = connect(&asked.client).await?;
    let mut catalog = of_client(client.clone())?;
    let only = asked.repository.map(|name| Only { name, new_name: asked.new_name });
    let wanted = Wanted { at: asked.at, only, jobs: asked.jobs.into() };
    let (shown, directory): (_, PathBuf) = (Shown::default(), asked.directory);
    let restoring = async {
        let restored = restore::restore(&client, &mut catalog, &directory, &wanted, &shown).await;
        // However it ended: replicas that were slow have what was stored, or are known to lack it.
        client.drain().await;
        restored.map_err(|error: BackupError| Failure::from(error))
    };
    let restored = interruptible(GO_ON_RESTORING, restoring).await?;
    let lines: String = restored.names.iter().map(|name| format!("{name}\n")).collect();
    show(&lines)?;
    shown.summarize();
    tell_restored(&restored);
    Ok(())
}

fn tell_restored(restored: &Restored) {
    let (names, deleted, position) = (restored.names.len(), restored.deleted, &restored.position);
    if restored.was_there {
        note(format_args!(
            "{names} repositories and {deleted} deleted ones of {position} are there already, from an \
             earlier run"
        ));
    } else {
        note(format_args!(
            "restored {names} repositories and {deleted} deleted ones of {position}: {} chunks, {}, \
             are on as many replicas as it takes; `gitstratum repo verify` proves more",
            restored.objects,
            HumanBytes(restored.bytes)
        ));
    }
    if restored.tokens > 0 {
        note(format_args!("{} access tokens are there", restored.tokens));
    }
    if restored.expired_tokens > 0 {
        note(format_args!("{} access tokens had expired, and are not", restored.expired_tokens));
    }
    for name in &restored.left_out {
        note(format_args!("{name} is not in the backup: it was being restored then"));
    }
}
