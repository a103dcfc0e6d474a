//! What a look at a file shows.

use std::ops::Deref;

use bytes::Bytes;

/// The most bytes that [`File::look_at`](super::File::look_at) reads into a buffer that it
/// uses again and again.
pub(super) const LENT_BYTES_MAX: usize = 64 << 10;

/// Bytes of a file, for as long as somebody looks at them.
#[derive(Debug)]
pub struct Seen<'a> {
    bytes: &'a [u8],
    /// What they are all of; `None` when they are lent.
    whole: Option<&'a Bytes>,
}

impl<'a> Seen<'a> {
    /// Those in a buffer that the next look uses again.
    pub(super) fn lent(bytes: &'a [u8]) -> Self {
        Seen { bytes, whole: None }
    }

    /// Those in memory of their own.
    pub(super) fn whole(bytes: &'a Bytes) -> Self {
        Seen { bytes, whole: Some(bytes) }
    }

    /// A part of these bytes that outlives the look: shared where it can be, or else copied.
    ///
    /// # Panics
    /// When it is no part of them.
    pub fn keep(&self, part: &[u8]) -> Bytes {
        let range = self.bytes.as_ptr_range();
        let is_part = part.is_empty()
            || range.contains(&part.as_ptr()) && part.as_ptr_range().end <= range.end;
        assert!(is_part, "{} bytes of something else", part.len());
        match self.whole {
            Some(whole) => whole.slice_ref(part),
            None => Bytes::copy_from_slice(part),
        }
    }
}

impl Deref for Seen<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
