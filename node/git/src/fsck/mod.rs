//! Consistency check of objects (fsck).
//!
//! What is checked of every object that is pushed, as git does with `transfer.fsckObjects`: the
//! shape of trees, commits and tags, names in trees that some file system takes for `.git`, and what
//! `.gitmodules` and `.gitattributes` say. Findings have git's message ids, and a [`Policy`] says
//! which of them are errors.
//!
//! All of it looks at one object at a time. Whether what an object names is there is asked
//! elsewhere. The rules are those of git's `fsck.c`, `utf8.c` and `path.c`.

mod attributes;
mod commit;
mod ident;
mod message;
mod modules;
mod modules_url;
mod names;
mod policy;
mod tag;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

use gitstratum_core::object::{Kind, ObjectId};

pub use commit::check_commit;
pub use message::{MessageId, Severity, UnknownMessage, UnknownSeverity};
pub use policy::{NotDemotable, Policy};
pub use tag::check_tag;
pub use tree::check_tree;

/// Something that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which object.
    pub object: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// What is wrong.
    pub message: MessageId,
    /// How bad the policy finds it.
    pub severity: Severity,
    /// What of it, where the message alone does not say: a URL, a name.
    pub detail: String,
}

impl Finding {
    /// Whether the object is refused for it.
    pub fn is_error(&self) -> bool {
        self.severity >= Severity::Error
    }
}

/// As git prints it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error() { "error" } else { "warning" };
        let (kind, object, message) = (self.kind, self.object, self.message);
        write!(f, "{word} in {kind} {object}: {message}: {}", message.explanation())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

/// What a blob is to git itself, because of its names in trees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecialBlobs {
    /// `.gitmodules`.
    pub modules: bool,
    /// `.gitattributes`.
    pub attributes: bool,
}

impl SpecialBlobs {
    /// Whether it is anything.
    pub fn any(self) -> bool {
        self.modules || self.attributes
    }

    /// What it is by either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        SpecialBlobs {
            modules: self.modules || other.modules,
            attributes: self.attributes || other.attributes,
        }
    }
}

/// Checks a blob that has such names, and adds what is found. Without its data it is too large to be
/// held.
pub fn check_special_blob(
    policy: &Policy,
    names: SpecialBlobs,
    id: ObjectId,
    data: Option<&[u8]>,
    found: &mut Vec<Finding>,
) {
    let mut findings = Findings { policy, object: id, kind: Kind::Blob, list: found };
    if names.modules {
        modules::check_modules(data, &mut findings);
    }
    if names.attributes {
        attributes::check_attributes(data, &mut findings);
    }
}

/// Bytes of a detail that are kept.
const DETAIL_BYTES_MAX: usize = 256;

/// Takes what is found in one object, as far as the policy does not ignore it.
struct Findings<'a> {
    policy: &'a Policy,
    object: ObjectId,
    kind: Kind,
    list: &'a mut Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, message: MessageId) {
        self.add_detail(message, b"");
    }

    fn add_detail(&mut self, message: MessageId, detail: &[u8]) {
        let severity = self.policy.severity(message);
        if severity != Severity::Ignore {
            let detail = &detail[..detail.len().min(DETAIL_BYTES_MAX)];
            let detail = detail.escape_ascii().to_string();
            let (object, kind) = (self.object, self.kind);
            self.list.push(Finding { object, kind, message, severity, detail });
        }
    }
}
