//! What every room of GitStratum speaks of: objects and their ids, who belongs to a cluster
//! and which members hold an object, what a replica is asked and answers, which request some work
//! belongs to, and every bound.
//!
//! Nothing here opens a file or a connection.

pub mod accept;
pub mod backoff;
pub mod config_text;
pub mod format;
pub mod job;
pub mod limits;
pub mod log_lines;
pub mod metrics;
pub mod object;
pub mod placement;
pub mod replica;
pub mod seldom;
pub mod throttle;
pub mod token_bucket;
pub mod trace;
