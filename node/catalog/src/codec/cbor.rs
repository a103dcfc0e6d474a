//! CBOR of single values: ids as byte strings, names as text, the layout as numbered fields.

/// An object id: 20 or 32 bytes.
pub mod oid {
    use gitstratum_core::object::ObjectId;
    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes an id.
    pub fn encode<C, W: Write>(
        id: &ObjectId,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        to.bytes(id.as_bytes())?.ok()
    }

    /// Reads an id.
    pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<ObjectId, decode::Error> {
        let at = from.position();
        ObjectId::from_bytes(from.bytes()?).map_err(|why| decode::Error::message(why).at(at))
    }
}

/// An object id that may be missing.
pub mod oid_option {
    use gitstratum_core::object::ObjectId;
    use minicbor::data::Type;
    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes an id, or null.
    pub fn encode<C, W: Write>(
        id: &Option<ObjectId>,
        to: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match id {
            Some(id) => super::oid::encode(id, to, ctx),
            None => to.null()?.ok(),
        }
    }

    /// Reads an id, or null.
    pub fn decode<C>(
        from: &mut Decoder<'_>,
        ctx: &mut C,
    ) -> Result<Option<ObjectId>, decode::Error> {
        if from.datatype()? == Type::Null {
            from.null()?;
            return Ok(None);
        }
        super::oid::decode(from, ctx).map(Some)
    }

    /// What a field stands for that is not there.
    pub fn nil() -> Option<Option<ObjectId>> {
        Some(None)
    }

    /// Whether it may be left out.
    pub fn is_nil(id: &Option<ObjectId>) -> bool {
        id.is_none()
    }
}

/// The same, of few values that may have one.
pub mod boxed_oid_option {
    use gitstratum_core::object::ObjectId;
    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes an id, or null.
    pub fn encode<C, W: Write>(
        id: &Option<Box<ObjectId>>,
        to: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        super::oid_option::encode(&id.as_deref().copied(), to, ctx)
    }

    /// Reads an id, or null.
    pub fn decode<C>(
        from: &mut Decoder<'_>,
        ctx: &mut C,
    ) -> Result<Option<Box<ObjectId>>, decode::Error> {
        super::oid_option::decode(from, ctx).map(|id| id.map(Box::new))
    }

    /// What a field stands for that is not there.
    pub fn nil() -> Option<Option<Box<ObjectId>>> {
        Some(None)
    }

    /// Whether it may be left out.
    pub fn is_nil(id: &Option<Box<ObjectId>>) -> bool {
        id.is_none()
    }
}

/// A flag that takes no room where it is not set, as in all that was written before there was one.
pub mod flag {
    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes a flag.
    pub fn encode<C, W: Write>(
        flag: &bool,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match flag {
            true => to.bool(true)?.ok(),
            false => to.null()?.ok(),
        }
    }

    /// Reads a flag.
    pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<bool, decode::Error> {
        if from.datatype()? == minicbor::data::Type::Null {
            from.null()?;
            return Ok(false);
        }
        from.bool()
    }

    /// What a field stands for that is not there.
    pub fn nil() -> Option<bool> {
        Some(false)
    }

    /// Whether it may be left out.
    pub fn is_nil(flag: &bool) -> bool {
        !flag
    }
}

/// The hash of a repository's objects: git's number for it.
pub mod algorithm {
    use gitstratum_core::object::HashAlgorithm;
    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes an algorithm.
    pub fn encode<C, W: Write>(
        algorithm: &HashAlgorithm,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        let number = match algorithm {
            HashAlgorithm::Sha1 => 1,
            HashAlgorithm::Sha256 => 2,
        };
        to.u8(number)?.ok()
    }

    /// Reads an algorithm.
    pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<HashAlgorithm, decode::Error> {
        let at = from.position();
        match from.u8()? {
            1 => Ok(HashAlgorithm::Sha1),
            2 => Ok(HashAlgorithm::Sha256),
            _ => Err(decode::Error::message("no object format has this number").at(at)),
        }
    }
}

/// The id of a node.
pub mod node_id {
    use gitstratum_core::placement::NodeId;
    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes an id.
    pub fn encode<C, W: Write>(
        id: &NodeId,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        to.str(id.as_str())?.ok()
    }

    /// Reads an id.
    pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<NodeId, decode::Error> {
        let at = from.position();
        NodeId::checked(from.str()?).map_err(|why| decode::Error::message(why).at(at))
    }
}

/// Text that many values share.
pub mod shared_text {
    use std::sync::Arc;

    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    /// Writes the text.
    pub fn encode<C, W: Write>(
        text: &Arc<str>,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        to.str(text)?.ok()
    }

    /// Reads the text.
    pub fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<Arc<str>, decode::Error> {
        from.str().map(Arc::from)
    }
}

/// A value that several hold.
pub mod shared {
    use std::sync::Arc;

    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};
    use minicbor::{Decode, Encode};

    /// Writes the value.
    pub fn encode<C, T: Encode<C>, W: Write>(
        value: &Arc<T>,
        to: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        value.encode(to, ctx)
    }

    /// Reads the value.
    pub fn decode<'b, C, T: Decode<'b, C>>(
        from: &mut Decoder<'b>,
        ctx: &mut C,
    ) -> Result<Arc<T>, decode::Error> {
        T::decode(from, ctx).map(Arc::new)
    }
}

/// A layout with its history; it is checked by whoever applies it.
pub mod layout {
    pub use super::super::layout::{decode, encode};
}
