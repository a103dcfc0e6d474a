//! Packed references.
//!
//! References that share the file `packed-refs`, a line for each (`refs/packed-backend.c`).

use std::collections::BTreeSet;

use gitstratum_core::limits;

use super::super::error::{ImportError, reading};
use super::super::repository::{Repository, read_regular};
use super::{Found, Value, id_of_hex, shown};

/// A longer file has more references than a manifest can hold: each takes as much there, but for
/// what a tag points to.
const BYTES_MAX: u64 = 2 * limits::MANIFEST_BYTES_MAX as u64;

/// Adds references to `found` that it lacks.
pub(super) fn read(repository: &Repository, found: &mut Found) -> Result<(), ImportError> {
    let path = repository.common_dir.join("packed-refs");
    let doing = || format!("reading {}", path.display());
    let text = read_regular(&path, BYTES_MAX).map_err(reading(doing()))?.unwrap_or_default();
    let wrong = |number: usize, problem: String| {
        Err(reading(doing())(format!("line {}: {problem}", number + 1)))
    };
    let lines = match text.strip_suffix(b"\n") {
        Some(lines) => lines,
        None if text.is_empty() => return Ok(()),
        None => return Err(reading(doing())("its last line does not end: it was cut off")),
    };
    let mut names = BTreeSet::new();
    let mut behind_reference = false;
    for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if number == 0 && line.starts_with(b"#") {
            continue;
        }
        // What the tag above points to; read from the tag itself.
        if let Some(peeled) = line.strip_prefix(b"^") {
            if !behind_reference || id_of_hex(peeled, repository.algorithm).is_none() {
                return wrong(number, format!("{:?} is not expected there", shown(line)));
            }
            behind_reference = false;
            continue;
        }
        let (hex, name) = line.split_at(line.len().min(repository.algorithm.id_len() * 2));
        let id = id_of_hex(hex, repository.algorithm);
        let name = name.strip_prefix(b" ").filter(|name| !name.is_empty());
        let (Some(id), Some(name)) = (id, name) else {
            return wrong(number, format!("{:?} is no id and name", shown(line)));
        };
        behind_reference = true;
        if !name.starts_with(b"refs/") {
            // HEAD has a file of its own, and Git takes no notice of it here.
            if name != b"HEAD" {
                found.outside.push(shown(name));
            }
            continue;
        }
        if !names.insert(name) {
            return wrong(number, format!("{} is there a second time", shown(name)));
        }
        found.add(repository, name, Value::Id(id))?;
    }
    Ok(())
}
