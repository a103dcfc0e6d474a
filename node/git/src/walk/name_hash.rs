//! Name hash of paths.
//!
//! Git's `pack_name_hash`: objects whose paths end alike get neighbouring numbers, so that those
//! are tried as deltas of each other. A path is hashed from left to right; so the hash of what lies
//! in a directory goes on from the directory's, and no path is ever put together.

/// The hash of the empty path.
pub(super) const ROOT: u32 = 0;

/// The hash of `name` in the directory of that hash.
pub(super) fn within(directory: u32, is_root: bool, name: &[u8]) -> u32 {
    let slash = if is_root { &b""[..] } else { &b"/"[..] };
    slash.iter().chain(name).fold(directory, |hash, &byte| match byte {
        b' ' | b'\t' | b'\n' | b'\r' => hash,
        _ => (hash >> 2).wrapping_add(u32::from(byte) << 24),
    })
}
