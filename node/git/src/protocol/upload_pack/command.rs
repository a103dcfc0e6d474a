//! `fetch` of protocol version 2.

use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::super::error::{ProtocolError, shown};
use super::super::input::{Input, unexpected};
use super::super::response::Response;
use super::wishes::{Wishes, object_id};
use super::{Boundary, check_wants, held};
use crate::pkt_line::{Packets, SideBand};
use crate::service::{PackRequest, Repository};

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Arguments {
    pub wishes: Wishes,
    /// Objects that the client has.
    pub haves: Vec<ObjectId>,
    /// It has no more to tell: the pack is due.
    pub done: bool,
    /// The pack is not due before it says so.
    pub wait_for_done: bool,
    pub thin: bool,
    pub ofs_delta: bool,
    pub include_tag: bool,
    pub no_progress: bool,
}

impl Arguments {
    /// Takes an argument.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] for one that is not known, or says something impossible.
    pub fn take(&mut self, algorithm: HashAlgorithm, line: &[u8]) -> Result<(), ProtocolError> {
        match line {
            b"done" => self.done = true,
            b"wait-for-done" => self.wait_for_done = true,
            b"thin-pack" => self.thin = true,
            b"ofs-delta" => self.ofs_delta = true,
            b"include-tag" => self.include_tag = true,
            b"no-progress" => self.no_progress = true,
            b"deepen-relative" => self.wishes.is_relative = true,
            _ => {
                if let Some(have) = line.strip_prefix(b"have ") {
                    let id = object_id(algorithm, have).ok_or_else(|| {
                        let have = shown(have);
                        let reason = format!("git upload-pack: expected SHA1 object, got '{have}'");
                        ProtocolError::Malformed(reason)
                    })?;
                    self.haves.push(id);
                } else if !self.wishes.take(algorithm, line)? {
                    return Err(unexpected(line));
                }
            }
        }
        Ok(())
    }
}

/// Reads the arguments, if there are some, and answers.
pub(in super::super) async fn serve(
    repository: &dyn Repository,
    input: &mut Input,
    has_arguments: bool,
    response: &mut Response<'_>,
) -> Result<(), ProtocolError> {
    let mut arguments = Arguments::default();
    if has_arguments {
        while let Some(line) = input.line("fetch arguments").await? {
            arguments.take(repository.object_format(), &line)?;
        }
    }
    arguments.wishes.finish();
    let wishes = &arguments.wishes;
    check_wants(repository, &wishes.wants).await?;
    let only_negotiates = arguments.wait_for_done && !arguments.haves.is_empty();
    if wishes.wants.is_empty() && !only_negotiates {
        return Ok(());
    }
    let common = held(repository, &arguments.haves).await?;
    if !arguments.haves.is_empty() && !arguments.done {
        let ready = !arguments.wait_for_done
            && !common.is_empty()
            && repository.is_ready(&wishes.wants, &common).await?;
        response.send(&mut acknowledgments(&common, ready)).await?;
        if !ready {
            return Ok(());
        }
    }
    if wishes.wants.is_empty() {
        let reason = "a pack was asked for, and no object of it";
        return Err(ProtocolError::Malformed(reason.into()));
    }
    let boundary = Boundary::of(repository, wishes).await?;
    let mut packets = Packets::new();
    if boundary.deepened.is_some() || !boundary.client_shallow.is_empty() {
        packets.line(format_args!("shallow-info"));
        boundary.tell(&mut packets);
        packets.delimiter();
    }
    response.send(packets.line(format_args!("packfile"))).await?;
    let request = PackRequest {
        wants: arguments.wishes.wants,
        common,
        client_shallow: boundary.client_shallow,
        shallow: boundary.deepened.unwrap_or_default(),
        filter: arguments.wishes.filter,
        thin: arguments.thin,
        ofs_delta: arguments.ofs_delta,
        include_tag: arguments.include_tag,
    };
    let progress = !arguments.no_progress;
    response.send_pack(repository, request, Some(SideBand::Large), progress).await
}

/// The section that tells the client which of its objects are here too, and whether a pack follows.
pub(in super::super) fn acknowledgments(common: &[ObjectId], ready: bool) -> Packets {
    let mut packets = Packets::new();
    packets.line(format_args!("acknowledgments"));
    if common.is_empty() {
        packets.line(format_args!("NAK"));
    }
    for id in common {
        packets.line(format_args!("ACK {id}"));
    }
    match ready {
        true => packets.line(format_args!("ready")).delimiter(),
        false => packets.flush(),
    };
    packets
}
