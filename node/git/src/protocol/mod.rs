//! Git protocol server.
//!
//! Versions 0, 1 and 2 of fetching (`git-upload-pack`) and version 0 of pushing
//! (`git-receive-pack`), for a transport whose requests stand alone, as those of smart HTTP do
//! (git's `--stateless-rpc`). The transport hands over the body of a request and takes the parts of
//! the answer; repositories are known by the traits of [`crate::service`] alone. What is said here
//! follows git's `upload-pack.c`, `serve.c` and `builtin/receive-pack.c`, its words included,
//! because clients show them.
//!
//! Invariant: whatever ends an exchange early is said in a form that clients show: an `ERR` packet,
//! the third band of a side-band, or `ng` in the report of a push. Where none of them can be read,
//! because a pack goes without a side-band, [`Failure::told`] is false, and the transport must
//! break off, so that nobody takes what was sent for all of it.

mod advertise;
mod capability;
mod command;
mod error;
mod filter;
mod input;
mod ls_refs;
mod output;
mod receive_pack;
mod response;
#[cfg(test)]
mod tests;
mod upload_pack;

use gitstratum_core::limits::{FETCH_REQUEST_BYTES_MAX, PUSH_COMMAND_BYTES_MAX};

use crate::service::{PackBody, Repository};

pub use advertise::advertise;
pub use error::{Failure, ProtocolError};
pub(crate) use input::drain;
pub use output::Output;

use input::Input;
use response::Response;

/// What this server calls itself.
pub const AGENT: &str = concat!("gitstratum/", env!("CARGO_PKG_VERSION"));

/// A service of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `git-upload-pack`, which serves fetches.
    UploadPack,
    /// `git-receive-pack`, which serves pushes.
    ReceivePack,
}

impl Service {
    /// The service of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Service::UploadPack),
            "git-receive-pack" => Some(Service::ReceivePack),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Service::UploadPack => "git-upload-pack",
            Service::ReceivePack => "git-receive-pack",
        }
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The original one.
    #[default]
    V0,
    /// The original one, which says its number first.
    V1,
    /// Commands with arguments.
    V2,
}

impl Version {
    /// All of them.
    pub const ALL: [Version; 3] = [Version::V0, Version::V1, Version::V2];

    /// Its number, for metrics.
    pub fn number(self) -> &'static str {
        match self {
            Version::V0 => "0",
            Version::V1 => "1",
            Version::V2 => "2",
        }
    }

    /// The version that a client asks for by `Git-Protocol`: the greatest that is known, and the
    /// original one where it names none.
    pub fn requested(header: Option<&str>) -> Self {
        let keys = header.unwrap_or_default().split(':');
        let named = keys.filter_map(|key| match key.trim().strip_prefix("version=")? {
            "1" => Some(Version::V1),
            "2" => Some(Version::V2),
            _ => None,
        });
        named.max().unwrap_or_default()
    }
}

/// An exchange, by which both sides' logs tell it from others.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the server calls it: printable, without spaces.
    pub id: String,
}

/// Serves the request in `body` and writes the answer to `output`. What fails is told with the id of
/// the request, by which the logs call it.
///
/// # Errors
/// [`Failure`], of which the client has heard if [`Failure::told`].
pub async fn serve(
    (service, version): (Service, Version),
    request_id: &str,
    repository: &dyn Repository,
    body: PackBody,
    output: &Output,
) -> Result<(), Failure> {
    let bytes_max = match service {
        Service::UploadPack => FETCH_REQUEST_BYTES_MAX,
        Service::ReceivePack => PUSH_COMMAND_BYTES_MAX,
    };
    let (mut input, mut response) =
        (Input::new(body, bytes_max), Response::new(output, request_id));
    let (asked, answer) = (&mut input, &mut response);
    let served = match (service, version) {
        (Service::UploadPack, Version::V2) => command::serve(repository, asked, answer).await,
        (Service::UploadPack, Version::V0 | Version::V1) => {
            upload_pack::stateless::serve(repository, asked, answer).await
        }
        (Service::ReceivePack, _) => receive_pack::serve(repository, asked, answer).await,
    };
    let Err(error) = served else { return Ok(()) };
    let told = response.refuse(&error).await;
    if told {
        drain(input.take_rest()).await;
    }
    Err(Failure { error, told })
}
