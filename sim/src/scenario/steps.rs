//! Steps: each action with the fields that it needs, and no others.

use std::ops::RangeInclusive;
use std::time::Duration;

use gitstratum_core::placement::MemberState;

use super::units::{self, Span};
use super::{
    Action, Direction, DiskOperations, LayoutChange, Speech, Step, StoreFile, Stray, When, file,
};

/// How many machines there are to name.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) nodes: usize,
    pub(super) clients: usize,
}

impl Names {
    fn is_node(self, name: &str) -> bool {
        (1..=self.nodes).any(|number| name == format!("n{number}"))
    }

    fn is_client(self, name: &str) -> bool {
        (1..=self.clients).any(|number| name == format!("c{number}"))
    }

    fn node(self, name: &str) -> Result<String, String> {
        if self.is_node(name) {
            return Ok(name.to_owned());
        }
        Err(format!("no node {name:?}: n1 to n{}", self.nodes))
    }

    pub(super) fn nodes(self, names: &[String]) -> Result<Vec<String>, String> {
        if names.is_empty() {
            return Err("names no node".to_owned());
        }
        names.iter().map(|name| self.node(name)).collect()
    }

    fn clients(self, names: &[String]) -> Result<Vec<String>, String> {
        match names.iter().find(|name| !self.is_client(name)) {
            Some(name) => Err(format!("no client {name:?}: c1 to c{}", self.clients)),
            None if names.is_empty() => Err("names no client".to_owned()),
            None => Ok(names.to_vec()),
        }
    }

    fn machines(self, names: &[String]) -> Result<Vec<String>, String> {
        for name in names {
            if !self.is_node(name) && !self.is_client(name) {
                let Names { nodes, clients } = self;
                return Err(format!("no machine {name:?}: n1 to n{nodes}, c1 to c{clients}"));
            }
        }
        Ok(names.to_vec())
    }
}

/// Checks one step; a problem begins with the field it is in.
pub(super) fn check_step(raw: &file::Step, index: usize, names: Names) -> Result<Step, String> {
    let when = match (&raw.at, &raw.after) {
        (Some(at), None) => When::At(in_field("at", units::span(at))?),
        (None, Some(_)) if index == 0 => {
            return Err("after: the first step has none before it: use at".to_owned());
        }
        (None, Some(after)) => When::After(in_field("after", units::span(after))?),
        _ => return Err("at: exactly one of at and after is needed".to_owned()),
    };
    let mut fields = Fields::of(raw);
    let action = fields.action(raw, names)?;
    fields.none_left(&raw.action)?;
    Ok(Step { line: 0, when, action })
}

fn in_field<T>(field: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|problem| format!("{field}: {problem}"))
}

/// Reads what a firewall does with packets that it cannot place.
pub(super) fn strays(name: &str) -> Result<Stray, String> {
    match name {
        "drop" => Ok(Stray::Drop),
        "reset" => Ok(Stray::Reset),
        other => Err(format!("{other:?} is none of drop, reset")),
    }
}

fn speech(name: &str) -> Result<Speech, String> {
    match name {
        "node" => Ok(Speech::Node),
        "namesake" => Ok(Speech::Namesake),
        "banner" => Ok(Speech::Banner),
        "silence" => Ok(Speech::Silence),
        other => Err(format!("{other:?} is none of node, namesake, banner, silence")),
    }
}

fn store_file(name: &str) -> Result<StoreFile, String> {
    match name {
        "segment" => Ok(StoreFile::Segment),
        "segment_and_index" => Ok(StoreFile::SegmentAndIndex),
        "large" => Ok(StoreFile::Large),
        other => Err(format!("{other:?} is none of segment, segment_and_index, large")),
    }
}

/// Links by their two ends; every machine not in `nodes` is the other when `from` is empty.
struct Ends {
    nodes: Vec<String>,
    from: Vec<String>,
    direction: Direction,
}

/// The fields that a step has and its action has not used yet.
struct Fields {
    unused: Vec<&'static str>,
}

