//! `repo`.

use comfy_table::{Table, presets};
use gitstratum_catalog::command::CreateRepository;
use gitstratum_catalog::entity::{Ref, RepositoryLimits};
use gitstratum_catalog::names::RefName;
use gitstratum_catalog::query::Described;
use gitstratum_catalog::{Answer, Operation, Outcome, Query};
use gitstratum_core::object::HashAlgorithm;
use serde::Serialize;

use super::super::arguments::{ObjectFormat, RepoCommand, RepoCreate, RepoList};
use super::super::repositories::verify;
use super::super::{Failure, note, show};
use super::{ask, call, catalog, line, other, utc};
use crate::catalog::CatalogClient;

/// Names of a page.
const PAGE: u32 = 200;
const DAY_MS: u64 = 86_400_000;

/// Does what `repo` says.
pub(crate) async fn repo(asked: RepoCommand) -> Result<(), Failure> {
    match asked {
        RepoCommand::Create(asked) => create(asked).await,
        RepoCommand::List(asked) => list(asked).await,
        RepoCommand::Show { name, json, client } => {
            let catalog = catalog(&client).await?;
            show_one(&catalog, &name, json).await
        }
        RepoCommand::Rename { name, new_name, client } => {
            let mut catalog = catalog(&client).await?;
            let repository = named(&catalog, &name).await?.id;
            let rename = Operation::RenameRepository { repository, name: new_name };
            call(&mut catalog, rename).await.map(drop)
        }
        RepoCommand::Delete { name, keep_days, client } => {
            let mut catalog = catalog(&client).await?;
            let repository = named(&catalog, &name).await?.id;
            let keep_for_ms = u64::from(keep_days) * DAY_MS;
            call(&mut catalog, Operation::DeleteRepository { repository, keep_for_ms }).await?;
            note(format_args!(
                "{name} is deleted; for {keep_days} days `gitstratum repo undelete {name}` undoes it"
            ));
            Ok(())
        }
        RepoCommand::Fork { name, new_name, client } => {
            let mut catalog = catalog(&client).await?;
            let repository = named(&catalog, &name).await?.id;
            let fork = Operation::ForkRepository { repository, name: new_name };
            match call(&mut catalog, fork).await? {
                Outcome::Created { repository } => show(&format!("{repository}\n")),
                _ => other(),
            }
        }
        RepoCommand::Verify { name, client } => verify(&name, &client).await,
        RepoCommand::Undelete { name, rename, client } => {
            let mut catalog = catalog(&client).await?;
            let deleted = all(&catalog, &Query::DeletedRepositories).await?;
            // The last one of that name.
            let of_name = deleted.iter().filter(|found| found.repository.name.as_str() == name);
            let Some(found) = of_name.max_by_key(|found| found.id) else {
                let problem = format!("no repository named {name} was deleted, or it is gone");
                return Err(Failure::Operation(problem));
            };
            let undelete = Operation::UndeleteRepository { repository: found.id, name: rename };
            call(&mut catalog, undelete).await.map(drop)
        }
    }
}

async fn create(asked: RepoCreate) -> Result<(), Failure> {
    let mut catalog = catalog(&asked.client).await?;
    let create = CreateRepository {
        name: asked.name,
        object_format: match asked.object_format {
            ObjectFormat::Sha1 => HashAlgorithm::Sha1,
            ObjectFormat::Sha256 => HashAlgorithm::Sha256,
        },
        default_branch: match asked.default_branch {
            whole if whole.starts_with("refs/") => whole,
            branch => format!("refs/heads/{branch}"),
        },
        description: asked.description,
        limits: RepositoryLimits::default(),
        hidden_refs: Vec::new(),
    };
    match call(&mut catalog, Operation::CreateRepository(create)).await? {
        Outcome::Created { repository } => show(&format!("{repository}\n")),
        _ => other(),
    }
}

/// All repositories that a query is answered with, page by page.
async fn all(catalog: &CatalogClient, query: &Query) -> Result<Vec<Described>, Failure> {
    let (mut found, mut query) = (Vec::new(), query.clone());
    loop {
        let Answer::Repositories { repositories, next } = ask(catalog, &query).await? else {
            return other();
        };
        found.extend(repositories);
        match (&mut query, next) {
            (Query::Repositories { after, .. }, Some(next)) => *after = Some(next),
            _ => return Ok(found),
        }
    }
}

