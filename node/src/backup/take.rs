//! Taking a backup: the catalog at one position, then every chunk that it needs.

mod fetch;
mod select;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gitstratum_catalog::entity::Pack;
use gitstratum_catalog::ids::{PackId, RepositoryId};
use gitstratum_catalog::state::{Record, StateBuilder};
use gitstratum_catalog::{Answer, Query, State};
use gitstratum_cluster::client::Client;
use gitstratum_host::unix_time_ms;

use super::directory::FORMAT;
use super::manifest::Manifest;
use super::objects::Objects;
use super::{BackupError, Directory, Position, blocking};
use crate::catalog::{CallError, CatalogClient};
use crate::transfer::{Counters, Progress, backoff, showing};

use fetch::Fetch;
use select::Selection;

/// How often the catalog is read from its beginning, because the node that gave it has no more of it,
/// or none answers.
const READINGS_MAX: u32 = 5;

/// How a backup is taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of the only repositories to have; all, where there are none.
    pub only: Vec<String>,
    /// Chunks that are fetched at the same time.
    pub jobs: usize,
    /// Whether files that are there are read and hashed, and fetched again where they are damaged.
    pub verify: bool,
}

/// What was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The position.
    pub position: Position,
    /// Chunks that were not there yet.
    pub new_objects: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Files that were found to be damaged, and are sound again.
    pub healed: u64,
}

/// Backs a cluster up.
///
/// # Errors
/// [`BackupError`]. What was fetched by then stays, and no position was changed.
pub async fn take(
    client: &Client,
    catalog: &CatalogClient,
    path: &Path,
    options: Options,
    progress: &dyn Progress,
) -> Result<Taken, BackupError> {
    let cluster = cluster_of(client)?;
    let directory = {
        let (path, cluster) = (path.to_owned(), cluster.clone());
        blocking(move || {
            let directory = Directory::write(&path, &cluster)?;
            // What is damaged, or of a newer program, is told before the work and not after it.
            Position::all(&directory)?;
            Ok(Arc::new(directory))
        })
        .await?
    };
    let taken_at_ms = unix_time_ms();
    let state = Arc::new(read(catalog).await?);
    let selection = Arc::new(Selection::of(&state, &options.only)?);
    let packs = packs_of(&state, &selection);
    let objects = Objects::of(directory.clone());
    let counters = Arc::new(Counters::default());
    let fetch = Fetch::new(client.clone(), objects.clone(), &options, counters.clone());
    progress.begin("backing up", packs.values().map(|(pack, _)| pack.objects).sum());
    let fetching = fetch.all(packs.values().cloned().collect());
    let mut list = showing(fetching, &counters, progress).await?;
    progress.end();
    list.sort_unstable();
    list.dedup();
    let fetched = fetch.done();
    let counts = selection.counts();
    let manifest = Manifest {
        format: FORMAT,
        program: crate::VERSION.to_owned(),
        cluster,
        position: state.position(),
        taken_at_ms,
        only: (!options.only.is_empty()).then(|| options.only.clone()),
        repositories: selection.live,
        deleted: selection.deleted,
        left_out: selection.left_out.clone(),
        refs: counts.refs,
        packs: packs.len() as u64,
        tokens: counts.tokens,
        objects: list.len() as u64,
        bytes: list.iter().map(|(_, bytes)| bytes).sum(),
        catalog_sha256: String::new(),
        objects_sha256: String::new(),
    };
    let position = blocking(move || {
        objects.sync()?;
        Position::write(&directory, manifest, |to| selection.write(&state, to), &list)
    })
    .await?;
    let (new_objects, new_bytes, healed) = fetched;
    Ok(Taken { position, new_objects, new_bytes, healed })
}

/// The id of the cluster that a client talks to.
pub(super) fn cluster_of(client: &Client) -> Result<String, BackupError> {
    let cluster = client.layout().cluster.as_ref().map(ToString::to_string);
    cluster.ok_or_else(|| {
        BackupError::Refused("the nodes do not say which cluster they are of: upgrade them".into())
    })
}

/// The catalog with all that was acknowledged before, at one position.
async fn read(catalog: &CatalogClient) -> Result<State, BackupError> {
    let mut failed = BackupError::Changing;
    for failures in 0..READINGS_MAX {
        failed = match read_once(catalog).await {
            Ok(Some(state)) => return Ok(state),
            Ok(None) => BackupError::Changing,
            // The nodes may be choosing who leads.
            Err(error @ BackupError::Catalog(CallError::Asking(_))) => error,
            Err(error) => return Err(error),
        };
        tokio::time::sleep(backoff(failures)).await;
    }
    Err(failed)
}

/// The same; nothing, where another node answered in the midst of it, which has another state.
async fn read_once(catalog: &CatalogClient) -> Result<Option<State>, BackupError> {
    let mut builder = StateBuilder::default();
    let (mut of, mut skip, mut line) = (None, 0, 0);
    loop {
        let (text, next) = match catalog.ask(&Query::Dump { of, skip }).await? {
            Answer::Dump { of: position, text, next } => {
                of = Some(position);
                (text, next)
            }
            Answer::DumpGone => return Ok(None),
            _ => return Err(CallError::Other.into()),
        };
        for record in text.lines() {
            line += 1;
            let wrong = |problem: String| BackupError::Text { line, problem };
            let record: Record =
                serde_json::from_str(record).map_err(|error| wrong(error.to_string()))?;
            builder.add(record).map_err(|error| wrong(error.to_string()))?;
        }
        match next {
            Some(next) => skip = next,
            None => {
                let finished = builder.finish();
                let wrong = |problem: String| BackupError::Text { line, problem };
                return finished.map(Some).map_err(|error| wrong(error.to_string()));
            }
        }
    }
}

/// The packs of these repositories, each once, with the name of one that has it.
fn packs_of(state: &State, selection: &Selection) -> BTreeMap<PackId, (Arc<Pack>, String)> {
    let mut packs = BTreeMap::new();
    for (&repository, name) in &selection.repositories {
        let of: RepositoryId = repository;
        for pack in state.packs(of) {
            packs.entry(pack.id).or_insert_with(|| (pack.clone(), name.clone()));
        }
    }
    packs
}
