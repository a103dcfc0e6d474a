//! Good files become plans; bad ones are refused with line and field.

mod variants;
mod written;

use std::path::Path;
use std::time::Duration;

use gitstratum_core::placement::MemberState;

use super::{
    Action, Control, Direction, Plan, PowerLoss, Time, TimeRange, When, first_layout, load_named,
};

const GOOD: &str = r#"name = "good"
description = "One line."

[cluster]
nodes = 5
replicas = 3
write_quorum = 2
read_quorum = 2
zones = 1

[network]
latency_ms = [0.5, 2]
loss = 0.0

[disk]
read_ms = [0.1, 1]
write_ms = [0, 0.1]
sync_ms = [1, 3]

[workload]
clients = 2
workers = 2
duration = "30s"
pace_ms = [50, 200]
put_share = 0.6
batch_share = 0.2
batch_objects_max = 20
large_share = 0.01
request_timeout = "2s"
settled_puts = 5

[expect]
recover_within = "10s"
put_share_min = 0.9
puts_acked_min = 100
stuck_after = "5m"

[[step]]
at = ["4s", "6s"]
action = "cut"
nodes = ["n5"]
direction = "outgoing"

[[step]]
after = "8s"
action = "heal"
"#;

fn parse(text: &str) -> Result<Plan, String> {
    Plan::parse(Path::new("scenarios/good.toml"), text).map_err(|error| error.to_string())
}

/// Asserts that the good file with `from` replaced by `to` is refused with `message`.
#[track_caller]
fn refused(from: &str, to: &str, message: &str) {
    assert!(GOOD.contains(from), "the test replaces what is there: {from}");
    let error = parse(&GOOD.replacen(from, to, 1)).expect_err("refused");
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_good_file_becomes_a_plan() {
    let plan = parse(GOOD).expect("accepted");
    assert_eq!(plan.name, "good");
    assert_eq!(*plan.network.latency, Duration::from_micros(500)..=Duration::from_millis(2));
    assert_eq!(*plan.expect.stuck_after, Duration::from_secs(300));
    assert_eq!(
        plan.steps[0].when,
        When::At(TimeRange(Duration::from_secs(4)..=Duration::from_secs(6))),
        "a range stays one until the seed draws from it"
    );
    assert_eq!(
        plan.steps[0].action,
        Action::Cut { nodes: vec!["n5".into()], from: vec![], direction: Direction::Outgoing }
    );
    assert_eq!(plan.steps[1].action, Action::Heal {});
}

#[test]
fn a_misspelt_field_is_refused_with_its_line() {
    refused("write_quorum = 2", "write_quorom = 2", "scenarios/good.toml:7:");
    refused("write_quorum = 2", "write_quorom = 2", "cluster.write_quorom: there is no");
    refused("direction = ", "directoin = ", "toml:42: step[0].directoin: means nothing to");
}

#[test]
fn a_missing_field_is_refused_by_name() {
    refused("put_share = 0.6\n", "", "toml:20: workload.put_share: needed");
    refused("action = \"heal\"", "", "toml:44: step[1].action: needed");
    refused("action = \"heal\"", "action = 5", "toml:46: step[1].action: must be the name");
    refused("[workload]", "[wrokload]", "toml:20: wrokload: there is no such field");
}

#[test]
fn values_out_of_bounds_are_refused_with_line_and_field() {
    refused("write_quorum = 2", "write_quorum = 4", "toml:7: cluster.write_quorum: 4");
    refused("read_quorum = 2", "read_quorum = 1", "toml:8: cluster.read_quorum: 1");
    refused("loss = 0.0", "loss = 1.5", "toml:13: network.loss");
    refused("[1, 3]", "[3, 1]", "disk.sync_ms: is the wrong way round");
    refused("\"30s\"", "\"30 s\"", "toml:23: workload.duration");
    refused("\"30s\"", "\"0s\"", "workload.duration: must not be zero");
}

#[test]
fn steps_that_make_no_sense_are_refused() {
    refused("\"cut\"", "\"cutt\"", "toml:40: step[0].action: \"cutt\" is none of cut,");
    refused("[\"n5\"]", "[\"n6\"]", "toml:41: step[0].nodes: no node \"n6\"");
    refused("nodes = [\"n5\"]\n", "", "toml:38: step[0].nodes: needed by \"cut\"");
    refused("action = \"heal\"", "action = \"heal\"\nnode = \"n1\"", "step[1].node: means nothing");
    refused("at = [\"4s\", \"6s\"]", "after = \"4s\"", "step[0].after: the first step");
    refused("after = \"8s\"", "after = \"8s\"\nat = \"9s\"", "step[1].at: exactly one");
    refused("[\"4s\", \"6s\"]", "[\"6s\", \"4s\"]", "step[0].at: is the wrong way round");
    refused(
        "\"outgoing\"",
        "\"sideways\"",
        "toml:42: step[0].direction: \"sideways\" is none of both, outgoing, incoming",
    );
}

#[test]
fn changes_of_the_layout_are_checked_one_after_the_other() {
    let step = |fields: &str| format!("action = \"layout\"\ntell = [\"n1\"]\n{fields}");
    let heal = "action = \"heal\"";
    let both = |first: &str, second: &str| {
        format!("{}\n[[step]]\nafter = \"1s\"\n{}", step(first), step(second))
    };
    refused(heal, &step(""), "step[1].drain: one of drain, remove, activate");
    refused(heal, &step("weights = { n7 = 2 }"), "step[1].weights: no node \"n7\"");
    refused(heal, &step("weights = { n2 = 0 }"), "step[1]: makes no layout: node[1].weight: 0");
    refused(heal, &step("replicas = 6"), "step[1]: makes no layout: cluster.replicas: 6");
    // Each by itself would do.
    let three_left = both("drain = [\"n1\", \"n2\"]", "remove = [\"n3\"]");
    refused(heal, &three_left, "step[2]: makes no layout: cluster.replicas: 3 exceeds the 2");
    let good =
        both("drain = [\"n1\"]\nzones = { n2 = \"z9\" }", "activate = [\"n1\"]\nsettle = true");
    let plan = parse(&GOOD.replacen(heal, &good, 1)).expect("accepted");
    let first = first_layout(&plan.cluster, 7000).unwrap();
    let changes = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Layout(change) => Some(change),
        _ => None,
    });
    let last = changes.fold(first, |layout, change| change.after(&layout).unwrap());
    assert_eq!((last.version, last.settled), (3, 2));
    assert_eq!(last.members[1].zone, "z9");
    assert!(last.members.iter().all(|member| member.state == MemberState::Active));
}

