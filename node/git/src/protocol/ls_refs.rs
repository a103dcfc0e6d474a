//! `ls-refs` of protocol version 2.

use gitstratum_core::limits::REF_PREFIXES_MAX;

use super::error::ProtocolError;
use super::input::{Input, unexpected};
use super::response::Response;
use crate::pkt_line::Packets;
use crate::service::{Head, Refs, Repository};

/// Parts of the answer are sent when they are so long.
const PART_BYTES: usize = 32 << 10;

/// What is to be listed, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: Vec<Vec<u8>>,
    /// There were more prefixes than are kept: all refs are listed.
    all: bool,
}

impl Arguments {
    /// Takes an argument.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] for one that is not known.
    pub fn take(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        match line {
            b"peel" => self.peel = true,
            b"symrefs" => self.symrefs = true,
            b"unborn" => self.unborn = true,
            _ => {
                let prefix = line.strip_prefix(b"ref-prefix ").ok_or_else(|| unexpected(line))?;
                if self.all {
                } else if self.prefixes.len() < REF_PREFIXES_MAX {
                    self.prefixes.push(prefix.to_vec());
                } else {
                    self.all = true;
                    self.prefixes.clear();
                }
            }
        }
        Ok(())
    }

    /// Leaves out the prefixes that others begin, so that a name is compared with few.
    pub fn minimize(&mut self) {
        self.prefixes.sort_unstable();
        self.prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter));
    }

    /// Whether a ref of this name is to be listed, once [`Arguments::minimize`] was called.
    pub fn covers(&self, name: &str) -> bool {
        if self.prefixes.is_empty() {
            return true;
        }
        let name = name.as_bytes();
        let after = self.prefixes.partition_point(|prefix| prefix.as_slice() <= name);
        after > 0 && name.starts_with(&self.prefixes[after - 1])
    }
}

/// Reads the arguments, if there are some, and answers.
pub(super) async fn serve(
    repository: &dyn Repository,
    input: &mut Input,
    has_arguments: bool,
    response: &mut Response<'_>,
) -> Result<(), ProtocolError> {
    let mut arguments = Arguments::default();
    if has_arguments {
        while let Some(line) = input.line("ls-refs arguments").await? {
            arguments.take(&line)?;
        }
    }
    arguments.minimize();
    let refs = repository.refs().await?;
    let mut packets = Packets::new();
    if arguments.covers("HEAD") {
        list_head(&refs, &arguments, &mut packets);
    }
    for found in refs.refs.iter().filter(|found| arguments.covers(&found.name)) {
        match found.peeled.filter(|_| arguments.peel) {
            Some(peeled) => {
                packets.line(format_args!("{} {} peeled:{peeled}", found.id, found.name))
            }
            None => packets.line(format_args!("{} {}", found.id, found.name)),
        };
        if packets.len() >= PART_BYTES {
            response.send(&mut packets).await?;
        }
    }
    response.send(packets.flush()).await
}

fn list_head(refs: &Refs, arguments: &Arguments, packets: &mut Packets) {
    let symref = match &refs.head {
        Head::Branch(name) if arguments.symrefs => format!(" symref-target:{name}"),
        Head::Branch(_) | Head::Detached(_) => String::new(),
    };
    match refs.head_object() {
        Some((id, peeled)) => {
            let peeled = peeled.filter(|_| arguments.peel);
            let peeled = peeled.map_or(String::new(), |id| format!(" peeled:{id}"));
            packets.line(format_args!("{id} HEAD{symref}{peeled}"));
        }
        None if arguments.unborn => {
            packets.line(format_args!("unborn HEAD{symref}"));
        }
        None => {}
    }
}
