//! Behaviours of this room.
