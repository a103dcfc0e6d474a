//! Deflating of pack entries.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Deflates one object after another, quickly rather than well: what it makes is sent once, or
/// replaced when packs are compacted.
pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        Deflater(Compress::new(Compression::fast(), true))
    }

    /// Appends zlib data that inflates to this.
    pub(crate) fn deflate(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.0.reset();
        let mut rest = data;
        loop {
            out.reserve(rest.len() / 2 + 64);
            let before = self.0.total_in();
            let status = self.0.compress_vec(rest, out, FlushCompress::Finish);
            rest = &rest[(self.0.total_in() - before) as usize..];
            if status.expect("whatever the data, zlib can deflate it") == Status::StreamEnd {
                return;
            }
        }
    }
}
