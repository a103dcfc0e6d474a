//! Advertisement of a remote: the version that it speaks, its capabilities, and its refs.
//!
//! Version 2 of the protocol lists refs when it is asked to (`ls-refs`); the versions before do it at
//! once. A name is kept where it is followed, and otherwise read and forgotten.

use std::collections::BTreeMap;

use bytes::Bytes;
use gitstratum_core::limits::{self, REFS_PER_REPOSITORY_MAX};
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_git::pkt_line::{Packet, Packets};
use gitstratum_git::protocol::AGENT;
use gitstratum_git::service::Head;

use super::super::selection::Selection;
use super::error::{RemoteError, one_line};
use super::packets::Answer;

/// Refs of a remote, as far as they are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteRefs {
    /// Where `HEAD` points, as far as the remote says.
    pub head: Option<Head>,
    /// The others.
    pub refs: BTreeMap<String, ObjectId>,
    /// Names that are not UTF-8, and cannot be had here, as they look best.
    pub unreadable: Vec<String>,
}

/// What a remote says first.
#[derive(Debug)]
pub(super) struct Advertisement {
    pub(super) object_format: HashAlgorithm,
    capabilities: Vec<String>,
    /// Its refs, where they are listed at once.
    pub(super) refs: Option<RemoteRefs>,
}

impl Advertisement {
    /// Reads one.
    pub(super) async fn read(
        answer: &mut Answer,
        selection: &Selection,
    ) -> Result<Self, RemoteError> {
        let mut first = answer.expect().await?;
        if matches!(&first, Packet::Data(data) if data.starts_with(b"# service=")) {
            first = match answer.expect().await? {
                Packet::Flush => answer.expect().await?,
                other => other,
            };
        }
        match &first {
            Packet::Data(data) if Packet::line(data) == b"version 2" => {
                Self::read_version_2(answer).await
            }
            Packet::Data(data) if Packet::line(data) == b"version 1" => {
                let first = answer.expect().await?;
                Self::read_refs(answer, first, selection).await
            }
            _ => Self::read_refs(answer, first, selection).await,
        }
    }

    async fn read_version_2(answer: &mut Answer) -> Result<Self, RemoteError> {
        let mut capabilities = Vec::new();
        while let Some(line) = answer.line().await? {
            capabilities.push(one_line(&line));
        }
        let object_format = object_format(answer, &capabilities)?;
        Ok(Advertisement { object_format, capabilities, refs: None })
    }

    /// Of versions 0 and 1: refs, the first with the capabilities.
    async fn read_refs(
        answer: &mut Answer,
        first: Packet,
        selection: &Selection,
    ) -> Result<Self, RemoteError> {
        // Of an empty repository git's server may say nothing at all.
        let Packet::Data(first) = first else {
            let refs = Some(RemoteRefs::default());
            let (object_format, capabilities) = (HashAlgorithm::Sha1, Vec::new());
            return Ok(Advertisement { object_format, capabilities, refs });
        };
        let Some(end) = first.iter().position(|&byte| byte == 0) else {
            return Err(answer.unexpected(&first));
        };
        let words = one_line(Packet::line(&first[end + 1..]));
        let capabilities: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let object_format = object_format(answer, &capabilities)?;
        let mut list = RefList::new(object_format, selection);
        let mut head = None;
        let mut next = Some(first.slice(..end));
        while let Some(line) = next {
            let (id, name) = parts(answer, &line)?;
            match name {
                b"HEAD" => head = Some(list.id(answer, id)?),
                b"capabilities^{}" => {}
                _ if id == b"shallow" => {
                    return Err(RemoteError::Shallow { url: answer.url().to_owned() });
                }
                _ if name.ends_with(b"^{}") => {}
                _ => list.add(answer, id, name)?,
            }
            next = answer.line().await?;
        }
        let mut refs = list.refs;
        let symbolic = capabilities.iter().find_map(|word| word.strip_prefix("symref=HEAD:"));
        refs.head = match (symbolic, head) {
            (Some(branch), _) => Some(Head::Branch(branch.to_owned())),
            (None, Some(id)) => Some(likely(&refs.refs, id)),
            (None, None) => None,
        };
        Ok(Advertisement { object_format, capabilities, refs: Some(refs) })
    }

    /// Whether it is of version 2.
    pub(super) fn is_version_2(&self) -> bool {
        self.refs.is_none()
    }

