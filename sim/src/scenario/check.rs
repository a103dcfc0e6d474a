//! From the shape of a file to a plan: every value checked, errors with line and field.
//! What a step may say is in `steps`.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use gitstratum_core::limits;
use toml::Spanned;

use super::steps::{self, Names, check_step};
use super::{
    Action, ClusterPlan, Control, DiskPlan, Expectations, FirewallPlan, NetworkPlan, Plan,
    PowerLoss, RepairPlan, ScenarioError, Step, StorePlan, WorkloadPlan, file, layouts, units,
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

    /// As `field`; the default when it is not there.
    fn optional<T, U: Default>(
        &self,
        field: &str,
        value: &Option<Spanned<T>>,
        convert: impl FnOnce(&T) -> Result<U, String>,
    ) -> Result<U, ScenarioError> {
        value.as_ref().map_or(Ok(U::default()), |value| self.field(field, value, convert))
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
        let workload = self.workload(&file.workload, cluster.zones)?;
        let names = Names { nodes: cluster.nodes, clients: workload.clients };
        let firewall = file.firewall.as_ref().map(|raw| self.firewall(raw, names)).transpose()?;
        let mut steps = Vec::with_capacity(file.step.len());
        for (index, step) in file.step.iter().enumerate() {
            let line = self.line(step.span().start);
            let refuse =
                |problem| self.error(Some(step.span()), format!("step[{index}].{problem}"));
            let step = check_step(step.get_ref(), index, names).map_err(refuse)?;
            if step.action == Action::Forget && firewall.is_none() {
                return Err(refuse("action: there is no [firewall] to forget anything".to_owned()));
            }
            steps.push(Step { line, ..step });
        }
        if let Err((index, problem)) = layouts::check(&cluster, &steps) {
            let span = file.step.get(index).map(Spanned::span);
            return Err(self.error(span, format!("step[{index}]: makes no layout: {problem}")));
        }
        Ok(Plan {
            name,
            path: self.path.to_owned(),
            description,
            cluster,
            network: self.network(&file.network)?,
            firewall,
            disk: self.disk(&file.disk)?,
            store: self.store(file.store.as_ref())?,
            repair: self.repair(file.repair.as_ref())?,
            workload,
            steps,
            expect: self.expect(&file.expect)?,
            controls: self.optional("controls", &file.controls, |names| {
                names.iter().map(|name| Control::named(name)).collect()
            })?,
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
            dns_ttl: self
                .optional("network.dns_ttl", &raw.dns_ttl, |text| units::duration(text))?,
        })
    }

    fn firewall(&self, raw: &file::Firewall, names: Names) -> Result<FirewallPlan, ScenarioError> {
        Ok(FirewallPlan {
            nodes: self.optional("firewall.nodes", &raw.nodes, |nodes| names.nodes(nodes))?,
            forgets_after: self.field("firewall.forgets_after", &raw.forgets_after, units::span)?,
            strays: self.field("firewall.strays", &raw.strays, |name| steps::strays(name))?,
        })
    }

    fn disk(&self, raw: &file::Disk) -> Result<DiskPlan, ScenarioError> {
        Ok(DiskPlan {
            read: self.milliseconds("disk.read_ms", &raw.read_ms)?,
            write: self.milliseconds("disk.write_ms", &raw.write_ms)?,
            sync: self.milliseconds("disk.sync_ms", &raw.sync_ms)?,
            power_loss: self
                .optional("disk.power_loss", &raw.power_loss, |name| power_loss(name))?,
            spike_share: self.optional("disk.spike_share", &raw.spike_share, share)?,
            spike: match &raw.spike_ms {
                Some(spike) => self.milliseconds("disk.spike_ms", spike)?,
                None => Duration::ZERO..=Duration::ZERO,
            },
        })
    }

    fn store(&self, raw: Option<&file::Store>) -> Result<StorePlan, ScenarioError> {
        let Some(raw) = raw else { return Ok(StorePlan::default()) };
        Ok(StorePlan {
            segment_bytes: self.optional("store.segment_bytes", &raw.segment_bytes, |&bytes| {
                let (least, most) = (limits::SEGMENT_BYTES_MIN, limits::SEGMENT_BYTES_MAX);
                match (least..=most).contains(&bytes) {
                    true => Ok(Some(bytes)),
                    false => Err(format!("{bytes} is not from {least} to {most}")),
                }
            })?,
            maintenance_bytes_per_second: self.optional(
                "store.maintenance_bytes_per_second",
                &raw.maintenance_bytes_per_second,
                |&bytes| match bytes {
                    0 => Err("must not be zero".to_owned()),
                    bytes => Ok(Some(bytes)),
                },
            )?,
        })
    }

    fn repair(&self, raw: Option<&file::Repair>) -> Result<RepairPlan, ScenarioError> {
        let Some(raw) = raw else { return Ok(RepairPlan::default()) };
        let hint_bytes =
            self.optional("repair.hint_bytes", &raw.hint_bytes, |&bytes| match bytes {
                0 => Err("must not be zero".to_owned()),
                bytes => Ok(Some(bytes)),
            })?;
        let span = |field: &str, raw: &Option<Spanned<String>>| {
            raw.as_ref().map(|raw| self.duration(field, raw)).transpose()
        };
        Ok(RepairPlan {
            hint_bytes,
            compares: raw.compares.as_ref().is_none_or(|compares| *compares.get_ref()),
            compare_interval: span("repair.compare_interval", &raw.compare_interval)?,
            hint_age: span("repair.hint_age", &raw.hint_age)?,
            scrub_interval_days: self.optional(
                "repair.scrub_interval_days",
                &raw.scrub_interval_days,
                |&days| match days {
                    0 => Err("must not be zero".to_owned()),
                    days => Ok(Some(days)),
                },
            )?,
        })
    }

    fn workload(&self, raw: &file::Workload, zones: usize) -> Result<WorkloadPlan, ScenarioError> {
        Ok(WorkloadPlan {
            clients: self.field("workload.clients", &raw.clients, within(1, 100))?,
            workers: self.field("workload.workers", &raw.workers, within(1, WORKERS_MAX))?,
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
            pool_connections_max: self.optional(
                "workload.pool_connections_max",
                &raw.pool_connections_max,
                |most| within(1, 1000)(most).map(Some),
            )?,
            settled_puts: raw.settled_puts,
            zone: self.optional("workload.zone", &raw.zone, |zone| {
                let zones: Vec<_> = (1..=zones).map(|number| format!("z{number}")).collect();
                match zones.contains(zone) {
                    true => Ok(Some(zone.clone())),
                    false => Err(format!("no zone {zone:?}: {}", zones.join(", "))),
                }
            })?,
            reads_back: raw.reads_back.unwrap_or_default(),
        })
    }

    fn expect(&self, raw: &file::Expect) -> Result<Expectations, ScenarioError> {
        Ok(Expectations {
            recover_within: self.duration("expect.recover_within", &raw.recover_within)?,
            put_share_min: self.field("expect.put_share_min", &raw.put_share_min, share)?,
            puts_acked_min: raw.puts_acked_min,
            stuck_after: self.duration("expect.stuck_after", &raw.stuck_after)?,
            failed_in_reach_max: raw.failed_in_reach_max,
            dials_per_10s_max: raw.dials_per_10s_max,
            connections_max: raw.connections_max,
            compactions_min: raw.compactions_min,
            deletions_min: raw.deletions_min,
            converge_within: raw
                .converge_within
                .as_ref()
                .map(|raw| self.duration("expect.converge_within", raw))
                .transpose()?,
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

/// Lanes of a client; numbers of operations leave room for so many, and bursts take one.
const WORKERS_MAX: usize = 999;

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

fn power_loss(name: &str) -> Result<PowerLoss, String> {
    match name {
        "everything" => Ok(PowerLoss::Everything),
        "subset" => Ok(PowerLoss::Subset),
        "torn" => Ok(PowerLoss::Torn),
        other => Err(format!("{other:?} is none of everything, subset, torn")),
    }
}
