//! Copy-on-write pages.
//!
//! Bytes of a file in pages that copies share until one of them is written.
//!
//! So a copy of a disk costs little, and so do zeros that nobody wrote. Invariant: what a
//! page holds behind the end of the file is zero.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Bytes of a page.
pub(super) const PAGE_BYTES: u64 = 4096;

type Page = [u8; PAGE_BYTES as usize];

/// A file's bytes. A page that is not there is zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    len: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

/// The pages that hold these bytes: number, the part of the page, the part of the bytes.
fn pages_of(bytes: Range<u64>) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let numbers = bytes.start / PAGE_BYTES..bytes.end.div_ceil(PAGE_BYTES);
    numbers.map(move |number| {
        let base = number * PAGE_BYTES;
        let (start, end) = (bytes.start.max(base), bytes.end.min(base + PAGE_BYTES));
        let from = |origin: u64| (start - origin) as usize..(end - origin) as usize;
        (number, from(base), from(bytes.start))
    })
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Up to `len` bytes at `offset`; fewer only at the end.
    pub(super) fn read(&self, offset: u64, len: u64) -> Bytes {
        let end = offset.saturating_add(len).min(self.len);
        let start = offset.min(end);
        let mut read = BytesMut::zeroed((end - start) as usize);
        for (number, within, part) in pages_of(start..end) {
            if let Some(page) = self.pages.get(&number) {
                read[part].copy_from_slice(&page[within]);
            }
        }
        read.freeze()
    }

    /// Overwrites and extends; a gap becomes zeros.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        for (number, within, part) in pages_of(offset..end) {
            self.page(number)[within].copy_from_slice(&bytes[part]);
        }
        self.len = self.len.max(end);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE_BYTES));
            let (last, used) = (len / PAGE_BYTES, (len % PAGE_BYTES) as usize);
            if self.pages.contains_key(&last) {
                self.page(last)[used..].fill(0);
            }
        }
        self.len = len;
    }

    /// Flips a bit; nothing happens behind the end.
    pub(super) fn flip_bit(&mut self, bit: u64) {
        let offset = bit / 8;
        if offset < self.len {
            let page = self.page(offset / PAGE_BYTES);
            page[(offset % PAGE_BYTES) as usize] ^= 1 << (bit % 8);
        }
    }

    fn page(&mut self, number: u64) -> &mut Page {
        let page = self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE_BYTES as usize]));
        Arc::make_mut(page)
    }
}
