//! `mirror`: a repository that follows a remote one, once or every so often.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use gitstratum_catalog::names::RepositoryName;
use gitstratum_cluster::client::Client;
use gitstratum_core::backoff::exponential;
use gitstratum_core::limits;
use gitstratum_git::repository::Served;
use gitstratum_git::service::{Caller, Head, Purpose, Repositories as _, RepositoryError};
use gitstratum_host::Net;
use gitstratum_host::signal::Terminations;

use super::arguments::Mirror as Asked;
use super::catalog::who;
use super::progress::Shown;
use super::repositories::{New, create, open_gateway, point_head};
use super::{Failure, connect_for_puts, interruptible, note, show};
use crate::transfer::PointHead;
use crate::transfer::mirror::remote::{Remote, RemoteUrl};
use crate::transfer::mirror::{Mirror, MirrorOptions, MirrorReport, Selection};

/// What authenticates where the URL does not.
const TOKEN: &str = "GITSTRATUM_MIRROR_TOKEN";
/// Whom a token is sent for: hosts ask for some name, and look at the token.
const TOKEN_USER: &str = "git";
const AGAIN: &str = "run the same command again: nothing of this run is in the repository, or all";

/// Follows a remote repository; once, it prints the name when all of it is there.
pub(super) async fn mirror(asked: Asked) -> Result<(), Failure> {
    let usage = |error: &dyn std::error::Error| Failure::Usage(error.to_string());
    let mut url = RemoteUrl::parse(&asked.url).map_err(|error| usage(&error))?;
    match std::env::var(TOKEN) {
        Ok(token) => url = url.with_token(TOKEN_USER, &token),
        Err(std::env::VarError::NotPresent) => {}
        Err(error) => return Err(Failure::Usage(format!("{TOKEN}: {}", unreadable(&error)))),
    }
    RepositoryName::parse(&asked.name)
        .map_err(|error| Failure::Usage(format!("{:?} is no name: {error}", asked.name)))?;
    let selection = match (asked.all, asked.refs.is_empty()) {
        (true, _) => Selection::All,
        (false, true) => Selection::Usual,
        (false, false) => Selection::matching(asked.refs.clone()).map_err(|error| usage(&error))?,
    };
    let client = connect_for_puts(&asked.client, asked.consistency).await?;
    let served = open_gateway(&client)?.served;
    let options = MirrorOptions { selection, prune: asked.prune, force: asked.force };
    let mut following =
        Following { url, name: asked.name, client, served, mirror: Mirror::new(options) };
    match asked.every {
        None => {
            let report = interruptible(AGAIN, following.round()).await?;
            following.tell(&report);
            show(&format!("{}\n", following.name))
        }
        Some(every) => following.follow(every).await,
    }
}

/// Why a variable cannot be read, without what is in it.
fn unreadable(error: &std::env::VarError) -> &'static str {
    match error {
        std::env::VarError::NotPresent => "it is not set",
        std::env::VarError::NotUnicode(_) => "it is not UTF-8",
    }
}

/// A remote that is followed.
struct Following {
    url: RemoteUrl,
    name: String,
    client: Client,
    served: Served,
    mirror: Mirror,
}

impl Following {
    /// Makes one round after another until the operator has it stop, which is how it ends: a round
    /// that is under way then is in the repository, or nothing of it is.
    async fn follow(&mut self, every: Duration) -> Result<(), Failure> {
        let mut requests = Terminations::watch();
        tokio::select! {
            biased;
            () = requests.next() => Ok(()),
            never = self.rounds(every) => match never {},
        }
    }

    async fn rounds(&mut self, every: Duration) -> Infallible {
        let (mut failures, mut is_first) = (0, true);
        loop {
            let pause = match self.round().await {
                Ok(report) => {
                    if is_first || report.is_change() || !report.warnings.is_empty() {
                        self.tell(&report);
                    }
                    (failures, is_first) = (0, false);
                    every
                }
                Err(failure) => {
                    let pause = pause_after(failures, every);
                    failures += 1;
                    let seconds = pause.as_secs();
                    note(format_args!("gitstratum: {failure}; tried again in {seconds} s"));
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn round(&mut self) -> Result<MirrorReport, Failure> {
        let selection = self.mirror.selection();
        let (remote, theirs) = Remote::open(Net::new(), self.url.clone(), selection).await?;
        let new = New {
            object_format: remote.object_format(),
            head: theirs.head.as_ref(),
            description: format!("mirror of {}", self.url),
        };
        create(&self.client, &self.name, new).await?;
        let caller = Caller { credentials: Some((who(), String::new())), address: String::new() };
        let repository = self.served.open(&self.name, Purpose::Push, &caller).await?;
        let shown = Shown::default();
        let head = CatalogHead { client: &self.client, name: &self.name };
        let report = self.mirror.round(&remote, theirs, &*repository, &head, &shown).await?;
        self.client.drain().await;
        shown.summarize();
        Ok(report)
    }

    /// Says what a round did.
    fn tell(&self, report: &MirrorReport) {
        for line in &report.warnings {
            note(format_args!("warning: {line}"));
        }
        let MirrorReport { refs, created, moved, deleted, objects, bytes, .. } = report;
        let (url, name) = (&self.url, &self.name);
        match report.is_change() {
            false => note(format_args!("all {refs} refs of {url} are in {name} already")),
            true => note(format_args!(
                "mirrored {url} as {name}: {created} refs are new, {moved} moved, {deleted} deleted; \
                 {objects} objects, {bytes} bytes; all {refs} refs are there"
            )),
        }
        match &report.head {
            Some(Head::Branch(branch)) => {
                note(format_args!("HEAD of {name} points to {branch} now"))
            }
            Some(Head::Detached(id)) => note(format_args!("HEAD of {name} is at {id} now")),
            None => {}
        }
        if !report.kept.is_empty() {
            let kept = report.kept.len();
            note(format_args!(
                "{kept} refs that {name} has and the remote has not stay as they are; --prune deletes \
                 such, but for the branch that HEAD is at"
            ));
        }
    }
}

/// How long to wait after so many failures before the one that just was.
fn pause_after(failures: u32, every: Duration) -> Duration {
    let least = limits::MIRROR_AGAIN_AFTER_MIN.min(every);
    exponential(least, limits::MIRROR_AGAIN_AFTER_MAX.max(every), failures)
}

/// `HEAD` of a repository, by the catalog.
struct CatalogHead<'a> {
    client: &'a Client,
    name: &'a str,
}

#[async_trait]
impl PointHead for CatalogHead<'_> {
    async fn point_head(&self, head: &Head) -> Result<(), RepositoryError> {
        let pointed = point_head(self.client, self.name, head).await;
        pointed.map_err(|failure| RepositoryError::Unavailable(failure.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_past_the_interval_of_rounds_and_stop_growing() {
        let seconds = |every: u64| {
            let pause = |failures| pause_after(failures, Duration::from_secs(every)).as_secs();
            [0, 1, 2, 9, 30].map(pause)
        };
        assert_eq!(seconds(5), [5, 10, 20, 2560, 3600]);
        assert_eq!(seconds(600), [10, 20, 40, 3600, 3600]);
        assert_eq!(seconds(86_400), [10, 20, 40, 5120, 86_400]);
    }
}