impl Fields {
    fn of(raw: &file::Step) -> Self {
        let present = [
            ("nodes", raw.nodes.is_some()),
            ("node", raw.node.is_some()),
            ("from", raw.from.is_some()),
            ("direction", raw.direction.is_some()),
            ("down_for", raw.down_for.is_some()),
            ("dns_after", raw.dns_after.is_some()),
            ("takes_address_of", raw.takes_address_of.is_some()),
            ("resolves", raw.resolves.is_some()),
            ("dir", raw.dir.is_some()),
            ("bits", raw.bits.is_some()),
            ("file", raw.file.is_some()),
            ("factor", raw.factor.is_some()),
            ("operations", raw.operations.is_some()),
            ("room_bytes", raw.room_bytes.is_some()),
            ("leaves_behind", raw.leaves_behind.is_some()),
            ("times", raw.times.is_some()),
            ("up_for", raw.up_for.is_some()),
            ("latency_ms", raw.latency_ms.is_some()),
            ("loss", raw.loss.is_some()),
            ("delay", raw.delay.is_some()),
            ("lasts", raw.lasts.is_some()),
            ("clients", raw.clients.is_some()),
            ("callers", raw.callers.is_some()),
            ("drain", raw.drain.is_some()),
            ("remove", raw.remove.is_some()),
            ("activate", raw.activate.is_some()),
            ("weights", raw.weights.is_some()),
            ("zones", raw.zones.is_some()),
            ("replicas", raw.replicas.is_some()),
            ("write_quorum", raw.write_quorum.is_some()),
            ("read_quorum", raw.read_quorum.is_some()),
            ("settle", raw.settle.is_some()),
            ("tell", raw.tell.is_some()),
            ("ahead", raw.ahead.is_some()),
            ("share", raw.share.is_some()),
        ];
        let unused = present.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        Fields { unused }
    }

    fn optional<'a, T>(&mut self, field: &'static str, value: &'a Option<T>) -> Option<&'a T> {
        self.unused.retain(|unused| *unused != field);
        value.as_ref()
    }

