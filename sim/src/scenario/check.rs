//! From the shape of a file to a plan: every value checked, errors with line and field.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::units::{self, Span};
use super::{
    Action, ClusterPlan, Direction, DiskPlan, Expectations, NetworkPlan, Plan, ScenarioError, Step,
    When, WorkloadPlan, file,
};

/// Reads the text of one file.
pub(super) fn plan(path: &Path, text: &str) -> Result<Plan, ScenarioError> {
    let source = Source { path, text };
    let file: file::File = toml::from_str(text)
        .map_err(|error| source.error(error.span(), error.message().to_owned()))?;
    source.plan(file)
}

/// The file, to turn byte offsets into lines.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text[..offset.min(self.text.len())].matches('\n').count() + 1
    }

    fn error(&self, span: Option<Range<usize>>, problem: String) -> ScenarioError {
        let line = span.map(|span| self.line(span.start));
        ScenarioError { path: self.path.to_owned(), line, problem }
    }

    /// The value, after `convert` accepted it; else an error that names `field`.
    fn field<T, U>(
        &self,
        field: &str,
        value: &Spanned<T>,
        convert: impl FnOnce(&T) -> Result<U, String>,
    ) -> Result<U, ScenarioError> {
        convert(value.get_ref())
            .map_err(|problem| self.error(Some(value.span()), format!("{field}: {problem}")))
    }

    fn plan(&self, file: file::File) -> Result<Plan, ScenarioError> {
        let stem = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.field("name", &file.name, |name| match &stem {
            Some(stem) if stem == name => Ok(name.clone()),
            _ => Err(format!("{name:?} is not the name of the file")),
        })?;
        let description = self.field("description", &file.description, |text| {
            let text = text.trim();
            let fits = !text.is_empty() && !text.contains('\n');
            if fits { Ok(text.to_owned()) } else { Err("must be one line".to_owned()) }
        })?;
        let cluster = self.cluster(&file.cluster)?;
        let workload = self.workload(&file.workload)?;
        let names = Names { nodes: cluster.nodes, clients: workload.clients };
        let mut steps = Vec::with_capacity(file.step.len());
        for (index, step) in file.step.iter().enumerate() {
            let line = self.line(step.span().start);
            let step = check_step(step.get_ref(), index, names).map_err(|problem| {
                self.error(Some(step.span()), format!("step[{index}].{problem}"))
            })?;
            steps.push(Step { line, ..step });
        }
        Ok(Plan {
            name,
            path: self.path.to_owned(),
            description,
            cluster,
            network: self.network(&file.network)?,
            disk: self.disk(&file.disk)?,
            workload,
            steps,
            expect: self.expect(&file.expect)?,
        })
    }

    fn cluster(&self, raw: &file::Cluster) -> Result<ClusterPlan, ScenarioError> {
        let nodes = self.field("cluster.nodes", &raw.nodes, within(1, 100))?;
        let replicas = self.field("cluster.replicas", &raw.replicas, within(1, nodes))?;
        let write_quorum =
            self.field("cluster.write_quorum", &raw.write_quorum, within(1, replicas))?;
        let read_quorum = self.field(
            "cluster.read_quorum",
            &raw.read_quorum,
            within(replicas + 1 - write_quorum, replicas),
        )?;
        let zones = self.field("cluster.zones", &raw.zones, within(1, nodes))?;
        Ok(ClusterPlan { nodes, replicas, write_quorum, read_quorum, zones })
    }

    fn network(&self, raw: &file::Network) -> Result<NetworkPlan, ScenarioError> {
        Ok(NetworkPlan {
            latency: self.milliseconds("network.latency_ms", &raw.latency_ms)?,
            loss: self.field("network.loss", &raw.loss, share)?,
        })
    }

    fn disk(&self, raw: &file::Disk) -> Result<DiskPlan, ScenarioError> {
        Ok(DiskPlan {
            read: self.milliseconds("disk.read_ms", &raw.read_ms)?,
            write: self.milliseconds("disk.write_ms", &raw.write_ms)?,
            sync: self.milliseconds("disk.sync_ms", &raw.sync_ms)?,
        })
    }

    fn workload(&self, raw: &file::Workload) -> Result<WorkloadPlan, ScenarioError> {
        Ok(WorkloadPlan {
            clients: self.field("workload.clients", &raw.clients, within(1, 100))?,
            lanes: self.field("workload.lanes", &raw.lanes, within(1, 1000))?,
            duration: self.duration("workload.duration", &raw.duration)?,
            pace: self.milliseconds("workload.pace_ms", &raw.pace_ms)?,
            put_share: self.field("workload.put_share", &raw.put_share, share)?,
            batch_share: self.field("workload.batch_share", &raw.batch_share, share)?,
            batch_objects_max: self.field(
                "workload.batch_objects_max",
                &raw.batch_objects_max,
                within(1, 1000),
            )?,
            large_share: self.field("workload.large_share", &raw.large_share, share)?,
            request_timeout: self.duration("workload.request_timeout", &raw.request_timeout)?,
            settled_puts: raw.settled_puts,
        })
    }

    fn expect(&self, raw: &file::Expect) -> Result<Expectations, ScenarioError> {
        Ok(Expectations {
            recover_within: self.duration("expect.recover_within", &raw.recover_within)?,
            put_share_min: self.field("expect.put_share_min", &raw.put_share_min, share)?,
            puts_acked_min: raw.puts_acked_min,
            stuck_after: self.duration("expect.stuck_after", &raw.stuck_after)?,
        })
    }

    fn duration(&self, field: &str, raw: &Spanned<String>) -> Result<Duration, ScenarioError> {
        self.field(field, raw, |text| match units::duration(text)? {
            Duration::ZERO => Err("must not be zero".to_owned()),
            duration => Ok(duration),
        })
    }

    fn milliseconds(
        &self,
        field: &str,
        raw: &Spanned<[f64; 2]>,
    ) -> Result<RangeInclusive<Duration>, ScenarioError> {
        self.field(field, raw, |range| units::scaled(*range, Duration::from_millis(1)))
    }
}

/// Accepts whole numbers from `least` to `most`.
fn within(least: usize, most: usize) -> impl FnOnce(&usize) -> Result<usize, String> {
    move |&number| {
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        Err(format!("{number} is not from {least} to {most}"))
    }
}

fn share(&number: &f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&number) {
        return Ok(number);
    }
    Err(format!("{number} is no share: from 0.0 to 1.0"))
}

/// How many machines there are to name.
#[derive(Clone, Copy)]
struct Names {
    nodes: usize,
    clients: usize,
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
fn check_step(raw: &file::Step, index: usize, names: Names) -> Result<Step, String> {
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
            "crash" | "power_off" | "start" => {
                let nodes = self.needed("nodes", &raw.nodes, action)?;
                let nodes = in_field("nodes", names.nodes(nodes))?;
                Ok(match action {
                    "crash" => Action::Crash { nodes },
                    "power_off" => Action::PowerOff { nodes },
                    _ => Action::Start { nodes },
                })
            }
            "dns" => {
                let node = self.needed("node", &raw.node, action)?;
                let node = in_field("node", names.node(node))?;
                let resolves = *self.needed("resolves", &raw.resolves, action)?;
                Ok(Action::Dns { node, resolves })
            }
            other => Err(format!(
                "action: {other:?} is none of cut, heal, crash, power_off, start, move, dns"
            )),
        }
    }

    fn cut(&mut self, raw: &file::Step, names: Names) -> Result<Action, String> {
        let nodes = self.needed("nodes", &raw.nodes, "cut")?;
        let nodes = in_field("nodes", names.nodes(nodes))?;
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
