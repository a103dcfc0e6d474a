//! fsck of `.gitmodules`: settings that would make a client that clones submodules run or overwrite
//! something.
//!
//! The file has the syntax of git's configuration (`config.c`), of which so much is read here as
//! tells sections, keys and values apart just as git does.

use super::Findings;
use super::message::MessageId;
use super::modules_url::is_disallowed_url;

/// Checks a blob that is `.gitmodules` in some tree.
pub(super) fn check_modules(data: Option<&[u8]>, findings: &mut Findings<'_>) {
    let Some(data) = data else {
        return findings.add(MessageId::GitmodulesLarge);
    };
    let mut config = Config { rest: data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data) };
    if config.read(|setting| check_setting(&setting, findings)).is_none() {
        findings.add(MessageId::GitmodulesParse);
    }
}

fn check_setting(setting: &Setting<'_>, findings: &mut Findings<'_>) {
    let Some(name) = setting.section.strip_prefix(b"submodule.") else { return };
    if is_disallowed_name(name) {
        findings.add_detail(MessageId::GitmodulesName, name);
    }
    let Some(value) = &setting.value else { return };
    let (message, disallowed) = match setting.key.as_slice() {
        b"url" => (MessageId::GitmodulesUrl, is_disallowed_url(value)),
        b"path" => (MessageId::GitmodulesPath, value.starts_with(b"-")),
        b"update" => (MessageId::GitmodulesUpdate, value.starts_with(b"!")),
        _ => return,
    };
    if disallowed {
        findings.add_detail(message, value);
    }
}

/// A name is a directory under `.git/modules`.
fn is_disallowed_name(name: &[u8]) -> bool {
    name.is_empty() || name.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"..")
}

/// One line `key = value` of a section.
struct Setting<'a> {
    /// `submodule.NAME`, the first word in lower case.
    section: &'a [u8],
    /// In lower case.
    key: Vec<u8>,
    /// Nothing for a key alone.
    value: Option<Vec<u8>>,
}

struct Config<'a> {
    rest: &'a [u8],
}

impl Config<'_> {
    /// The next byte, where `\r\n` is `\n`.
    fn next(&mut self) -> Option<u8> {
        if self.rest.starts_with(b"\r\n") {
            self.rest = &self.rest[1..];
        }
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        if self.rest.starts_with(b"\r\n") { Some(b'\n') } else { self.rest.first().copied() }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }

    /// Calls `each` with every setting; nothing when the text is not well formed.
    fn read(&mut self, mut each: impl FnMut(Setting<'_>)) -> Option<()> {
        let mut section = Vec::new();
        while let Some(byte) = self.next() {
            match byte {
                b'#' | b';' => self.skip_line(),
                b'[' => section = self.section()?,
                byte if byte.is_ascii_whitespace() => {}
                byte if byte.is_ascii_alphabetic() => {
                    let mut key = vec![byte.to_ascii_lowercase()];
                    while let Some(byte) = self.peek() {
                        if !byte.is_ascii_alphanumeric() && byte != b'-' {
                            break;
                        }
                        key.push(byte.to_ascii_lowercase());
                        self.next();
                    }
                    while matches!(self.peek(), Some(b' ' | b'\t')) {
                        self.next();
                    }
                    let value = match self.next() {
                        None | Some(b'\n') => None,
                        Some(b'=') => Some(self.value()?),
                        Some(_) => return None,
                    };
                    each(Setting { section: &section, key, value });
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// What stands between brackets: a word, and perhaps a name in quotes after it.
    fn section(&mut self) -> Option<Vec<u8>> {
        let mut section = Vec::new();
        loop {
            match self.next()? {
                b']' => return Some(section),
                byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => {
                    section.push(byte.to_ascii_lowercase());
                }
                b' ' | b'\t' => break,
                _ => return None,
            }
        }
        loop {
            match self.next()? {
                b'"' => break,
                b' ' | b'\t' => {}
                _ => return None,
            }
        }
        section.push(b'.');
        loop {
            match self.next()? {
                b'\n' => return None,
                b'"' => break,
                b'\\' => match self.next()? {
                    b'\n' => return None,
                    byte => section.push(byte),
                },
                byte => section.push(byte),
            }
        }
        (self.next()? == b']').then_some(section)
    }

    /// A value up to the end of its line.
    fn value(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut quoted = false;
        // Up to here spaces belong to the value even if nothing follows.
        let mut kept = 0;
        loop {
            match self.next() {
                None | Some(b'\n') if quoted => return None,
                None | Some(b'\n') => break,
                Some(byte) if byte.is_ascii_whitespace() && !quoted => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                    continue;
                }
                Some(b'#' | b';') if !quoted => {
                    self.skip_line();
                    break;
                }
                Some(b'"') => quoted = !quoted,
                Some(b'\\') => match self.next() {
                    None | Some(b'\n') => {}
                    Some(b't') => value.push(b'\t'),
                    Some(b'b') => value.push(b'\x08'),
                    Some(b'n') => value.push(b'\n'),
                    Some(byte @ (b'\\' | b'"')) => value.push(byte),
                    Some(_) => return None,
                },
                Some(byte) => value.push(byte),
            }
            kept = value.len();
        }
        value.truncate(kept);
        Some(value)
    }
}
