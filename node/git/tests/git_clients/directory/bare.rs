//! A bare repository, and git that is run in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_git::service::*;

use super::PROTECTED_WORD;

/// A bare repository.
#[derive(Clone, Debug)]
pub struct Bare {
    pub path: PathBuf,
    pub format: HashAlgorithm,
    pub options: Arc<Mutex<Vec<String>>>,
}

pub type Answer<T> = Result<T, RepositoryError>;

pub fn broken(what: impl std::fmt::Display) -> RepositoryError {
    RepositoryError::Damaged(what.to_string())
}

impl Bare {
    pub fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(&self.path);
        git
    }

    /// Runs git to its end, with this input.
    fn run(&self, arguments: &[&str], input: &str) -> Answer<Output> {
        // Through a file: it may write before it has read everything, or read nothing.
        let mut file = tempfile::tempfile().map_err(broken)?;
        file.write_all(input.as_bytes()).and_then(|()| file.rewind()).map_err(broken)?;
        self.git().args(arguments).stdin(file).output().map_err(broken)
    }

    /// What git prints, where it succeeds.
    pub fn text(&self, arguments: &[&str], input: &str) -> Answer<String> {
        let output = self.run(arguments, input)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(broken(String::from_utf8_lossy(&output.stderr))),
        }
    }

    pub fn read_refs(&self) -> Answer<Refs> {
        let format = "--format=%(objectname) %(refname) %(*objectname)";
        let text = self.text(&["for-each-ref", format], "")?;
        let refs = text.lines().map(|line| {
            let mut words = line.split(' ');
            let (id, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let peeled = words.next().filter(|word| !word.is_empty());
            Ok(AdvertisedRef {
                name: name.to_owned(),
                id: id.parse().map_err(broken)?,
                peeled: peeled.map(str::parse).transpose().map_err(broken)?,
            })
        });
        let refs = refs.collect::<Answer<_>>()?;
        let head = match self.text(&["symbolic-ref", "-q", "HEAD"], "") {
            Ok(branch) => Head::Branch(branch.trim().to_owned()),
            Err(_) => {
                let id = self.text(&["rev-parse", "HEAD"], "")?;
                Head::Detached(id.trim().parse().map_err(broken)?)
            }
        };
        Ok(Refs { head, refs })
    }

    /// Commits that these reach, with their parents.
    pub fn graph(&self, revisions: &[String]) -> Answer<BTreeMap<ObjectId, Vec<ObjectId>>> {
        self.graph_since(0, revisions)
    }

    /// As [`Bare::graph`], none of them before this.
    fn graph_since(
        &self,
        since: u64,
        revisions: &[String],
    ) -> Answer<BTreeMap<ObjectId, Vec<ObjectId>>> {
        let input = revisions.join("\n") + "\n";
        let since = format!("--max-age={since}");
        let text = self.text(&["rev-list", &since, "--parents", "--stdin"], &input)?;
        let commits = text.lines().map(|line| {
            let mut ids = line.split(' ').map(|id| id.parse().map_err(broken));
            let commit = ids.next().ok_or_else(|| broken("an empty line"))??;
            Ok((commit, ids.collect::<Answer<Vec<_>>>()?))
        });
        commits.collect()
    }

    pub fn peel(&self, id: &ObjectId) -> Answer<ObjectId> {
        let peeled = self.text(&["rev-parse", &format!("{id}^{{}}")], "")?;
        peeled.trim().parse().map_err(broken)
    }

    pub fn new_boundary(
        &self,
        wants: &[ObjectId],
        client: &[ObjectId],
        depth: &Depth,
    ) -> Answer<Shallow> {
        let tips = wants.iter().map(|id| self.peel(id)).collect::<Answer<Vec<_>>>()?;
        let words: Vec<String> = tips.iter().map(ObjectId::to_string).collect();
        let all = self.graph(&words)?;
        let (kept, shallow) = match depth {
            Depth::Commits(depth) => within(&all, &tips, *depth),
            Depth::Relative(more) => within(&all, client, *more + 1),
            Depth::Since { since, not } => {
                let excluded = not.iter().map(|id| format!("^{id}"));
                let revisions: Vec<_> = words.into_iter().chain(excluded).collect();
                let listed = self.graph_since(*since, &revisions)?;
                let cut = |commit: &&ObjectId| {
                    all[*commit].iter().any(|parent| !listed.contains_key(parent))
                };
                let shallow = listed.keys().filter(cut).copied().collect();
                (listed.keys().copied().collect::<BTreeSet<_>>(), shallow)
            }
        };
        let client: BTreeSet<_> = client.iter().copied().collect();
        let unshallow = client.iter().filter(|id| kept.contains(id) && !shallow.contains(id));
        Ok(Shallow {
            unshallow: unshallow.copied().collect(),
            shallow: shallow.difference(&client).copied().collect(),
        })
    }

    pub fn pack_objects(&self, request: &PackRequest) -> Answer<Child> {
        let mut input = String::new();
        let mut command = Command::new("git");
        let is_shallow = !request.client_shallow.is_empty()
            || !request.shallow.shallow.is_empty()
            || !request.shallow.unshallow.is_empty();
        if is_shallow {
            command.args(["--shallow-file", ""]);
        }
        command.arg("--git-dir").arg(&self.path);
        command.args(["pack-objects", "--revs", "--stdout", "-q"]);
        let unshallow: BTreeSet<_> = request.shallow.unshallow.iter().copied().collect();
        // Those that get their parents too: what the client has ends there.
        for id in request.client_shallow.iter().chain(&request.shallow.shallow) {
            input += &format!("--shallow {id}\n");
        }
        for (asked, argument) in [
            (is_shallow, "--shallow"),
            (request.thin, "--thin"),
            (request.ofs_delta, "--delta-base-offset"),
            (request.include_tag, "--include-tag"),
        ] {
            if asked {
                command.arg(argument);
            }
        }
        match &request.filter {
            Some(Filter::BlobNone) => command.arg("--filter=blob:none"),
            Some(Filter::BlobLimit(bytes)) => command.arg(format!("--filter=blob:limit={bytes}")),
            Some(Filter::TreeDepth(depth)) => command.arg(format!("--filter=tree:{depth}")),
            None => &mut command,
        };
        let all = self.graph(&unshallow.iter().map(ObjectId::to_string).collect::<Vec<_>>())?;
        let parents = unshallow.iter().flat_map(|id| all[id].iter());
        for id in request.wants.iter().chain(parents) {
            input += &format!("{id}\n");
        }
        input += "--not\n";
        for id in request.common.iter().chain(&unshallow) {
            input += &format!("{id}\n");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(broken)?;
        // It reads all of it before it writes.
        let written = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        written.map_err(broken)?;
        Ok(child)
    }

    /// Whether everything that these reach is there.
    fn is_connected(&self, ids: &[ObjectId]) -> Answer<bool> {
        let mut input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        input += "--not\n--all\n";
        let walked = self.run(&["rev-list", "--objects", "--quiet", "--stdin"], &input)?;
        Ok(walked.status.success())
    }

    fn update(&self, commands: &[RefCommand]) -> Answer<Result<(), String>> {
        let zero = "0".repeat(2 * self.format.id_len());
        let word = |id: Option<ObjectId>| id.map_or(zero.clone(), |id| id.to_string());
        let mut input = String::new();
        for command in commands {
            if command.name.contains(PROTECTED_WORD) {
                return Ok(Err("hook declined".into()));
            }
            let (old, new) = (word(command.old), word(command.new));
            input += &format!("update {}\0{new}\0{old}\0", command.name);
        }
        let done = self.run(&["update-ref", "-z", "--stdin"], &input)?;
        Ok(match done.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        })
    }

    pub fn update_all(&self, request: &PushRequest) -> Answer<Vec<Result<(), String>>> {
        let mut connected = Vec::new();
        for command in &request.commands {
            let is_connected = match command.new {
                Some(new) => self.is_connected(&[new])?,
                None => true,
            };
            connected.push(is_connected);
        }
        if request.atomic {
            let verdict = match connected.iter().all(|is_connected| *is_connected) {
                true => self.update(&request.commands)?,
                false => Err("missing necessary objects".into()),
            };
            return Ok(vec![verdict; request.commands.len()]);
        }
        let commands = request.commands.iter().zip(connected);
        let verdicts = commands.map(|(command, is_connected)| match is_connected {
            true => self.update(std::slice::from_ref(command)),
            false => Ok(Err("missing necessary objects".into())),
        });
        verdicts.collect()
    }
}

/// Commits fewer than `depth` steps from these, and those of them whose parents are not.
fn within(
    all: &BTreeMap<ObjectId, Vec<ObjectId>>,
    tips: &[ObjectId],
    depth: u32,
) -> (BTreeSet<ObjectId>, BTreeSet<ObjectId>) {
    let (mut kept, mut shallow) = (BTreeSet::new(), BTreeSet::new());
    let mut waiting: VecDeque<_> = tips.iter().map(|id| (*id, 1)).collect();
    while let Some((commit, at)) = waiting.pop_front() {
        let Some(parents) = all.get(&commit).filter(|_| kept.insert(commit)) else { continue };
        if at < depth {
            waiting.extend(parents.iter().map(|parent| (*parent, at + 1)));
        } else if !parents.is_empty() {
            shallow.insert(commit);
        }
    }
    (kept, shallow)
}
