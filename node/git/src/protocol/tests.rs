//! What is read from requests, and whole exchanges as they stand on the wire.

mod advertisements;
mod fetches;
mod parsers;
mod pushes;
mod slow;
mod whatever;
