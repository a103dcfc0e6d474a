//! Remote repository: what `git push`, `git fetch` and `git clone` exchange with a node.
//!
//! A push speaks version 0 of the protocol, which is the only one that pushes; a fetch speaks
//! version 2.

use std::collections::BTreeMap;

use gitstratum_core::object::ObjectId;
use gitstratum_host::Net;

use super::http::{self, HttpError, Request, Response, Stay};
use super::pack::{self, Objects};
use super::pkt_line::{Packet, Packets, delimiter, flush, line};
use crate::trace::{GitUpdate, RefVerdict};

/// What stands for no object.
const ZERO: &str = "0000000000000000000000000000000000000000";
/// What the server says of a push that may have been done after all.
const NOT_KNOWN: &str = "whether it was done is not known";

/// Refs with their values; HEAD is none of them.
pub(super) type Refs = BTreeMap<String, ObjectId>;

/// Why a request came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    NoRepository,
    /// Nothing was done, and never will be.
    NotDone(String),
    /// Nobody knows.
    Unknown(String),
    /// An answer that came to its end makes no sense.
    Damaged(String),
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::NoConnection(_) => Failure::NotDone(error.to_string()),
            _ => Failure::Unknown(error.to_string()),
        }
    }
}

/// A repository as one node serves it.
pub(super) struct Remote<'a> {
    pub(super) net: &'a Net,
    /// `HOST:PORT` of the node.
    pub(super) authority: String,
    pub(super) repository: &'a str,
}

