//! fsck of commits, and what commits and tags have in common: a header of lines.

use gitstratum_core::object::{Kind, ObjectId};

use super::ident::check_ident;
use super::message::MessageId;
use super::{Finding, Findings, Policy};

/// The lines of a header that are not read yet.
pub(super) struct HeaderLines<'a>(pub(super) &'a [u8]);

impl<'a> HeaderLines<'a> {
    /// The rest of the next line if that begins with `word` and a space, and whether it ends with a
    /// line feed.
    pub(super) fn next(&mut self, word: &str) -> Option<(&'a [u8], bool)> {
        let rest = self.0.strip_prefix(word.as_bytes())?.strip_prefix(b" ")?;
        let end = rest.iter().position(|&byte| byte == b'\n');
        let (line, after) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        self.0 = after;
        Some((line, end.is_some()))
    }
}

/// Whether a line is an id of the hash that the repository has.
pub(super) fn is_id(line: &[u8], like: ObjectId) -> bool {
    line.len() == 2 * like.as_bytes().len() && line.iter().all(u8::is_ascii_hexdigit)
}

/// Looks whether the header ends, and whether it does so before the first NUL.
pub(super) fn header_is_sound(data: &[u8], findings: &mut Findings<'_>) -> bool {
    let end = data.windows(2).position(|two| two == b"\n\n").map_or(data.len(), |at| at + 2);
    if data[..end].contains(&0) {
        findings.add(MessageId::NulInHeader);
        return false;
    }
    if !data[..end].ends_with(b"\n") {
        findings.add(MessageId::UnterminatedHeader);
        return false;
    }
    true
}

/// Checks a commit, and adds what is found.
pub fn check_commit(policy: &Policy, id: ObjectId, data: &[u8], found: &mut Vec<Finding>) {
    let mut findings = Findings { policy, object: id, kind: Kind::Commit, list: found };
    if !header_is_sound(data, &mut findings) {
        return;
    }
    let mut lines = HeaderLines(data);
    match lines.next("tree") {
        None => return findings.add(MessageId::MissingTree),
        Some((line, _)) if !is_id(line, id) => findings.add(MessageId::BadTreeSha1),
        Some(_) => {}
    }
    while let Some((line, _)) = lines.next("parent") {
        if !is_id(line, id) {
            findings.add(MessageId::BadParentSha1);
        }
    }
    let mut authors = 0;
    while let Some((line, _)) = lines.next("author") {
        authors += 1;
        check_ident(line, &mut findings);
    }
    match authors {
        0 => findings.add(MessageId::MissingAuthor),
        1 => {}
        _ => findings.add(MessageId::MultipleAuthors),
    }
    match lines.next("committer") {
        None => findings.add(MessageId::MissingCommitter),
        Some((line, _)) => check_ident(line, &mut findings),
    }
    if data.contains(&0) {
        findings.add(MessageId::NulInCommit);
    }
}
