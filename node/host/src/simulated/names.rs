//! Simulated DNS.
//!
//! The name service: what names resolve to, how late that is answered, and what the
//! resolver of each machine still remembers.
//!
//! As on Linux with a caching resolver, what was answered once is answered again from the
//! machine's own memory until its time to live is over, whatever the truth has become;
//! that a name does not exist is not remembered. A machine without power forgets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::wire::MachineId;

/// Names and resolvers of all machines.
#[derive(Default)]
pub(super) struct Names {
    addresses: BTreeMap<String, Ipv4Addr>,
    time_to_live: Duration,
    delay: Duration,
    /// What resolvers remember, and until when.
    remembered: BTreeMap<(MachineId, String), (Ipv4Addr, Duration)>,
}

impl Names {
    pub(super) fn set(&mut self, name: &str, address: Option<Ipv4Addr>) {
        match address {
            Some(address) => self.addresses.insert(name.to_owned(), address),
            None => self.addresses.remove(name),
        };
    }

    pub(super) fn set_time_to_live(&mut self, time_to_live: Duration) {
        self.time_to_live = time_to_live;
    }

    pub(super) fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// What a resolver remembers of a name; else how long the name service will take.
    pub(super) fn recall(
        &self,
        now: Duration,
        machine: MachineId,
        name: &str,
    ) -> Result<Ipv4Addr, Duration> {
        match self.remembered.get(&(machine, name.to_owned())) {
            Some((address, until)) if now < *until => Ok(*address),
            _ => Err(self.delay),
        }
    }

    /// The name service's answer, which the resolver remembers.
    pub(super) fn ask(
        &mut self,
        now: Duration,
        machine: MachineId,
        name: &str,
    ) -> Option<Ipv4Addr> {
        let address = *self.addresses.get(name)?;
        if self.time_to_live > Duration::ZERO {
            let until = now + self.time_to_live;
            self.remembered.insert((machine, name.to_owned()), (address, until));
        }
        Some(address)
    }

    pub(super) fn forget(&mut self, machine: MachineId) {
        self.remembered.retain(|(who, _), _| *who != machine);
    }
}