impl Remote<'_> {
    /// Its refs, for a push: that makes it if there is none.
    pub(super) async fn refs_to_push(&self) -> Result<Refs, Failure> {
        let answer = self.advertised("git-receive-pack", None).await?;
        let mut packets = Packets(&answer);
        let mut refs = Refs::new();
        let mut lists = 0;
        while let Some(packet) = packets.next().map_err(Failure::NotDone)? {
            match packet {
                Packet::Flush => lists += 1,
                // The first list has the name of the service alone.
                Packet::Line(line) if lists == 1 => {
                    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
                    let (id, name) = named(line).ok_or_else(|| nonsense("a ref", line))?;
                    if name != "capabilities^{}" {
                        refs.insert(name.to_owned(), id);
                    }
                }
                _ => {}
            }
        }
        match lists {
            2 => Ok(refs),
            _ => Err(Failure::Damaged(format!("an advertisement of {lists} lists"))),
        }
    }

    /// Its refs, for a fetch.
    pub(super) async fn refs_to_fetch(&self) -> Result<Refs, Failure> {
        let answer = self.advertised("git-upload-pack", Some("version=2")).await?;
        let mut packets = Packets(&answer);
        loop {
            match packets.next().map_err(Failure::NotDone)? {
                Some(Packet::Line(b"version 2")) => break,
                Some(_) => {}
                None => return Err(Failure::Damaged("version 2 is not spoken".to_owned())),
            }
        }
        let mut body = Vec::new();
        line(&mut body, "command=ls-refs\n");
        line(&mut body, "object-format=sha1");
        delimiter(&mut body);
        line(&mut body, "ref-prefix refs/\n");
        flush(&mut body);
        let answer = self.fetch_request(body).await?;
        let mut packets = Packets(&answer);
        let mut refs = Refs::new();
        loop {
            match packets.next().map_err(Failure::NotDone)? {
                Some(Packet::Line(line)) => {
                    let (id, name) = named(line).ok_or_else(|| nonsense("a ref", line))?;
                    refs.insert(name.to_owned(), id);
                }
                Some(Packet::Flush) => return Ok(refs),
                other => return Err(Failure::Damaged(format!("{other:?} in a list of refs"))),
            }
        }
    }

    /// Pushes; tells what became of each update.
    pub(super) async fn push(
        &self,
        (atomic, updates): (bool, &[GitUpdate]),
        pack: Option<&[u8]>,
        stay: Stay,
    ) -> Result<Vec<RefVerdict>, Failure> {
        let mut body = Vec::new();
        for (place, GitUpdate { name, old, new }) in updates.iter().enumerate() {
            let (old, new) = (old.as_deref().unwrap_or(ZERO), new.as_deref().unwrap_or(ZERO));
            let atomic = if atomic { " atomic" } else { "" };
            let capabilities = match place {
                0 => format!("\0 report-status side-band-64k{atomic} object-format=sha1"),
                _ => String::new(),
            };
            line(&mut body, format!("{old} {new} {name}{capabilities}"));
        }
        flush(&mut body);
        let commands_bytes = body.len();
        body.extend_from_slice(pack.unwrap_or_default());
        let stay = match stay {
            // Some of the pack, or of the commands where there is none; never all.
            Stay::Sent(percent) => {
                let from = if pack.is_some() { commands_bytes } else { 0 };
                let more = (body.len() - from) * percent / 100;
                Stay::Sent((from + more).min(body.len() - 1))
            }
            stay => stay,
        };
        let request = self.post("git-receive-pack", body, None);
        let response = match http::exchange(self.net, &self.authority, &request, stay).await {
            Err(HttpError::Gone) if matches!(stay, Stay::Sent(_)) => {
                let error = "the client went away before it had sent all".to_owned();
                return Err(Failure::NotDone(error));
            }
            response => response?,
        };
        let report = demultiplex(&mut Packets(&body_of(response)?))?;
        verdicts(&report, (atomic, updates))
    }

    /// Fetches objects with all that they reach, but for what `haves` reach; `held` has those.
    /// Gives the commits too whose parents were left out.
    pub(super) async fn fetch(
        &self,
        wants: &[ObjectId],
        haves: &[ObjectId],
        depth: Option<u32>,
        held: &Objects,
    ) -> Result<(Objects, Vec<ObjectId>), Failure> {
        let mut body = Vec::new();
        line(&mut body, "command=fetch");
        line(&mut body, "object-format=sha1");
        delimiter(&mut body);
        line(&mut body, "ofs-delta");
        if !haves.is_empty() {
            line(&mut body, "thin-pack");
        }
        wants.iter().for_each(|id| line(&mut body, format!("want {id}\n")));
        haves.iter().for_each(|id| line(&mut body, format!("have {id}\n")));
        if let Some(depth) = depth {
            line(&mut body, format!("deepen {depth}"));
        }
        line(&mut body, "done\n");
        flush(&mut body);
        let answer = self.fetch_request(body).await?;
        let mut packets = Packets(&answer);
        let mut shallow = Vec::new();
        loop {
            match packets.next().map_err(Failure::NotDone)? {
                Some(Packet::Line(b"packfile")) => break,
                Some(Packet::Line(line)) => {
                    if let Some(id) = line.strip_prefix(b"shallow ") {
                        shallow.push(id_in(id).ok_or_else(|| nonsense("an id", id))?);
                    }
                }
                Some(Packet::Delimiter) => {}
                Some(Packet::Flush) | None => {
                    return Err(Failure::Damaged("an answer without a pack".to_owned()));
                }
            }
        }
        let pack = demultiplex(&mut packets)?;
        let objects = pack::read(&pack, held).map_err(Failure::Damaged)?;
        Ok((objects, shallow))
    }

    async fn advertised(&self, service: &str, version: Option<&str>) -> Result<Vec<u8>, Failure> {
        let request = Request {
            method: "GET",
            target: format!("/{}.git/info/refs?service={service}", self.repository),
            headers: version
                .map(|version| ("Git-Protocol", version.to_owned()))
                .into_iter()
                .collect(),
            body: Vec::new(),
        };
        self.answer_to(&request).await
    }

    async fn fetch_request(&self, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.answer_to(&self.post("git-upload-pack", body, Some("version=2"))).await
    }

    async fn answer_to(&self, request: &Request) -> Result<Vec<u8>, Failure> {
        body_of(http::exchange(self.net, &self.authority, request, Stay::Answered).await?)
    }

    fn post(&self, service: &str, body: Vec<u8>, version: Option<&str>) -> Request {
        let mut headers = vec![
            ("Content-Type", format!("application/x-{service}-request")),
            ("Accept", format!("application/x-{service}-result")),
        ];
        headers.extend(version.map(|version| ("Git-Protocol", version.to_owned())));
        let target = format!("/{}.git/{service}", self.repository);
        Request { method: "POST", target, headers, body }
    }
}

