//! Exploration: scenarios that nobody wrote, each drawn from a seed.
//!
//! A seed decides cluster, disks, links, load and a schedule of faults, and then what the schedule
//! leaves open, as a scenario's seed does. Which kinds of fault a run has is drawn first, so that runs
//! differ in what they lack, too: a fault that hides another one is not in all of them. (Groce and
//! others, "Swarm testing", ISSTA 2012.)
//!
//! Invariant: whatever is drawn stays within the budget of the promises: it loses fewer than W disks,
//! and no majority of those who vote. So what a checker says of it is a finding, of the node or of the
//! checker. All that can heal is healed at the end of every run, and then everything has to converge.

mod coverage;
mod draw;
mod faults;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use crate::scenario::{
    CatalogPlan, ClusterPlan, DiskPlan, Expectations, FirewallPlan, GitPlan, MillisRange,
    NetworkPlan, Plan, PowerLoss, RepairPlan, StorePlan, Stray, Time, TimeRange, WorkloadPlan,
};
use draw::Draw;

pub use coverage::Coverage;

/// Replicas, write quorum and read quorum of clusters; what most people have comes most often.
const QUORUMS: [(usize, usize, usize); 8] =
    [(3, 2, 2), (3, 2, 2), (3, 2, 2), (3, 3, 1), (3, 1, 3), (2, 2, 1), (1, 1, 1), (5, 3, 3)];

/// The scenario of a seed, as a file `explored-SEED.toml` in `dir` would have it.
pub fn plan(seed: u64, dir: &Path) -> Plan {
    let mut draw = Draw::new(seed);
    let cluster = cluster(&mut draw);
    let workload = workload(&mut draw, cluster.zones);
    let firewall = draw.chance(0.15).then(|| firewall(&mut draw));
    let catalog = catalog(&mut draw);
    let git = draw.chance(0.3).then(|| git(&mut draw));
    let name = format!("explored-{seed}");
    let mut plan = Plan {
        path: dir.join(&name).with_extension("toml"),
        name,
        description: format!("What was drawn from seed {seed}."),
        controls: Vec::new(),
        network: network(&mut draw),
        disk: disk(&mut draw),
        store: store(&mut draw),
        repair: repair(&mut draw),
        steps: Vec::new(),
        firewall,
        cluster,
        catalog,
        git,
        workload,
        expect: expectations(),
    };
    plan.steps = faults::steps(&mut draw, &plan);
    plan
}

fn cluster(draw: &mut Draw) -> ClusterPlan {
    let (replicas, write_quorum, read_quorum) = *draw.one_of(&QUORUMS);
    let nodes = replicas.max(draw.whole(1, 6));
    // Some that hold nothing yet, for a layout to activate. Where one copy is all there is, a member
    // that drains may have had it, and never proves that it had not.
    let spare = draw.chance(0.25) && nodes > replicas && replicas > 1;
    let zones = if nodes >= 3 && draw.chance(0.4) { 3 } else { 1 };
    let active = spare.then(|| draw.whole(replicas, nodes - 1));
    ClusterPlan { nodes, active, replicas, write_quorum, read_quorum, zones }
}

fn network(draw: &mut Draw) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    if draw.chance(0.2) {
        plan.latency = millis(1, *draw.one_of(&[10, 40]));
    }
    if draw.chance(0.2) {
        plan.dns_ttl = Time(Duration::from_secs(5));
    }
    plan
}

fn firewall(draw: &mut Draw) -> FirewallPlan {
    let strays = *draw.one_of(&[Stray::Drop, Stray::Reset]);
    // Later than connections lie idle in a run: it forgets when a step has it do so.
    let forgets_after = TimeRange(Duration::from_secs(1_800)..=Duration::from_secs(3_600));
    FirewallPlan { nodes: Vec::new(), forgets_after, strays }
}

fn disk(draw: &mut Draw) -> DiskPlan {
    let mut plan = DiskPlan {
        power_loss: *draw.one_of(&[PowerLoss::Everything, PowerLoss::Subset, PowerLoss::Torn]),
        ..DiskPlan::default()
    };
    if draw.chance(0.2) {
        plan.spike_share = 0.02;
        plan.spike = millis(20, 300);
    }
    plan
}

fn store(draw: &mut Draw) -> StorePlan {
    let small = draw.chance(0.3);
    StorePlan { segment_bytes: small.then_some(256 << 10), maintenance_bytes_per_second: None }
}

fn repair(draw: &mut Draw) -> RepairPlan {
    let mut plan = RepairPlan {
        compare_interval: Some(Time(Duration::from_secs(15))),
        ..RepairPlan::default()
    };
    if draw.chance(0.2) {
        plan.hint_bytes = Some(4_000);
    }
    plan
}

fn catalog(draw: &mut Draw) -> CatalogPlan {
    let mut plan = CatalogPlan {
        clients: if draw.chance(0.5) { draw.whole(1, 4) } else { 0 },
        agree_within: Time(Duration::from_secs(30)),
        ..CatalogPlan::default()
    };
    if draw.chance(0.3) {
        plan.snapshot_bytes = Some(20_000);
    }
    plan
}

fn git(draw: &mut Draw) -> GitPlan {
    GitPlan {
        clients: draw.whole(1, 3),
        repositories: draw.whole(1, 2),
        branches: 2,
        pace: millis(100, 600),
        vanish_share: 0.1,
        pushes_min: 0,
        fetches_min: 0,
        ..GitPlan::default()
    }
}

fn workload(draw: &mut Draw, zones: usize) -> WorkloadPlan {
    WorkloadPlan {
        clients: draw.whole(1, 3),
        workers: draw.whole(1, 3),
        duration: Time(Duration::from_secs(draw.whole(15, 20) as u64)),
        pace: millis(20, *draw.one_of(&[100, 300])),
        put_share: *draw.one_of(&[0.3, 0.6, 0.9]),
        batch_share: *draw.one_of(&[0.0, 0.3]),
        batch_objects_max: 8,
        large_share: *draw.one_of(&[0.0, 0.02]),
        request_timeout: Time(Duration::from_secs(3)),
        pool_connections_max: None,
        settled_puts: 3,
        zone: (zones > 1 && draw.chance(0.3)).then(|| "z1".to_owned()),
        reads_back: 0,
    }
}

/// Nothing of how much is done: faults may leave nothing to do. How many runs did something is
/// counted instead.
fn expectations() -> Expectations {
    Expectations {
        recover_within: Time(Duration::from_secs(20)),
        put_share_min: 0.0,
        puts_acked_min: 0,
        stuck_after: Time(Duration::from_secs(15 * 60)),
        failed_in_reach_max: None,
        dials_per_10s_max: None,
        connections_max: None,
        compactions_min: None,
        deletions_min: None,
        converge_within: Some(Time(Duration::from_secs(60))),
    }
}

fn millis(least: u64, most: u64) -> MillisRange {
    MillisRange(Duration::from_millis(least)..=Duration::from_millis(most))
}
