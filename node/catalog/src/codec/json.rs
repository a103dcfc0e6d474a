//! JSON of single values: ids in hexadecimal, names as they are, the layout as its document.

/// An object id in hexadecimal.
pub mod oid {
    use gitstratum_core::object::ObjectId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes an id.
    pub fn serialize<S: Serializer>(id: &ObjectId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    /// Reads an id.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectId, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// An object id that may be missing, of few values that have one.
pub mod boxed_oid_option {
    use gitstratum_core::object::ObjectId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Writes an id, or null.
    pub fn serialize<S: Serializer>(id: &Option<Box<ObjectId>>, to: S) -> Result<S::Ok, S::Error> {
        id.as_ref().map(|id| id.to_string()).serialize(to)
    }

    /// Reads an id, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Box<ObjectId>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map(Box::new).map_err(D::Error::custom)).transpose()
    }
}

/// Git's name of the hash, such as `sha1`.
pub mod algorithm {
    use gitstratum_core::object::HashAlgorithm;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes an algorithm.
    pub fn serialize<S: Serializer>(algorithm: &HashAlgorithm, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(algorithm.as_str())
    }

    /// Reads an algorithm.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HashAlgorithm, D::Error> {
        let name = String::deserialize(from)?;
        let known = [HashAlgorithm::Sha1, HashAlgorithm::Sha256];
        let named = known.into_iter().find(|algorithm| algorithm.as_str() == name);
        let wrong = || D::Error::custom(format!("{name:?} is neither \"sha1\" nor \"sha256\""));
        named.ok_or_else(wrong)
    }
}

/// The id of a node.
pub mod node_id {
    use gitstratum_core::placement::NodeId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes an id.
    pub fn serialize<S: Serializer>(id: &NodeId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(id.as_str())
    }

    /// Reads an id.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NodeId, D::Error> {
        NodeId::checked(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Text that many values share.
pub mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the text.
    pub fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

/// A value that several hold.
pub mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the value.
    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    /// Reads the value.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

/// Bytes in hexadecimal.
pub mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the bytes.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    /// Reads the bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A layout as the document that operators write.
pub mod layout {
    use std::sync::Arc;

    use gitstratum_core::placement::{Layout, layout_from_toml, layout_to_toml};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a validated layout.
    pub fn serialize<S: Serializer>(layout: &Arc<Layout>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&layout_to_toml(layout))
    }

    /// Reads and validates a layout.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Layout>, D::Error> {
        let text = String::deserialize(from)?;
        layout_from_toml(&text, "layout").map(Arc::new).map_err(D::Error::custom)
    }
}
