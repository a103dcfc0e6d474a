//! `dev --secure`: a certificate for its nodes and a token for whoever tries them out, kept beside
//! their data for the next run.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gitstratum_catalog::entity::{Access, Token};
use gitstratum_catalog::secret::Secret;

use super::super::Failure;
use super::super::catalog::{create_token, of_client};
use super::super::cert::{Files, issue, make_authority};
use super::Node;
use super::demo::{connect, wait_for_catalog};

/// Where its certificates are, under the directory of its data.
const CERTIFICATES: &str = "certificates";
const AUTHORITY: &str = "authority.pem";
/// For how many days they are valid.
const DAYS: u32 = 3650;

/// What Git clients need.
pub(super) struct Key {
    /// The secret of a token that may push everywhere.
    pub(super) secret: Secret,
    /// The certificate of whoever signed that of the nodes, where they speak TLS.
    pub(super) authority: Option<PathBuf>,
}

impl Key {
    /// It in words.
    pub(super) fn explained(&self) -> String {
        let trust = match &self.authority {
            None => String::new(),
            Some(path) => {
                format!(
                    "  export GIT_SSL_CAINFO={}    which git needs to trust them\n",
                    path.display()
                )
            }
        };
        format!(
            "{trust}Git clients need an access token; `gitstratum token create` makes more than this \
             one:\n  {}\n",
            self.secret.expose()
        )
    }
}

/// Makes an authority under `data`, and a certificate for nodes on loopback.
pub(super) fn certificate(data: &Path) -> Result<Files, Failure> {
    let data = std::path::absolute(data).map_err(Failure::operation("find --data"))?;
    let dir = data.join(CERTIFICATES);
    // What a run made that was stopped before it wrote its configurations is used.
    if !dir.join(AUTHORITY).exists() {
        make_authority(&dir, "GitStratum dev", DAYS)?;
    }
    let names = ["127.0.0.1", "localhost", "::1"].map(str::to_owned);
    issue(&dir, &names, DAYS)
}

/// What Git clients of these nodes need; a token is made if there is none yet.
pub(super) async fn key(nodes: &[Node], data: &Path) -> Result<Key, Failure> {
    let authority = match nodes.iter().any(|node| node.speaks_tls) {
        true => {
            let path = std::path::absolute(data.join(CERTIFICATES).join(AUTHORITY));
            Some(path.map_err(Failure::operation("find --data"))?)
        }
        false => None,
    };
    Ok(Key { secret: secret(nodes, data).await?, authority })
}

async fn secret(nodes: &[Node], data: &Path) -> Result<Secret, Failure> {
    wait_for_catalog(nodes).await?;
    let path = data.join("token");
    match fs::read_to_string(&path) {
        Ok(kept) => return Ok(Secret::given(kept.trim())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::operation(format!("read {}", path.display()))(error)),
    }
    let mut catalog = of_client(connect(nodes).await?)?;
    let wanted = Token {
        description: "dev".to_owned(),
        access: Access::Write,
        prefix: String::new(),
        created_at_ms: 0,
        expires_at_ms: None,
    };
    let (_, secret) = create_token(&mut catalog, wanted).await?;
    let keeping = || Failure::operation(format!("write {}", path.display()));
    // Whoever else uses the machine is not to read it.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(keeping())?;
    writeln!(file, "{}", secret.expose()).map_err(keeping())?;
    Ok(secret)
}
