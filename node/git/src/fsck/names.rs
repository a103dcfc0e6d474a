//! Names that some file system takes for `.git` and its like.
//!
//! HFS+ leaves out some characters when it compares names, and does not tell upper from lower case.
//! NTFS leaves out dots and spaces at the end, reads `\` as a separator and `:` as the beginning of
//! a stream's name, and knows files by short names such as `GIT~1` too.

/// What a name is to some file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpecialName {
    Git,
    Modules,
    Attributes,
    Ignore,
    Mailmap,
}

/// A name that begins with a dot: what follows that, and what its short name on NTFS begins with if
/// the simple ones are taken (a hash of the name).
struct DotName {
    is: SpecialName,
    word: &'static [u8],
    hashed: &'static [u8; 6],
}

const DOT_NAMES: [DotName; 4] = [
    DotName { is: SpecialName::Modules, word: b"gitmodules", hashed: b"gi7eba" },
    DotName { is: SpecialName::Attributes, word: b"gitattributes", hashed: b"gi7d29" },
    DotName { is: SpecialName::Ignore, word: b"gitignore", hashed: b"gi250a" },
    DotName { is: SpecialName::Mailmap, word: b"mailmap", hashed: b"maba30" },
];

/// What a name in a tree is. Most names are seen to be nothing by their first byte; one that looks
/// like a short name of NTFS may be several.
pub(super) fn special_names(name: &[u8]) -> impl Iterator<Item = SpecialName> + '_ {
    let first = matches!(name.first(), Some(b'.' | b'g' | b'G' | b'm' | b'M' | b'~' | 0xe2 | 0xef));
    let git = first && (is_ntfs_dotgit(name) || is_hfs_dot(name, b"git"));
    let dots = if first && !git { &DOT_NAMES[..] } else { &[] };
    let is = |dot: &&DotName| is_ntfs_dot(name, dot) || is_hfs_dot(name, dot.word);
    git.then_some(SpecialName::Git).into_iter().chain(dots.iter().filter(is).map(|dot| dot.is))
}

/// What the parts of a name after each `\` are: directories to NTFS.
pub(super) fn special_names_after_backslash(name: &[u8]) -> impl Iterator<Item = SpecialName> + '_ {
    let ends = name.iter().enumerate().filter(|(_, byte)| **byte == b'\\');
    ends.filter_map(|(at, _)| {
        let part = &name[at + 1..];
        if is_ntfs_dotgit(part) {
            return Some(SpecialName::Git);
        }
        is_ntfs_dot(part, &DOT_NAMES[0]).then_some(SpecialName::Modules)
    })
}

/// `.git` or `git~1`, then nothing but dots and spaces up to the end of a name.
fn is_ntfs_dotgit(name: &[u8]) -> bool {
    let begins =
        |word: &[u8]| name.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    let rest = if begins(b".git") {
        &name[4..]
    } else if begins(b"git~1") {
        &name[5..]
    } else {
        return false;
    };
    for byte in rest {
        match byte {
            b'\\' | b'/' | b':' => return true,
            b'.' | b' ' => {}
            _ => return false,
        }
    }
    true
}

fn is_ntfs_dot(name: &[u8], dot: &DotName) -> bool {
    let Some(len) = ntfs_name_len(name, dot) else { return false };
    for byte in &name[len..] {
        match byte {
            b':' => return true,
            b'.' | b' ' => {}
            _ => return false,
        }
    }
    true
}

/// How many bytes a long or short form of the name takes that `name` begins with.
fn ntfs_name_len(name: &[u8], dot: &DotName) -> Option<usize> {
    let long = 1 + dot.word.len();
    if name.len() >= long && name[0] == b'.' && name[1..long].eq_ignore_ascii_case(dot.word) {
        return Some(long);
    }
    if name.len() < 8 {
        return None;
    }
    let short = name[..6].eq_ignore_ascii_case(&dot.word[..6]);
    if short && name[6] == b'~' && (b'1'..=b'4').contains(&name[7]) {
        return Some(8);
    }
    let tilde = name[..8].iter().position(|&byte| byte == b'~')?;
    let number = &name[tilde + 1..8];
    let is_number =
        matches!(number, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    let hashed = tilde <= 6 && name[..tilde].eq_ignore_ascii_case(&dot.hashed[..tilde]);
    (is_number && hashed).then_some(8)
}

/// A dot and the word to HFS+, up to the end or a slash. What is no UTF-8 ends a name.
fn is_hfs_dot(name: &[u8], word: &[u8]) -> bool {
    if !matches!(name.first(), Some(b'.' | 0xe2 | 0xef)) {
        return false;
    }
    let valid = name.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let mut chars =
        valid.chars().take_while(|&c| !is_noncharacter(c)).filter(|&c| !is_ignored_by_hfs(c));
    let begins = std::iter::once(b'.')
        .chain(word.iter().copied())
        .all(|byte| chars.next().is_some_and(|c| c.to_ascii_lowercase() == char::from(byte)));
    begins && chars.next().is_none_or(|c| c == '/')
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(
        c,
        '\u{200c}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
    )
}
