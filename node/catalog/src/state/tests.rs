//! What commands do, and why they are refused.

mod answers;
mod forks;
mod layout;
mod model;
mod nodes;
mod push;
mod repositories;
mod restores;
mod tokens;
