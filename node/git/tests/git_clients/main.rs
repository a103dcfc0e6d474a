//! Stock git as the client of this server, in one process: repositories are on disk and handled by
//! git itself, so that what goes wrong is the protocol's or the HTTP server's doing.
#![cfg(not(madsim))]

mod directory;
mod gateway;
mod memory;
mod stock;
mod support;
