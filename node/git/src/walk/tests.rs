//! Tests of walks, against stock Git and against what follows from the objects alone.

mod against_git;
mod fixture;
mod history;
mod large;
mod made;
mod shallow;