/// The body of an answer that says that all is well.
fn body_of(response: Response) -> Result<Vec<u8>, Failure> {
    let text = || String::from_utf8_lossy(&response.body).trim_end().to_owned();
    match response.status {
        200 => Ok(response.body),
        404 => Err(Failure::NoRepository),
        400..500 => Err(Failure::NotDone(format!("{}: {}", response.status, text()))),
        status => Err(Failure::Unknown(format!("{status}: {}", text()))),
    }
}

/// What comes on the band of data, to the end.
fn demultiplex(packets: &mut Packets<'_>) -> Result<Vec<u8>, Failure> {
    let mut data = Vec::new();
    loop {
        let packet = packets.next_raw().map_err(Failure::Damaged)?;
        match packet {
            Some(Packet::Line([1, part @ ..])) => data.extend_from_slice(part),
            Some(Packet::Line([2, ..])) => {}
            Some(Packet::Line([3, error @ ..])) => {
                let error = String::from_utf8_lossy(error).trim_end().to_owned();
                return Err(Failure::Unknown(error));
            }
            Some(Packet::Flush) => return Ok(data),
            other => return Err(Failure::Damaged(format!("{other:?} among bands"))),
        }
    }
}

/// What a report says of each update.
fn verdicts(
    report: &[u8],
    (atomic, updates): (bool, &[GitUpdate]),
) -> Result<Vec<RefVerdict>, Failure> {
    let mut packets = Packets(report);
    let mut said: BTreeMap<String, RefVerdict> = BTreeMap::new();
    while let Some(packet) = packets.next().map_err(Failure::Damaged)? {
        let Packet::Line(line) = packet else { continue };
        let line = String::from_utf8_lossy(line).into_owned();
        if line == "unpack ok" {
        } else if let Some(error) = line.strip_prefix("unpack ") {
            return Err(match error.starts_with(NOT_KNOWN) {
                true => Failure::Unknown(error.to_owned()),
                false => Failure::NotDone(error.to_owned()),
            });
        } else if let Some(name) = line.strip_prefix("ok ") {
            said.insert(name.to_owned(), RefVerdict::Applied);
        } else if let Some((name, reason)) =
            line.strip_prefix("ng ").and_then(|rest| rest.split_once(' '))
        {
            said.insert(name.to_owned(), refused(reason));
        } else {
            return Err(Failure::Damaged(format!("{line:?} in a report")));
        }
    }
    let of = |update: &GitUpdate| {
        let verdict = said.get(&update.name).cloned();
        verdict.ok_or_else(|| Failure::Damaged(format!("nothing was said of {}", update.name)))
    };
    let mut verdicts: Vec<RefVerdict> = updates.iter().map(of).collect::<Result<_, _>>()?;
    // Of an atomic push whatever refused one ref refused the others.
    let other = verdicts.iter().find(|verdict| matches!(verdict, RefVerdict::Rejected(_))).cloned();
    if let Some(other) = other.filter(|_| atomic) {
        verdicts
            .iter_mut()
            .filter(|it| **it == RefVerdict::Moved)
            .for_each(|it| *it = other.clone());
    }
    if let Some(reason) = said.values().find_map(|it| match it {
        RefVerdict::Rejected(reason) if reason.starts_with(NOT_KNOWN) => Some(reason.clone()),
        _ => None,
    }) {
        return Err(Failure::Unknown(reason));
    }
    Ok(verdicts)
}

/// Why a ref was refused, by the words of the catalog.
fn refused(reason: &str) -> RefVerdict {
    let is_of_value = reason.starts_with("it is ") && reason.ends_with(" as the update expects");
    match is_of_value || reason == "another update of this atomic push was refused" {
        true => RefVerdict::Moved,
        false => RefVerdict::Rejected(reason.to_owned()),
    }
}

/// `<id> <name>`.
fn named(line: &[u8]) -> Option<(ObjectId, &str)> {
    let (id, name) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((id.parse().ok()?, name))
}

fn id_in(text: &[u8]) -> Option<ObjectId> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn nonsense(what: &str, line: &[u8]) -> Failure {
    Failure::Damaged(format!("{:?} is not {what}", String::from_utf8_lossy(line)))
}
