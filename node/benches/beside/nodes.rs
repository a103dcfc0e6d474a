//! Three nodes, made by `init` and `join`, and callers of their catalog: what the command line's
//! client does, with one connection to each node for all callers.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_catalog::command::{CreateRepository, Expected, NewTarget, Push, RefUpdate};
use gitstratum_catalog::encode::{decode_answer, decode_reply, encode_command, encode_query};
use gitstratum_catalog::entity::{NodeState, RefTarget, RepositoryLimits};
use gitstratum_catalog::ids::{ClientId, RepositoryId};
use gitstratum_catalog::{Answer, Command, Operation, Outcome as Done, Query, Request, Verdict};
use gitstratum_cluster::client::{Client, ClientOptions};
use gitstratum_cluster::wire::metrics::metrics_of;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_core::placement::NodeId;
use gitstratum_host::{Net, unix_time_ms};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::time::{Instant, sleep};

use crate::Outcome;
use crate::contender::{Caller, Contender, Refs, SERVERS, object};
use crate::load::next_caller;
use crate::process::{Servers, free_addresses, run};

/// All three have to vote by then; a cluster has to have a leader by then.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// The only group that a cluster has.
const GROUP: u32 = 0;

/// A cluster of three nodes.
pub struct Nodes {
    servers: Servers,
    client: Client,
    peers: Vec<String>,
}

fn node(place: usize) -> NodeId {
    NodeId::new(format!("n{}", place + 1))
}

impl Nodes {
    /// Makes and starts them, with their data below `dir`.
    pub async fn start(program: &Path, dir: &Path) -> Outcome<Self> {
        let mut servers = Servers::new(program, dir)?;
        let peers: Vec<String> = free_addresses(SERVERS)?.iter().map(ToString::to_string).collect();
        for (place, address) in peers.iter().enumerate() {
            let data = dir.join(node(place).as_str());
            let data = data.to_str().ok_or("the directory's name is no text")?;
            let id = node(place);
            let made = ["--data", data, "--id", id.as_str(), "--address", address];
            match place {
                0 => run(program, &[&["init"], &made[..]].concat())?,
                _ => run(program, &[&["join", "--peers", &peers[0]], &made[..]].concat())?,
            };
            let serve = ["serve", "--while-stdin-is-open", "--data", data];
            servers.start(serve.map(str::to_owned).to_vec())?;
            connect(&peers[..=place], place + 1).await?;
        }
        let client = connect(&peers, SERVERS).await?;
        Ok(Nodes { servers, client, peers })
    }

    /// Its processes.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// A client with connections of its own.
    pub async fn client(&self) -> Outcome<Client> {
        let rng = ChaCha12Rng::seed_from_u64(next_caller());
        Ok(Client::connect(Net::new(), &self.peers, rng, ClientOptions::default()).await?)
    }

    /// A caller that has nothing yet.
    fn asker(&self) -> Asker {
        let number = next_caller();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        Asker { client: self.client.clone(), id: ClientId(id), number: 0 }
    }
}

/// A client of so many nodes, once all belong to the layout, and as many of them vote as can.
async fn connect(peers: &[String], nodes: usize) -> Outcome<Client> {
    let until = Instant::now() + PATIENCE;
    // Of an even number all but one.
    let wanted = if nodes % 2 == 1 { nodes } else { nodes - 1 };
    loop {
        let rng = ChaCha12Rng::seed_from_u64(1);
        let error = match Client::connect(Net::new(), peers, rng, ClientOptions::default()).await {
            Err(error) => error.to_string(),
            Ok(client) => match (voters(&client).await, client.layout().members.len()) {
                (Ok(voters), members) if voters == wanted && members == nodes => return Ok(client),
                (Ok(voters), members) => {
                    format!("{members} of {nodes} nodes are members, {voters} vote")
                }
                (Err(error), _) => error.to_string(),
            },
        };
        if Instant::now() > until {
            return Err(error.into());
        }
        sleep(PAUSE).await;
    }
}

async fn voters(client: &Client) -> Outcome<usize> {
    match ask(client, &Query::Nodes).await? {
        Answer::Nodes(nodes) => {
            Ok(nodes.iter().filter(|(_, node)| node.state == NodeState::Voter).count())
        }
        other => Err(format!("asked for nodes, the catalog answers {other:?}").into()),
    }
}

async fn ask(client: &Client, query: &Query) -> Outcome<Answer> {
    let answer = client.catalog_query(encode_query(query).into(), false).await?;
    Ok(decode_answer(&answer)?)
}

