//! Repositories: packs in the cluster, names in the catalog, served as the protocol asks.
//!
//! A push comes in by [`receive`] (`intake` takes the pack, `seal` makes what is known of it
//! durable, `update` has the catalog name it); a fetch goes out by `upload`, over the objects that
//! `objects` finds in packs that `stored` opens. [`whole`] is for those who copy or check all of a
//! repository.

mod contents;
mod descriptor;
mod gateway;
mod intake;
mod numbers;
mod objects;
mod opened;
mod receive;
mod seal;
mod stored;
mod update;
mod upload;
pub mod whole;

pub use contents::PackContents;
pub use gateway::{Gateway, GatewayOptions, Served};
