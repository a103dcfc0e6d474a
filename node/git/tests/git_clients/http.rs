//! HTTP as other clients may speak it, right and wrong.
