//! Commands of protocol version 2.

use gitstratum_core::limits::GIT_COMMANDS_PER_REQUEST_MAX;
use gitstratum_core::object::HashAlgorithm;

use super::capability::check_object_format;
use super::error::{ProtocolError, shown};
use super::input::Input;
use super::response::Response;
use super::{ls_refs, upload_pack};
use crate::pkt_line::Packet;
use crate::service::Repository;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Lists refs.
    LsRefs,
    /// Negotiates, and sends a pack.
    Fetch,
}

/// What stands before a command's arguments: the command, and capabilities.
#[derive(Debug, Default)]
pub(super) struct Head {
    command: Option<Command>,
    /// As the client names it; SHA-1 where it does not.
    object_format: Option<String>,
}

impl Head {
    /// Takes a line.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] for one that has no place here.
    pub fn take(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        let malformed = |reason: String| Err(ProtocolError::Malformed(reason));
        let text = String::from_utf8_lossy(line);
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&*text, None),
        };
        match (name, value) {
            ("command", Some(named)) => {
                let command = match named {
                    "ls-refs" => Command::LsRefs,
                    "fetch" => Command::Fetch,
                    _ => {
                        return malformed(format!("invalid command '{}'", shown(named.as_bytes())));
                    }
                };
                if self.command.replace(command).is_some() {
                    return malformed("a request makes one command".into());
                }
            }
            ("object-format", Some(format)) => self.object_format = Some(format.to_owned()),
            ("agent" | "session-id", Some(value)) => {
                tracing::debug!(capability = name, value, "the client's capability");
            }
            ("server-option", Some(option)) => {
                if option.contains(['\0', '\n']) {
                    return malformed("a server option holds a NUL or a line feed".into());
                }
                tracing::debug!(option, "a server option, which means nothing here");
            }
            _ => return malformed(format!("unknown capability '{}'", shown(line))),
        }
        Ok(())
    }

    /// The command, for a repository of this hash.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] without a command, or with the wrong hash.
    pub fn finish(self, algorithm: HashAlgorithm) -> Result<Command, ProtocolError> {
        let none = || ProtocolError::Malformed("no command requested".into());
        let command = self.command.ok_or_else(none)?;
        check_object_format(self.object_format.as_deref().unwrap_or("sha1"), algorithm)?;
        Ok(command)
    }
}

/// Serves the commands of a request, one after another.
pub(super) async fn serve(
    repository: &dyn Repository,
    input: &mut Input,
    response: &mut Response<'_>,
) -> Result<(), ProtocolError> {
    for _ in 0..GIT_COMMANDS_PER_REQUEST_MAX {
        let mut head = Head::default();
        let mut is_first = true;
        let has_arguments = loop {
            match input.next().await? {
                Some(Packet::Data(data)) => head.take(Packet::line(&data))?,
                Some(Packet::Delimiter) => break true,
                Some(Packet::Flush) if !is_first => break false,
                // A flush packet alone says that there are no more commands.
                Some(Packet::Flush) => return Ok(()),
                None if is_first => return Ok(()),
                Some(Packet::ResponseEnd) | None => {
                    let reason = "expected flush or delimiter after capabilities";
                    return Err(ProtocolError::Malformed(reason.into()));
                }
            }
            is_first = false;
        };
        match head.finish(repository.object_format())? {
            Command::LsRefs => ls_refs::serve(repository, input, has_arguments, response).await?,
            Command::Fetch => {
                upload_pack::command::serve(repository, input, has_arguments, response).await?;
            }
        }
    }
    let reason = format!("more than {GIT_COMMANDS_PER_REQUEST_MAX} commands in one request");
    Err(ProtocolError::Malformed(reason))
}
