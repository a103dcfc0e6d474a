//! `import`, `export` and `repo verify`: whole repositories, with progress and a summary.

use std::path::Path;

use gitstratum_catalog::command::CreateRepository;
use gitstratum_catalog::entity::RepositoryLimits;
use gitstratum_catalog::{Operation, Outcome, Verdict};
use gitstratum_cluster::client::Client;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_git::repository::whole::Report;
use gitstratum_git::service::{Caller, Head, OpenError, Purpose, Repositories as _};

use super::arguments::{ClientArguments, Export, Import};
use super::catalog::{call, find, of_client, other, who};
use super::progress::Shown;
use super::{Failure, connect, connect_for_puts, interruptible, note, seeded_by_the_system, show};
use crate::git::outside::{Outside, gateway};
use crate::transfer::Progress as _;
use crate::transfer::export;
use crate::transfer::export::repository::{RepositoryReport, export_repository};
use crate::transfer::head::pointing;
use crate::transfer::import::{self, ImportOptions, ImportReport};

const GO_ON: &str = "run the same command again: what is there already is not sent again";
const BEGIN_ANEW: &str = "run the same command again: it begins anew in the same directory";
/// Where `HEAD` points in a new repository whose own `HEAD` is at no branch.
const USUAL_BRANCH: &str = "refs/heads/main";

pub(super) fn open_gateway(client: &Client) -> Result<Outside, Failure> {
    Ok(gateway(client.clone(), &who(), &mut seeded_by_the_system()?))
}

/// Pushes a repository, and prints its name when all of it is there.
pub(super) async fn import(asked: Import) -> Result<(), Failure> {
    let client = connect_for_puts(&asked.client, asked.consistency).await?;
    let options = ImportOptions { force: asked.force, slice_objects: asked.slice_objects };
    let imported = import_into(&client, &asked.repository, &asked.name, options);
    interruptible(GO_ON, imported).await?;
    show(&format!("{}\n", asked.name))
}

/// Pushes a repository, and says what went where.
pub(super) async fn import_into(
    client: &Client,
    path: &Path,
    name: &str,
    options: ImportOptions,
) -> Result<ImportReport, Failure> {
    let described = import::describe(path).await?;
    let new = New {
        object_format: described.object_format,
        head: Some(&described.head),
        description: String::new(),
    };
    create(client, name, new).await?;
    let Outside { served, .. } = open_gateway(client)?;
    let caller = Caller { credentials: Some((who(), String::new())), address: String::new() };
    let repository = served.open(name, Purpose::Push, &caller).await?;
    let shown = Shown::default();
    let report = import::import(path, described.clone(), &*repository, options, &shown).await?;
    point_head(client, name, &described.head).await?;
    client.drain().await;
    for line in &report.warnings {
        note(format_args!("warning: {line}"));
    }
    if report.slices > 0 {
        shown.summarize();
    }
    match report.slices {
        0 => note(format_args!(
            "all {} refs of {} are in {name} already",
            report.refs,
            path.display()
        )),
        slices => note(format_args!(
            "imported {} as {name}: {} objects, {} bytes in {slices} pushes; all {} refs and HEAD are \
             there",
            path.display(),
            report.objects,
            report.bytes,
            report.refs,
        )),
    }
    if report.kept_refs > 0 {
        let kept = report.kept_refs;
        note(format_args!(
            "{kept} refs that {name} has and this repository has not stay as they are"
        ));
    }
    let stats = client.stats();
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
    Ok(report)
}

/// What a repository is made with.
pub(super) struct New<'a> {
    pub(super) object_format: HashAlgorithm,
    pub(super) head: Option<&'a Head>,
    pub(super) description: String,
}

/// Makes the repository, if there is none of the name.
pub(super) async fn create(client: &Client, name: &str, new: New<'_>) -> Result<(), Failure> {
    let mut catalog = of_client(client.clone())?;
    if find(&catalog, name).await?.is_some() {
        return Ok(());
    }
    let create = CreateRepository {
        name: name.to_owned(),
        object_format: new.object_format,
        default_branch: match new.head {
            Some(Head::Branch(branch)) => branch.clone(),
            Some(Head::Detached(_)) | None => USUAL_BRANCH.to_owned(),
        },
        description: new.description,
        limits: RepositoryLimits::default(),
        hidden_refs: Vec::new(),
    };
    match call(&mut catalog, Operation::CreateRepository(create)).await? {
        Outcome::Created { .. } => Ok(()),
        _ => other(),
    }
}

