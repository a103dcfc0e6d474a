//! `catalog dump` and `catalog load`: the catalog as text.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use gitstratum_catalog::dump::lines;
use gitstratum_catalog::{Answer, Query, State};
use gitstratum_core::placement::{Layout, NodeId};
use gitstratum_host::Disk;

use super::super::arguments::{CatalogCommand, ClientArguments, Dump, Load};
use super::super::destination::Destination;
use super::super::serve::{load as load_config, refused};
use super::super::{Failure, note, seeded_by_the_system, show};
use super::{ask, catalog, other};
use crate::catalog::{CatalogClient, RefoundError};
use crate::config::{ConfigOverrides, LoadedConfig};
use crate::server::Stopped;

/// Lines that are written at once take about so many bytes.
const PAGE_BYTES: usize = 1 << 20;
/// How often a dump is begun again, because the node that gave it has no more of it.
const ATTEMPTS: usize = 3;

/// Does what `catalog` says.
pub(crate) async fn text(asked: CatalogCommand) -> Result<(), Failure> {
    match asked {
        CatalogCommand::Dump(Dump { output, data: Some(data), .. }) => {
            dump_stopped(data, output.as_deref()).await
        }
        CatalogCommand::Dump(Dump { output, peers, timeout, tls, token, data: None }) => {
            let client = ClientArguments { peers, timeout, zone: None, tls, token };
            dump(&client, output.as_deref()).await
        }
        CatalogCommand::Load(asked) => load(asked).await,
    }
}

/// Of a cluster that runs: a state that has all that was acknowledged before.
async fn dump(client: &ClientArguments, output: Option<&Path>) -> Result<(), Failure> {
    let catalog = catalog(client).await?;
    Destination::fill(output, async |to| dump_to(&catalog, to).await).await
}

async fn dump_to(catalog: &CatalogClient, to: &mut Destination) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        let mut from = (None, 0);
        loop {
            let (of, skip) = from;
            match ask(catalog, &Query::Dump { of, skip }).await? {
                Answer::Dump { of, text, next } => {
                    to.write(text.as_bytes())?;
                    match next {
                        Some(next) => from = (Some(of), next),
                        None => return Ok(()),
                    }
                }
                Answer::DumpGone if skip == 0 || to.take_back()? => break,
                Answer::DumpGone => {
                    let problem = "another node answers, which has another state: -o FILE begins \
                                   again by itself";
                    return Err(Failure::Operation(problem.to_owned()));
                }
                _ => return other(),
            }
        }
    }
    Err(Failure::Operation("the nodes change too fast: try again".to_owned()))
}

/// Of a node that does not run: all that it has.
async fn dump_stopped(data: PathBuf, output: Option<&Path>) -> Result<(), Failure> {
    let (stopped, loaded) = open(data, None).await?;
    let kept = stopped.catalog(&mut seeded_by_the_system()?).await;
    stopped.close().await;
    let (_, remains) = kept?;
    if remains.unconfirmed > 0 {
        note(format_args!(
            "{}: its last {} entries may not have been agreed on",
            loaded.data.display(),
            remains.unconfirmed
        ));
    }
    let (state, mut skip) = (remains.machine.0, Some(0));
    let written = Destination::fill(output, async |to| {
        while let Some(from) = skip {
            let (text, next) = lines(&state, from, PAGE_BYTES);
            to.write(text.as_bytes())?;
            skip = next;
        }
        Ok(())
    });
    written.await
}

async fn open(data: PathBuf, state: Option<&State>) -> Result<(Stopped, LoadedConfig), Failure> {
    let overrides = ConfigOverrides { data: Some(data), ..ConfigOverrides::default() };
    let mut loaded = load_config(None, &overrides, None).await?;
    if let Some(layout) = state.and_then(State::layout) {
        check_member(layout, &loaded)?;
        // A copy of a store keeps none of its own.
        loaded.config.layout = (**layout).clone();
        loaded.config.alone = false;
    }
    let disk = Disk::new(&loaded.data);
    let stopped = Stopped::open(&loaded.config, &disk, &mut seeded_by_the_system()?).await;
    Ok((stopped.map_err(|error| refused(error, &loaded.data))?, loaded))
}

/// A node that is not in the layout of the text would be in none from then on.
fn check_member(layout: &Layout, loaded: &LoadedConfig) -> Result<(), Failure> {
    let (node, data) = (&loaded.config.node_id, loaded.data.display());
    if layout.is_read_from(node) {
        return Ok(());
    }
    let members = layout.members.iter().map(|member| &member.node_id);
    let members: Vec<&str> =
        members.filter(|id| layout.is_read_from(id)).map(NodeId::as_str).collect();
    Err(Failure::Operation(format!(
        "data: {data}: node {node} is not in the layout of the text, which has {}: nothing was \
         changed; load it into a directory that `gitstratum init --cluster ID --id …` makes for one \
         of them",
        members.join(", ")
    )))
}

async fn load(asked: Load) -> Result<(), Failure> {
    let name = asked.file.display();
    let file = File::open(&asked.file).map_err(Failure::operation(format!("open {name}")))?;
    let state = gitstratum_catalog::dump::load(BufReader::new(file));
    let state = state.map_err(|error| Failure::Operation(format!("{name}: {error}")))?;
    let (stopped, loaded) = open(asked.data, Some(&state)).await?;
    let done = begin_with(&stopped, &loaded, state).await;
    stopped.close().await;
    done
}

async fn begin_with(stopped: &Stopped, loaded: &LoadedConfig, state: State) -> Result<(), Failure> {
    let rng = &mut seeded_by_the_system()?;
    let (node, data) = (&loaded.config.node_id, loaded.data.display());
    if let Some(member) = stopped.go_on(rng).await? {
        return show(&format!("node {node} begins as member {member}: completed\n"));
    }
    match stopped.catalog(rng).await {
        Err(RefoundError::NoMember) => {}
        Ok((_, remains)) => {
            let has = remains.machine.0.counts();
            if has.repositories + has.tokens > 0 || has.nodes > 1 {
                return Err(Failure::Operation(format!(
                    "data: {data}: its catalog is not new: it has {} repositories, {} tokens and {} \
                     nodes; load into the directory of a node that was just made, or into a copy of \
                     a store",
                    has.repositories, has.tokens, has.nodes
                )));
            }
        }
        Err(error) => return Err(error.into()),
    }
    let counts = state.counts();
    let address = stopped.address(&state).unwrap_or_else(|| loaded.config.listen.to_string());
    let member = stopped.begin_with(state, &address, rng).await?;
    show(&format!(
        "node {node} begins as member {member} with {} repositories, {} refs and {} tokens\n",
        counts.repositories, counts.refs, counts.tokens
    ))?;
    note(format_args!(
        "start it: gitstratum serve --data {data}. Copies of the other nodes' stores may be started \
         after it, under the ids that they had"
    ));
    Ok(())
}
