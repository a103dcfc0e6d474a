//! Fetch from a remote: what is wanted, what is there, what the remote has of that, and the pack.
//!
//! Each request stands alone. One that does not end with `done` is answered by acknowledgements of
//! what the remote has too, and by the pack if that is already enough for a small one.

use std::collections::BTreeSet;

use bytes::Bytes;
use gitstratum_core::object::ObjectId;
use gitstratum_git::pkt_line::{Packet, Packets};
use gitstratum_git::protocol::AGENT;

use super::advertisement::Advertisement;
use super::error::RemoteError;
use super::packets::{Answer, Part};

/// What a fetch asks for.
pub(super) struct Request<'a> {
    pub(super) wants: &'a [ObjectId],
    /// Objects that are there, with all that they reach.
    pub(super) haves: &'a [ObjectId],
    /// That is all: the pack is to follow.
    pub(super) is_done: bool,
}

impl Request<'_> {
    /// As version 2 has it.
    pub(super) fn version_2(&self, advertisement: &Advertisement) -> Bytes {
        let mut packets = advertisement.command("fetch");
        packets.line(format_args!("thin-pack")).line(format_args!("ofs-delta"));
        for id in self.wants {
            packets.line(format_args!("want {id}"));
        }
        self.add_haves(&mut packets);
        packets.flush().take()
    }

    /// As versions 0 and 1 have it.
    pub(super) fn version_0(&self, advertisement: &Advertisement) -> Bytes {
        let mut capabilities =
            format!("multi_ack_detailed side-band-64k thin-pack ofs-delta agent={AGENT}");
        if advertisement.has("object-format") {
            let format = advertisement.object_format.as_str();
            capabilities.push_str(&format!(" object-format={format}"));
        }
        let mut packets = Packets::new();
        for (number, id) in self.wants.iter().enumerate() {
            match number {
                0 => packets.line(format_args!("want {id} {capabilities}")),
                _ => packets.line(format_args!("want {id}")),
            };
        }
        packets.flush();
        self.add_haves(&mut packets);
        if !self.is_done {
            packets.flush();
        }
        packets.take()
    }

    fn add_haves(&self, packets: &mut Packets) {
        for id in self.haves {
            packets.line(format_args!("have {id}"));
        }
        if self.is_done {
            packets.line(format_args!("done"));
        }
    }
}

/// A pack on its way: its side-bands.
pub(in super::super) struct PackAnswer {
    answer: Answer,
    /// A part that came before it was clear that the pack begins.
    first: Option<Part>,
}

impl PackAnswer {
    /// The next bytes of the pack; nothing at its end. `hear` is given words for whoever waits.
    pub(in super::super) async fn next(
        &mut self,
        hear: &mut (dyn FnMut(String) + Send),
    ) -> Result<Option<Bytes>, RemoteError> {
        loop {
            let part = match self.first.take() {
                Some(first) => Some(first),
                None => self.answer.part().await?,
            };
            match part {
                Some(Part::Pack(bytes)) if bytes.is_empty() => {}
                Some(Part::Pack(bytes)) => return Ok(Some(bytes)),
                Some(Part::Progress(words)) => hear(words),
                None => return Ok(None),
            }
        }
    }
}

/// What the remote answers: which objects it has too, and the pack, where it follows.
pub(super) type Answered = (BTreeSet<ObjectId>, Option<PackAnswer>);

/// Reads the answer of version 2.
pub(super) async fn read_version_2(mut answer: Answer) -> Result<Answered, RemoteError> {
    let mut common = BTreeSet::new();
    loop {
        let Some(section) = answer.line().await? else {
            return Err(answer.protocol("its answer has a section without a name"));
        };
        match &section[..] {
            b"packfile" => return Ok((common, Some(PackAnswer { answer, first: None }))),
            b"acknowledgments" => loop {
                match answer.expect().await? {
                    Packet::Data(line) => acknowledged(Packet::line(&line), b"", &mut common),
                    Packet::Delimiter => break,
                    Packet::Flush | Packet::ResponseEnd => return Ok((common, None)),
                }
            },
            // Nothing was said of a boundary of ours, so it is the remote's own.
            b"shallow-info" => {
                while let Some(line) = answer.line().await? {
                    if line.starts_with(b"shallow ") {
                        return Err(RemoteError::Shallow { url: answer.url().to_owned() });
                    }
                }
            }
            other => return Err(answer.unexpected(other)),
        }
    }
}

/// Reads the answer of versions 0 and 1, to a request that `is_done` or not.
pub(super) async fn read_version_0(
    mut answer: Answer,
    is_done: bool,
) -> Result<Answered, RemoteError> {
    let mut common = BTreeSet::new();
    loop {
        let packet = match is_done {
            true => answer.expect().await?,
            false => match answer.next().await? {
                Some(packet) => packet,
                None => return Ok((common, None)),
            },
        };
        let Packet::Data(data) = packet else { return Err(answer.unexpected(b"a mark")) };
        if data.starts_with(b"NAK") || data.starts_with(b"ACK ") {
            // What is only "ready" the remote need not have.
            acknowledged(Packet::line(&data), b" common", &mut common);
        } else if is_done {
            let first = Some(answer.unbanded(data)?);
            return Ok((common, Some(PackAnswer { answer, first })));
        } else {
            return Err(answer.unexpected(&data));
        }
    }
}

/// Takes the id of a line that says so in these words.
fn acknowledged(line: &[u8], words: &[u8], common: &mut BTreeSet<ObjectId>) {
    let id = line.strip_prefix(b"ACK ").and_then(|rest| rest.strip_suffix(words));
    let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse::<ObjectId>().ok());
    common.extend(id);
}
