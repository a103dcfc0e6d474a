//! The pool on simulated machines: one dial for all, ages, bounds, dead flows.
//!
//! Here and not beside the pool, because most of it is about minutes that pass, and about
//! machines that vanish.

mod bounds;
mod dials;
mod freshness;
mod world;
