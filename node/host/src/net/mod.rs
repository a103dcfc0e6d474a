//! TCP and name resolution.
//!
//! Socket errors carry the `io::ErrorKind` that Linux would give: `ConnectionRefused`,
//! `ConnectionReset`, `TimedOut`, `HostUnreachable`, `AddrInUse`; an unknown name is
//! `NotFound`. Every socket has `TCP_NODELAY`.

#[cfg(not(madsim))]
mod real;
#[cfg(madsim)]
pub(crate) mod simulated;

#[cfg(not(madsim))]
pub use real::{Listener, Net, Stream};
#[cfg(madsim)]
pub use simulated::{Listener, Net, Stream};
