//! Properties of layout and ring.
