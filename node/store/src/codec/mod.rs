//! Encoding of objects into records and back: compression, and records before they are written.
//! Pure: nothing here does I/O.

pub(crate) mod decode;
pub(crate) mod draft;
pub(crate) mod pack;
pub(crate) mod spare;
