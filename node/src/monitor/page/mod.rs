//! Status page: how the cluster is, as HTML for people.
//!
//! One page, made on the server, which reads the same without a script, a picture or a font from
//! anywhere: its style is a part of it. It says what is wrong first, in words, and what to do about it.
//!
//! Invariant: a flood of requests costs what one costs. What was gathered serves everybody for
//! `limits::STATUS_PAGE_KEPT_FOR`, and so does each page that was made of it; a viewer is shown what is
//! within its own prefix and nothing else.

mod finding;
mod overview;
mod render;
mod repositories;
mod runbook;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gitstratum_core::limits::{
    STATUS_PAGE_KEPT_FOR, STATUS_PAGE_REQUESTS_MAX, STATUS_PAGES_KEPT_MAX,
};
use gitstratum_git::http::CHALLENGE;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use http_body_util::Full;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::gate::{Came, Gate, Refused, Viewer};
use overview::Overview;
pub(crate) use overview::Sources;
use render::Shown;
use repositories::{Listing, Wanted};

/// Whether the page is loaded again by itself.
const REFRESH: &str = "refresh";
const REFRESH_OFF: &str = "off";
/// Which repositories are listed.
const PREFIX: &str = "repositories";
const AFTER: &str = "after";

/// What a request asks for, and who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    viewer: Viewer,
    wanted: Wanted,
    refreshes: bool,
}

impl Asked {
    fn new(uri: &Uri, viewer: Viewer) -> Self {
        let (mut wanted, mut refreshes) = (Wanted::default(), true);
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                PREFIX => wanted.prefix = value.into_owned(),
                AFTER => wanted.after = value.into_owned(),
                REFRESH => refreshes = value != REFRESH_OFF,
                _ => {}
            }
        }
        Asked { viewer, wanted, refreshes }
    }
}

/// What was gathered last, and whether somebody gathers.
#[derive(Default)]
struct Gathered {
    last: Option<(Instant, Arc<Overview>)>,
    is_gathering: bool,
}

/// The status page of a node.
pub(crate) struct Page {
    sources: Sources,
    gate: Gate,
    /// What the browser is told about where things may come from.
    policy: HeaderValue,
    room: Semaphore,
    gathered: Mutex<Gathered>,
    /// Told when it is there.
    news: Notify,
    made: Mutex<BTreeMap<Asked, (Instant, Bytes)>>,
}

/// Says that nobody gathers any more, however that ended.
struct Gathering(Arc<Page>);

impl Drop for Gathering {
    fn drop(&mut self) {
        self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner).is_gathering = false;
        self.0.news.notify_waiters();
    }
}

impl Page {
    /// Of these, for those whom the gate lets in.
    pub(crate) fn new(sources: Sources, gate: Gate) -> Arc<Self> {
        Arc::new(Page {
            sources,
            gate,
            policy: render::policy(),
            room: Semaphore::new(STATUS_PAGE_REQUESTS_MAX),
            gathered: Mutex::default(),
            news: Notify::new(),
            made: Mutex::default(),
        })
    }

    /// Answers a request.
    pub(super) async fn answer(
        self: &Arc<Self>,
        uri: &Uri,
        headers: &HeaderMap,
        came: Came,
    ) -> Response<Full<Bytes>> {
        let Ok(_room) = self.room.try_acquire() else {
            let mut busy = words(StatusCode::SERVICE_UNAVAILABLE, "too many ask for this page\n");
            busy.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return busy;
        };
        match self.gate.admit(uri, headers, came).await {
            Ok(viewer) => {
                let page = self.page(Asked::new(uri, viewer)).await;
                self.html(page)
            }
            Err(refused) => refusal(refused),
        }
    }

    /// The page, as it was made a moment ago or is made now.
    async fn page(self: &Arc<Self>, asked: Asked) -> Bytes {
        let kept = |made: &BTreeMap<Asked, (Instant, Bytes)>| {
            let (at, page) = made.get(&asked)?;
            (at.elapsed() < STATUS_PAGE_KEPT_FOR).then(|| page.clone())
        };
        if let Some(page) = kept(&self.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            return page;
        }
        let seen = self.seen().await;
        let listing = self.listing(&asked);
        let shown = Shown { seen: &seen, asked: &asked, listing: listing.as_ref() };
        let page = Bytes::from(shown.document().into_string());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, (at, _)| at.elapsed() < STATUS_PAGE_KEPT_FOR);
        if made.len() < STATUS_PAGES_KEPT_MAX {
            made.insert(asked, (Instant::now(), page.clone()));
        }
        page
    }

    /// The repositories that are asked for; nothing where this node has no catalog.
    fn listing(&self, asked: &Asked) -> Option<Listing> {
        // Cheap, and nothing waits while it is looked at.
        let state = self.sources.participant.as_ref()?.with_local(Clone::clone)?;
        Some(Listing::of(&state, &asked.viewer.prefix, &asked.wanted))
    }

    /// What was gathered a moment ago, or is gathered now: once for all who wait for it, and to its end
    /// though they go away.
    async fn seen(self: &Arc<Self>) -> Arc<Overview> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // Registered before looking, so that no news falls between the two.
            news.as_mut().enable();
            {
                let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((at, seen)) = &gathered.last
                    && at.elapsed() < STATUS_PAGE_KEPT_FOR
                {
                    return seen.clone();
                }
                if !gathered.is_gathering {
                    gathered.is_gathering = true;
                    tokio::spawn(self.clone().gather());
                }
            }
            news.await;
        }
    }

    async fn gather(self: Arc<Self>) {
        let gathering = Gathering(self.clone());
        let seen = Arc::new(self.sources.gather().await);
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.last = Some((Instant::now(), seen));
        drop(gathered);
        drop(gathering);
    }

    fn html(&self, page: Bytes) -> Response<Full<Bytes>> {
        let mut answer = Response::new(Full::new(page));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        secure(headers);
        answer
    }
}

/// What no answer here goes without.
fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn words(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(words.to_owned())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    secure(headers);
    answer
}

/// What somebody is told who may not see the page.
fn refusal(refused: Refused) -> Response<Full<Bytes>> {
    match refused {
        Refused::Unauthorized(reason) => {
            let mut answer = words(StatusCode::UNAUTHORIZED, &format!("{reason}\n"));
            let challenge = HeaderValue::from_static(CHALLENGE);
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            answer
        }
        Refused::Plain => words(
            StatusCode::FORBIDDEN,
            "access tokens are not taken here as plain text, readable by everybody on the way. Come \
             by way of this machine itself (ssh -L), give the node a certificate under [monitor], or \
             say plain_tokens = true there, where the network is one that you trust\n",
        ),
        Refused::SecretInUrl => words(
            StatusCode::BAD_REQUEST,
            "a URL is no place for a secret: it is logged on its way\n",
        ),
        Refused::Limited(again) => {
            let reason = "too many access tokens that are not known came from this address: come \
                          back later, with one that is\n";
            let mut answer = words(StatusCode::TOO_MANY_REQUESTS, reason);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(again.as_secs()));
            answer
        }
        Refused::Unavailable(reason) => words(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("access tokens cannot be looked up: {reason}\n"),
        ),
    }
}
