//! Repositories of a directory, by the `git` program: what tests serve instead of a cluster.
//!
//! Bare repositories below a directory, made by the first push. Each question is answered by
//! running git, which is slow and right, so that what a client sees wrong is the server's doing.

mod bare;
mod repository;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gitstratum_core::object::HashAlgorithm;
use gitstratum_git::service::*;

use bare::Bare;

/// A repository whose path has this word in it is made with SHA-256.
pub const SHA256_WORD: &str = "sha256";
/// Readers of a repository whose path has this word in it need credentials.
pub const PRIVATE_WORD: &str = "private";
/// What is pushed to a ref whose name has this word in it is refused.
pub const PROTECTED_WORD: &str = "protected";

/// A directory of bare repositories.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// The options of all pushes, in order.
    pub options: Arc<Mutex<Vec<String>>>,
}

impl Directory {
    /// The repositories below `root`.
    pub fn new(root: &Path) -> Self {
        Directory { root: root.to_owned(), options: Arc::default() }
    }
}

#[async_trait]
impl Repositories for Directory {
    async fn open(
        &self,
        name: &str,
        purpose: Purpose,
        caller: &Caller,
    ) -> Result<Arc<dyn Repository>, OpenError> {
        if name.contains(PRIVATE_WORD) {
            match &caller.credentials {
                Credentials::Given { user, secret }
                    if (user.as_str(), secret.expose()) == ("ann", "secret") => {}
                Credentials::Given { user, .. } if user == "bob" => {
                    return Err(OpenError::Forbidden("bob may not see it".into()));
                }
                _ => return Err(OpenError::Unauthorized("credentials are needed".into())),
            }
        }
        let path = self.root.join(format!("{name}.git"));
        let format = match name.contains(SHA256_WORD) {
            true => HashAlgorithm::Sha256,
            false => HashAlgorithm::Sha1,
        };
        if !path.exists() {
            if purpose == Purpose::Fetch || name.contains("missing") {
                return Err(OpenError::NotFound { name: name.to_owned() });
            }
            let made = Command::new("git")
                .args(["init", "--quiet", "--bare", "--initial-branch=main"])
                .arg(format!("--object-format={}", format.as_str()))
                .arg(&path)
                .status();
            if !made.is_ok_and(|status| status.success()) {
                return Err(OpenError::Unavailable("git init failed".into()));
            }
        }
        Ok(Arc::new(Bare { path, format, options: self.options.clone() }))
    }
}
