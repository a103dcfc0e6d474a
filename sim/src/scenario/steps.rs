//! Steps: each action with the fields that it needs, and no others.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::units::{self, Span};
use super::{Action, Direction, DiskOperations, Step, When, file};

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

    fn nodes(self, names: &[String]) -> Result<Vec<String>, String> {
        if names.is_empty() {
            return Err("names no node".to_owned());
        }
        names.iter().map(|name| self.node(name)).collect()
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
            ("factor", raw.factor.is_some()),
            ("operations", raw.operations.is_some()),
            ("room_bytes", raw.room_bytes.is_some()),
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
            "rot" => Ok(Action::Rot {
                nodes: self.nodes(raw, names)?,
                dir: self.needed("dir", &raw.dir, action)?.clone(),
                bits: self.number("bits", &raw.bits, action)?,
            }),
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
            "release" => Ok(Action::Release { nodes: self.nodes(raw, names)? }),
            "dns" => {
                let node = self.needed("node", &raw.node, action)?;
                let node = in_field("node", names.node(node))?;
                let resolves = *self.needed("resolves", &raw.resolves, action)?;
                Ok(Action::Dns { node, resolves })
            }
            other => Err(format!(
                "action: {other:?} is none of cut, heal, crash, power_off, start, move, dns, rot, \
                 slow, stall, fill, release"
            )),
        }
    }

    fn nodes(&mut self, raw: &file::Step, names: Names) -> Result<Vec<String>, String> {
        let nodes = self.needed("nodes", &raw.nodes, &raw.action)?;
        in_field("nodes", names.nodes(nodes))
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
        Ok(Action::Cut { nodes, from, direction })
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
        Ok(Action::Move {
            node,
            down_for: self.span("down_for", &raw.down_for, "move")?,
            dns_after: self.span("dns_after", &raw.dns_after, "move")?,
            takes_address_of,
        })
    }
}
