//! Import warnings.
//!
//! What an import has to say of a repository that it took all the same.
//!
//! A hundred similar things are told as three of them and a count.

use std::fmt;
use std::path::PathBuf;

use gitstratum_core::object::ObjectId;

use crate::abridge::in_one_line;

/// Something of a repository that Git would warn of too, or that was asked to be let pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Git calls the reference broken and passes it over. It was left out.
    BrokenRef {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A packed reference lies outside `refs/`, where Git clones nothing from. It was left out.
    OutsideRefs {
        /// Its name.
        name: String,
    },
    /// A symbolic reference leads nowhere. It was stored as it is.
    DanglingRef {
        /// Its name.
        name: String,
        /// Where it leads.
        target: String,
    },
    /// An alternate object directory does not exist.
    NoAlternate {
        /// The directory.
        directory: PathBuf,
        /// The file that names it.
        named_in: PathBuf,
    },
    /// An object is damaged in one place. It was taken from another.
    DamagedCopy {
        /// The object.
        id: ObjectId,
        /// Where it is damaged.
        path: PathBuf,
    },
    /// The references reach an object that is not there.
    Missing {
        /// The object.
        id: ObjectId,
        /// What it is and who refers to it.
        role: String,
    },
    /// The references reach an object that does not say what it refers to.
    Malformed {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        problem: String,
    },
}

impl Warning {
    /// What is wrong with all things of this sort; their names follow.
    fn heading(&self) -> &'static str {
        match self {
            Warning::BrokenRef { .. } => "left out, references that Git calls broken",
            Warning::OutsideRefs { .. } => "left out, packed references outside refs/",
            Warning::DanglingRef { .. } => "symbolic references that lead nowhere",
            Warning::NoAlternate { .. } => "alternate object directories that do not exist",
            Warning::DamagedCopy { .. } => "damaged objects of which another copy was taken",
            Warning::Missing { .. } => "objects that references reach and the repository lacks",
            Warning::Malformed { .. } => "objects that do not say what they refer to",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::BrokenRef { name, problem } => write!(f, "{name} ({problem})"),
            Warning::OutsideRefs { name } => f.write_str(name),
            Warning::DanglingRef { name, target } => write!(f, "{name} (to {target})"),
            Warning::NoAlternate { directory, named_in } => {
                write!(f, "{} (named in {})", directory.display(), named_in.display())
            }
            Warning::DamagedCopy { id, path } => write!(f, "{id} (in {})", path.display()),
            Warning::Missing { id, role } => write!(f, "{id} ({role})"),
            Warning::Malformed { id, problem } => write!(f, "{id} ({problem})"),
        }
    }
}

/// A line for each sort of warning.
pub fn lines(warnings: &[Warning]) -> Vec<String> {
    let mut sorts: Vec<(&'static str, Vec<&Warning>)> = Vec::new();
    for warning in warnings {
        let heading = warning.heading();
        match sorts.iter_mut().find(|(of_sort, _)| *of_sort == heading) {
            Some((_, of_sort)) => of_sort.push(warning),
            None => sorts.push((heading, vec![warning])),
        }
    }
    sorts
        .into_iter()
        .map(|(heading, of_sort)| format!("{heading}: {}", in_one_line(&of_sort)))
        .collect()
}
