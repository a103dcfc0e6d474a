//! File descriptor limit.
//!
//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one and returns it; `None` is no limit. Systems keep the
/// soft one at 1,024 for programs that still use `select`, and a node needs two files for each
/// segment and a socket for each caller.
///
/// A limit that cannot be raised is logged and stays.
pub fn raise_descriptor_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(?current, ?maximum, %error, "the limit of open files stays");
            current
        }
    }
}