/// Points `HEAD` of a repository there.
pub(super) async fn point_head(client: &Client, name: &str, head: &Head) -> Result<(), Failure> {
    let mut catalog = of_client(client.clone())?;
    let Some(found) = find(&catalog, name).await? else {
        return Err(Failure::Operation(format!("{name} was deleted meanwhile")));
    };
    let operation = pointing(found.id, found.repository.generation, head);
    match call(&mut catalog, operation).await? {
        Outcome::Changed => Ok(()),
        Outcome::Pushed { verdicts } => match verdicts.into_iter().next() {
            Some(Verdict::Refused(reason)) => Err(Failure::Operation(format!("HEAD: {reason}"))),
            _ => Ok(()),
        },
        _ => other(),
    }
}

/// Writes a repository to disk.
pub(super) async fn export(asked: Export) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    match asked.name.parse::<ObjectId>() {
        Ok(manifest) => {
            note(
                "this is the id of a manifest: such are read by this version, and no more by the \
                 next; `gitstratum import` gives what it writes a name",
            );
            interruptible(GO_ON, export_manifest(&client, manifest, &asked.directory)).await
        }
        Err(_) => {
            let exported = export_to(&client, &asked.name, &asked.directory);
            interruptible(BEGIN_ANEW, exported).await.map(drop)
        }
    }
}

/// Writes a repository to disk, and says what came.
pub(super) async fn export_to(
    client: &Client,
    name: &str,
    directory: &Path,
) -> Result<RepositoryReport, Failure> {
    let Outside { served, .. } = open_gateway(client)?;
    let whole = served.whole(name).await.map_err(not_opened)?;
    let shown = Shown::default();
    let report = export_repository(&whole, name, directory, &shown).await?;
    shown.summarize();
    note(format_args!(
        "exported {name} to {}: {} objects, {} bytes in {} packs, {} refs and HEAD",
        directory.display(),
        report.objects,
        report.bytes,
        report.packs,
        report.refs,
    ));
    Ok(report)
}

fn not_opened(error: OpenError) -> Failure {
    match error {
        OpenError::NotFound { name } => {
            Failure::Operation(format!("there is no repository named {name}"))
        }
        error => Failure::from(error),
    }
}

/// Rebuilds a bare repository from a manifest.
async fn export_manifest(
    client: &Client,
    manifest: ObjectId,
    directory: &Path,
) -> Result<(), Failure> {
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
    Ok(())
}

/// Proves that a repository is whole and sound on all of its replicas, or says what is wrong.
pub(super) async fn verify(name: &str, arguments: &ClientArguments) -> Result<(), Failure> {
    let client = connect(arguments).await?;
    let Outside { served, chunks } = open_gateway(&client)?;
    let checking = async {
        let whole = served.whole(name).await.map_err(not_opened)?;
        let shown = Shown::default();
        shown.begin("verifying", whole.packs().iter().map(|pack| pack.objects).sum());
        let mut findings = Findings { shown: &shown, printed: Ok(()) };
        let checked = whole.check(&*chunks, &mut findings).await;
        findings.printed?;
        shown.end();
        shown.summarize();
        Ok(checked)
    };
    let checked = interruptible("nothing was changed", checking).await?;
    // What reads found lacking is given to the replicas before we go.
    client.drain().await;
    let what = format!(
        "{} packs, {} chunks on each of their replicas, {} objects, {} refs",
        checked.packs, checked.chunks, checked.objects, checked.refs
    );
    match checked.problems {
        0 => show(&format!("{name} is sound: {what}\n")),
        problems => Err(Failure::Operation(format!(
            "{name} is not sound: {problems} problems in {what}; `gitstratum repair start` has nodes \
             give each other what they lack"
        ))),
    }
}

/// Prints what is wrong as it is found.
struct Findings<'a> {
    shown: &'a Shown,
    printed: Result<(), Failure>,
}

impl Report for Findings<'_> {
    fn problem(&mut self, line: String) {
        if self.printed.is_ok() {
            self.printed = show(&format!("{line}\n"));
        }
    }

    fn checked(&mut self, objects: u64, bytes: u64) {
        self.shown.advance(objects, bytes);
    }
}
