//! What a client asks a fetch for: the lines that all versions of the protocol share.

use std::collections::BTreeSet;

use gitstratum_core::limits::CLIENT_SHALLOW_MAX;
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use super::super::error::{ProtocolError, shown};
use super::super::filter;
use crate::service::{Filter, Head, INFINITE_DEPTH, Refs};

/// How a short name of a ref may be meant, best first: git's rules.
const RULES: &[(&str, &str)] = &[
    ("", ""),
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/HEAD"),
];
/// Names that a client may exclude from a shallow history.
const EXCLUDED_MAX: usize = 1024;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Wishes {
    /// Objects, in order.
    pub wants: Vec<ObjectId>,
    /// Commits that the client has without their parents.
    pub client_shallow: Vec<ObjectId>,
    /// How many commits deep.
    pub depth: Option<u32>,
    /// Counted from the client's boundary.
    pub is_relative: bool,
    /// No commits before this, in seconds since 1970.
    pub since: Option<u64>,
    /// None that these reach.
    pub not: Vec<String>,
    /// What is left out.
    pub filter: Option<Filter>,
}

impl Wishes {
    /// Takes a line; whether it is one of those that are known here.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] for a line that says something impossible.
    pub fn take(&mut self, algorithm: HashAlgorithm, line: &[u8]) -> Result<bool, ProtocolError> {
        let malformed = |reason: String| Err(ProtocolError::Malformed(reason));
        let Some(space) = line.iter().position(|&byte| byte == b' ') else { return Ok(false) };
        let (word, value) = (&line[..space], &line[space + 1..]);
        let text = String::from_utf8_lossy(value);
        match word {
            b"want" => {
                let Some(id) = object_id(algorithm, value) else {
                    let line = shown(line);
                    return malformed(format!(
                        "git upload-pack: protocol error, expected to get object ID, not '{line}'"
                    ));
                };
                self.wants.push(id);
            }
            b"shallow" => {
                let Some(id) = object_id(algorithm, value) else {
                    return malformed(format!("invalid shallow line: {}", shown(line)));
                };
                if self.client_shallow.len() == CLIENT_SHALLOW_MAX {
                    return malformed(format!("more than {CLIENT_SHALLOW_MAX} shallow commits"));
                }
                self.client_shallow.push(id);
            }
            b"deepen" => match text.parse::<u64>() {
                Ok(depth) if depth > 0 => {
                    let depth = u32::try_from(depth).unwrap_or(INFINITE_DEPTH);
                    self.depth = Some(depth.min(INFINITE_DEPTH));
                }
                _ => return malformed(format!("Invalid deepen: {}", shown(line))),
            },
            b"deepen-since" => match text.parse::<u64>() {
                Ok(since) if since > 0 => self.since = Some(since),
                _ => return malformed(format!("Invalid deepen-since: {}", shown(line))),
            },
            b"deepen-not" => {
                if self.not.len() == EXCLUDED_MAX {
                    return malformed(format!("more than {EXCLUDED_MAX} refs in deepen-not"));
                }
                self.not.push(text.into_owned());
            }
            b"filter" => {
                if self.filter.replace(filter::parse(&text)?).is_some() {
                    return malformed("multiple filter-specs cannot be combined".into());
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Leaves each wanted object once.
    pub fn finish(&mut self) {
        let mut seen = BTreeSet::new();
        self.wants.retain(|id| seen.insert(*id));
    }

    /// The objects, in hexadecimal digits, that the excluded refs point to.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] where there is no such ref.
    pub fn resolve_not(&self, refs: &Refs) -> Result<Vec<String>, ProtocolError> {
        let resolved = self.not.iter().map(|name| match resolve(refs, name) {
            Some(id) => Ok(id.to_string()),
            None => {
                let name = shown(name.as_bytes());
                Err(ProtocolError::Malformed(format!(
                    "git upload-pack: ambiguous deepen-not: {name}"
                )))
            }
        });
        resolved.collect()
    }
}

/// What a ref of this name, which may be short, points to.
fn resolve(refs: &Refs, name: &str) -> Option<ObjectId> {
    if name == "HEAD" {
        return match refs.head {
            Head::Detached(id) => Some(id),
            Head::Branch(_) => refs.head_object().map(|(id, _)| id),
        };
    }
    RULES.iter().find_map(|(before, after)| {
        let full = format!("{before}{name}{after}");
        let at = refs.refs.binary_search_by(|found| found.name.cmp(&full)).ok()?;
        Some(refs.refs[at].id)
    })
}

/// An object id of this hash, in hexadecimal digits.
pub(in super::super) fn object_id(algorithm: HashAlgorithm, text: &[u8]) -> Option<ObjectId> {
    let id: ObjectId = std::str::from_utf8(text).ok()?.parse().ok()?;
    (id.algorithm() == algorithm).then_some(id)
}
