//! What a node said of the program that it runs.

use std::collections::BTreeSet;

use gitstratum_core::limits::{
    FEATURE_NAME_BYTES_MAX, FEATURES_STATED_MAX, PROGRAM_VERSION_BYTES_MAX,
};
use minicbor::{Decode, Encode};

/// A program as its node states it: the version, and by their names the features that it can apply.
///
/// Names and not an enumeration: what a newer program has is kept by those that do not know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Program {
    /// Its version, such as `0.2.0`.
    #[n(0)]
    pub version: String,
    /// Wire names of the features that it has.
    #[n(1)]
    pub features: BTreeSet<String>,
}

impl Program {
    /// Whether it can be kept, and shown: its words are short and have visible characters alone.
    pub fn is_fit(&self) -> bool {
        let is_fit = |words: &str, bytes_max| {
            words.len() <= bytes_max && words.bytes().all(|byte| byte.is_ascii_graphic())
        };
        is_fit(&self.version, PROGRAM_VERSION_BYTES_MAX)
            && self.features.len() <= FEATURES_STATED_MAX
            && self.features.iter().all(|name| is_fit(name, FEATURE_NAME_BYTES_MAX))
    }
}
