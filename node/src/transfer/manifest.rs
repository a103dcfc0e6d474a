//! Repository manifest.
//!
//! What `import` stores beside the objects so that `export` can rebuild a repository.
//!
//! A manifest is a text, stored as a blob in the repository's own hash algorithm; its
//! id names the whole repository as it was. Lines end in LF and come in this order:
//!
//! ```text
//! gitstratum-manifest 1
//! object-format sha1|sha256
//! objects COUNT
//! missing COUNT                 only if the repository lacked objects that its refs reach
//! list ID COUNT                 any number of times
//! head ref NAME | head id ID
//! shallow ID                    any number of times, ascending
//! ref ID NAME                   any number of times, ascending by name,
//! symref NAME TARGET            refs and symbolic refs mixed
//! end
//! ```
//!
//! A `list` names a blob of COUNT raw object ids, one after another; over all lists the
//! ids ascend strictly, so the same objects and refs always give the same manifest.
//! Ref names are bytes, not text, and are checked by Git's rules before anything is
//! written under them. TARGET is such a name too: HEAD is where one work tree is, and what leads
//! there would lead elsewhere in each copy.
//!
//! Invariant: [`Manifest::parse`] accepts exactly what [`Manifest::encode`] writes of a
//! manifest that [`Manifest::check`] lets pass, and never panics or allocates more than its
//! input justifies. Fetching the parts is left to [`super::export`].

mod names;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use gitstratum_core::format::NewerFormat;
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, ObjectId};
use gix::bstr::{BString, ByteSlice};
pub(in crate::transfer) use names::{check_name, shown};

/// Begins the first line, before the format.
const TITLE: &str = "gitstratum-manifest ";
/// The format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// A repository as it was when it was imported, without its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The hash of all its ids.
    pub algorithm: HashAlgorithm,
    /// Distinct objects over all lists.
    pub objects: u64,
    /// Objects that the references reach and the repository lacked; 0 unless the import was
    /// asked to go on without them.
    pub missing: u64,
    /// The blobs that list the objects.
    pub lists: Vec<ObjectList>,
    /// Where HEAD points.
    pub head: Head,
    /// Commits whose parents are left out on purpose.
    pub shallow: Vec<ObjectId>,
    /// Every reference, ascending by name.
    pub refs: Vec<Reference>,
}

/// A blob of raw object ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectList {
    /// The blob.
    pub id: ObjectId,
    /// Ids in it; at most [`limits::MANIFEST_LIST_IDS_MAX`].
    pub count: u64,
}

/// Where HEAD points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// To a branch, which need not exist yet.
    Ref(BString),
    /// To an object.
    Id(ObjectId),
}

/// A reference of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Full name, such as `refs/heads/main`.
    pub name: BString,
    /// What it points to.
    pub target: Target,
}

/// What a reference points to; tags are not peeled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An object.
    Id(ObjectId),
    /// Another reference, by full name.
    Symbolic(BString),
}