    /// Whether a capability is there, with whatever value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.capabilities.iter().any(|word| {
            word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    }

    /// Whether one has this among the words of its value.
    pub(super) fn has_feature(&self, name: &str, feature: &str) -> bool {
        let value = |word: &String| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        let mut values = self.capabilities.iter().filter_map(value);
        values.any(|value| value.split_whitespace().any(|word| word == feature))
    }

    /// A command of version 2, before its arguments.
    pub(super) fn command(&self, name: &str) -> Packets {
        let mut packets = Packets::new();
        packets.line(format_args!("command={name}"));
        if self.has("agent") {
            packets.line(format_args!("agent={AGENT}"));
        }
        if self.has("object-format") {
            packets.line(format_args!("object-format={}", self.object_format.as_str()));
        }
        packets.delimiter();
        packets
    }

    /// The request to list refs.
    pub(super) fn ls_refs(&self, selection: &Selection) -> Bytes {
        let mut packets = self.command("ls-refs");
        packets.line(format_args!("symrefs"));
        if self.has_feature("ls-refs", "unborn") {
            packets.line(format_args!("unborn"));
        }
        let prefixes = selection.prefixes();
        if !prefixes.is_empty() {
            packets.line(format_args!("ref-prefix HEAD"));
        }
        for prefix in prefixes {
            packets.line(format_args!("ref-prefix {prefix}"));
        }
        packets.flush().take()
    }

    /// Reads the answer to that.
    pub(super) async fn read_ls_refs(
        &self,
        answer: &mut Answer,
        selection: &Selection,
    ) -> Result<RemoteRefs, RemoteError> {
        let mut list = RefList::new(self.object_format, selection);
        let mut head = None;
        while let Some(line) = answer.line().await? {
            let (id, rest) = parts(answer, &line)?;
            let mut words = rest.split(|&byte| byte == b' ');
            let name = words.next().unwrap_or_default();
            if name == b"HEAD" {
                let target = words.find_map(|word| word.strip_prefix(b"symref-target:"));
                head = Some(match target {
                    Some(branch) => Head::Branch(String::from_utf8_lossy(branch).into_owned()),
                    None => Head::Detached(list.id(answer, id)?),
                });
            } else if id != b"unborn" {
                list.add(answer, id, name)?;
            }
        }
        Ok(RemoteRefs { head, ..list.refs })
    }
}

/// Both sides of the first space.
fn parts<'a>(answer: &Answer, line: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), RemoteError> {
    let space = line.iter().position(|&byte| byte == b' ');
    let (id, rest) = line.split_at(space.ok_or_else(|| answer.unexpected(line))?);
    Ok((id, &rest[1..]))
}

fn object_format(answer: &Answer, capabilities: &[String]) -> Result<HashAlgorithm, RemoteError> {
    match capabilities.iter().find_map(|word| word.strip_prefix("object-format=")) {
        None | Some("sha1") => Ok(HashAlgorithm::Sha1),
        Some("sha256") => Ok(HashAlgorithm::Sha256),
        Some(other) => {
            Err(answer.protocol(format!("its objects have ids of {other}, which is not known")))
        }
    }
}

/// Where `HEAD` points, of which only the object is told: at a branch that is there, as git guesses.
fn likely(refs: &BTreeMap<String, ObjectId>, id: ObjectId) -> Head {
    let is_there = |name: &&str| refs.get(*name) == Some(&id);
    let usual = ["refs/heads/main", "refs/heads/master"].into_iter().find(is_there);
    let any = || {
        let branches = refs.iter().filter(|(name, _)| name.starts_with("refs/heads/"));
        branches.filter(|(_, at)| **at == id).map(|(name, _)| name.as_str()).next()
    };
    match usual.or_else(any) {
        Some(name) => Head::Branch(name.to_owned()),
        None => Head::Detached(id),
    }
}

/// Refs as they are listed.
struct RefList<'a> {
    object_format: HashAlgorithm,
    selection: &'a Selection,
    refs: RemoteRefs,
    names_bytes: usize,
}

impl<'a> RefList<'a> {
    fn new(object_format: HashAlgorithm, selection: &'a Selection) -> Self {
        RefList { object_format, selection, refs: RemoteRefs::default(), names_bytes: 0 }
    }

    fn id(&self, answer: &Answer, digits: &[u8]) -> Result<ObjectId, RemoteError> {
        let id = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<ObjectId>().ok());
        id.filter(|id| id.algorithm() == self.object_format)
            .ok_or_else(|| answer.unexpected(digits))
    }

    fn add(&mut self, answer: &Answer, id: &[u8], name: &[u8]) -> Result<(), RemoteError> {
        let id = self.id(answer, id)?;
        let too_many =
            |what, max| Err(RemoteError::TooMany { url: answer.url().to_owned(), what, max });
        let Ok(name) = std::str::from_utf8(name) else {
            let shown = one_line(name);
            if self.selection.covers(&shown)
                && self.refs.unreadable.len() < limits::REFS_PER_PUSH_MAX
            {
                self.refs.unreadable.push(shown);
            }
            return Ok(());
        };
        if !self.selection.covers(name) {
            return Ok(());
        }
        self.names_bytes += name.len();
        if self.names_bytes > limits::MIRROR_REF_NAMES_BYTES_MAX {
            return too_many("bytes of names of refs", limits::MIRROR_REF_NAMES_BYTES_MAX as u64);
        }
        if self.refs.refs.len() as u64 >= REFS_PER_REPOSITORY_MAX {
            return too_many("refs", REFS_PER_REPOSITORY_MAX);
        }
        self.refs.refs.insert(name.to_owned(), id);
        Ok(())
    }
}
