//! A pack's descriptor: what a repository knows of a pack whose chunks lie in the store.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::codec::json;
use crate::ids::PackId;

/// A pack of a repository. Its chunks and its index are objects of the store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Its id, unique in its repository.
    #[n(0)]
    pub id: PackId,
    /// Bytes of its body.
    #[n(1)]
    pub bytes: u64,
    /// Objects in it.
    #[n(2)]
    pub objects: u64,
    /// Chunks that its body is cut into.
    #[n(3)]
    pub chunks: u32,
    /// Where it came from and what is needed to read it: for those who write and read packs, and
    /// opaque here.
    #[cbor(n(4), with = "minicbor::bytes")]
    #[serde(with = "json::hex_bytes")]
    pub source: Vec<u8>,
}
