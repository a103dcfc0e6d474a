//! Advertisement of refs and capabilities: what a client hears first.

use gitstratum_core::object::HashAlgorithm;

use super::error::ProtocolError;
use super::output::Output;
use super::{AGENT, Service, Session, Version, filter};
use crate::pkt_line::Packets;
use crate::service::{Head, Refs, Repository};

/// What a client of versions 0 and 1 may ask of a fetch.
const FETCH: &str = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since \
                     deepen-not deepen-relative no-progress include-tag multi_ack_detailed \
                     allow-tip-sha1-in-want allow-reachable-sha1-in-want no-done";
/// What it may ask of a push.
const PUSH: &str = "report-status report-status-v2 delete-refs side-band-64k quiet atomic \
                    ofs-delta push-options";
/// Parts of the answer are sent when they are so long.
const PART_BYTES: usize = 32 << 10;

/// Writes the answer to `GET …/info/refs?service=…`. Nothing is written before the repository has
/// told its refs.
///
/// # Errors
/// Those of the repository, and [`RepositoryError::Gone`](crate::service::RepositoryError::Gone).
pub async fn advertise(
    service: Service,
    version: Version,
    repository: &dyn Repository,
    session: &Session,
    output: &Output,
) -> Result<(), ProtocolError> {
    let format = repository.object_format();
    let mut packets = Packets::new();
    if (service, version) == (Service::UploadPack, Version::V2) {
        capabilities_v2(&mut packets, format, session);
        return Ok(output.send(packets.take()).await?);
    }
    let refs = repository.refs().await?;
    packets.line(format_args!("# service={}", service.as_str())).flush();
    if version == Version::V1 {
        packets.line(format_args!("version 1"));
    }
    let mut list =
        List { packets, capabilities: Some(capabilities(service, &refs, format, session)) };
    match service {
        Service::UploadPack => {
            if let Some((id, peeled)) = refs.head_object() {
                list.add(&id, "HEAD");
                list.add_peeled(peeled, "HEAD");
            }
            for found in &refs.refs {
                list.add(&found.id, &found.name);
                list.add_peeled(found.peeled, &found.name);
                list.send_if_long(output).await?;
            }
        }
        Service::ReceivePack => {
            for found in &refs.refs {
                list.add(&found.id, &found.name);
                list.send_if_long(output).await?;
            }
        }
    }
    if list.capabilities.is_some() {
        list.add(&"0".repeat(2 * format.id_len()), "capabilities^{}");
    }
    list.packets.flush();
    Ok(output.send(list.packets.take()).await?)
}

/// Refs that are listed; the first one carries the capabilities.
struct List {
    packets: Packets,
    capabilities: Option<String>,
}

impl List {
    fn add(&mut self, id: &impl std::fmt::Display, name: &str) {
        match self.capabilities.take() {
            Some(capabilities) => {
                self.packets.line(format_args!("{id} {name}\0{capabilities}"));
            }
            None => {
                self.packets.line(format_args!("{id} {name}"));
            }
        }
    }

    fn add_peeled(&mut self, peeled: Option<impl std::fmt::Display>, name: &str) {
        if let Some(id) = peeled {
            self.packets.line(format_args!("{id} {name}^{{}}"));
        }
    }

    async fn send_if_long(&mut self, output: &Output) -> Result<(), ProtocolError> {
        if self.packets.len() >= PART_BYTES {
            output.send(self.packets.take()).await?;
        }
        Ok(())
    }
}

/// The capabilities of versions 0 and 1.
fn capabilities(service: Service, refs: &Refs, format: HashAlgorithm, session: &Session) -> String {
    let (format, session) = (format.as_str(), &session.id);
    let common = format!("object-format={format} session-id={session} agent={AGENT}");
    match service {
        Service::ReceivePack => format!("{PUSH} {common}"),
        Service::UploadPack => {
            let symref = match &refs.head {
                Head::Branch(name) if refs.head_object().is_some() => {
                    format!(" symref=HEAD:{name}")
                }
                Head::Branch(_) | Head::Detached(_) => String::new(),
            };
            format!("{FETCH}{symref} {} {common}", filter::CAPABILITY)
        }
    }
}

/// The capabilities of version 2.
fn capabilities_v2(packets: &mut Packets, format: HashAlgorithm, session: &Session) {
    packets
        .line(format_args!("version 2"))
        .line(format_args!("agent={AGENT}"))
        .line(format_args!("ls-refs=unborn"))
        .line(format_args!("fetch=shallow wait-for-done {}", filter::CAPABILITY))
        .line(format_args!("server-option"))
        .line(format_args!("object-format={}", format.as_str()))
        .line(format_args!("session-id={}", session.id))
        .flush();
}
