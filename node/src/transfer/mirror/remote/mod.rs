//! Remote repository: a client of Git's smart HTTP that fetches.
//!
//! It speaks version 2 of the protocol, and versions 0 and 1 with hosts that know no other. Nothing
//! is kept: a pack is handed on part by part as it comes. What protects a client from its server:
//! every wait and every list has its bound, and what is said is made fit for a terminal.

mod advertisement;
mod error;
mod fetch;
mod http;
mod packets;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gitstratum_host::Net;

use self::http::{Http, has_type};
use super::selection::Selection;
use advertisement::Advertisement;
use fetch::{Answered, Request};
use packets::Answer;

pub use advertisement::RemoteRefs;
pub use error::RemoteError;
pub(super) use fetch::PackAnswer;
pub use url::{RemoteUrl, UrlError};

const SERVICE: &str = "git-upload-pack";
const ADVERTISEMENT: &str = "info/refs?service=git-upload-pack";
const ADVERTISEMENT_TYPE: &str = "application/x-git-upload-pack-advertisement";
const REQUEST_TYPE: &str = "application/x-git-upload-pack-request";
const RESULT_TYPE: &str = "application/x-git-upload-pack-result";

/// A remote repository that has told what it is.
pub struct Remote {
    http: Http,
    advertisement: Advertisement,
}

impl Remote {
    /// Asks what is at `url`, and which of the refs that are followed it has.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn open(
        net: Net,
        url: RemoteUrl,
        selection: &Selection,
    ) -> Result<(Self, RemoteRefs), RemoteError> {
        let mut http = Http::new(net, url).await?;
        let response = http.get(ADVERTISEMENT).await?;
        if !has_type(response.headers(), ADVERTISEMENT_TYPE) {
            let reason = "what it answers is of another type".to_owned();
            return Err(RemoteError::NotGit { url: http.url().to_string(), reason });
        }
        let mut answer = Answer::new(http.url().to_string(), response.into_body());
        let mut advertisement = Advertisement::read(&mut answer, selection).await?;
        let refs = match advertisement.refs.as_mut() {
            Some(refs) => std::mem::take(refs),
            None => {
                let request = advertisement.ls_refs(selection);
                let mut answer = exchange(&http, request).await?;
                advertisement.read_ls_refs(&mut answer, selection).await?
            }
        };
        Ok((Remote { http, advertisement }, refs))
    }

    /// The hash of its objects.
    pub fn object_format(&self) -> HashAlgorithm {
        self.advertisement.object_format
    }

    /// Tells what is there, and hears which of it the remote has too; the pack with `wants` follows
    /// if that is enough to make it small.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub(super) async fn negotiate(
        &self,
        wants: &[ObjectId],
        haves: &[ObjectId],
    ) -> Result<Answered, RemoteError> {
        self.fetch(Request { wants, haves, is_done: false }).await
    }

    /// Has the pack with `wants` begun, without what `haves` reach.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub(super) async fn pack(
        &self,
        wants: &[ObjectId],
        haves: &[ObjectId],
    ) -> Result<PackAnswer, RemoteError> {
        let (_, pack) = self.fetch(Request { wants, haves, is_done: true }).await?;
        pack.ok_or_else(|| RemoteError::Protocol {
            url: self.http.url().to_string(),
            what: "it sends no pack".to_owned(),
        })
    }

    async fn fetch(&self, request: Request<'_>) -> Result<Answered, RemoteError> {
        let advertisement = &self.advertisement;
        if advertisement.is_version_2() {
            let answer = exchange(&self.http, request.version_2(advertisement)).await?;
            return fetch::read_version_2(answer).await;
        }
        for needed in ["multi_ack_detailed", "side-band-64k"] {
            if !advertisement.has(needed) {
                return Err(RemoteError::Protocol {
                    url: self.http.url().to_string(),
                    what: format!("its server is too old: it does not know {needed}"),
                });
            }
        }
        let answer = exchange(&self.http, request.version_0(advertisement)).await?;
        fetch::read_version_0(answer, request.is_done).await
    }
}

/// Sends a request of the protocol.
async fn exchange(http: &Http, request: Bytes) -> Result<Answer, RemoteError> {
    let response = http.post(SERVICE, REQUEST_TYPE, RESULT_TYPE, request).await?;
    if !has_type(response.headers(), RESULT_TYPE) {
        let reason = "a request of the protocol is answered by something else".to_owned();
        return Err(RemoteError::NotGit { url: http.url().to_string(), reason });
    }
    Ok(Answer::new(http.url().to_string(), response.into_body()))
}
