//! Cluster id.
//!
//! Which cluster a node belongs to: made once, kept in its data directory, never changed.
//!
//! What the configuration says must be what the directory keeps. Where neither says anything,
//! the cluster is about to be founded: a node that is alone draws an id, and the nodes of a
//! first layout derive one from it, each for itself. A later layout founds nothing, so a new
//! directory with nothing but that is refused: whatever id it made up would be another one.
//!
//! Invariant: the id is durable in the data directory before the node serves. So no restart,
//! no lost line of the configuration and no copy of the directory makes it another cluster's.
//!
//! A directory from before there were ids gets the one that is derived from the oldest layout
//! that it keeps; where that is the first, it is the one that a new directory would get.

use std::io;

use bytes::Bytes;
use gitstratum_core::format::NewerFormat;
use gitstratum_core::placement::{ClusterId, Layout, OtherCluster};
use gitstratum_host::Disk;
use gitstratum_host::disk::is_full;
use gitstratum_store::CLUSTER as FILE;
use rand::Rng;

use super::keeper::{self, KeepError};

/// Begins the first line, before the format.
const TITLE: &str = "gitstratum cluster ";
/// The format that is written, and the only one there was.
const FORMAT: u32 = 1;

/// Why it is not known which cluster a node belongs to, or cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The configuration names another cluster than the data directory.
    #[error(
        "cluster.id: the configuration says {}, and the data directory belongs to cluster {}: \
         give the node its own directory, or the configuration that id",
        .0.ours, .0.theirs
    )]
    Contradicted(OtherCluster),
    /// A new data directory, and nothing that says which cluster it is to belong to.
    #[error(
        "cluster.id: missing: the data directory is new, and layout version {version} is not the \
         first of its cluster: write the id that `gitstratum layout show` prints"
    )]
    Unknown {
        /// The version that is configured.
        version: u64,
    },
    /// Two files of the data directory name two clusters.
    #[error(
        "the data directory is of two clusters: file {FILE} says {file}, and {} says {layout}: \
         remove the one that came from elsewhere",
        keeper::FILE
    )]
    Mixed {
        /// What the file says that is there for it.
        file: ClusterId,
        /// What the kept layout says.
        layout: ClusterId,
    },
    /// The file that says it cannot be understood.
    #[error(
        "file {FILE} in the data directory is damaged: {problem}; where `gitstratum layout show` \
         on another node prints the id, remove the file and write `id` into [cluster]"
    )]
    Damaged {
        /// What is wrong with it.
        problem: String,
    },
    /// A newer version of the program wrote the file that says it.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// The kept layout cannot be read.
    #[error("layout: {0}")]
    Layout(#[from] KeepError),
    /// The file cannot be read or written.
    #[error("{doing} {FILE} in the data directory: {source}")]
    Io {
        /// read or write
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What a node's configuration says of its cluster.
#[derive(Clone, Copy, Debug)]
pub struct Configured<'a> {
    /// The layout, with the cluster's id where the operator wrote one.
    pub layout: &'a Layout,
    /// The operator described no cluster: the node is one by itself.
    pub alone: bool,
}

/// Where a node's cluster id comes from.
#[derive(Debug)]
enum Source {
    /// It is kept already.
    Kept(ClusterId),
    /// Written by the operator, derived from a layout, or kept with the layout alone.
    Said(ClusterId),
    /// It is to be drawn.
    Drawn,
}

/// Looks whether a node with this configuration could say which cluster it belongs to. Reads
/// the data directory and writes nothing, so it needs no lock.
///
/// # Errors
/// [`ClusterError`].
pub async fn check(disk: &Disk, config: Configured<'_>) -> Result<(), ClusterError> {
    source(disk, config).await.map(drop)
}

/// The cluster that a node with this configuration belongs to, durable in the data directory,
/// which must be locked by this process.
///
/// # Errors
/// [`ClusterError`].
pub async fn keep(
    disk: &Disk,
    config: Configured<'_>,
    rng: &mut impl Rng,
) -> Result<ClusterId, ClusterError> {
    let (id, drawn) = match source(disk, config).await? {
        Source::Kept(id) => return Ok(id),
        Source::Said(id) => (id, false),
        Source::Drawn => (ClusterId::random(rng), true),
    };
    let body = format!("{TITLE}{FORMAT}\nid {id}\n");
    let text = format!("{body}crc32c {}", checksum(&body));
    match disk.replace(FILE, Bytes::from(text)).await {
        Ok(()) => tracing::info!(cluster = %id, "the data directory belongs to this cluster now"),
        // A directory from before, on a full disk. The same id is found again at the next start.
        Err(error) if !drawn && is_full(&error) => {
            tracing::warn!(cluster = %id, %error, "the cluster's id is not kept yet");
        }
        Err(source) => return Err(ClusterError::Io { doing: "write", source }),
    }
    Ok(id)
}

async fn source(disk: &Disk, config: Configured<'_>) -> Result<Source, ClusterError> {
    let file = read(disk).await?;
    let layout = keeper::read(disk).await?.map(|(layout, _)| layout);
    let stated = layout.as_ref().and_then(|layout| layout.cluster.clone());
    if let (Some(file), Some(layout)) = (&file, &stated)
        && file != layout
    {
        return Err(ClusterError::Mixed { file: file.clone(), layout: layout.clone() });
    }
    if let (Some(ours), Some(theirs)) = (&config.layout.cluster, file.as_ref().or(stated.as_ref()))
        && ours != theirs
    {
        let (ours, theirs) = (ours.clone(), theirs.clone());
        return Err(ClusterError::Contradicted(OtherCluster { ours, theirs }));
    }
    if let Some(id) = file {
        return Ok(Source::Kept(id));
    }
    match stated.or(config.layout.cluster.clone()) {
        Some(id) => Ok(Source::Said(id)),
        None => founded(config, layout.as_ref()),
    }
}

/// The source of an id that nobody has said.
fn founded(config: Configured<'_>, kept: Option<&Layout>) -> Result<Source, ClusterError> {
    // That a node was alone when it kept its layout, with whatever address, says nothing.
    let kept = kept.filter(|kept| !config.alone || kept.members.len() > 1);
    let first = match kept {
        Some(kept) => kept.previous.first().map_or(kept, |oldest| oldest),
        None if config.alone => return Ok(Source::Drawn),
        None if config.layout.version == 1 => config.layout,
        None => return Err(ClusterError::Unknown { version: config.layout.version }),
    };
    Ok(Source::Said(ClusterId::derived(first)))
}

async fn read(disk: &Disk) -> Result<Option<ClusterId>, ClusterError> {
    let bytes = match disk.read_whole(FILE).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|source| ClusterError::Io { doing: "read", source })?,
    };
    let damaged = |problem: &str| ClusterError::Damaged { problem: problem.to_owned() };
    let text = std::str::from_utf8(&bytes).map_err(|error| damaged(&error.to_string()))?;
    let (body, sum) = text.rsplit_once("crc32c ").ok_or_else(|| damaged("it has no checksum"))?;
    if sum != checksum(body) {
        return Err(damaged("its checksum is of something else"));
    }
    let strange = || damaged("it does not say which cluster");
    let first = body.strip_prefix(TITLE).and_then(|rest| rest.split_once('\n'));
    let (format, rest) = first.ok_or_else(strange)?;
    match format.parse() {
        Ok(FORMAT) => {}
        Ok(newer @ 2_u32..) => return Err(NewerFormat::new(FILE, newer, FORMAT).into()),
        _ => return Err(strange()),
    }
    let id = rest.strip_prefix("id ").and_then(|rest| rest.strip_suffix('\n'));
    let id = id.ok_or_else(strange)?;
    ClusterId::parse(id).map(Some).map_err(|problem| damaged(&problem))
}

/// The last line of the file, after its first word.
fn checksum(body: &str) -> String {
    format!("{:08x}\n", crc32c::crc32c(body.as_bytes()))
}
