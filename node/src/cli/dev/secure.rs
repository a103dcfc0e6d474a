//! `dev --secure`: certificates for its nodes and for commands, and a token for whoever tries them out, kept beside
//! their data for the next run.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gitstratum_catalog::entity::{Access, Token};
use gitstratum_catalog::secret::Secret;
use gitstratum_cluster::transport::Holder;
use gitstratum_core::placement::NodeId;

use super::super::Failure;
use super::super::arguments::TlsArguments;
use super::super::catalog::{create_token, of_client};
use super::super::cert::{Files, issue, issue_to, make_authority};
use super::Node;
use super::demo::{connect, wait_for_catalog};
use crate::config::{TlsConfig, TlsMode};

/// Where its certificates are, under the directory of its data.
const CERTIFICATES: &str = "certificates";
const AUTHORITY: &str = "authority.pem";
/// Who gives commands, as a certificate has it.
const CLIENT: &str = "dev";
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

/// Files of certificates that nodes and commands need.
pub(super) struct Certificates {
    /// Of all nodes, for Git clients on loopback.
    pub(super) git: Files,
    /// Of each node, in its cluster.
    nodes: Vec<Files>,
    authority: PathBuf,
}

impl Certificates {
    /// Under `[tls]` of the configuration of the node with this number, which counts from 1.
    pub(super) fn tls(&self, n: u16) -> TlsConfig {
        let files = &self.nodes[usize::from(n) - 1];
        TlsConfig {
            certificate: Some(files.certificate.clone()),
            key: Some(files.key.clone()),
            authority: Some(self.authority.clone()),
            revoked: None,
            mode: TlsMode::Required,
        }
    }
}

/// Makes an authority under `data`, and certificates for so many nodes on loopback and for whoever
/// tries them out.
pub(super) fn certificates(data: &Path, count: u16) -> Result<Certificates, Failure> {
    let data = std::path::absolute(data).map_err(Failure::operation("find --data"))?;
    let dir = data.join(CERTIFICATES);
    // What a run made that was stopped before it wrote its configurations is used.
    if !dir.join(AUTHORITY).exists() {
        make_authority(&dir, "GitStratum dev", DAYS)?;
    }
    let names = ["127.0.0.1", "localhost", "::1"].map(str::to_owned);
    let node = |n: u16| {
        let holder = Holder::node(&NodeId::new(format!("n{n}"))).map_err(Failure::Operation)?;
        issue_to(&dir, &holder, DAYS)
    };
    let client = Holder::client(CLIENT).map_err(Failure::Operation)?;
    issue_to(&dir, &client, DAYS)?;
    Ok(Certificates {
        git: issue(&dir, &names, DAYS)?,
        nodes: (1..=count).map(node).collect::<Result<_, _>>()?,
        authority: dir.join(AUTHORITY),
    })
}

/// What commands need that talk to these nodes: nothing, where they speak no TLS.
pub(super) fn of_commands(tls: &TlsConfig) -> TlsArguments {
    let Some(files) = tls.files() else { return TlsArguments::default() };
    let own = |end: &str| files.authority.with_file_name(format!("{CLIENT}.{end}"));
    TlsArguments {
        tls_certificate: Some(own("pem")),
        tls_key: Some(own("key")),
        tls_revoked: files.revoked,
        tls_authority: Some(files.authority),
    }
}

/// The same, to be typed.
pub(super) fn exports(tls: &TlsArguments) -> String {
    let files = [
        ("AUTHORITY", &tls.tls_authority),
        ("CERTIFICATE", &tls.tls_certificate),
        ("KEY", &tls.tls_key),
    ];
    let lines = files.iter().filter_map(|(name, file)| {
        Some(format!("  export GITSTRATUM_TLS_{name}={}\n", file.as_ref()?.display()))
    });
    lines.collect()
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