/// Bytes that are no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than [`limits::MANIFEST_BYTES_MAX`].
    #[error("a manifest has at most {max} bytes, not {0}", max = limits::MANIFEST_BYTES_MAX)]
    TooLong(u64),
    /// The text ended before its `end`.
    #[error("line {line}: the text ends where {expected} was expected")]
    Ended {
        /// Counted from 1.
        line: usize,
        /// What should have come.
        expected: &'static str,
    },
    /// A line is not what it has to be.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Manifest {
    /// The text of this manifest.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        let written = (|| {
            writeln!(text, "{TITLE}{FORMAT}")?;
            writeln!(text, "object-format {}", self.algorithm.as_str())?;
            writeln!(text, "objects {}", self.objects)?;
            if self.missing > 0 {
                writeln!(text, "missing {}", self.missing)?;
            }
            self.lists.iter().try_for_each(|list| writeln!(text, "list {} {}", list.id, list.count))
        })();
        written.expect("a String takes all that is written to it");
        let mut out = text.into_bytes();
        let mut line = |words: &[&[u8]]| {
            out.extend_from_slice(&words.join(&b' '));
            out.push(b'\n');
        };
        match &self.head {
            Head::Ref(name) => line(&[b"head ref", name]),
            Head::Id(id) => line(&[b"head id", id.to_string().as_bytes()]),
        }
        for id in &self.shallow {
            line(&[b"shallow", id.to_string().as_bytes()]);
        }
        for reference in &self.refs {
            match &reference.target {
                Target::Id(id) => line(&[b"ref", id.to_string().as_bytes(), &reference.name]),
                Target::Symbolic(target) => line(&[b"symref", &reference.name, target]),
            }
        }
        line(&[b"end"]);
        out
    }

    /// Refuses a manifest that could not be read back, by the rules of [`Manifest::parse`].
    /// Holds a second manifest in memory meanwhile.
    ///
    /// # Errors
    /// [`ManifestError`] with the line of its text.
    pub fn check(&self) -> Result<(), ManifestError> {
        let read = Self::parse(&self.encode())?;
        assert!(read == *self, "a text that is accepted is that of one manifest");
        Ok(())
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] with the line.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() > limits::MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong(text.len() as u64));
        }
        let mut lines = Lines { rest: text, number: 0 };
        let first = lines.next("the manifest's first line")?;
        let expected = format!("{TITLE}{FORMAT}");
        if first != expected.as_bytes() {
            let format = first.strip_prefix(TITLE.as_bytes()).and_then(|rest| rest.to_str().ok());
            return Err(lines.wrong(match format.and_then(|format| format.parse::<u32>().ok()) {
                Some(newer) if newer > FORMAT => NewerFormat::new("it", newer, FORMAT).to_string(),
                _ => format!("{expected:?} expected: this is no manifest"),
            }));
        }
        let algorithm = match lines.field("object-format")? {
            b"sha1" => HashAlgorithm::Sha1,
            b"sha256" => HashAlgorithm::Sha256,
            other => return Err(lines.wrong(format!("unknown hash {:?}", other.as_bstr()))),
        };
        let objects = lines.field("objects")?;
        let objects = lines.number(objects)?;
        let (missing, line) = lines.missing()?;
        let (lists, line) = lines.lists(line, algorithm, objects)?;
        let head = match lines.words(line) {
            [b"head", b"ref", name] => Head::Ref(lines.ref_name(name)?),
            [b"head", b"id", id] => Head::Id(lines.id(id, algorithm)?),
            _ => return Err(lines.wrong("\"head ref NAME\" or \"head id ID\" expected".into())),
        };
        let (shallow, line) = lines.shallow(algorithm)?;
        let refs = lines.refs(line, algorithm)?;
        if !lines.rest.is_empty() {
            lines.number += 1;
            return Err(lines.wrong("nothing may follow \"end\"".into()));
        }
        Ok(Manifest { algorithm, objects, missing, lists, head, shallow, refs })
    }
}

