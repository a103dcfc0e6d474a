//! fsck of trees.

use gitstratum_core::object::{Kind, ObjectId};

use super::message::MessageId;
use super::names::{SpecialName, special_names, special_names_after_backslash};
use super::{Finding, Findings, Policy, SpecialBlobs};
use crate::object::{MODE_SUBMODULE, MODE_TREE, Malformed, TreeEntry, tree_entries};

/// The mode of a symbolic link, and the bits of a mode that tell what an entry is.
const MODE_SYMLINK: u32 = 0o120_000;
const MODE_TYPE: u32 = 0o170_000;
/// Bytes of a name that are no reason to say something.
const NAME_BYTES_USUAL_MAX: usize = 4096;

/// Checks a tree, adds what is found, and calls `each` with every entry and what special blob
/// it names.
///
/// # Errors
/// [`Malformed`] when it cannot be parsed, which is among what is found too.
pub fn check_tree(
    policy: &Policy,
    id: ObjectId,
    data: &[u8],
    mut each: impl FnMut(&TreeEntry<'_>, SpecialBlobs),
    found: &mut Vec<Finding>,
) -> Result<(), Malformed> {
    let mut findings = Findings { policy, object: id, kind: Kind::Tree, list: found };
    let mut seen = Seen::default();
    let mut order = Order::default();
    let mut rest = data;
    for entry in tree_entries(id.algorithm(), data) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(malformed) => {
                seen.add(MessageId::BadTree);
                seen.report(&mut findings);
                return Err(malformed);
            }
        };
        if rest.first() == Some(&b'0') {
            seen.add(MessageId::ZeroPaddedFilemode);
        }
        let mode_len = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        let len = mode_len + 1 + entry.name.len() + 1 + entry.id.as_bytes().len();
        rest = rest.get(len..).unwrap_or_default();
        let special = check_name(&entry, &mut seen, &mut findings);
        if !matches!(entry.mode, 0o100_755 | 0o100_644 | MODE_SYMLINK | MODE_TREE | MODE_SUBMODULE)
        {
            seen.add(MessageId::BadFilemode);
        }
        if entry.id.as_bytes().iter().all(|&byte| byte == 0) {
            seen.add(MessageId::NullSha1);
        }
        order.check(entry, &mut seen);
        each(&entry, special);
    }
    seen.report(&mut findings);
    Ok(())
}

/// What was seen in a tree that is said once, however many entries have it.
#[derive(Default)]
struct Seen {
    messages: u64,
}

const _: () = assert!((MessageId::ExtraHeaderEntry as usize) < 64);

impl Seen {
    fn add(&mut self, message: MessageId) {
        self.messages |= 1 << message as u32;
    }

    fn report(self, findings: &mut Findings<'_>) {
        if self.messages == 0 {
            return;
        }
        for &message in MessageId::ALL {
            if self.messages >> message as u32 & 1 != 0 {
                findings.add(message);
            }
        }
    }
}

fn check_name(entry: &TreeEntry<'_>, seen: &mut Seen, findings: &mut Findings<'_>) -> SpecialBlobs {
    match entry.name {
        // No git reads such a tree, whatever its policy.
        b"" => seen.add(MessageId::BadTree),
        b"." => seen.add(MessageId::HasDot),
        b".." => seen.add(MessageId::HasDotdot),
        _ => {}
    }
    if entry.name.len() > NAME_BYTES_USUAL_MAX {
        seen.add(MessageId::LargePathname);
    }
    let mut special = SpecialBlobs::default();
    let is_symlink = entry.mode & MODE_TYPE == MODE_SYMLINK;
    let is_blob = entry.kind() == Some(Kind::Blob);
    let mut is = |name: SpecialName, seen: &mut Seen| match name {
        SpecialName::Git => seen.add(MessageId::HasDotgit),
        SpecialName::Modules if is_symlink => findings.add(MessageId::GitmodulesSymlink),
        SpecialName::Attributes if is_symlink => findings.add(MessageId::GitattributesSymlink),
        SpecialName::Ignore if is_symlink => findings.add(MessageId::GitignoreSymlink),
        SpecialName::Mailmap if is_symlink => findings.add(MessageId::MailmapSymlink),
        SpecialName::Ignore | SpecialName::Mailmap => {}
        SpecialName::Modules if !is_blob => findings.add(MessageId::GitmodulesBlob),
        SpecialName::Attributes if !is_blob => findings.add(MessageId::GitattributesBlob),
        SpecialName::Modules => special.modules = true,
        SpecialName::Attributes => special.attributes = true,
    };
    special_names(entry.name).for_each(|name| is(name, seen));
    let (mut slash, mut backslash) = (false, false);
    for byte in entry.name {
        slash |= *byte == b'/';
        backslash |= *byte == b'\\';
    }
    if slash {
        seen.add(MessageId::FullPathname);
    }
    if backslash {
        special_names_after_backslash(entry.name).for_each(|name| is(name, seen));
    }
    special
}

/// The order of a tree's entries: by name, where the name of a tree counts as if it ended with a
/// slash.
#[derive(Default)]
struct Order<'a> {
    last: Option<TreeEntry<'a>>,
    /// Files whose names the last name begins with, the longest last. A tree of one of these names
    /// may still come: `a`, `a.b`, `a/`.
    files: Vec<&'a [u8]>,
}

impl<'a> Order<'a> {
    fn check(&mut self, entry: TreeEntry<'a>, seen: &mut Seen) {
        let Some(last) = self.last.replace(entry) else {
            return self.remember(entry);
        };
        let key = |of: &TreeEntry<'a>, at: usize| match of.name.get(at) {
            Some(&byte) => u16::from(byte),
            None if of.kind() == Some(Kind::Tree) => u16::from(b'/'),
            None => 0,
        };
        let common = last.name.len().min(entry.name.len());
        let ordered = match last.name[..common].cmp(&entry.name[..common]) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => {
                if last.name.len() == entry.name.len() {
                    seen.add(MessageId::DuplicateEntries);
                }
                key(&last, common) < key(&entry, common) || last.name.len() == entry.name.len()
            }
        };
        if !ordered {
            seen.add(MessageId::TreeNotSorted);
        }
        while self.files.last().is_some_and(|file| !entry.name.starts_with(file)) {
            self.files.pop();
        }
        if entry.kind() == Some(Kind::Tree) && self.files.last() == Some(&entry.name) {
            seen.add(MessageId::DuplicateEntries);
        }
        self.remember(entry);
    }

    fn remember(&mut self, entry: TreeEntry<'a>) {
        if entry.kind() != Some(Kind::Tree) {
            self.files.push(entry.name);
        }
    }
}