#[test]
fn trouble_with_disks_is_checked_like_all_else() {
    let disk = "sync_ms = [1, 3]";
    let with = |more: &str| format!("{disk}\n{more}");
    refused(disk, &with("power_loss = \"some\""), "toml:19: disk.power_loss: \"some\"");
    refused(disk, &with("spike_share = 2.0"), "toml:19: disk.spike_share: 2");
    refused(disk, &with("spike_ms = [2, 1]"), "toml:19: disk.spike_ms: is the wrong way round");
    let plan = parse(&GOOD.replacen(disk, &with("power_loss = \"subset\""), 1)).unwrap();
    assert_eq!(plan.disk.power_loss, PowerLoss::Subset);
    assert_eq!(parse(GOOD).unwrap().disk.power_loss, PowerLoss::Torn);

    let heal = "action = \"heal\"";
    let step = |step: &str| format!("action = {step}");
    refused(heal, &step("\"rot\"\nnodes = [\"n1\"]\nbits = 1"), "toml:44: step[1].dir: needed");
    let rot = "\"rot\"\nnodes = [\"n1\"]\ndir = \"d\"\nbits = 0";
    refused(heal, &step(rot), "step[1].bits: 0 is not from 1");
    let lose = "\"lose_file\"\nnodes = [\"n1\"]\nfile = \"lock\"";
    refused(heal, &step(lose), "step[1].file: \"lock\" is none of segment");
    refused(heal, &step("\"truncate_file\"\nnodes = [\"n1\"]"), "step[1].file: needed");
    let stall = "\"stall\"\nnodes = [\"n1\"]\noperations = \"all\"";
    refused(heal, &step(stall), "step[1].operations: \"all\" is none of");
    refused(heal, &step("\"slow\"\nnodes = [\"n9\"]\nfactor = 2"), "step[1].nodes: no node \"n9\"");
    refused(heal, &step("\"fill\"\nnodes = [\"n1\"]"), "step[1].room_bytes: needed");
    refused(heal, &step("\"release\"\nnodes = [\"n1\"]\nfactor = 2"), "step[1].factor: means");
}

#[test]
fn a_catalog_is_checked_like_all_else() {
    let workload = "\n[workload]";
    let with = |fields: &str| format!("\n[catalog]\n{fields}\n[workload]");
    refused(workload, &with("refs = 1"), "toml:21: catalog.refs: 1 is not from 2 to 100");
    refused(workload, &with("update_share = 2.0"), "toml:21: catalog.update_share: 2 is no share");
    refused(workload, &with("heartbeat_ms = 100"), "catalog: heartbeat_ms and election_timeout_ms");
    let close = "heartbeat_ms = 100\nelection_timeout_ms = 299";
    refused(workload, &with(close), "toml:22: catalog.election_timeout_ms: must be at least three");

    let (cut, part) = ("[\"n5\"]", "[\"leader\", \"follower\", \"n5\"]");
    assert!(parse(&GOOD.replacen(cut, part, 1)).is_ok());
    let start = GOOD.replacen("\"heal\"", "\"start\"\nnodes = [\"leader\"]", 1);
    let error = parse(&start).expect_err("who leads when it is started is another");
    assert!(error.contains("step[1].nodes: who leads now"), "{error}");
}

