//! `dev --secure`: a token for whoever tries the cluster out, kept beside its data for the next run.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use gitstratum_catalog::entity::{Access, Token};
use gitstratum_catalog::secret::Secret;

use super::super::Failure;
use super::super::catalog::{create_token, of_client};
use super::Node;
use super::demo::{connect, wait_for_catalog};

/// The secret of the cluster's own token, which may push everywhere.
pub(super) async fn secret(nodes: &[Node], data: &Path) -> Result<Secret, Failure> {
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
