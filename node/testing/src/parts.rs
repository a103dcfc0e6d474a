//! Scripted large object.
//!
//! An object in parts, as a scripted replica sends it.

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_core::limits;
use gitstratum_core::object::{Object, ObjectHead};
use gitstratum_core::replica::{LargeReader, StoreError};

/// Bytes that are sent of an object that breaks off, one by one.
const BEFORE_BREAK: usize = 3;

/// What is wrong with the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// They break off.
    BreaksOff,
    /// They break off, and the first byte is another than was stored.
    Rotten,
}

/// An object on its way out.
pub struct ObjectParts {
    object: Object,
    data: Bytes,
    part_bytes: usize,
    fault: Fault,
    sent: usize,
}

impl ObjectParts {
    /// From the beginning.
    pub fn new(object: Object, fault: Fault) -> Self {
        let mut data = object.data().clone();
        if fault == Fault::Rotten {
            let mut rotten = data.to_vec();
            rotten[0] ^= 2;
            data = rotten.into();
        }
        let part_bytes = if fault == Fault::None { limits::PART_BYTES_MAX } else { 1 };
        ObjectParts { object, data, part_bytes, fault, sent: 0 }
    }
}

#[async_trait]
impl LargeReader for ObjectParts {
    fn head(&self) -> ObjectHead {
        self.object.head()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.fault != Fault::None && self.sent == BEFORE_BREAK {
            return Err(StoreError::Closed);
        }
        let end = self.data.len().min(self.sent + self.part_bytes);
        let part = self.data.slice(self.sent..end);
        self.sent = end;
        Ok((!part.is_empty()).then_some(part))
    }
}
