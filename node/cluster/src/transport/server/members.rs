//! Addresses of members.
//!
//! Whether a connection comes from a member of the layout, as far as its address tells.
//!
//! An address proves nothing: it decides who has a reserve, and nothing else. What a name of the
//! layout stands for is known once it was dialled.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use gitstratum_core::limits;
use gitstratum_core::placement::CurrentLayout;

/// What names resolved to when they were last dialled. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Resolved(Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>);

impl Resolved {
    /// Notes the addresses of `HOST:PORT`.
    pub fn note(&self, name: &str, addresses: &[SocketAddr]) {
        // What is an address says so itself.
        if name.parse::<SocketAddr>().is_ok() {
            return;
        }
        let mut names = self.0.lock().expect("nothing panics while it notes a name");
        if names.len() < 2 * limits::MEMBERS_MAX || names.contains_key(name) {
            let addresses = addresses.iter().map(|address| address.ip().to_canonical());
            names.insert(name.to_owned(), addresses.collect());
        }
    }

    /// Whether some member of the layout is at this address.
    pub(super) fn is_member(&self, address: IpAddr, layout: &CurrentLayout) -> bool {
        let address = address.to_canonical();
        let names = self.0.lock().expect("nothing panics while it notes a name");
        layout.get().members.iter().any(|member| match member.address.parse::<SocketAddr>() {
            Ok(stated) => stated.ip().to_canonical() == address,
            Err(_) => names.get(&member.address).is_some_and(|known| known.contains(&address)),
        })
    }
}
