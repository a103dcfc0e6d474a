//! Permissions: what an access token has to be for, to have the catalog asked this or told that.
//!
//! Pure. Which scope the methods beside the catalog take is a table of the server that takes requests.
//!
//! Invariant: what a token with a prefix is told does not depend on what there is outside of that.

use gitstratum_catalog::command::ConfigureRepository;
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_catalog::{Operation, Query, State};
use gitstratum_cluster::service::NotAllowed;
use gitstratum_cluster::transport::{Grant, Scope};

/// What something is about, which a token with a prefix has to be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About<'a> {
    /// The cluster, which everybody may know who may know anything of it.
    Cluster,
    /// All repositories, or none: no prefix is enough.
    Everything,
    /// The repository of this name.
    Name(&'a str),
    /// All repositories whose names begin so.
    Names(&'a str),
    /// The repository with this id.
    Repository(RepositoryId),
}

/// What a question takes.
fn taken_by_query(query: &Query) -> (Scope, About<'_>) {
    use About::{Cluster, Everything, Name, Names, Repository};

    match query {
        Query::Repositories { prefix, .. } => (Scope::Read, Names(prefix)),
        Query::Repository { name } => (Scope::Read, Name(name)),
        Query::Refs { repository, .. } | Query::Packs { repository, .. } => {
            (Scope::Read, Repository(*repository))
        }
        Query::Nodes | Query::Layout => (Scope::Read, Cluster),
        Query::DeletedRepositories | Query::Events { .. } => (Scope::Read, Everything),
        // Who may do what, and the hashes of secrets.
        Query::Tokens | Query::Dump { .. } => (Scope::Admin, Everything),
    }
}

/// What a command takes; nothing is enough for what nodes do by themselves.
fn taken_by_operation(operation: &Operation) -> Option<(Scope, Vec<About<'_>>)> {
    use About::{Everything, Name, Repository};

    Some(match operation {
        Operation::CreateRepository(create) => (Scope::Write, vec![Name(&create.name)]),
        Operation::ForkRepository { repository, name } => {
            (Scope::Write, vec![Repository(*repository), Name(name)])
        }
        // Packs are named by whoever brings them, and those of other repositories have names, too.
        Operation::Push(push) if !push.packs.is_empty() => (Scope::Write, vec![Everything]),
        Operation::Push(push) => (Scope::Write, vec![Repository(push.repository)]),
        Operation::RenameRepository { repository, name } => {
            (Scope::Admin, vec![Repository(*repository), Name(name)])
        }
        // That a push may do, too.
        Operation::ConfigureRepository(configure) if points_head_alone(configure) => {
            (Scope::Write, vec![Repository(configure.repository)])
        }
        Operation::ConfigureRepository(configure) => {
            (Scope::Admin, vec![Repository(configure.repository)])
        }
        Operation::DeleteRepository { repository, .. } => {
            (Scope::Admin, vec![Repository(*repository)])
        }
        Operation::UndeleteRepository { repository, name } => {
            let name = name.iter().map(|name| Name(name));
            (Scope::Admin, [Repository(*repository)].into_iter().chain(name).collect())
        }
        Operation::PurgeRepository { .. }
        | Operation::ApplyLayout(_)
        | Operation::JoinNode(_)
        | Operation::SetNodeState { .. }
        | Operation::CreateToken(_)
        | Operation::RevokeToken { .. }
        | Operation::BeginRestore(_)
        | Operation::RestoreRecords(_)
        | Operation::EndRestore(_)
        | Operation::RestoreToken(_) => (Scope::Admin, vec![Everything]),
        Operation::AdoptLayout(_) | Operation::Refound(_) | Operation::AdvanceClock => return None,
    })
}

/// Whether all that changes is where `HEAD` points.
fn points_head_alone(configure: &ConfigureRepository) -> bool {
    let ConfigureRepository { description, limits, hidden_refs, public, .. } = configure;
    description.is_none() && limits.is_none() && hidden_refs.is_none() && public.is_none()
}

/// Whether the holder of a token may ask this.
///
/// # Errors
/// [`NotAllowed`].
pub(super) fn check_query(grant: &Grant, query: &Query, state: &State) -> Result<(), NotAllowed> {
    let (scope, about) = taken_by_query(query);
    check_scope(grant, scope)?;
    check_about(grant, about, state)
}

/// Whether the holder of a token may have this done.
///
/// # Errors
/// [`NotAllowed`].
pub(super) fn check_operation(
    grant: &Grant,
    operation: &Operation,
    state: &State,
) -> Result<(), NotAllowed> {
    let Some((scope, about)) = taken_by_operation(operation) else {
        return Err(NotAllowed(format!("this is for nodes, and the caller has {grant}")));
    };
    check_scope(grant, scope)?;
    about.into_iter().try_for_each(|about| check_about(grant, about, state))
}

fn check_scope(grant: &Grant, needed: Scope) -> Result<(), NotAllowed> {
    if grant.scope >= needed {
        return Ok(());
    }
    Err(NotAllowed(format!("{grant} has the scope {}, and this takes {needed}", grant.scope)))
}

fn check_about(grant: &Grant, about: About<'_>, state: &State) -> Result<(), NotAllowed> {
    let prefix = grant.prefix.as_str();
    if prefix.is_empty() {
        return Ok(());
    }
    let is_within = match about {
        About::Cluster => true,
        About::Everything => false,
        About::Name(name) => RepositoryName::parse(name).is_ok_and(|name| name.is_within(prefix)),
        // "team" is how "teamwork" begins, too.
        About::Names(start) => start.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')),
        About::Repository(id) => {
            state.repository(id).is_some_and(|repository| repository.name.is_within(prefix))
        }
    };
    if is_within {
        return Ok(());
    }
    let problem = match about {
        About::Everything => "this takes one that is for everything".to_owned(),
        About::Names(_) => format!("lists are of what begins with {prefix:?} and a slash"),
        _ => "this is about another repository".to_owned(),
    };
    Err(NotAllowed(format!("{grant} is for {prefix:?}: {problem}")))
}

#[cfg(test)]
mod tests;
