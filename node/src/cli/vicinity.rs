//! Data directory nesting check.
//!
//! What is around a data directory: no store is kept inside another node's.
//!
//! A slip of a path (`DIR/segments` for `DIR`) would put one node's files among another's, which
//! then does not start; and a snapshot that is served where it was made shares its files with the
//! store that it is of.

use std::path::Path;

use gitstratum_host::Disk;

use super::Failure;

/// Refuses a directory that is inside a data directory.
///
/// # Errors
/// [`Failure::Operation`], which names the other directory and its owner.
pub(super) async fn check_around(data: &Path) -> Result<(), Failure> {
    let absolute = std::path::absolute(data);
    let absolute = absolute.map_err(Failure::operation(format!("find {}", data.display())))?;
    // What is not there yet leads nowhere else.
    let there = absolute.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    let Some((part, real)) = there else { return Ok(()) };
    // It may well be a data directory itself.
    let around = real.ancestors().skip(usize::from(part == absolute));
    for directory in around {
        // What cannot be read as one is none.
        let Ok(Some(owner)) = gitstratum_store::owner(&Disk::new(directory)).await else {
            continue;
        };
        return Err(Failure::Operation(format!(
            "{}: inside the data directory {} of node {owner}; name a directory outside it, and \
             copy a snapshot there before it is served",
            data.display(),
            directory.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn no_store_is_kept_anywhere_inside_another() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("snapshots/monday")).unwrap();
        fs::write(data.join("node"), "gitstratum data 1\nnode n1\n").unwrap();
        check_around(&data).await.expect("itself");
        check_around(&dir.path().join("other")).await.expect("beside it");
        std::os::unix::fs::symlink(data.join("snapshots"), dir.path().join("link")).unwrap();
        for inside in ["data/segments", "data/a/b/c", "data/snapshots/monday", "link/monday"] {
            let refused = check_around(&dir.path().join(inside)).await.expect_err(inside);
            let refused = refused.to_string();
            assert!(refused.contains("of node n1") && refused.contains(inside), "{refused}");
        }
        // A program of that name, say.
        fs::write(dir.path().join("node"), b"\x7fELF").unwrap();
        check_around(&data).await.expect("below a file that says nothing of the kind");
    }
}
