//! Addresses for nodes that tests start.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A loopback address that nobody listens on now, and that nobody is given until a node listens there:
/// its port is below those that connections take by themselves, and each test program has its own.
pub fn listen() -> String {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 20_000;
    const PORTS_OF_A_PROGRAM: u32 = 64;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(PORTS_OF_A_PROGRAM).wrapping_add(next);
        let address = format!("127.0.0.1:{}", FIRST + place % PORTS);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
