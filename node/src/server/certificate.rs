//! Certificate of the HTTP server: read when the node starts, and again when its files change.
//!
//! Both files are looked at every few seconds. They are read again when they have changed and then
//! stayed as they are for one such interval, so that a pair which is being replaced is not caught in
//! between. What cannot be read leaves the certificate in force, and is said once. Connections that
//! are open are not concerned.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gitstratum_core::limits::{CERTIFICATE_EXPIRY_WARNING, CERTIFICATE_LOOK_INTERVAL};
use gitstratum_git::http::PROTOCOLS;
use gitstratum_host::tls::{Acceptor, Identity, IdentityError};
use gitstratum_host::unix_time_ms;
use tokio::time::Instant;

use crate::config::HttpConfig;

/// How often it is said that a certificate is about to expire.
const EXPIRY_SAID_EVERY: Duration = Duration::from_secs(24 * 3600);

/// By what a file is known to have changed.
type Stamp = Option<(SystemTime, u64)>;

/// A certificate that follows its files.
pub(super) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    acceptor: Acceptor,
    /// What the files were when they were read last.
    read: [Stamp; 2],
    expiry_said: Option<Instant>,
}

impl Certificate {
    /// The one that the configuration names, if it does.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) async fn open(config: &HttpConfig) -> Result<Option<Self>, IdentityError> {
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
            return Ok(None);
        };
        // Looked at before they are read: a change in between is read again.
        let read = [stamp(certificate), stamp(key)];
        let identity = Identity::read(certificate, key, &PROTOCOLS).await?;
        let (certificate, key) = (certificate.clone(), key.clone());
        let acceptor = Acceptor::new(identity);
        Ok(Some(Certificate { certificate, key, acceptor, read, expiry_said: None }))
    }

    /// Who shows it to clients.
    pub(super) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// Follows its files, and says when it is about to expire.
    pub(super) async fn follow(mut self) -> Infallible {
        let mut seen = self.read;
        loop {
            self.say_expiry();
            tokio::time::sleep(CERTIFICATE_LOOK_INTERVAL).await;
            let now = [stamp(&self.certificate), stamp(&self.key)];
            let is_settled = now == std::mem::replace(&mut seen, now);
            if is_settled && now != self.read {
                self.read = now;
                self.read_again().await;
            }
        }
    }

    async fn read_again(&mut self) {
        match Identity::read(&self.certificate, &self.key, &PROTOCOLS).await {
            Ok(identity) => {
                self.acceptor.replace(identity);
                self.expiry_said = None;
                let certificate = self.certificate.display();
                let days = days_left(self.acceptor.validity().until_s);
                tracing::info!(%certificate, days, "the certificate for Git has changed");
            }
            Err(error) => {
                tracing::error!(%error, "the certificate for Git has changed and cannot be used: the \
                                         one before stays");
            }
        }
    }

    fn say_expiry(&mut self) {
        let days = days_left(self.acceptor.validity().until_s);
        let is_due = days < (CERTIFICATE_EXPIRY_WARNING.as_secs() / 86_400) as i64;
        let was_said = self.expiry_said.is_some_and(|said| said.elapsed() < EXPIRY_SAID_EVERY);
        if !is_due || was_said {
            return;
        }
        self.expiry_said = Some(Instant::now());
        let certificate = self.certificate.display();
        match days {
            ..0 => tracing::error!(
                %certificate,
                "the certificate for Git has expired: clients refuse it. Put another one in its place; \
                 it is read without a restart"
            ),
            _ => tracing::warn!(
                %certificate,
                days,
                "the certificate for Git is about to expire. Put another one in its place; it is read \
                 without a restart"
            ),
        }
    }
}

/// Whole days until then; below 0 where that is over.
fn days_left(until_s: i64) -> i64 {
    let now_s = i64::try_from(unix_time_ms() / 1000).unwrap_or(i64::MAX);
    until_s.saturating_sub(now_s).div_euclid(86_400)
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
