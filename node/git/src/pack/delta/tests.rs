//! Tests of deltas: what instructions make, and that nothing else than a whole delta passes.

use proptest::prelude::*;

use super::{DeltaError, apply, sizes};

const MAX: u64 = 1 << 20;

fn size(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn delta(base: u64, result: u64, instructions: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    size(base, &mut out);
    size(result, &mut out);
    out.extend_from_slice(instructions);
    out
}

#[test]
fn copies_and_literals_make_the_result() {
    let made = apply(b"0123456789", &delta(10, 7, b"\x91\x02\x03\x02ab\x90\x02"), MAX);
    assert_eq!(made.unwrap(), b"234ab01");
}

#[test]
fn a_copy_of_length_zero_is_one_of_64_kib() {
    let base: Vec<u8> = (0..0x1_0000u32).map(|at| at as u8).collect();
    assert_eq!(apply(&base, &delta(0x1_0000, 0x1_0000, b"\x80"), MAX).unwrap(), base);
}

#[test]
fn what_is_not_exactly_right_is_refused() {
    let cases: [(Vec<u8>, DeltaError); 11] = [
        (vec![], DeltaError::Truncated),
        (vec![10, 0], DeltaError::Truncated),
        (vec![0xff; 30], DeltaError::Truncated),
        (delta(9, 2, b"\x02ab"), DeltaError::BaseSize { claimed: 9, actual: 10 }),
        (delta(10, MAX + 1, b"\x02ab"), DeltaError::TooLarge { size: MAX + 1, max: MAX }),
        (delta(10, 3, b"\x02ab"), DeltaError::ResultSize(3)),
        (delta(10, 1, b"\x02ab"), DeltaError::ResultSize(1)),
        (delta(10, 2, b"\x03ab"), DeltaError::Truncated),
        (delta(10, 2, b"\x91\x02"), DeltaError::Truncated),
        (delta(10, 3, b"\x91\x08\x03"), DeltaError::CopyPastEnd),
        (delta(10, 2, b"\x00\x02ab"), DeltaError::ReservedOpcode),
    ];
    for (delta, error) in cases {
        assert_eq!(apply(b"0123456789", &delta, MAX), Err(error), "{delta:x?}");
    }
}

#[derive(Clone, Debug)]
enum Instruction {
    Copy(usize, usize),
    Literal(Vec<u8>),
}

fn instructions() -> impl Strategy<Value = (Vec<u8>, Vec<Instruction>)> {
    proptest::collection::vec(any::<u8>(), 1..300).prop_flat_map(|base| {
        let len = base.len();
        let copy = (0..len).prop_flat_map(move |from| {
            (1..=len - from).prop_map(move |len| Instruction::Copy(from, len))
        });
        let literal = proptest::collection::vec(any::<u8>(), 1..127).prop_map(Instruction::Literal);
        (Just(base), proptest::collection::vec(prop_oneof![copy, literal], 1..20))
    })
}

proptest! {
    #[test]
    fn any_instructions_are_followed((base, instructions) in instructions()) {
        let (mut encoded, mut expected) = (Vec::new(), Vec::new());
        for instruction in &instructions {
            match instruction {
                Instruction::Copy(from, len) => {
                    encoded.push(0b1011_0011);
                    encoded.extend_from_slice(&(*from as u16).to_le_bytes());
                    encoded.extend_from_slice(&(*len as u16).to_le_bytes());
                    expected.extend_from_slice(&base[*from..from + len]);
                }
                Instruction::Literal(bytes) => {
                    encoded.push(bytes.len() as u8);
                    encoded.extend_from_slice(bytes);
                    expected.extend_from_slice(bytes);
                }
            }
        }
        let delta = delta(base.len() as u64, expected.len() as u64, &encoded);
        prop_assert_eq!(apply(&base, &delta, MAX).unwrap(), expected);
        for cut in 0..delta.len() {
            prop_assert!(apply(&base, &delta[..cut], MAX).is_err());
        }
    }

    #[test]
    fn no_bytes_make_a_result_of_another_size_than_they_say(
        base in proptest::collection::vec(any::<u8>(), 0..64),
        mut bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = base.len() as u8;
        }
        if let Ok(result) = apply(&base, &bytes, MAX) {
            prop_assert_eq!(result.len() as u64, sizes(&bytes).unwrap().result);
        }
    }
}
