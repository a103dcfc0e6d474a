//! Stacks without a wire, and a wire without stacks: what would take luck to meet in a
//! whole world.

use std::net::SocketAddrV4;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::*;
use crate::simulated::clock::Clock;
use crate::simulated::kernel::Kernel;
use crate::simulated::packet::{self, Packet};
use crate::simulated::stack::{SocketId, Stack};
use crate::simulated::wire::Wire;

struct Pair {
    server: Stack,
    client: Stack,
    listener: SocketId,
    now: Duration,
}

impl Pair {
    fn new() -> Self {
        let now = Duration::from_secs(1);
        let mut server = Stack::new(SERVER, 1, now);
        let (listener, _) = server.listen(SocketAddrV4::new(SERVER, PORT)).unwrap();
        Pair { server, client: Stack::new(CLIENT, 2, now), listener, now }
    }

    fn dial(&mut self) -> SocketId {
        self.client.connect(SocketAddrV4::new(SERVER, PORT)).unwrap()
    }

    fn accept(&mut self) -> Option<SocketId> {
        match self.server.poll_accept(&mut context(), self.listener, PORT) {
            Poll::Ready(accepted) => Some(accepted.unwrap().0),
            Poll::Pending => None,
        }
    }

    /// Carries packets until neither has more to say; returns what the server said.
    fn exchange(&mut self) -> Vec<Packet> {
        let mut said = Vec::new();
        loop {
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            self.client.poll(self.now, &mut to_server);
            self.server.poll(self.now, &mut to_client);
            if to_server.is_empty() && to_client.is_empty() {
                return said;
            }
            said.extend(to_client.iter().cloned());
            self.server.inbox.extend(to_server);
            self.client.inbox.extend(to_client);
        }
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_port_can_be_dialled_from_again_while_the_other_side_still_waits() {
    let mut pair = Pair::new();
    let dialled = pair.dial();
    pair.exchange();
    let accepted = pair.accept().expect("the handshake is done");

    // Who closes first keeps the connection in TIME-WAIT.
    pair.server.close(pair.now, accepted);
    pair.exchange();
    let port = pair.client.addresses(dialled).unwrap().0.port();
    pair.client.close(pair.now, dialled);
    pair.exchange();
    assert_eq!((pair.client.entries.len(), pair.server.entries.len()), (0, 1));

    pair.client.next_port = port;
    let again = pair.dial();
    pair.exchange();
    assert_eq!(pair.client.addresses(again).unwrap().0.port(), port);
    assert!(pair.client.poll_connected(&mut context(), again).is_ready());
    assert!(pair.accept().is_some());
}

#[test]
fn a_machine_that_forgot_a_connection_dials_from_its_port_again() {
    for seed in 3..23 {
        let mut pair = Pair::new();
        let dialled = pair.dial();
        pair.exchange();
        let accepted = pair.accept().expect("the handshake is done");
        let port = pair.client.addresses(dialled).unwrap().0.port();

        // Its power was cut, and the server heard nothing of it.
        pair.client = Stack::new(CLIENT, seed, pair.now);
        pair.client.next_port = port;
        let again = pair.dial();
        pair.exchange();
        assert!(pair.client.poll_connected(&mut context(), again).is_pending());
        let mut byte = [0];
        let read =
            pair.server.poll_read(&mut context(), accepted, &mut ReadBuf::new(&mut byte)).result;
        let Poll::Ready(Err(error)) = read else { panic!("what it was is over: {read:?}") };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

        // The next SYN meets nothing.
        pair.now += Duration::from_secs(1);
        pair.exchange();
        assert!(pair.client.poll_connected(&mut context(), again).is_ready());
        assert_eq!(pair.client.addresses(again).unwrap().0.port(), port);
        assert!(pair.accept().is_some());
    }
}

#[test]
fn a_connection_in_time_wait_is_forgotten_in_the_end() {
    let mut pair = Pair::new();
    let dialled = pair.dial();
    pair.exchange();
    let accepted = pair.accept().expect("the handshake is done");
    pair.server.close(pair.now, accepted);
    pair.exchange();
    pair.client.close(pair.now, dialled);
    pair.exchange();

    let next = pair.server.poll(pair.now, &mut Vec::new()).expect("a timer runs");
    assert!(next > pair.now);
    pair.now += Duration::from_secs(60);
    assert_eq!(pair.server.poll(pair.now, &mut Vec::new()), None);
    assert_eq!(pair.server.entries.len(), 0);
}

#[test]
fn a_connection_that_nobody_owns_is_forgotten_when_its_peer_stays_silent() {
    let mut pair = Pair::new();
    pair.dial();
    pair.exchange();
    let accepted = pair.accept().expect("the handshake is done");
    pair.server.close(pair.now, accepted);
    pair.server.poll(pair.now, &mut Vec::new());
    assert_eq!(pair.server.entries.len(), 1);
    pair.now += Duration::from_secs(60);
    pair.server.poll(pair.now, &mut Vec::new());
    assert_eq!(pair.server.entries.len(), 0);
}

#[test]
fn packets_of_one_direction_do_not_overtake_each_other() {
    simulate(41, |_| async {
        let wide = Duration::ZERO..=Duration::from_millis(50);
        let mut wire = Wire::new(1, Link { latency: wide, loss: 0.0 });
        let (from, to) = (wire.machine("client"), wire.machine("server"));
        wire.claim_address(to, SERVER);
        wire.attach(to, SERVER, Kernel::new(Clock::current(), SERVER, 1));
        for number in 0..100 {
            // An IPv4 header, as far as the wire reads it.
            let mut packet = vec![0x45; 20];
            packet[16..20].copy_from_slice(&SERVER.octets());
            packet.push(number);
            wire.send(Duration::from_micros(number.into()), from, packet);
        }
        let mut arrived = Vec::new();
        wire.take_arrived(Duration::from_secs(1), &mut arrived);
        let numbers: Vec<u8> = arrived.iter().map(|(_, packet)| packet[20]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    });
}

#[test]
fn callers_beyond_the_backlog_are_not_answered_and_get_in_later() {
    let mut pair = Pair::new();
    for _ in 0..1024 {
        pair.dial();
    }
    pair.exchange();
    let late = pair.dial();
    assert_eq!(pair.exchange(), Vec::<Packet>::new(), "neither accepted nor refused");
    assert!(pair.client.poll_connected(&mut context(), late).is_pending());

    assert!(pair.accept().is_some());
    pair.now += Duration::from_secs(2);
    let said = pair.exchange();
    assert!(said.iter().all(|packet| !packet::segment(packet).unwrap().resets));
    assert!(pair.client.poll_connected(&mut context(), late).is_ready());
}