#[test]
fn a_name_that_is_not_the_file_s_is_refused() {
    refused("name = \"good\"", "name = \"better\"", "toml:1: name:");
}

#[test]
fn a_file_that_is_not_there_is_refused_by_path() {
    let error = Plan::load(Path::new("scenarios/none.toml")).expect_err("refused");
    assert!(error.to_string().starts_with("scenarios/none.toml: cannot be read"), "{error}");
}

#[test]
fn what_stands_between_machines_is_checked() {
    let loss = "loss = 0.0";
    let firewall = |more: &str| format!("{loss}\n\n[firewall]\n{more}");
    let good = "forgets_after = [\"30m\", \"1h\"]\nstrays = \"drop\"";
    let plan = parse(&GOOD.replacen(loss, &firewall(good), 1)).unwrap();
    let hours = Duration::from_secs(1800)..=Duration::from_secs(3600);
    assert_eq!(plan.firewall.unwrap().forgets_after, TimeRange(hours));
    refused(loss, &firewall("forgets_after = \"1h\"\nstrays = \"lose\""), "toml:17: firewall.str");
    let nodes = format!("{good}\nnodes = [\"n6\"]");
    refused(loss, &firewall(&nodes), "toml:18: firewall.nodes: no node \"n6\"");
    refused("action = \"heal\"", "action = \"forget\"", "step[1].action: there is no [firewall]");
    refused(loss, "loss = 0.0\ndns_ttl = \"soon\"", "toml:14: network.dns_ttl");
}

#[test]
fn steps_about_processes_links_and_callers_are_checked() {
    let check = |step: &str, message: &str| {
        refused("action = \"heal\"", &format!("action = {step}"), message);
    };
    check("\"restart\"\nnodes = [\"n1\"]", "step[1].down_for: needed by \"restart\"");
    check("\"flap\"\nnodes = [\"n1\"]\ntimes = 2\ndown_for = \"1s\"", "step[1].up_for: needed");
    check("\"pause\"\nnodes = [\"n9\"]", "step[1].nodes: no node \"n9\"");
    check("\"throttle\"\nnodes = [\"n1\"]\nfactor = 0", "step[1].factor: 0 is not from 1");
    check("\"link\"\nnodes = [\"n1\"]", "step[1].latency_ms: one of latency_ms and loss");
    check("\"link\"\nnodes = [\"n1\"]\nloss = 2.0", "step[1].loss: 2 is no share");
    check("\"link\"\nnodes = [\"n1\"]\nlatency_ms = [2, 1]", "step[1].latency_ms: is the wrong");
    check("\"dns_delay\"\ndelay = \"late\"", "step[1].delay: \"late\" is no length");
    check("\"quiet\"", "step[1].lasts: needed by \"quiet\"");
    check("\"burst\"\nclients = [\"c3\"]\ncallers = 9", "step[1].clients: no client \"c3\"");
    check("\"burst\"\nclients = [\"c1\"]", "step[1].callers: needed");
    let step = "\"move\"\nnode = \"n1\"\ndown_for = \"1s\"\ndns_after = \"1s\"\nleaves_behind";
    check(&format!("{step} = \"a ghost\""), "step[1].leaves_behind: \"a ghost\" is none of");
}

#[test]
fn the_size_of_a_pool_is_checked() {
    let timeout = "request_timeout = \"2s\"";
    let with = |most: usize| format!("{timeout}\npool_connections_max = {most}");
    let plan = parse(&GOOD.replacen(timeout, &with(8), 1)).unwrap();
    assert_eq!(plan.workload.pool_connections_max, Some(8));
    refused(timeout, &with(0), "toml:30: workload.pool_connections_max: 0 is not from 1");
}

#[test]
fn where_clients_are_and_whether_they_read_back_is_checked() {
    let timeout = "request_timeout = \"2s\"";
    let with = |zone: &str| format!("{timeout}\nzone = \"{zone}\"\nreads_back = 2");
    let plan = parse(&GOOD.replacen(timeout, &with("z1"), 1)).unwrap();
    assert_eq!((plan.workload.zone.as_deref(), plan.workload.reads_back), (Some("z1"), 2));
    assert!(plan.finds_rot() && !parse(GOOD).unwrap().finds_rot());
    refused(timeout, &with("z2"), "toml:30: workload.zone: no zone \"z2\": z1");
}

