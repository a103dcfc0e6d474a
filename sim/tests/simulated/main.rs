//! Tests of the node on simulated machines that need no scenario. One program, because what it is
//! linked from takes a minute to compile.
#![cfg(madsim)]

mod pool;
mod round_trips;
