//! HTTP as clients may speak it, right and wrong, over a stream in memory.

mod bodies;
mod parsers;
mod requests;
mod stalls;
mod streams;
mod support;
