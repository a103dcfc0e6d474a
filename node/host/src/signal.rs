//! The operator's or the supervisor's request to stop.
