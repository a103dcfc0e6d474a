//! Packing objects with LZ4, where that pays.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// Data below this is not worth compressing: of real repositories a hundredth of the bytes,
/// which shrink by a tenth.
const PACKED_BYTES_MIN: usize = 512;

/// Data above this is tried without a look at it first: LZ4 hurries over long noise by itself.
const LOOKED_AT_BYTES_MAX: usize = 16 << 10;
/// Bytes that are looked at, evenly spread over the data.
const LOOKS: usize = 128;
/// Different values among them from which on they are noise: 128 bytes drawn evenly have 101,
/// and fewer than 92 once in seventy times. English has some 30, machine code 70, a tree's
/// names and ids 85.
const NOISE_VALUES_MIN: u32 = 92;

/// Room for packed data that is made at a time.
const ARENA_BYTES: usize = 256 << 10;

/// Packs one object after another with the same tables and buffers.
#[derive(Default)]
pub(super) struct Packer {
    table: CompressTable,
    arena: BytesMut,
}

impl Packer {
    /// The data as an LZ4 block, if that is worth it.
    pub(super) fn pack(&mut self, raw: &[u8]) -> Option<Bytes> {
        if raw.len() < PACKED_BYTES_MIN || raw.len() <= LOOKED_AT_BYTES_MAX && is_noise(raw) {
            return None;
        }
        let worst = get_maximum_output_size(raw.len());
        if self.arena.capacity() < worst {
            // What was packed into the old room keeps it for as long as that is needed.
            self.arena = BytesMut::with_capacity(worst.max(ARENA_BYTES));
        }
        self.arena.resize(worst, 0);
        let packed = compress_into_with_table(raw, &mut self.arena, &mut self.table);
        let len = packed.expect("there is room for the worst case");
        let gains = len <= raw.len() - raw.len() / 16;
        self.arena.truncate(if gains { len } else { 0 });
        gains.then(|| self.arena.split().freeze())
    }
}

/// Whether bytes are spread as evenly as those of what is packed or encrypted already.
fn is_noise(data: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    for byte in data.iter().step_by(data.len() / LOOKS).take(LOOKS) {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|word| word.count_ones()).sum::<u32>() >= NOISE_VALUES_MIN
}

/// Packers that are kept for the next put: as many as were ever used at once.
#[derive(Default)]
pub(super) struct Packers(Mutex<Vec<Packer>>);

impl Packers {
    /// A packer, until it is dropped.
    pub(super) fn lend(&self) -> Lent<'_> {
        let kept = self.0.lock().expect("nothing panics while it takes a packer").pop();
        Lent { packer: Some(kept.unwrap_or_default()), home: self }
    }
}

/// A packer that goes back to the others.
pub(super) struct Lent<'a> {
    /// Always, until it goes back.
    packer: Option<Packer>,
    home: &'a Packers,
}

impl Deref for Lent<'_> {
    type Target = Packer;

    fn deref(&self) -> &Packer {
        self.packer.as_ref().expect("it has not gone back")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Packer {
        self.packer.as_mut().expect("it has not gone back")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Ok(mut kept) = self.home.0.lock() {
            kept.extend(self.packer.take());
        }
    }
}