    fn needed<'a, T>(
        &mut self,
        field: &'static str,
        value: &'a Option<T>,
        action: &str,
    ) -> Result<&'a T, String> {
        self.optional(field, value).ok_or_else(|| format!("{field}: needed by {action:?}"))
    }

    fn span(
        &mut self,
        field: &'static str,
        value: &Option<Span>,
        action: &str,
    ) -> Result<RangeInclusive<Duration>, String> {
        in_field(field, units::span(self.needed(field, value, action)?))
    }

    fn none_left(&self, action: &str) -> Result<(), String> {
        match self.unused.first() {
            Some(field) => Err(format!("{field}: means nothing to {action:?}")),
            None => Ok(()),
        }
    }

    fn action(&mut self, raw: &file::Step, names: Names) -> Result<Action, String> {
        let action = raw.action.as_str();
        match action {
            "heal" => Ok(Action::Heal),
            "cut" => self.cut(raw, names),
            "move" => self.relocation(raw, names),
            "crash" => Ok(Action::Crash { nodes: self.nodes(raw, names)? }),
            "power_off" => Ok(Action::PowerOff { nodes: self.nodes(raw, names)? }),
            "start" => Ok(Action::Start { nodes: self.nodes(raw, names)? }),
            "restart" => Ok(Action::Restart {
                nodes: self.nodes(raw, names)?,
                down_for: self.span("down_for", &raw.down_for, action)?,
            }),
            "flap" => Ok(Action::Flap {
                nodes: self.nodes(raw, names)?,
                times: self.number("times", &raw.times, action)?,
                down_for: self.span("down_for", &raw.down_for, action)?,
                up_for: self.span("up_for", &raw.up_for, action)?,
            }),
            "flap_clients" => Ok(Action::FlapClients {
                clients: self.clients(raw, names)?,
                times: self.number("times", &raw.times, action)?,
                down_for: self.span("down_for", &raw.down_for, action)?,
                up_for: self.span("up_for", &raw.up_for, action)?,
            }),
            "panic_writes" => Ok(Action::PanicWrites {
                nodes: self.nodes(raw, names)?,
                times: self.number("times", &raw.times, action)?,
            }),
            "clock" => {
                let ahead = units::duration(self.needed("ahead", &raw.ahead, action)?);
                let nodes = self.nodes(raw, names)?;
                Ok(Action::Clock { nodes, ahead: in_field("ahead", ahead)? })
            }
            "pause" => Ok(Action::Pause { nodes: self.nodes(raw, names)? }),
            "throttle" => Ok(Action::Throttle {
                nodes: self.nodes(raw, names)?,
                factor: self.number("factor", &raw.factor, action)?,
            }),
            "resume" => Ok(Action::Resume { nodes: self.nodes(raw, names)? }),
            "link" => self.link(raw, names),
            "forget" => Ok(Action::Forget),
            "dns_delay" => {
                let delay = units::duration(self.needed("delay", &raw.delay, action)?);
                Ok(Action::DnsDelay { delay: in_field("delay", delay)? })
            }
            "quiet" => Ok(Action::Quiet { lasts: self.span("lasts", &raw.lasts, action)? }),
            "burst" => Ok(Action::Burst {
                clients: self.clients(raw, names)?,
                callers: self.number("callers", &raw.callers, action)? as usize,
            }),
            "rot" => Ok(Action::Rot {
                nodes: self.nodes(raw, names)?,
                dir: self.needed("dir", &raw.dir, action)?.clone(),
                bits: self.number("bits", &raw.bits, action)?,
            }),
            "lose_file" => {
                let file = in_field("file", store_file(self.needed("file", &raw.file, action)?))?;
                Ok(Action::LoseFile { nodes: self.nodes(raw, names)?, file })
            }
            "truncate_file" => {
                let file = in_field("file", store_file(self.needed("file", &raw.file, action)?))?;
                Ok(Action::TruncateFile { nodes: self.nodes(raw, names)?, file })
            }
            "wipe" => Ok(Action::Wipe { nodes: self.nodes(raw, names)? }),
            "slow" => Ok(Action::Slow {
                nodes: self.nodes(raw, names)?,
                factor: self.number("factor", &raw.factor, action)?,
            }),
            "stall" => Ok(Action::Stall {
                nodes: self.nodes(raw, names)?,
                operations: self.operations(raw)?,
            }),
            "fill" => Ok(Action::Fill {
                nodes: self.nodes(raw, names)?,
                room_bytes: *self.needed("room_bytes", &raw.room_bytes, action)?,
            }),
            "exhaust" => Ok(Action::Exhaust { nodes: self.nodes(raw, names)? }),
            "layout" => self.layout(raw, names),
            "delete" => match *self.needed("share", &raw.share, action)? {
                share if (0.0..=1.0).contains(&share) => Ok(Action::Delete { share }),
                share => Err(format!("share: {share} is no share: from 0.0 to 1.0")),
            },
            "strike_compactions" => Ok(Action::StrikeCompactions {
                nodes: self.nodes(raw, names)?,
                times: self.number("times", &raw.times, action)?,
                down_for: self.span("down_for", &raw.down_for, action)?,
            }),
            "release" => Ok(Action::Release { nodes: self.nodes(raw, names)? }),
            "dns" => {
                let node = self.needed("node", &raw.node, action)?;
                let node = in_field("node", names.node(node))?;
                let resolves = *self.needed("resolves", &raw.resolves, action)?;
                Ok(Action::Dns { node, resolves })
            }
            other => Err(format!(
                "action: {other:?} is none of cut, link, heal, crash, power_off, start, restart, \
                 flap, flap_clients, panic_writes, move, clock, pause, throttle, resume, dns, \
                 dns_delay, forget, quiet, burst, rot, lose_file, truncate_file, wipe, slow, stall, \
                 fill, exhaust, layout, delete, strike_compactions, release"
            )),
        }
    }

    fn nodes(&mut self, raw: &file::Step, names: Names) -> Result<Vec<String>, String> {
        let nodes = self.needed("nodes", &raw.nodes, &raw.action)?;
        in_field("nodes", names.nodes(nodes))
    }

    fn clients(&mut self, raw: &file::Step, names: Names) -> Result<Vec<String>, String> {
        let clients = self.needed("clients", &raw.clients, &raw.action)?;
        in_field("clients", names.clients(clients))
    }

    fn layout(&mut self, raw: &file::Step, names: Names) -> Result<Action, String> {
        let mut change = LayoutChange::default();
        let states = [
            ("drain", &raw.drain, MemberState::Draining),
            ("remove", &raw.remove, MemberState::Removed),
            ("activate", &raw.activate, MemberState::Active),
        ];
        for (field, named, state) in states {
            if let Some(named) = self.optional(field, named) {
                let named = in_field(field, names.nodes(named))?;
                change.states.extend(named.into_iter().map(|node| (node, state)));
            }
        }
        if let Some(weights) = self.optional("weights", &raw.weights) {
            in_field("weights", weights.keys().try_for_each(|node| names.node(node).map(drop)))?;
            change.weights.clone_from(weights);
        }
        if let Some(zones) = self.optional("zones", &raw.zones) {
            in_field("zones", zones.keys().try_for_each(|node| names.node(node).map(drop)))?;
            change.zones.clone_from(zones);
        }
        change.replicas = self.optional("replicas", &raw.replicas).copied();
        change.write_quorum = self.optional("write_quorum", &raw.write_quorum).copied();
        change.read_quorum = self.optional("read_quorum", &raw.read_quorum).copied();
        change.settle = self.optional("settle", &raw.settle).copied().unwrap_or_default();
        if change == LayoutChange::default() {
            return Err("drain: one of drain, remove, activate, weights, zones, replicas, \
                        write_quorum, read_quorum and settle is needed by \"layout\""
                .to_owned());
        }
        let tell = self.needed("tell", &raw.tell, "layout")?;
        Ok(Action::Layout { change, tell: in_field("tell", names.nodes(tell))? })
    }

    fn number(
        &mut self,
        field: &'static str,
        value: &Option<u32>,
        action: &str,
    ) -> Result<u32, String> {
        match *self.needed(field, value, action)? {
            number @ 1..=100_000 => Ok(number),
            number => Err(format!("{field}: {number} is not from 1 to 100000")),
        }
    }

    fn operations(&mut self, raw: &file::Step) -> Result<DiskOperations, String> {
        match self.needed("operations", &raw.operations, "stall")?.as_str() {
            "reads" => Ok(DiskOperations::Reads),
            "writes" => Ok(DiskOperations::Writes),
            "syncs" => Ok(DiskOperations::Syncs),
            other => Err(format!("operations: {other:?} is none of reads, writes, syncs")),
        }
    }

    fn cut(&mut self, raw: &file::Step, names: Names) -> Result<Action, String> {
        let Ends { nodes, from, direction } = self.ends(raw, names)?;
        Ok(Action::Cut { nodes, from, direction })
    }

    fn link(&mut self, raw: &file::Step, names: Names) -> Result<Action, String> {
        let Ends { nodes, from, direction } = self.ends(raw, names)?;
        let latency = self.optional("latency_ms", &raw.latency_ms);
        let latency = latency.map(|range| units::scaled(*range, Duration::from_millis(1)));
        let latency = in_field("latency_ms", latency.transpose())?;
        let loss = match self.optional("loss", &raw.loss) {
            Some(loss) if !(0.0..=1.0).contains(loss) => {
                return Err(format!("loss: {loss} is no share: from 0.0 to 1.0"));
            }
            loss => loss.copied(),
        };
        if latency.is_none() && loss.is_none() {
            return Err("latency_ms: one of latency_ms and loss is needed by \"link\"".to_owned());
        }
        Ok(Action::Link { nodes, from, direction, latency, loss })
    }

    /// Between which machines, and which way.
    fn ends(&mut self, raw: &file::Step, names: Names) -> Result<Ends, String> {
        let nodes = self.nodes(raw, names)?;
        let from = self.optional("from", &raw.from).cloned().unwrap_or_default();
        let from = in_field("from", names.machines(&from))?;
        let direction = match self.optional("direction", &raw.direction).map(String::as_str) {
            None | Some("both") => Direction::Both,
            Some("outgoing") => Direction::Outgoing,
            Some("incoming") => Direction::Incoming,
            Some(other) => {
                return Err(format!("direction: {other:?} is none of both, outgoing, incoming"));
            }
        };
        Ok(Ends { nodes, from, direction })
    }

    fn relocation(&mut self, raw: &file::Step, names: Names) -> Result<Action, String> {
        let node = self.needed("node", &raw.node, "move")?;
        let node = in_field("node", names.node(node))?;
        let takes_address_of = match self.optional("takes_address_of", &raw.takes_address_of) {
            Some(other) if *other == node => {
                return Err("takes_address_of: is the node itself".to_owned());
            }
            Some(other) => Some(in_field("takes_address_of", names.node(other))?),
            None => None,
        };
        let leaves_behind = match self.optional("leaves_behind", &raw.leaves_behind) {
            Some(name) => Some(in_field("leaves_behind", speech(name))?),
            None => None,
        };
        Ok(Action::Move {
            node,
            down_for: self.span("down_for", &raw.down_for, "move")?,
            dns_after: self.span("dns_after", &raw.dns_after, "move")?,
            takes_address_of,
            leaves_behind,
        })
    }
}