#[test]
fn a_scenario_is_found_by_its_name_wherever_it_is() {
    let scenarios = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    for name in ["partition-minority", "goaway", "two-slow", "rot", "rot-read", "stampede-100"] {
        assert_eq!(load_named(scenarios, name).unwrap().name, name);
    }
    let error = load_named(scenarios, "no-such").expect_err("none is called so");
    assert!(error.to_string().ends_with("there is no scenario \"no-such\" here"), "{error}");
}

#[test]
fn controls_are_known_by_name() {
    let controls = "\ncontrols = [\"no-eviction\", \"naive\"]\n\n[cluster]";
    let plan = parse(&GOOD.replacen("\n[cluster]", controls, 1)).unwrap();
    assert_eq!(plan.controls, [Control::NoEviction, Control::Naive]);
    let unknown = "\ncontrols = [\"no-evictoin\"]\n\n[cluster]";
    refused("\n[cluster]", unknown, "toml:4: controls: \"no-evictoin\" is none of no-expiry");
}

#[test]
fn how_nodes_repair_one_another_is_checked() {
    let expect = "\n[expect]";
    let with = |keys: &str| format!("\n[repair]\n{keys}\n{expect}");
    let good = "compare_interval = \"2m\"\nhint_age = \"12h\"\nscrub_interval_days = 1";
    let repair = parse(&GOOD.replacen(expect, &with(good), 1)).unwrap().repair;
    assert_eq!(repair.compare_interval, Some(Time(Duration::from_secs(120))));
    assert_eq!(repair.hint_age, Some(Time(Duration::from_secs(12 * 3600))));
    assert_eq!(repair.scrub_interval_days, Some(1));
    assert!(repair.compares && repair.hint_bytes.is_none());
    refused(
        expect,
        &with("compare_interval = \"0s\""),
        "repair.compare_interval: must not be zero",
    );
    refused(expect, &with("hint_age = \"old\""), "repair.hint_age: \"old\" is no length");
    refused(expect, &with("scrub_interval_days = 0"), "repair.scrub_interval_days: must not be");
}

#[test]
fn steps_about_clocks_and_client_machines_are_checked() {
    let check = |step: &str, message: &str| {
        refused("action = \"heal\"", &format!("action = {step}"), message);
    };
    check("\"clock\"\nnodes = [\"n1\"]", "step[1].ahead: needed by \"clock\"");
    check("\"clock\"\nnodes = [\"c1\"]\nahead = \"24h\"", "step[1].nodes: no node \"c1\"");
    check("\"panic_writes\"\nnodes = [\"n1\"]", "step[1].times: needed by \"panic_writes\"");
    let flap = "\"flap_clients\"\ntimes = 2\nup_for = \"1s\"\ndown_for = \"1s\"\nclients";
    check(&format!("{flap} = [\"n1\"]"), "step[1].clients: no client \"n1\"");
    let good = format!("action = {flap} = [\"c2\"]");
    let plan = parse(&GOOD.replacen("action = \"heal\"", &good, 1)).unwrap();
    assert!(matches!(&plan.steps[1].action, Action::FlapClients { times: 2, .. }));
}

#[test]
fn deletion_and_what_stores_are_told_is_checked() {
    let check = |step: &str, message: &str| {
        refused("action = \"heal\"", &format!("action = {step}"), message);
    };
    check("\"delete\"", "step[1].share: needed by \"delete\"");
    check("\"delete\"\nshare = 1.5", "step[1].share: 1.5 is no share");
    check("\"delete\"\nshare = 0.5\nnodes = [\"n1\"]", "step[1].nodes: means nothing");
    check("\"strike_compactions\"\nnodes = [\"n1\"]\ntimes = 2", "step[1].down_for: needed");
    assert!(!parse(GOOD).unwrap().deletes());
    let good = "action = \"delete\"\nshare = 0.5";
    assert!(parse(&GOOD.replacen("action = \"heal\"", good, 1)).unwrap().deletes());

    let expect = "\n[expect]";
    let with = |keys: &str| format!("\n[store]\n{keys}\n{expect}");
    let plan = parse(&GOOD.replacen(expect, &with("segment_bytes = 65536"), 1)).unwrap();
    assert_eq!(plan.store.segment_bytes, Some(65_536));
    assert_eq!(plan.store.maintenance_bytes_per_second, None);
    refused(expect, &with("segment_bytes = 1"), "toml:33: store.segment_bytes: 1 is not from");
    refused(expect, &with("maintenance_bytes_per_second = 0"), "bytes_per_second: must not be");
}
