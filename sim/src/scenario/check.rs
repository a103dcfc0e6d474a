//! Plan validation.
//!
//! What must be true of a plan that has the right shape.
//!
//! Fields of steps are checked by their names, whatever the action: `nodes` are nodes of the
//! cluster, a `share` is from 0.0 to 1.0. An action of its own rules has them in
//! [`action_rules`].

use gitstratum_core::limits;
use toml::Value;

use super::{
    Action, ClusterPlan, DiskPlan, Expectations, FOLLOWER, GitPlan, LEADER, Plan, RepairPlan, Step,
    StorePlan, When, WorkloadPlan, layouts,
};

/// Workers of a client; numbers of operations leave room for so many, and bursts take one.
const WORKERS_MAX: usize = 999;
/// How often a step may do something, and how much of it.
const TIMES_MAX: i64 = 100_000;

/// A field and what is wrong with it.
pub(super) struct Problem {
    pub(super) field: String,
    pub(super) what: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Problem { field: field.into(), what: what.into() }
    }

    /// The same, of a field that was named as the step has it.
    pub(super) fn in_step(self, index: usize) -> Self {
        Problem { field: format!("step[{index}].{}", self.field), ..self }
    }
}

pub(super) type Checked = Result<(), Problem>;

/// Refuses a plan that cannot be run as it stands, or not be written.
pub(super) fn check(plan: &Plan) -> Checked {
    if plan.description.is_empty() || plan.description.contains('\n') {
        return Err(Problem::new("description", "must be one line"));
    }
    cluster(&plan.cluster)?;
    share("network.loss", plan.network.loss)?;
    disk(&plan.disk)?;
    store(&plan.store)?;
    repair(&plan.repair)?;
    let nodes = plan.node_names();
    plan.catalog.check(&nodes)?;
    plan.git.as_ref().map_or(Ok(()), GitPlan::check)?;
    workload(&plan.workload, plan.cluster.zones)?;
    expect(&plan.expect)?;
    let names = Names {
        nodes: plan.cluster.nodes,
        clients: plan.workload.clients,
        catalog_clients: plan.catalog.clients,
        git_clients: plan.git.as_ref().map_or(0, |git| git.clients),
    };
    if let Some(firewall) = &plan.firewall {
        let unknown = firewall.nodes.iter().find(|name| !names.is_node(name));
        unknown.map_or(Ok(()), |name| Err(Problem::new("firewall.nodes", names.no_node(name))))?;
    }
    for (index, step) in plan.steps.iter().enumerate() {
        check_step(step, names).map_err(|problem| problem.in_step(index))?;
        if index == 0 && matches!(step.when, When::After(_)) {
            let what = "the first step has none before it: use at";
            return Err(Problem::new("after", what).in_step(index));
        }
        if step.action == (Action::Forget {}) && plan.firewall.is_none() {
            let what = "there is no [firewall] to forget anything";
            return Err(Problem::new("action", what).in_step(index));
        }
    }
    layouts::check(&plan.cluster, &plan.steps).map_err(|(index, problem)| {
        Problem::new(format!("step[{index}]"), format!("makes no layout: {problem}"))
    })?;
    plan.written().map(drop).map_err(|error| Problem::new("file", error.to_string()))
}

fn cluster(plan: &ClusterPlan) -> Checked {
    let ClusterPlan { nodes, replicas, write_quorum, .. } = *plan;
    within("cluster.nodes", nodes, 1, 100)?;
    let active = plan.active_nodes();
    within("cluster.active", active, 1, nodes)?;
    within("cluster.replicas", replicas, 1, active)?;
    within("cluster.write_quorum", write_quorum, 1, replicas)?;
    within("cluster.read_quorum", plan.read_quorum, replicas + 1 - write_quorum, replicas)?;
    within("cluster.zones", plan.zones, 1, nodes)
}

fn disk(plan: &DiskPlan) -> Checked {
    share("disk.spike_share", plan.spike_share)
}

fn store(plan: &StorePlan) -> Checked {
    if let Some(bytes) = plan.segment_bytes {
        let (least, most) = (limits::SEGMENT_BYTES_MIN, limits::SEGMENT_BYTES_MAX);
        within("store.segment_bytes", bytes, least, most)?;
    }
    not_zero("store.maintenance_bytes_per_second", plan.maintenance_bytes_per_second)
}

fn repair(plan: &RepairPlan) -> Checked {
    not_zero("repair.hint_bytes", plan.hint_bytes)?;
    not_zero("repair.compare_interval", plan.compare_interval)?;
    not_zero("repair.hint_age", plan.hint_age)?;
    not_zero("repair.scrub_interval_days", plan.scrub_interval_days)
}

fn workload(plan: &WorkloadPlan, zones: usize) -> Checked {
    within("workload.clients", plan.clients, 1, 100)?;
    within("workload.workers", plan.workers, 1, WORKERS_MAX)?;
    not_zero("workload.duration", Some(plan.duration))?;
    share("workload.put_share", plan.put_share)?;
    share("workload.batch_share", plan.batch_share)?;
    within("workload.batch_objects_max", plan.batch_objects_max, 1, 1000)?;
    share("workload.large_share", plan.large_share)?;
    not_zero("workload.request_timeout", Some(plan.request_timeout))?;
    if let Some(most) = plan.pool_connections_max {
        within("workload.pool_connections_max", most, 1, 1000)?;
    }
    let known: Vec<_> = (1..=zones).map(|number| format!("z{number}")).collect();
    match &plan.zone {
        Some(zone) if !known.contains(zone) => {
            let what = format!("no zone {zone:?}: {}", known.join(", "));
            Err(Problem::new("workload.zone", what))
        }
        _ => Ok(()),
    }
}