/// The repository of this name.
pub(crate) async fn named(catalog: &CatalogClient, name: &str) -> Result<Described, Failure> {
    find(catalog, name)
        .await?
        .ok_or_else(|| Failure::Operation(format!("there is no repository named {name}")))
}

/// The repository of this name, if there is one.
pub(crate) async fn find(
    catalog: &CatalogClient,
    name: &str,
) -> Result<Option<Described>, Failure> {
    let found = all(catalog, &Query::Repository { name: name.to_owned() }).await?;
    Ok(found.into_iter().next())
}

/// A repository as JSON.
#[derive(Serialize)]
struct Line<'a> {
    id: u64,
    name: &'a str,
    object_format: &'static str,
    description: &'a str,
    refs: u64,
    packs: u64,
    created_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_until_ms: Option<u64>,
}

impl<'a> From<&'a Described> for Line<'a> {
    fn from(found: &'a Described) -> Self {
        let repository = &found.repository;
        Line {
            id: found.id.0,
            name: repository.name.as_str(),
            object_format: format_of(found),
            description: &repository.description,
            refs: found.refs,
            packs: found.packs,
            created_at_ms: repository.created_at_ms,
            deleted_until_ms: repository.deleted.map(|deleted| deleted.until_ms),
        }
    }
}

fn format_of(found: &Described) -> &'static str {
    match found.repository.object_format {
        HashAlgorithm::Sha1 => "sha1",
        HashAlgorithm::Sha256 => "sha256",
    }
}

async fn list(asked: RepoList) -> Result<(), Failure> {
    let catalog = catalog(&asked.client).await?;
    let query = match asked.deleted {
        true => Query::DeletedRepositories,
        false => Query::Repositories { prefix: asked.prefix.clone(), after: None, max: PAGE },
    };
    let mut found = all(&catalog, &query).await?;
    found.retain(|found| found.repository.name.as_str().starts_with(&asked.prefix));
    if asked.json {
        let lines: Result<String, _> = found.iter().map(|found| line(&Line::from(found))).collect();
        return show(&lines?);
    }
    if found.is_empty() {
        note("there are none");
        return Ok(());
    }
    let mut table = Table::new();
    let last = if asked.deleted { "until" } else { "created" };
    table.load_preset(presets::NOTHING).set_header(["name", "id", "format", "refs", last]);
    for found in &found {
        let repository = &found.repository;
        let at = repository.deleted.map_or(repository.created_at_ms, |deleted| deleted.until_ms);
        table.add_row([
            repository.name.to_string(),
            found.id.to_string(),
            format_of(found).to_owned(),
            found.refs.to_string(),
            utc(at),
        ]);
    }
    show(&format!("{}\n", table.trim_fmt()))
}

async fn show_one(catalog: &CatalogClient, name: &str, json: bool) -> Result<(), Failure> {
    let found = named(catalog, name).await?;
    let refs = refs(catalog, &found).await?;
    if json {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            repository: Line<'a>,
            refs: Vec<(&'a str, String)>,
        }
        let refs = refs.iter().map(|(name, held)| (name.as_str(), held.target.to_string()));
        return show(&line(&Whole { repository: Line::from(&found), refs: refs.collect() })?);
    }
    let repository = &found.repository;
    let mut text = format!(
        "{}\n  id            {}\n  object format {}\n  created       {}\n",
        repository.name,
        found.id,
        format_of(&found),
        utc(repository.created_at_ms),
    );
    if !repository.description.is_empty() {
        text.push_str(&format!("  description   {}\n", repository.description));
    }
    text.push_str(&format!("  refs          {}\n", found.refs));
    for (name, held) in &refs {
        text.push_str(&format!("    {name} {}\n", held.target));
    }
    show(&text)
}

async fn refs(catalog: &CatalogClient, found: &Described) -> Result<Vec<(RefName, Ref)>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query = Query::Refs { repository: found.id, prefix: String::new(), after, max: PAGE };
        let Answer::Refs { refs, next } = ask(catalog, &query).await? else { return other() };
        all.extend(refs);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}
