//! Repositories on the status page: a page of them with their sizes, out of the catalog as this node has
//! it.
//!
//! Invariant: it takes a bounded look however many repositories and packs there are, and shows nothing
//! outside the viewer's prefix.

use std::sync::Arc;

use gitstratum_catalog::State;
use gitstratum_catalog::entity::Repository;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_core::limits::{STATUS_PAGE_PACKS_MAX, STATUS_PAGE_REPOSITORIES};

/// Which repositories are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    /// What their names begin with.
    pub(super) prefix: String,
    /// The name after which the page begins; empty for the first one.
    pub(super) after: String,
}

/// A page of repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// In the order of their names.
    pub(super) rows: Vec<Row>,
    /// All that there are; nothing for those who see some alone.
    pub(super) total: Option<u64>,
    /// The name after which the next page begins, where there is one.
    pub(super) next: Option<String>,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) is_public: bool,
    pub(super) refs: u64,
    pub(super) packs: u64,
    /// Objects in its packs.
    pub(super) objects: u64,
    /// Bytes of its packs.
    pub(super) bytes: u64,
    /// Not all packs were added up: these are fewer than there are.
    pub(super) is_cut: bool,
    /// In unix milliseconds.
    pub(super) created_at_ms: u64,
}

impl Listing {
    /// Those that are wanted and within `scope`, which is a name and all beneath it, or all where it is
    /// empty.
    pub(super) fn of(state: &State, scope: &str, wanted: &Wanted) -> Self {
        let after = RepositoryName::parse(&wanted.after).ok();
        let (found, next) = match scope {
            "" => all(state, &wanted.prefix, after.as_ref()),
            scope => within(state, scope, &wanted.prefix, after.as_ref()),
        };
        let mut left = STATUS_PAGE_PACKS_MAX;
        let rows = found.iter().map(|(id, it)| Row::of(state, *id, it, &mut left)).collect();
        let sees_all = scope.is_empty() && wanted.prefix.is_empty();
        let live = || state.counts().repositories - state.deleted_repositories().count() as u64;
        Listing { rows, total: sees_all.then(live), next }
    }
}

type Found = (Vec<(RepositoryId, Arc<Repository>)>, Option<String>);

fn all(state: &State, prefix: &str, after: Option<&RepositoryName>) -> Found {
    let page = state.repositories(prefix, after, STATUS_PAGE_REPOSITORIES);
    (page.repositories, page.next.map(|next| next.as_str().to_owned()))
}

/// The one of the name `scope`, which comes before all beneath it, and these.
fn within(state: &State, scope: &str, prefix: &str, after: Option<&RepositoryName>) -> Found {
    let beneath = format!("{scope}/");
    if prefix.starts_with(&beneath) {
        return all(state, prefix, after);
    }
    if !beneath.starts_with(prefix) {
        return Found::default();
    }
    let (mut found, next) = all(state, &beneath, after);
    let own = state.repository_named(scope);
    if let Some((id, own)) = own.filter(|_| after.is_none() && prefix != beneath) {
        found.insert(0, (id, own.clone()));
    }
    (found, next)
}

impl Row {
    /// With its packs added up, of which there may be so many `left`.
    fn of(state: &State, id: RepositoryId, repository: &Repository, left: &mut usize) -> Self {
        let (mut objects, mut bytes, mut added) = (0_u64, 0_u64, 0);
        for pack in state.packs(id).take(*left) {
            objects = objects.saturating_add(pack.objects);
            bytes = bytes.saturating_add(pack.bytes);
            added += 1;
        }
        *left -= added;
        Row {
            name: repository.name.as_str().to_owned(),
            is_public: repository.public,
            refs: repository.refs,
            packs: repository.packs,
            objects,
            bytes,
            is_cut: (added as u64) < repository.packs,
            created_at_ms: repository.created_at_ms,
        }
    }
}
