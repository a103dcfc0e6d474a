//! Pages give the same bytes as a plain row of bytes, and copies share nothing visible.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::disk::simulated::contents::{Contents, PAGE_BYTES};

#[test]
fn pages_hold_what_a_row_of_bytes_would() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let (mut pages, mut row) = (Contents::default(), Vec::<u8>::new());
    let mut copies = Vec::new();
    for round in 0..2000 {
        // Near the ends of pages, where mistakes are.
        let at = rng.random_range(0..4) * PAGE_BYTES + rng.random_range(0..3);
        let at = at.saturating_sub(rng.random_range(0..3)) as usize;
        match rng.random_range(0..4) {
            0 => {
                row.resize(at, 0);
                pages.set_len(at as u64);
            }
            1 if at < row.len() => {
                row[at] ^= 1 << (round % 8);
                pages.flip_bit(at as u64 * 8 + round % 8);
            }
            _ => {
                let bytes = vec![round as u8; rng.random_range(0..2 * PAGE_BYTES) as usize];
                if !bytes.is_empty() {
                    row.resize(row.len().max(at + bytes.len()), 0);
                    row[at..at + bytes.len()].copy_from_slice(&bytes);
                }
                pages.write(at as u64, &bytes);
            }
        }
        assert_eq!(pages.len(), row.len() as u64);
        assert_eq!(pages.read(0, u64::MAX), row);
        let (from, to) = (at.min(row.len()), (at + 5000).min(row.len()));
        assert_eq!(pages.read(at as u64, 5000), row[from..to]);
        if round % 100 == 0 {
            copies.push((pages.clone(), row.clone()));
        }
    }
    for (pages, row) in copies {
        assert_eq!(pages.read(0, u64::MAX), row, "a copy changed");
    }
}