fn expect(plan: &Expectations) -> Checked {
    not_zero("expect.recover_within", Some(plan.recover_within))?;
    share("expect.put_share_min", plan.put_share_min)?;
    not_zero("expect.stuck_after", Some(plan.stuck_after))?;
    not_zero("expect.converge_within", plan.converge_within)
}

fn check_step(step: &Step, names: Names) -> Checked {
    let parts = step.action.parts();
    let (_, fields) = parts.map_err(|error| Problem::new("action", error.to_string()))?;
    for (field, value) in &fields {
        check_field(field, value, names).map_err(|what| Problem::new(field, what))?;
    }
    action_rules(&step.action).map_err(|(field, what)| Problem::new(field, what))
}

/// Checks a field of a step by its name.
fn check_field(field: &str, value: &Value, names: Names) -> Result<(), String> {
    let texts = || match value {
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).collect(),
        Value::Table(table) => table.keys().map(String::as_str).collect(),
        value => Vec::from_iter(value.as_str()),
    };
    let all = |is_known: &dyn Fn(&str) -> bool, unknown: &dyn Fn(&str) -> String| {
        texts().into_iter().find(|name| !is_known(name)).map_or(Ok(()), |name| Err(unknown(name)))
    };
    match field {
        "nodes" | "tell" if texts().is_empty() => Err("names no node".to_owned()),
        "clients" if texts().is_empty() => Err("names no client".to_owned()),
        "nodes" => {
            all(&|name| names.is_node(name) || Names::is_part(name), &|name| names.no_node(name))
        }
        "node" | "takes_address_of" | "drain" | "remove" | "activate" | "tell" | "weights"
        | "zones" => all(&|name| names.is_node(name), &|name| names.no_node(name)),
        "clients" => all(&|name| names.is_client(name), &|name| {
            format!("no client {name:?}: c1 to c{}", names.clients)
        }),
        "from" => all(&|name| names.is_machine(name), &|name| {
            let Names { nodes, clients, .. } = names;
            format!("no machine {name:?}: n1 to n{nodes}, c1 to c{clients}")
        }),
        "times" | "factor" | "bits" | "callers" | "refs" => match value.as_integer() {
            Some(number) if !(1..=TIMES_MAX).contains(&number) => {
                Err(format!("{number} is not from 1 to {TIMES_MAX}"))
            }
            _ => Ok(()),
        },
        "loss" | "share" => value.as_float().map_or(Ok(()), is_share),
        _ => Ok(()),
    }
}

/// What an action says beyond its single fields.
fn action_rules(action: &Action) -> Result<(), (&'static str, &'static str)> {
    match action {
        Action::Link { latency: None, loss: None, .. } => {
            Err(("latency_ms", "one of latency_ms and loss is needed by \"link\""))
        }
        Action::Start { nodes } | Action::Resume { nodes } | Action::Release { nodes }
            if nodes.iter().any(|node| node == LEADER || node == FOLLOWER) =>
        {
            Err(("nodes", "who leads now is not who led when it was struck: name the nodes"))
        }
        Action::Move { node, takes_address_of: Some(other), .. } if node == other => {
            Err(("takes_address_of", "is the node itself"))
        }
        Action::Layout(change) if !change.changes_something() => Err((
            "drain",
            "one of drain, remove, activate, weights, zones, replicas, write_quorum, read_quorum \
             and settle is needed by \"layout\"",
        )),
        _ => Ok(()),
    }
}

/// How many machines there are to name.
#[derive(Clone, Copy)]
struct Names {
    nodes: usize,
    clients: usize,
    /// Those of the catalog.
    catalog_clients: usize,
    /// Those that push and clone.
    git_clients: usize,
}

impl Names {
    fn is_node(self, name: &str) -> bool {
        (1..=self.nodes).any(|number| name == format!("n{number}"))
    }

    /// Whether it is the name of a part that a node has in the catalog.
    fn is_part(name: &str) -> bool {
        [LEADER, FOLLOWER].contains(&name)
    }

    fn is_machine(self, name: &str) -> bool {
        self.is_node(name)
            || self.is_client(name)
            || (1..=self.catalog_clients).any(|number| name == format!("r{number}"))
            || (1..=self.git_clients).any(|number| name == format!("g{number}"))
    }

    fn is_client(self, name: &str) -> bool {
        (1..=self.clients).any(|number| name == format!("c{number}"))
    }

    fn no_node(self, name: &str) -> String {
        format!("no node {name:?}: n1 to n{}", self.nodes)
    }
}

/// Accepts whole numbers from `least` to `most`.
pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    field: &str,
    number: T,
    least: T,
    most: T,
) -> Checked {
    if least <= number && number <= most {
        return Ok(());
    }
    Err(Problem::new(field, format!("{number} is not from {least} to {most}")))
}

pub(super) fn not_zero<T: Default + PartialEq>(field: &str, value: Option<T>) -> Checked {
    match value {
        Some(value) if value == T::default() => Err(Problem::new(field, "must not be zero")),
        _ => Ok(()),
    }
}

pub(super) fn share(field: &str, number: f64) -> Checked {
    is_share(number).map_err(|what| Problem::new(field, what))
}

fn is_share(number: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&number) {
        return Ok(());
    }
    Err(format!("{number} is no share: from 0.0 to 1.0"))
}
