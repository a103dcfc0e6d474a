//! fsck of author, committer and tagger lines.

use super::Findings;
use super::message::MessageId;

/// Checks what follows `author `, `committer ` or `tagger ` on its line. As in git, one finding ends
/// the check of a line.
pub(super) fn check_ident(line: &[u8], findings: &mut Findings<'_>) {
    if let Some(message) = first_finding(line) {
        findings.add(message);
    }
}

fn first_finding(line: &[u8]) -> Option<MessageId> {
    let stop = |text: &[u8]| text.iter().position(|&byte| byte == b'<' || byte == b'>');
    if line.first() == Some(&b'<') {
        return Some(MessageId::MissingNameBeforeEmail);
    }
    let Some(open) = stop(line) else { return Some(MessageId::MissingEmail) };
    if line[open] == b'>' {
        return Some(MessageId::BadName);
    }
    if line[open - 1] != b' ' {
        return Some(MessageId::MissingSpaceBeforeEmail);
    }
    let rest = &line[open + 1..];
    let close = match stop(rest) {
        Some(close) if rest[close] == b'>' => close,
        _ => return Some(MessageId::BadEmail),
    };
    let Some(date) = rest[close + 1..].strip_prefix(b" ") else {
        return Some(MessageId::MissingSpaceBeforeDate);
    };
    let date = date.trim_ascii_start();
    let digits = date.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Some(MessageId::BadDate);
    }
    if date[0] == b'0' && date.get(1) != Some(&b' ') {
        return Some(MessageId::ZeroPaddedDate);
    }
    let seconds = std::str::from_utf8(&date[..digits]).ok().and_then(|text| text.parse().ok());
    if seconds.is_none_or(|seconds: u64| seconds > i64::MAX as u64) {
        return Some(MessageId::BadDateOverflow);
    }
    let Some(zone) = date[digits..].strip_prefix(b" ") else { return Some(MessageId::BadDate) };
    let sound = matches!(zone, [b'+' | b'-', digits @ ..]
        if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit));
    if sound { None } else { Some(MessageId::BadTimezone) }
}
