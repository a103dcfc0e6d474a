//! Network abstraction.
//!
//! TCP and name resolution.
//!
//! Socket errors carry the `io::ErrorKind` that Linux would give: `ConnectionRefused`,
//! `ConnectionReset`, `TimedOut`, `HostUnreachable`, `AddrInUse`; an unknown name is
//! `NotFound`. Every socket has `TCP_NODELAY`.

use std::fmt;
use std::io;

#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
pub(crate) mod simulated;
#[cfg(all(test, not(madsim)))]
mod tests;

#[cfg(not(madsim))]
pub use real::{Listener, Net, Stream};
#[cfg(madsim)]
pub use simulated::{Listener, Net, Stream};

/// Carried by the `NotFound` that `Net::resolve` answers.
#[derive(Debug)]
struct UnknownName {
    name: String,
    source: Option<io::Error>,
}

impl UnknownName {
    fn error(name: &str, source: Option<io::Error>) -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, UnknownName { name: name.to_owned(), source })
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no known address", self.name)
    }
}

impl std::error::Error for UnknownName {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
