//! Submodule URLs that a client must not be made to use (git's `check_submodule_url`).

/// Whether a URL reads as an option, smuggles a line feed into what a credential helper is asked,
/// climbs out of the URL that it is relative to, or is not one that git can take apart.
pub(super) fn is_disallowed_url(url: &[u8]) -> bool {
    if url.starts_with(b"-") {
        return true;
    }
    if is_relative(url) || url.starts_with(b"git://") {
        let (ups, rest) = leading_dotdots(url);
        return has_line_feed(url) || ups > 0 && matches!(rest.first(), Some(b':' | b'/'));
    }
    match url_for_curl(url) {
        Some(url) => !is_well_formed(url) || has_line_feed(url),
        None => false,
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn is_relative(url: &[u8]) -> bool {
    matches!(url, [b'.', byte, ..] if is_separator(*byte))
        || matches!(url, [b'.', b'.', byte, ..] if is_separator(*byte))
}

/// How many `../` a URL begins with, and what follows them.
fn leading_dotdots(mut url: &[u8]) -> (usize, &[u8]) {
    let mut ups = 0;
    loop {
        match url {
            [b'.', b'.', byte, rest @ ..] if is_separator(*byte) => {
                ups += 1;
                url = rest;
            }
            [b'.', byte, rest @ ..] if is_separator(*byte) => url = rest,
            _ => return (ups, url),
        }
    }
}

/// A line feed as it is, or written as `%0a`.
fn has_line_feed(url: &[u8]) -> bool {
    url.contains(&b'\n') || url.windows(3).any(|three| three.eq_ignore_ascii_case(b"%0a"))
}

/// The URL that git would give to curl, if it would.
fn url_for_curl(url: &[u8]) -> Option<&[u8]> {
    const SCHEMES: [&[u8]; 4] = [b"http", b"https", b"ftp", b"ftps"];
    for scheme in SCHEMES {
        let Some(rest) = url.strip_prefix(scheme) else { continue };
        if let Some(helped) = rest.strip_prefix(b"::") {
            return Some(helped);
        }
        if rest.starts_with(b"://") {
            return Some(url);
        }
    }
    None
}

/// Whether a URL has a scheme, a host, a possible port, and whole escapes (git's `url_normalize`).
fn is_well_formed(url: &[u8]) -> bool {
    let Some(colon) = url.windows(3).position(|three| three == b"://") else { return false };
    let (scheme, rest) = (&url[..colon], &url[colon + 3..]);
    let in_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(in_scheme) {
        return false;
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host_at = authority.iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    has_whole_escapes(&authority[..host_at])
        && has_whole_escapes(&rest[end..])
        && is_host_and_port(&authority[host_at..])
}

fn has_whole_escapes(text: &[u8]) -> bool {
    text.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        text.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

fn is_host_and_port(text: &[u8]) -> bool {
    let (host, port) = match text.iter().rposition(|&byte| byte == b':') {
        // The colons of an IPv6 address are in brackets.
        Some(colon) if !text[colon..].contains(&b']') => (&text[..colon], &text[colon + 1..]),
        _ => (text, &b""[..]),
    };
    let in_host = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':')
    };
    if host.is_empty() || !host.iter().all(in_host) {
        return false;
    }
    let port = std::str::from_utf8(port).unwrap_or("?");
    port.is_empty()
        || port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse().is_ok_and(|port: u16| port != 0)
}
