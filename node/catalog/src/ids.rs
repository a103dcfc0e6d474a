//! Identifiers of what the catalog knows: numbers that it gives and never gives again, and byte
//! strings that others drew or computed.

use std::fmt;
use std::str::FromStr;

use gitstratum_core::limits::PUSH_LEASE;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that the catalog counts up.
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Encode, Decode, Serialize, Deserialize)]
        #[cbor(transparent)]
        #[serde(transparent)]
        pub struct $name(#[n(0)] pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// A repository, through all its names. Never given to another.
    RepositoryId
}

number_id! {
    /// A node as the consensus engine knows it: one directory of one machine. A node that comes
    /// with an empty disk gets another, so that a forgotten vote is nobody's.
    RaftId
}

number_id! {
    /// An access token, which its holder knows by its secret and everybody else by this.
    TokenId
}

/// Bytes of a fixed number, hexadecimal as text.
macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok($name(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes_id! {
    /// Whoever sends commands, as long as it runs: drawn at its start.
    ClientId, 16
}

bytes_id! {
    /// A data directory, drawn when it was made: a node id belongs to one of them for good.
    DirectoryId, 16
}

bytes_id! {
    /// A pack of a repository: when it was begun, in unix milliseconds and big-endian, then what was
    /// drawn for it.
    PackId, 32
}

impl PackId {
    /// When the pack was begun, in unix milliseconds.
    pub fn begun_at_ms(&self) -> u64 {
        let mut time = [0; 8];
        time.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(time)
    }

    /// The last moment of the pack's lease, in unix milliseconds.
    pub fn leased_until_ms(&self) -> u64 {
        self.begun_at_ms().saturating_add(PUSH_LEASE.as_millis() as u64)
    }

    /// Whether the pack is too old to be named for the first time when the catalog's clock says
    /// this. Once it does, what is stored of a pack that no repository has is litter.
    pub fn is_expired(&self, clock_ms: u64) -> bool {
        clock_ms > self.leased_until_ms()
    }
}

bytes_id! {
    /// The hash of an access token's secret.
    TokenHash, 32
}
