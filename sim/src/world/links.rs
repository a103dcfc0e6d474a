//! Network faults.
//!
//! What a scenario does to links, to the firewall and to the name service.

use std::ops::RangeInclusive;
use std::time::Duration;

use gitstratum_host::simulated::{Firewall, Link, Stray};

use super::{Cluster, Run};
use crate::scenario::{self, NetworkPlan};
use crate::trace::Event;
use crate::workload::{draw_duration, stream};

impl Cluster {
    /// What the plan puts between machines beside links, and the record of every dial.
    pub(super) fn set_up_network(&self, run: &Run) {
        let Run { plan, seed, recorder, .. } = run;
        self.network.set_dns_time_to_live(*plan.network.dns_ttl);
        if let Some(firewall) = &plan.firewall {
            let mut rng = stream(*seed, "firewall");
            let rule = Firewall {
                forgets_after: draw_duration(&mut rng, &firewall.forgets_after),
                stray: match firewall.strays {
                    scenario::Stray::Drop => Stray::Drop,
                    scenario::Stray::Reset => Stray::Reset,
                },
            };
            let all = || self.nodes.keys().cloned().collect();
            let nodes = Some(&firewall.nodes).filter(|nodes| !nodes.is_empty());
            self.network.set_firewall(&nodes.cloned().unwrap_or_else(all), rule);
        }
        let recorder = recorder.clone();
        self.network.observe_dials(move |machine, remote, open| {
            let address = remote.ip().to_string();
            recorder.record(machine, Event::Dialled { address, open });
        });
    }

    /// Changes one direction of a link; what is not given is as at first.
    pub fn change_link(
        &self,
        (from, to): (&str, &str),
        first: &NetworkPlan,
        latency: Option<&RangeInclusive<Duration>>,
        loss: Option<f64>,
    ) {
        let latency = latency.unwrap_or(&first.latency).clone();
        let loss = loss.unwrap_or(first.loss);
        let latency_us = [latency.start(), latency.end()].map(micros);
        self.network.set_link(from, to, Link { latency, loss });
        self.changes().links.insert((from.to_owned(), to.to_owned()));
        self.recorder.record(from, Event::Link { to: to.to_owned(), latency_us, loss });
    }

    /// Makes every link what it was at first.
    pub(super) fn restore_links(&self) {
        let links = std::mem::take(&mut self.changes().links);
        for (from, to) in links {
            self.network.set_link(&from, &to, self.first_link.clone());
            self.recorder.record(&from, Event::LinkRestored { to });
        }
    }

    /// Lets the firewall forget every connection.
    pub fn forget_connections(&self) {
        self.network.forget_connections();
        self.recorder.record("world", Event::ConnectionsForgotten);
    }

    /// Lets the name service answer so much later than usual; zero ends it.
    pub fn delay_names(&self, delay: Duration) {
        let late = !delay.is_zero();
        let was_late = std::mem::replace(&mut self.changes().names_late, late);
        if late || was_late {
            self.network.set_dns_delay(delay);
            self.recorder.record("world", Event::NameServiceDelay { delay_us: micros(&delay) });
        }
    }
}

fn micros(time: &Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("far below an age")
}
