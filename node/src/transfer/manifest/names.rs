//! Reference name rules.
//!
//! Which names a manifest can hold: one set of rules for what writes it and what reads it.

use gitstratum_core::limits;
use gix::bstr::ByteSlice;

/// Refuses what is no full name of a reference, by Git's rules and our bound.
///
/// # Errors
/// What is wrong with it, to be put behind the name.
pub(in crate::transfer) fn check_name(name: &[u8]) -> Result<(), String> {
    if !name.starts_with(b"refs/") {
        return Err("it is no full ref name: it lies outside refs/".to_owned());
    }
    let max = limits::REF_NAME_BYTES_MAX;
    if name.len() > max {
        return Err(format!("it is no ref name here: {} bytes, more than {max}", name.len()));
    }
    match gix::validate::reference::name(name.as_bstr()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("it is no full ref name: {error}")),
    }
}

/// A name as errors show it: its beginning, if it is longer than a line.
pub(in crate::transfer) fn shown(name: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 120;
    match name.get(..SHOWN_BYTES_MAX) {
        Some(beginning) => format!("{}…", beginning.as_bstr()).escape_debug().to_string(),
        None => name.as_bstr().to_string().escape_debug().to_string(),
    }
}
