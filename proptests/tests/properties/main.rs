//! Properties that hold for every valid input, not only for the examples in unit tests.

mod allocations;
mod manifest;
mod object;
mod placement;
mod reconcile;
mod store_files;
mod writer;
