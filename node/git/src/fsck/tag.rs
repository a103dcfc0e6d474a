//! fsck of annotated tags.

use gitstratum_core::object::{Kind, ObjectId};

use super::commit::{HeaderLines, header_is_sound, is_id};
use super::ident::check_ident;
use super::message::MessageId;
use super::{Finding, Findings, Policy};

/// Checks a tag, and adds what is found.
pub fn check_tag(policy: &Policy, id: ObjectId, data: &[u8], found: &mut Vec<Finding>) {
    let mut findings = Findings { policy, object: id, kind: Kind::Tag, list: found };
    if !header_is_sound(data, &mut findings) {
        return;
    }
    let mut lines = HeaderLines(data);
    match lines.next("object") {
        None => return findings.add(MessageId::MissingObject),
        Some((line, _)) if !is_id(line, id) => findings.add(MessageId::BadObjectSha1),
        Some(_) => {}
    }
    match lines.next("type") {
        None => return findings.add(MessageId::MissingTypeEntry),
        Some((_, false)) => return findings.add(MessageId::MissingType),
        Some((line, _)) => {
            let word = std::str::from_utf8(line).ok();
            if word.is_none_or(|word| word.parse::<Kind>().is_err()) {
                findings.add(MessageId::BadType);
            }
        }
    }
    match lines.next("tag") {
        None => return findings.add(MessageId::MissingTagEntry),
        Some((_, false)) => return findings.add(MessageId::MissingTag),
        Some((line, _)) if !is_tag_name(line) => {
            findings.add_detail(MessageId::BadTagName, line);
        }
        Some(_) => {}
    }
    match lines.next("tagger") {
        None => findings.add(MessageId::MissingTaggerEntry),
        Some((line, _)) => check_ident(line, &mut findings),
    }
    if !matches!(lines.0, [] | [b'\n', ..]) {
        findings.add(MessageId::ExtraHeaderEntry);
    }
}

/// Whether `refs/tags/` and this is a well-formed name (git's `check_refname_format`).
fn is_tag_name(name: &[u8]) -> bool {
    let forbidden = |byte: &u8| {
        *byte < 0x20
            || matches!(byte, 0x7f | b' ' | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\')
    };
    let part_is_sound =
        |part: &[u8]| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock");
    !name.iter().any(forbidden)
        && !name.ends_with(b".")
        && !name.windows(2).any(|two| two == b".." || two == b"@{")
        && name.split(|&byte| byte == b'/').all(part_is_sound)
}