#[async_trait]
impl Contender for Nodes {
    fn name(&self) -> &'static str {
        "catalog"
    }

    fn servers(&self) -> &Servers {
        &self.servers
    }

    async fn leader(&self) -> Outcome<usize> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut leading = Vec::new();
            for (member, status) in self.client.status().await {
                let leads = |status| metrics_of(status).count("gitstratum_catalog_leads") == 1;
                if status.as_ref().is_ok_and(leads) {
                    leading.push(member.node_id.clone());
                }
            }
            // An old one may not have noticed yet that there is another.
            if let [leader] = &leading[..] {
                let place = (0..SERVERS).find(|place| node(*place) == *leader);
                return place.ok_or_else(|| format!("{leader} is no node of ours").into());
            }
            if Instant::now() > until {
                return Err(format!("leaders of the catalog: {leading:?}").into());
            }
            sleep(PAUSE).await;
        }
    }

    async fn callers(&self, name: &str, count: usize, refs: Refs) -> Outcome<Vec<Box<dyn Caller>>> {
        let mut callers = Vec::new();
        let mut maker = self.asker();
        let in_each = match refs {
            Refs::Apart => 1,
            Refs::Together => count,
        };
        for first in (0..count).step_by(in_each) {
            let repository = maker.create(&format!("bench/{name}-{first}")).await?;
            let mut made = Vec::new();
            for place in first..first + in_each {
                let reference = format!("refs/heads/caller-{place}");
                let caller = next_caller();
                let current = ObjectId::from_bytes(&object(caller, 0))?;
                let asker = self.asker();
                made.push(RefCaller { asker, repository, reference, caller, updates: 0, current });
            }
            let push = made.iter().map(|caller| RefUpdate {
                name: caller.reference.clone(),
                expected: Expected::Absent,
                new: NewTarget::Object { id: caller.current, peeled: None },
            });
            maker.push(repository, push.collect()).await?;
            callers.extend(made.into_iter().map(|caller| Box::new(caller) as Box<dyn Caller>));
        }
        Ok(callers)
    }

    fn kill(&mut self, server: usize) -> Outcome<()> {
        self.servers.kill(server)
    }

    fn start_again(&mut self, server: usize) -> Outcome<()> {
        self.servers.start_again(server)
    }
}

/// Who has the catalog do something: its commands are numbered.
struct Asker {
    client: Client,
    id: ClientId,
    number: u64,
}

impl Asker {
    async fn call(&mut self, operation: Operation) -> Outcome<Done> {
        self.number += 1;
        let command = Command {
            group: GROUP,
            request: Request { client: self.id, number: self.number },
            at_ms: unix_time_ms(),
            who: "bench".to_owned(),
            operation,
        };
        let reply = self.client.catalog_command(encode_command(&command)?.into()).await?;
        decode_reply(&reply)?.into_result().map_err(|error| error.to_string().into())
    }

    async fn create(&mut self, name: &str) -> Outcome<Target> {
        let create = CreateRepository {
            name: name.to_owned(),
            object_format: HashAlgorithm::Sha1,
            default_branch: "refs/heads/main".to_owned(),
            description: String::new(),
            limits: RepositoryLimits::default(),
            hidden_refs: Vec::new(),
        };
        let Done::Created { repository } = self.call(Operation::CreateRepository(create)).await?
        else {
            return Err("a repository was not made".into());
        };
        let query = Query::Repository { name: name.to_owned() };
        match ask(&self.client, &query).await? {
            Answer::Repositories { repositories, .. } if repositories.len() == 1 => {
                Ok(Target { repository, generation: repositories[0].repository.generation })
            }
            other => Err(format!("{name} was made, and the catalog answers {other:?}").into()),
        }
    }

    /// Updates refs, all of them.
    async fn push(&mut self, to: Target, updates: Vec<RefUpdate>) -> Outcome<()> {
        let push = Push {
            repository: to.repository,
            generation: to.generation,
            atomic: false,
            may_update_hidden: false,
            updates,
            packs: Vec::new(),
            message: "push".to_owned(),
        };
        let Done::Pushed { verdicts } = self.call(Operation::Push(push)).await? else {
            return Err("a push was not looked at".into());
        };
        for verdict in verdicts {
            if let Verdict::Refused(error) = verdict {
                return Err(error.to_string().into());
            }
        }
        Ok(())
    }
}

/// A repository, as pushes name it.
#[derive(Clone, Copy)]
struct Target {
    repository: RepositoryId,
    generation: u64,
}

/// A caller with its ref.
struct RefCaller {
    asker: Asker,
    repository: Target,
    reference: String,
    caller: u64,
    updates: u64,
    current: ObjectId,
}

#[async_trait]
impl Caller for RefCaller {
    fn turn_to(&mut self, server: usize) {
        self.asker.client = self.asker.client.asking_first(&node(server));
    }

    async fn update(&mut self) -> Outcome<()> {
        self.updates += 1;
        let next = ObjectId::from_bytes(&object(self.caller, self.updates))?;
        let update = RefUpdate {
            name: self.reference.clone(),
            expected: Expected::Object(self.current),
            new: NewTarget::Object { id: next, peeled: None },
        };
        self.asker.push(self.repository, vec![update]).await?;
        self.current = next;
        Ok(())
    }

    async fn read(&mut self) -> Outcome<()> {
        let query = Query::Refs {
            repository: self.repository.repository,
            prefix: self.reference.clone(),
            after: None,
            max: 1,
        };
        let Answer::Refs { refs, .. } = ask(&self.asker.client, &query).await? else {
            return Err("asked for refs, the catalog answers something else".into());
        };
        match refs.first() {
            Some((name, held))
                if name.as_str() == self.reference
                    && held.target == RefTarget::Object(self.current) =>
            {
                Ok(())
            }
            found => Err(format!("{} is not {}: {found:?}", self.reference, self.current).into()),
        }
    }
}
