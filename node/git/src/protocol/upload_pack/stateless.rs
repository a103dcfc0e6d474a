//! upload-pack of protocol versions 0 and 1, in requests that stand alone.
//!
//! Each request repeats what is wanted and what was found to be common, tells more of what the
//! client has, and is answered by acknowledgements alone or, at the end, by the pack.

use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::super::capability::Capabilities;
use super::super::error::{ProtocolError, shown};
use super::super::input::Input;
use super::super::response::Response;
use super::wishes::{Wishes, object_id};
use super::{Boundary, check_wants, marked};
use crate::pkt_line::{Packet, Packets, SideBand};
use crate::service::{PackRequest, Repository};

/// What stands before the first flush packet.
#[derive(Debug, Default)]
pub(in super::super) struct Needs {
    pub wishes: Wishes,
    pub capabilities: Capabilities,
}

impl Needs {
    /// Takes a line. The first wanted object carries the capabilities.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] for one that has no place here.
    pub fn take(&mut self, algorithm: HashAlgorithm, line: &[u8]) -> Result<(), ProtocolError> {
        let mut line = line;
        if line.starts_with(b"want ") && self.wishes.wants.is_empty() {
            let end = b"want ".len() + 2 * algorithm.id_len();
            if let Some((want, capabilities)) = line.split_at_checked(end) {
                self.capabilities = Capabilities::parse(capabilities);
                // An id that is too long must not pass for a shorter one and a capability.
                if capabilities.is_empty() || capabilities.starts_with(b" ") {
                    line = want;
                }
            }
        }
        match self.wishes.take(algorithm, line)? {
            true => Ok(()),
            false => Err(ProtocolError::Malformed(format!(
                "git upload-pack: protocol error, expected to get object ID, not '{}'",
                shown(line)
            ))),
        }
    }

    fn side_band(&self) -> Option<SideBand> {
        if self.capabilities.has("side-band-64k") {
            Some(SideBand::Large)
        } else {
            self.capabilities.has("side-band").then_some(SideBand::Small)
        }
    }
}

/// How much a client wants to hear while it tells what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Acknowledge {
    /// Only which object is the first that both sides have.
    First,
    /// Every one (`multi_ack`).
    Each,
    /// Every one, and when there are enough (`multi_ack_detailed`).
    Detailed {
        /// The pack follows as soon as there are enough (`no-done`).
        no_done: bool,
    },
}

impl Acknowledge {
    fn of(capabilities: &Capabilities) -> Self {
        if capabilities.has("multi_ack_detailed") {
            Acknowledge::Detailed { no_done: capabilities.has("no-done") }
        } else if capabilities.has("multi_ack") {
            Acknowledge::Each
        } else {
            Acknowledge::First
        }
    }
}

/// What a client has told that it has, and what is known of it.
pub(in super::super) struct Told<'a> {
    /// All of it, in order, and whether the repository has it.
    pub haves: &'a [(ObjectId, bool)],
    /// Whether that is enough.
    pub ready: bool,
    /// It has no more to tell.
    pub done: bool,
}

/// Adds the acknowledgements; whether the pack follows.
pub(in super::super) fn acknowledge(
    mode: Acknowledge,
    told: &Told<'_>,
    packets: &mut Packets,
) -> bool {
    let mut last = None;
    let mut all_common = true;
    let mut sent_ready = false;
    for &(id, is_common) in told.haves {
        match (mode, is_common) {
            (Acknowledge::First, true) if last.is_none() => {
                packets.line(format_args!("ACK {id}"));
            }
            (Acknowledge::First, _) => {}
            (Acknowledge::Each, true) => {
                packets.line(format_args!("ACK {id} continue"));
            }
            (Acknowledge::Detailed { .. }, true) => {
                packets.line(format_args!("ACK {id} common"));
            }
            // What is not here, but the client need not go on behind it.
            (Acknowledge::Each, false) if told.ready => {
                packets.line(format_args!("ACK {id} continue"));
            }
            (Acknowledge::Detailed { .. }, false) if told.ready => {
                packets.line(format_args!("ACK {id} ready"));
                sent_ready = true;
            }
            (_, false) => {}
        }
        match is_common {
            true => last = Some(id),
            false => all_common = false,
        }
    }
    if told.done {
        match (last, mode) {
            (None, _) => {
                packets.line(format_args!("NAK"));
            }
            (Some(_), Acknowledge::First) => {}
            (Some(id), _) => {
                packets.line(format_args!("ACK {id}"));
            }
        }
        return true;
    }
    if let (Acknowledge::Detailed { .. }, Some(id), true, true) =
        (mode, last, all_common, told.ready)
    {
        packets.line(format_args!("ACK {id} ready"));
        sent_ready = true;
    }
    if last.is_none() || mode != Acknowledge::First {
        packets.line(format_args!("NAK"));
    }
    match (mode, last) {
        (Acknowledge::Detailed { no_done: true }, Some(id)) if sent_ready => {
            packets.line(format_args!("ACK {id}"));
            true
        }
        _ => false,
    }
}

