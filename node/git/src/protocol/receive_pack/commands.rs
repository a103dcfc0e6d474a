//! Commands of a push, as they are written.

use gitstratum_core::limits::{CLIENT_SHALLOW_MAX, GIT_REASON_BYTES_MAX, PUSH_OPTIONS_MAX};
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::super::capability::Capabilities;
use super::super::error::{ProtocolError, shown};
use super::super::input::Input;
use super::super::upload_pack::wishes::object_id;
use crate::pkt_line::PACKET_DATA_BYTES_MAX;

/// Bytes of a name that a line of the report has room for, beside a reason.
const NAME_BYTES_REPORTED_MAX: usize = PACKET_DATA_BYTES_MAX - GIT_REASON_BYTES_MAX - 16;

/// An update of a ref whose name may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Command {
    /// What the client believes the ref to be.
    pub old: Option<ObjectId>,
    /// What it is to be.
    pub new: Option<ObjectId>,
    /// Its name. Git's names need not be UTF-8.
    pub name: Vec<u8>,
}

/// What stands before the first flush packet of a push.
#[derive(Debug)]
pub(in super::super) struct Commands {
    algorithm: HashAlgorithm,
    pub capabilities: Capabilities,
    pub list: Vec<Command>,
    /// Commits that the client has without their parents.
    pub client_shallow: Vec<ObjectId>,
}

impl Commands {
    /// None yet, for a repository of this hash.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        let capabilities = Capabilities::default();
        Commands { algorithm, capabilities, list: Vec::new(), client_shallow: Vec::new() }
    }

    /// Takes a line. The first command carries the capabilities.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] for one that has no place here.
    pub fn take(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        let malformed = |reason: String| Err(ProtocolError::Malformed(reason));
        if let Some(id) = line.strip_prefix(b"shallow ") {
            let Some(id) = object_id(self.algorithm, id) else {
                let shown = shown(id);
                return malformed(format!("protocol error: expected shallow sha, got '{shown}'"));
            };
            if self.client_shallow.len() == CLIENT_SHALLOW_MAX {
                return malformed(format!("more than {CLIENT_SHALLOW_MAX} shallow commits"));
            }
            self.client_shallow.push(id);
            return Ok(());
        }
        let (command, capabilities) = match line.iter().position(|&byte| byte == 0) {
            Some(end) => (&line[..end], Some(&line[end + 1..])),
            None => (line, None),
        };
        if let Some(capabilities) = capabilities
            && self.list.is_empty()
        {
            self.capabilities = Capabilities::parse(capabilities);
        }
        if command == b"push-cert" || command.starts_with(b"push-cert ") {
            return malformed("push certificates are not supported: push without --signed".into());
        }
        match self.parse(command) {
            Some(command) => {
                self.list.push(command);
                Ok(())
            }
            None => {
                let shown = shown(command);
                malformed(format!("protocol error: expected old/new/ref, got '{shown}'"))
            }
        }
    }

    /// `<old> <new> <name>`.
    fn parse(&self, command: &[u8]) -> Option<Command> {
        let digits = 2 * self.algorithm.id_len();
        let (old, rest) = command.split_at_checked(digits)?;
        let (new, rest) = rest.strip_prefix(b" ")?.split_at_checked(digits)?;
        let name = rest.strip_prefix(b" ")?;
        if name.is_empty() || name.len() > NAME_BYTES_REPORTED_MAX {
            return None;
        }
        let id = |text| {
            let id = object_id(self.algorithm, text)?;
            Some((id.as_bytes().iter().any(|&byte| byte != 0)).then_some(id))
        };
        Some(Command { old: id(old)?, new: id(new)?, name: name.to_vec() })
    }

    /// Whether the client wants to know what becomes of them.
    pub fn reports(&self) -> bool {
        self.capabilities.has("report-status") || self.capabilities.has("report-status-v2")
    }
}

/// Reads the options of a push.
///
/// # Errors
/// Those of the input, and [`ProtocolError::Malformed`] for too many.
pub(super) async fn read_options(input: &mut Input) -> Result<Vec<String>, ProtocolError> {
    let mut options = Vec::new();
    while let Some(line) = input.line("push options").await? {
        if options.len() == PUSH_OPTIONS_MAX {
            let reason = format!("more than {PUSH_OPTIONS_MAX} push options");
            return Err(ProtocolError::Malformed(reason));
        }
        options.push(String::from_utf8_lossy(&line).into_owned());
    }
    Ok(options)
}
