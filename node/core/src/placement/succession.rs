//! Which layout may follow which: pure rules of succession.
//!
//! Invariant: the version never goes back, one version never has two contents, and all are of one
//! cluster. Who holds the layout in force, and makes the next one durable, is left to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Layout, LayoutError, OtherCluster};
use crate::limits::LAYOUT_VERSIONS_AHEAD_MAX;

/// Why a layout did not come into force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutRefused {
    /// It is the layout of another cluster.
    #[error("cluster.id: {0}")]
    OtherCluster(#[from] OtherCluster),
    /// It is older than the one in force.
    #[error("cluster.version: {given} is older than version {in_force}, which is in force")]
    Older {
        /// The version that was given.
        given: u64,
        /// The version in force, which stays.
        in_force: u64,
    },
    /// It says something else than the one in force under the same version.
    #[error(
        "cluster.version: {version} is in force with other contents ({difference}): a change \
         needs a greater version"
    )]
    Different {
        /// The version of both.
        version: u64,
        /// The first thing in which they differ.
        difference: String,
    },
    /// It was to be applied, and is not the next one.
    #[error(
        "cluster.version: {given} does not follow {in_force}, which is in force: versions grow \
         by one, so the next change is version {}", in_force.saturating_add(1)
    )]
    Gap {
        /// The version that was given.
        given: u64,
        /// The version in force, which stays.
        in_force: u64,
    },
    /// It was to be applied, and tells of an earlier layout that nobody else tells of.
    #[error(
        "previous: nobody who could be asked knows of a version {version} before version \
         {given}: leave it out of what is applied"
    )]
    UnknownHistory {
        /// The version that was given.
        given: u64,
        /// The version that is said to have been before it.
        version: u64,
    },
    /// No cluster comes there by changing its layout one version at a time.
    #[error(
        "cluster.version: {given} is more than {LAYOUT_VERSIONS_AHEAD_MAX} versions ahead of \
         {in_force}, which is in force"
    )]
    TooFarAhead {
        /// The version that was given.
        given: u64,
        /// The version in force, which stays.
        in_force: u64,
    },
    /// It cannot be a layout at all.
    #[error(transparent)]
    Wrong(#[from] LayoutError),
}

/// Whether `layout` may be applied after `in_force`: it is the same version or the next one, and
/// tells of no earlier layout that is not known here.
///
/// # Errors
/// [`LayoutRefused::Gap`], [`LayoutRefused::UnknownHistory`].
pub fn check_step(in_force: &Layout, layout: &Layout) -> Result<(), LayoutRefused> {
    let given = layout.version;
    if given < in_force.version {
        // Refused as what it is.
        return Ok(());
    }
    if given - in_force.version > 1 {
        return Err(LayoutRefused::Gap { given, in_force: in_force.version });
    }
    let known = |version: u64| {
        version == in_force.version
            || in_force.previous.iter().any(|earlier| earlier.version == version)
    };
    match layout.previous.iter().find(|earlier| !known(earlier.version)) {
        Some(earlier) => Err(LayoutRefused::UnknownHistory { given, version: earlier.version }),
        None => Ok(()),
    }
}

/// The layout that comes into force when `layout` follows `in_force`: with the history of both.
/// `None` when that is in force already. One that names no cluster is of the same.
///
/// # Errors
/// [`LayoutRefused`].
pub fn succession(
    in_force: &Arc<Layout>,
    layout: &Layout,
) -> Result<Option<Layout>, LayoutRefused> {
    let layout = &match &in_force.cluster {
        Some(ours) => layout.clone().of_cluster(ours)?,
        None => layout.clone(),
    };
    if layout.version < in_force.version {
        let (given, in_force) = (layout.version, in_force.version);
        return Err(LayoutRefused::Older { given, in_force });
    }
    if layout.version - in_force.version > LAYOUT_VERSIONS_AHEAD_MAX {
        let (given, in_force) = (layout.version, in_force.version);
        return Err(LayoutRefused::TooFarAhead { given, in_force });
    }
    let successor = Layout { previous: history(in_force, layout), ..layout.clone() };
    let successor = successor.validated()?;
    if successor.version == in_force.version {
        if let Some(difference) = in_force.difference(&successor) {
            return Err(LayoutRefused::Different { version: successor.version, difference });
        }
        if successor.previous.len() == in_force.previous.len() {
            return Ok(None);
        }
    }
    Ok(Some(successor))
}

/// The earlier versions that readers need once `next` is in force.
fn history(in_force: &Arc<Layout>, next: &Layout) -> Vec<Arc<Layout>> {
    let alone = |layout: &Arc<Layout>| match (&layout.cluster, layout.previous.is_empty()) {
        (None, true) => layout.clone(),
        _ => Arc::new(Layout { cluster: None, previous: Vec::new(), ..Layout::clone(layout) }),
    };
    let known = next.previous.iter().chain(&in_force.previous).chain([in_force]);
    let known: BTreeMap<u64, Arc<Layout>> =
        known.map(|layout| (layout.version, alone(layout))).collect();
    let needed =
        known.into_iter().filter(|(version, _)| (next.settled..next.version).contains(version));
    needed.map(|(_, layout)| layout).collect()
}
