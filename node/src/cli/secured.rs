//! Credentials of commands: the files that arguments, the environment or a configuration name, read.

use std::env::VarError;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gitstratum_cluster::transport::{Bearer, Holder, PROTOCOLS, Security};
use gitstratum_host::tls::{Connector, IdentityError, IdentityFile, MutualFiles, Trust};

use super::Failure;
use super::arguments::{ClientArguments, TlsArguments, TokenArguments};

/// What has the secret itself, for whoever keeps none in files.
const TOKEN: &str = "GITSTRATUM_TOKEN";
/// A file with a secret has no more bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;
/// Permission bits by which everybody on the machine may read a file.
const WORLD_READABLE: u32 = 0o004;

impl ClientArguments {
    /// How connections are secured, and the token that goes over them.
    ///
    /// # Errors
    /// [`Failure::Usage`], which names the flag or the variable.
    pub(super) async fn credentials(&self) -> Result<(Security, Option<Bearer>), Failure> {
        let bearer = self.token.bearer()?;
        Ok((self.tls.security(bearer.is_some()).await?, bearer))
    }
}

impl TlsArguments {
    /// Those of this configuration, where no argument names one.
    pub(super) fn or(self, files: Option<MutualFiles>) -> Self {
        let Self { tls_authority: None, tls_certificate: None, tls_key: None, tls_revoked } = &self
        else {
            return self;
        };
        let named = tls_revoked.clone();
        files.map_or(self, |files| TlsArguments {
            tls_authority: Some(files.authority),
            tls_certificate: Some(files.certificate),
            tls_key: Some(files.key),
            tls_revoked: named.or(files.revoked),
        })
    }

    /// How connections are secured: with TLS alone, where the files are given; or the authority's alone,
    /// where a token says who we are.
    ///
    /// # Errors
    /// [`Failure::Usage`], which names the file and its flag.
    pub(super) async fn security(&self, has_token: bool) -> Result<Security, Failure> {
        let TlsArguments { tls_authority, tls_certificate, tls_key, tls_revoked } = self;
        let named = [
            ("--tls-authority", tls_authority),
            ("--tls-certificate", tls_certificate),
            ("--tls-key", tls_key),
        ];
        let own = tls_certificate.as_deref().zip(tls_key.as_deref());
        let is_anonymous = has_token && tls_certificate.is_none() && tls_key.is_none();
        let Some(authority) = tls_authority.as_deref().filter(|_| own.is_some() || is_anonymous)
        else {
            refuse_half(&named)?;
            return match tls_revoked {
                Some(_) => {
                    Err(Failure::Usage("--tls-authority: missing beside --tls-revoked".to_owned()))
                }
                None => Ok(Security::Plain),
            };
        };
        let trust = Trust::read(authority, own, tls_revoked.as_deref(), &PROTOCOLS)
            .await
            .map_err(|error| wrong(&error))?;
        if let Some((certificate, _)) = own
            && let Err(problem) = Holder::of(trust.names())
        {
            let (file, path) = (IdentityFile::Certificate, certificate.to_owned());
            return Err(wrong(&IdentityError { file, path, problem }));
        }
        Ok(Security::Tls { connector: Connector::new(trust), falls_back: false })
    }
}

/// Refuses some of the files without the others.
fn refuse_half(named: &[(&str, &Option<PathBuf>)]) -> Result<(), Failure> {
    let given = named.iter().find(|(_, file)| file.is_some());
    let missing = named.iter().find(|(_, file)| file.is_none());
    let Some(((given, _), (missing, _))) = given.zip(missing) else { return Ok(()) };
    let or = match *given {
        "--tls-authority" => ", or --token-file",
        _ => "",
    };
    Err(Failure::Usage(format!("{missing}: missing beside {given}{or}")))
}

impl TokenArguments {
    /// The token, if there is one.
    ///
    /// # Errors
    /// [`Failure::Usage`], which names the flag or the variable, and shows nothing of a secret.
    fn bearer(&self) -> Result<Option<Bearer>, Failure> {
        let from_environment = match std::env::var(TOKEN) {
            Ok(secret) => Some(secret),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                return Err(Failure::Usage(format!("{TOKEN}: it is not UTF-8")));
            }
        };
        let (secret, from) = match (&self.token_file, from_environment) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let problem = "stands beside --token-file: which of them?";
                return Err(Failure::Usage(format!("{TOKEN}: {problem}")));
            }
            (None, Some(secret)) => (secret, TOKEN.to_owned()),
            (Some(path), None) => {
                let from = format!("--token-file: {}", path.display());
                let read = read_secret(path);
                (read.map_err(|problem| Failure::Usage(format!("{from}: {problem}")))?, from)
            }
        };
        let bearer = Bearer::new(secret.trim());
        bearer.map(Some).map_err(|problem| Failure::Usage(format!("{from}: {problem}")))
    }
}

/// Reads a file that not everybody may read.
fn read_secret(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & WORLD_READABLE != 0 {
        return Err(format!(
            "everybody on this machine may read it (mode {:03o}): `chmod 600` it, and make another \
             token in place of this one",
            mode & 0o777
        ));
    }
    let mut secret = String::new();
    let read = file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut secret);
    read.map_err(|error| error.to_string())?;
    Ok(secret)
}

fn wrong(error: &IdentityError) -> Failure {
    let flag = match error.file {
        IdentityFile::Certificate => "--tls-certificate",
        IdentityFile::Key => "--tls-key",
        IdentityFile::Authority => "--tls-authority",
        IdentityFile::Revoked => "--tls-revoked",
    };
    Failure::Usage(format!("{flag}: {error}"))
}
