//! Field codecs: how values of other rooms and packages stand in CBOR and in JSON.
//!
//! Those types know neither form. The modules here are named in `#[cbor(with = …)]` and
//! `#[serde(with = …)]`.

pub mod cbor;
pub mod json;
mod layout;
