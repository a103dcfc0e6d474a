//! Fair shares.
//!
//! What is bounded, and who holds how much of it: an address has a share, all clients together have
//! one, and so has each member of the cluster; beside the clients there is room for members.
//!
//! Invariant: what is held is held by a [`Held`], and given back when that is dropped; an address
//! that holds nothing takes no memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

/// How much of something there is, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portions {
    /// In all.
    pub all: usize,
    /// For all clients together, and for a member.
    pub of_clients: usize,
    /// For the clients at one address.
    pub of_one: usize,
}

/// Who is on the other side of a connection, as far as its address tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose address it is: of IPv6, the first half, which is one customer's.
    pub source: IpAddr,
    /// Whether it is that of a member of the layout.
    pub is_member: bool,
}

impl Origin {
    /// Of a connection from this address.
    pub fn new(peer: SocketAddr, is_member: bool) -> Self {
        let source = match peer.ip().to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        };
        Origin { source, is_member }
    }
}

/// Whose portion is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// All there is.
    All(usize),
    /// What clients may hold.
    OfClients(usize),
    /// What the caller's address may hold.
    OfOne(usize),
}

impl Exhausted {
    /// So many of `things`, and whose.
    pub fn of(self, things: &str) -> String {
        match self {
            Exhausted::All(limit) => format!("{limit} {things}"),
            Exhausted::OfClients(limit) => format!("{limit} {things} of clients"),
            Exhausted::OfOne(limit) => format!("{limit} {things} of one address"),
        }
    }
}

/// Something bounded that is shared.
#[derive(Debug)]
pub struct Shares {
    portions: Portions,
    held: Mutex<Use>,
}

#[derive(Debug, Default)]
struct Use {
    all: usize,
    of_clients: usize,
    /// Without addresses that hold nothing.
    of_each: BTreeMap<IpAddr, usize>,
}

impl Shares {
    /// Of so much, none of which is held.
    pub fn new(portions: Portions) -> Arc<Self> {
        Arc::new(Shares { portions, held: Mutex::default() })
    }

    /// Holds `amount` for `origin`.
    ///
    /// # Errors
    /// [`Exhausted`]; nothing is held then.
    pub fn take(self: &Arc<Self>, origin: Origin, amount: usize) -> Result<Held, Exhausted> {
        let mut held = Held { shares: self.clone(), origin, amount: 0 };
        held.grow(amount)?;
        Ok(held)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Use) -> T) -> T {
        change(&mut self.held.lock().expect("nothing panics while it counts"))
    }
}

/// Part of something shared.
#[derive(Debug)]
pub struct Held {
    shares: Arc<Shares>,
    origin: Origin,
    amount: usize,
}

impl Held {
    /// Holds `more` beside.
    ///
    /// # Errors
    /// [`Exhausted`]; as much is held as before.
    pub fn grow(&mut self, more: usize) -> Result<(), Exhausted> {
        if more == 0 {
            return Ok(());
        }
        let (origin, portions) = (self.origin, self.shares.portions);
        let share = if origin.is_member { portions.of_clients } else { portions.of_one };
        self.shares.change(|held| {
            let of_one = held.of_each.get(&origin.source).copied().unwrap_or_default();
            if more > share.saturating_sub(of_one) {
                return Err(Exhausted::OfOne(share));
            }
            if more > portions.all.saturating_sub(held.all) {
                return Err(Exhausted::All(portions.all));
            }
            if !origin.is_member {
                if more > portions.of_clients.saturating_sub(held.of_clients) {
                    return Err(Exhausted::OfClients(portions.of_clients));
                }
                held.of_clients += more;
            }
            held.all += more;
            held.of_each.insert(origin.source, of_one + more);
            Ok(())
        })?;
        self.amount += more;
        Ok(())
    }

    /// Gives some back; all but `rest` of it.
    pub fn shrink_to(&mut self, rest: usize) {
        let less = self.amount.saturating_sub(rest);
        if less == 0 {
            return;
        }
        let origin = self.origin;
        self.shares.change(|held| {
            held.all -= less;
            if !origin.is_member {
                held.of_clients -= less;
            }
            if let Entry::Occupied(mut of_one) = held.of_each.entry(origin.source) {
                *of_one.get_mut() -= less;
                if *of_one.get() == 0 {
                    of_one.remove();
                }
            }
        });
        self.amount -= less;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTIONS: Portions = Portions { all: 8, of_clients: 6, of_one: 4 };

    fn origin(address: &str, is_member: bool) -> Origin {
        Origin::new(SocketAddr::new(address.parse().unwrap(), 1), is_member)
    }

    #[test]
    fn an_address_has_a_share_clients_have_one_and_the_rest_is_for_members() {
        let shares = Shares::new(PORTIONS);
        let (one, other) = (origin("192.0.2.1", false), origin("192.0.2.2", false));
        let (member, another) = (origin("192.0.2.3", true), origin("192.0.2.4", true));
        let mut held: Vec<_> = (0..4).map(|_| shares.take(one, 1).unwrap()).collect();
        assert_eq!(shares.take(one, 1).unwrap_err(), Exhausted::OfOne(4));
        held.push(shares.take(other, 2).unwrap());
        assert_eq!(shares.take(other, 1).unwrap_err(), Exhausted::OfClients(6));
        held.push(shares.take(member, 2).unwrap());
        assert_eq!(shares.take(member, 1).unwrap_err(), Exhausted::All(8));
        drop(held);
        let held = shares.take(member, 6).unwrap();
        assert_eq!(shares.take(member, 1).unwrap_err(), Exhausted::OfOne(6));
        drop((held, shares.take(another, 2).unwrap()));
        let nothing = shares.change(|held| (held.all, held.of_clients, held.of_each.len()));
        assert_eq!(nothing, (0, 0, 0), "all of it came back");
    }

    #[test]
    fn what_grows_and_shrinks_counts_as_it_is() {
        let shares = Shares::new(PORTIONS);
        let mut held = shares.take(origin("192.0.2.1", false), 0).unwrap();
        held.grow(3).unwrap();
        assert_eq!(held.grow(2), Err(Exhausted::OfOne(4)));
        held.shrink_to(1);
        held.grow(3).unwrap();
        held.shrink_to(0);
        assert_eq!(shares.change(|held| held.all), 0);
    }

    #[test]
    fn addresses_of_one_customer_share_one_share() {
        let same = |one, other| origin(one, false).source == origin(other, false).source;
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    }
}