/// Serves a request.
pub(in super::super) async fn serve(
    repository: &dyn Repository,
    input: &mut Input,
    response: &mut Response<'_>,
) -> Result<(), ProtocolError> {
    let algorithm = repository.object_format();
    let mut needs = Needs::default();
    loop {
        match input.next().await? {
            Some(Packet::Data(data)) => needs.take(algorithm, Packet::line(&data))?,
            Some(Packet::Flush) => break,
            // A body that is empty asks for nothing.
            None if needs.wishes == Wishes::default() => return Ok(()),
            Some(Packet::Delimiter | Packet::ResponseEnd) | None => {
                let reason = "expected flush after the objects that are wanted";
                return Err(ProtocolError::Malformed(reason.into()));
            }
        }
    }
    if needs.wishes.wants.is_empty() {
        return Ok(());
    }
    needs.capabilities.log();
    needs.capabilities.check_object_format(algorithm)?;
    needs.wishes.is_relative = needs.capabilities.has("deepen-relative");
    needs.wishes.finish();
    check_wants(repository, &needs.wishes.wants).await?;
    let boundary = Boundary::of(repository, &needs.wishes).await?;
    if boundary.deepened.is_some() {
        let mut packets = Packets::new();
        boundary.tell(&mut packets);
        response.send(packets.flush()).await?;
    }
    let Some((haves, done)) = read_haves(input, algorithm).await? else { return Ok(()) };
    let has = match haves.is_empty() {
        true => Vec::new(),
        false => repository.contains(&haves).await?,
    };
    let common = marked(&haves, &has);
    let mode = Acknowledge::of(&needs.capabilities);
    let ready = mode != Acknowledge::First
        && !common.is_empty()
        && repository.is_ready(&needs.wishes.wants, &common).await?;
    let haves: Vec<_> = haves.into_iter().zip(has).collect();
    let mut packets = Packets::new();
    let pack_follows = acknowledge(mode, &Told { haves: &haves, ready, done }, &mut packets);
    response.send(&mut packets).await?;
    if !pack_follows {
        return Ok(());
    }
    let (side_band, capabilities) = (needs.side_band(), &needs.capabilities);
    let progress = !capabilities.has("no-progress");
    let request = PackRequest {
        common,
        client_shallow: boundary.client_shallow,
        shallow: boundary.deepened.unwrap_or_default(),
        thin: capabilities.has("thin-pack"),
        ofs_delta: capabilities.has("ofs-delta"),
        include_tag: capabilities.has("include-tag"),
        filter: needs.wishes.filter,
        wants: needs.wishes.wants,
    };
    response.send_pack(repository, request, side_band, progress).await
}

/// What the client has, and whether that is all. None where the body has ended: the client first
/// asks what becomes of its shallow boundary.
async fn read_haves(
    input: &mut Input,
    algorithm: HashAlgorithm,
) -> Result<Option<(Vec<ObjectId>, bool)>, ProtocolError> {
    let mut haves = Vec::new();
    let mut is_first = true;
    loop {
        match input.next().await? {
            None if is_first => return Ok(None),
            None | Some(Packet::Flush) => return Ok(Some((haves, false))),
            Some(Packet::Data(data)) => match Packet::line(&data) {
                b"done" => return Ok(Some((haves, true))),
                line => {
                    let id = line.strip_prefix(b"have ").and_then(|id| object_id(algorithm, id));
                    haves.push(id.ok_or_else(|| expected_id(line))?);
                }
            },
            Some(Packet::Delimiter | Packet::ResponseEnd) => return Err(expected_id(b"a mark")),
        }
        is_first = false;
    }
}

fn expected_id(line: &[u8]) -> ProtocolError {
    let line = shown(line);
    ProtocolError::Malformed(format!("git upload-pack: expected SHA1 list, got '{line}'"))
}
