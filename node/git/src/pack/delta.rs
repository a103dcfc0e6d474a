//! Delta encoding.
//!
//! A delta says how long its base and its result are, and then what the result is made of: copies
//! of parts of the base, and bytes of its own. Read as strictly as git does (`patch-delta.c`): both
//! lengths are checked, no copy reaches past the base, nothing is left over, and the opcode that is
//! reserved is refused.

#[cfg(test)]
mod tests;

/// Less is no delta: two lengths, and an instruction.
const DELTA_BYTES_MIN: usize = 4;
/// A copy whose length is given as zero.
const COPY_BYTES_OF_ZERO: usize = 0x1_0000;

/// Why a delta cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It ends within a length or an instruction.
    #[error("it is cut off")]
    Truncated,
    /// It was made for another base.
    #[error("it is for a base of {claimed} bytes, and the base has {actual}")]
    BaseSize {
        /// What the delta says.
        claimed: u64,
        /// What the base has.
        actual: u64,
    },
    /// Its result would be too large.
    #[error("its result has {size} bytes, and {max} is the limit")]
    TooLarge {
        /// What the delta says.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// Its instructions make more or less than it says.
    #[error("its instructions do not make the {0} bytes that it says")]
    ResultSize(u64),
    /// It copies what is not in the base.
    #[error("it copies past the end of its base")]
    CopyPastEnd,
    /// It has an instruction that does not exist.
    #[error("it has the reserved instruction 0")]
    ReservedOpcode,
}

/// What a delta says of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaSizes {
    /// Of the base, in bytes.
    pub base: u64,
    /// Of the result, in bytes.
    pub result: u64,
    /// Of the two numbers that say so.
    pub len: usize,
}

/// The lengths that a delta begins with.
///
/// # Errors
/// [`DeltaError::Truncated`], also for numbers that no length can have.
pub fn sizes(delta: &[u8]) -> Result<DeltaSizes, DeltaError> {
    let mut at = 0;
    let base = size(delta, &mut at)?;
    let result = size(delta, &mut at)?;
    Ok(DeltaSizes { base, result, len: at })
}

fn size(delta: &[u8], at: &mut usize) -> Result<u64, DeltaError> {
    let mut size = 0;
    let mut shift = 0;
    loop {
        let byte = *delta.get(*at).ok_or(DeltaError::Truncated)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if shift >= 64 || bits << shift >> shift != bits {
            return Err(DeltaError::Truncated);
        }
        size |= bits << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
}

/// The result of a delta, of at most `max` bytes.
///
/// # Errors
/// [`DeltaError`].
pub fn apply(base: &[u8], delta: &[u8], max: u64) -> Result<Vec<u8>, DeltaError> {
    if delta.len() < DELTA_BYTES_MIN {
        return Err(DeltaError::Truncated);
    }
    let DeltaSizes { base: base_size, result: size, len } = sizes(delta)?;
    if base_size != base.len() as u64 {
        return Err(DeltaError::BaseSize { claimed: base_size, actual: base.len() as u64 });
    }
    if size > max {
        return Err(DeltaError::TooLarge { size, max });
    }
    let wrong_size = DeltaError::ResultSize(size);
    let size = usize::try_from(size).map_err(|_| wrong_size)?;
    // Room that is not written to takes no memory, whatever the delta says.
    let mut result = Vec::with_capacity(size);
    let mut rest = &delta[len..];
    while let Some((&opcode, after)) = rest.split_first() {
        rest = after;
        let part = if opcode & 0x80 != 0 {
            copied(base, opcode, &mut rest)?
        } else if opcode == 0 {
            return Err(DeltaError::ReservedOpcode);
        } else {
            let (literal, after) =
                rest.split_at_checked(usize::from(opcode)).ok_or(DeltaError::Truncated)?;
            rest = after;
            literal
        };
        if part.len() > size - result.len() {
            return Err(wrong_size);
        }
        result.extend_from_slice(part);
    }
    if result.len() == size { Ok(result) } else { Err(wrong_size) }
}

/// What a copy instruction takes from the base. Its low four bits say which bytes of the offset
/// follow, the next three which of the length.
fn copied<'a>(base: &'a [u8], opcode: u8, rest: &mut &[u8]) -> Result<&'a [u8], DeltaError> {
    let mut number = |bits: u8| {
        let mut number = 0usize;
        for place in 0..4 {
            if bits >> place & 1 != 0 {
                let (&byte, after) = rest.split_first().ok_or(DeltaError::Truncated)?;
                *rest = after;
                number |= usize::from(byte) << (8 * place);
            }
        }
        Ok(number)
    };
    let offset = number(opcode & 0xf)?;
    let len = match number(opcode >> 4 & 7)? {
        0 => COPY_BYTES_OF_ZERO,
        len => len,
    };
    let end = offset.checked_add(len).ok_or(DeltaError::CopyPastEnd)?;
    base.get(offset..end).ok_or(DeltaError::CopyPastEnd)
}