/// The text line by line, with the number of the line last taken.
struct Lines<'t> {
    rest: &'t [u8],
    number: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self, expected: &'static str) -> Result<&'t [u8], ManifestError> {
        self.number += 1;
        let end = self.rest.find_byte(b'\n');
        let end = end.ok_or(ManifestError::Ended { line: self.number, expected })?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        if line.ends_with(b" ") {
            return Err(self.wrong("a line cannot end in a space".into()));
        }
        Ok(line)
    }

    fn wrong(&self, problem: String) -> ManifestError {
        ManifestError::Line { line: self.number, problem }
    }

    /// The line's words: always three, empty where there are fewer; a fourth spoils the
    /// third, which then holds a space.
    fn words(&self, line: &'t [u8]) -> [&'t [u8]; 3] {
        let mut words = line.splitn(3, |&byte| byte == b' ');
        [(); 3].map(|()| words.next().unwrap_or_default())
    }

    fn field(&mut self, name: &'static str) -> Result<&'t [u8], ManifestError> {
        let line = self.next(name)?;
        line.strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b" "))
            .ok_or_else(|| self.wrong(format!("{name:?} expected")))
    }

    fn number(&self, digits: &[u8]) -> Result<u64, ManifestError> {
        // Only the shortest spelling, so that one manifest has one text.
        let number = digits.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        number
            .filter(|number| number.to_string().as_bytes() == digits)
            .ok_or_else(|| self.wrong(format!("{:?} is no count", digits.as_bstr())))
    }

    fn id(&self, hex: &[u8], algorithm: HashAlgorithm) -> Result<ObjectId, ManifestError> {
        let id = hex.to_str().ok().and_then(|text| text.parse::<ObjectId>().ok());
        id.filter(|id| id.algorithm() == algorithm && id.to_string().as_bytes() == hex).ok_or_else(
            || self.wrong(format!("{:?} is no {} id", hex.as_bstr(), algorithm.as_str())),
        )
    }

    fn ref_name(&self, name: &[u8]) -> Result<BString, ManifestError> {
        match check_name(name) {
            Ok(()) => Ok(name.into()),
            Err(problem) => Err(self.wrong(format!("{}: {problem}", shown(name)))),
        }
    }

    /// Reads how many objects are missing, and returns the line after that.
    fn missing(&mut self) -> Result<(u64, &'t [u8]), ManifestError> {
        const NEXT: &str = "\"list\" or \"head\"";
        let line = self.next(NEXT)?;
        let Some(count) = line.strip_prefix(b"missing ") else { return Ok((0, line)) };
        match self.number(count)? {
            0 => Err(self.wrong("where nothing is missing, nothing is said of it".into())),
            missing => Ok((missing, self.next(NEXT)?)),
        }
    }

    /// Reads lists from `line` on, and returns the line that is no list any more.
    fn lists(
        &mut self,
        mut line: &'t [u8],
        algorithm: HashAlgorithm,
        objects: u64,
    ) -> Result<(Vec<ObjectList>, &'t [u8]), ManifestError> {
        let (mut lists, mut listed) = (Vec::new(), 0);
        loop {
            let [b"list", id, count] = self.words(line) else {
                if listed != objects {
                    return Err(self.wrong(format!("{objects} objects, but {listed} are listed")));
                }
                return Ok((lists, line));
            };
            let (id, count) = (self.id(id, algorithm)?, self.number(count)?);
            if count == 0 || count > limits::MANIFEST_LIST_IDS_MAX as u64 {
                return Err(self.wrong(format!("a list cannot have {count} objects")));
            }
            listed += count;
            lists.push(ObjectList { id, count });
            line = self.next("\"list\" or \"head\"")?;
        }
    }

    /// Reads shallow commits, and returns the line that is none any more.
    fn shallow(
        &mut self,
        algorithm: HashAlgorithm,
    ) -> Result<(Vec<ObjectId>, &'t [u8]), ManifestError> {
        let mut shallow: Vec<ObjectId> = Vec::new();
        loop {
            let line = self.next("\"shallow\", \"ref\", \"symref\" or \"end\"")?;
            let [b"shallow", id, b""] = self.words(line) else { return Ok((shallow, line)) };
            let id = self.id(id, algorithm)?;
            if shallow.last().is_some_and(|last| *last >= id) {
                return Err(self.wrong("shallow commits have to ascend".into()));
            }
            shallow.push(id);
        }
    }

    /// Reads references from `line` on, up to and with `end`.
    fn refs(
        &mut self,
        mut line: &'t [u8],
        algorithm: HashAlgorithm,
    ) -> Result<Vec<Reference>, ManifestError> {
        let mut refs: Vec<Reference> = Vec::new();
        while line != b"end" {
            let (name, target) = match self.words(line) {
                [b"ref", id, name] => (name, Target::Id(self.id(id, algorithm)?)),
                [b"symref", name, target] => (name, Target::Symbolic(self.ref_name(target)?)),
                _ => return Err(self.wrong("\"ref\", \"symref\" or \"end\" expected".into())),
            };
            let name = self.ref_name(name)?;
            if refs.last().is_some_and(|last| last.name >= name) {
                return Err(self.wrong("references have to ascend by name".into()));
            }
            refs.push(Reference { name, target });
            line = self.next("\"ref\", \"symref\" or \"end\"")?;
        }
        Ok(refs)
    }
}
