//! Delta decoder: an object as instructions over another one.

/// The object that a delta makes of its base.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn apply(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, String> {
    let mut rest = delta;
    let base_bytes = size(&mut rest)?;
    if base_bytes != base.len() {
        return Err(format!("a delta is over {base_bytes} bytes, and its base has {}", base.len()));
    }
    let bytes = size(&mut rest)?;
    let mut made = Vec::with_capacity(bytes);
    while let Some((&instruction, after)) = rest.split_first() {
        rest = after;
        if instruction & 0x80 != 0 {
            // Bits 0 to 3 say which bytes of the offset follow, bits 4 to 6 which of the length.
            let mut number = |bits: std::ops::Range<u8>| -> Result<usize, String> {
                let mut number = 0;
                for (place, bit) in bits.enumerate() {
                    if instruction & (1 << bit) != 0 {
                        number |= usize::from(byte(&mut rest)?) << (8 * place);
                    }
                }
                Ok(number)
            };
            let (offset, length) = (number(0..4)?, number(4..7)?);
            let length = if length == 0 { 0x10000 } else { length };
            let copied = base.get(offset..offset + length);
            made.extend_from_slice(copied.ok_or("a delta copies from beyond its base")?);
        } else {
            let inserted = rest.split_at_checked(usize::from(instruction));
            let (inserted, after) = inserted.ok_or("a delta ends in the middle of an insertion")?;
            if inserted.is_empty() {
                return Err("a delta has an instruction without a meaning".to_owned());
            }
            made.extend_from_slice(inserted);
            rest = after;
        }
    }
    match made.len() == bytes {
        true => Ok(made),
        false => Err(format!("a delta makes {} bytes, not {bytes}", made.len())),
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8, String> {
    let (&byte, after) = rest.split_first().ok_or("a delta ends in the middle of a number")?;
    *rest = after;
    Ok(byte)
}

/// Seven bits a byte, the lowest first.
fn size(rest: &mut &[u8]) -> Result<usize, String> {
    let mut size = 0;
    for shift in (0..).step_by(7).take(5) {
        let next = byte(rest)?;
        size |= usize::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(size);
        }
    }
    Err("a delta has a size of more than five bytes".to_owned())
}
