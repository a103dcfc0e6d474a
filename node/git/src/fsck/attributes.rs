//! fsck of `.gitattributes`.

use super::Findings;
use super::message::MessageId;

/// What git reads of such a file at most, and of one line.
const ATTRIBUTES_BYTES_MAX: usize = 100 << 20;
const LINE_BYTES_MAX: usize = 2048;

/// Checks a blob that is `.gitattributes` in some tree.
pub(super) fn check_attributes(data: Option<&[u8]>, findings: &mut Findings<'_>) {
    let Some(data) = data.filter(|data| data.len() <= ATTRIBUTES_BYTES_MAX) else {
        return findings.add(MessageId::GitattributesLarge);
    };
    // As git, which reads it as a string.
    let text = data.split(|&byte| byte == 0).next().unwrap_or(data);
    if text.split(|&byte| byte == b'\n').any(|line| line.len() >= LINE_BYTES_MAX) {
        findings.add(MessageId::GitattributesLineLength);
    }
}
