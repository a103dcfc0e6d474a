//! Plans are written back as TOML: what is read from that is the same plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

use super::super::{MillisRange, Time, TimeRange, load_all};
use super::{GOOD, Plan, parse};

/// Every action with every field it has.
const ACTIONS: &str = r#"
cut = { nodes = ["n1", "n2"], from = ["n3", "c1"], direction = "incoming" }
heal = {}
crash = { nodes = ["n1"] }
power_off = { nodes = ["n1", "n2", "n3"] }
start = { nodes = ["n1"] }
restart = { nodes = ["n1"], down_for = "1s" }
flap = { nodes = ["n1"], times = 3, down_for = ["200ms", "1s"], up_for = ["5s", "2m"] }
flap_clients = { clients = ["c1", "c2"], times = 100000, down_for = "2h", up_for = "61m" }
panic_writes = { nodes = ["n1"], times = 1 }
clock = { nodes = ["n1"], ahead = "24h" }
pause = { nodes = ["n1"] }
throttle = { nodes = ["n1"], factor = 100 }
resume = { nodes = ["n1"] }
link = { nodes = ["n1"], from = ["c2"], direction = "both", latency_ms = [0.3, 2.5], loss = 0.01 }
forget = {}
dns = { node = "n1", resolves = false }
dns_delay = { delay = "0s" }
quiet = { lasts = ["1h", "2h"] }
bulk = { refs = 100000 }
burst = { clients = ["c1"], callers = 1000 }
rot = { nodes = ["n1"], dir = "/data/segments", bits = 9 }
lose_file = { nodes = ["n1"], file = "segment_and_index" }
truncate_file = { nodes = ["n1"], file = "large" }
wipe = { nodes = ["n1"] }
slow = { nodes = ["n1"], factor = 20 }
stall = { nodes = ["n1"], operations = "syncs" }
fill = { nodes = ["n1"], room_bytes = 5000000000 }
exhaust = { nodes = ["n1"] }
delete = { share = 1.0 }
strike_compactions = { nodes = ["n1"], times = 4, down_for = "1ms" }
release = { nodes = ["n1"] }

[move]
node = "n1"
down_for = "1s"
dns_after = "0s"
takes_address_of = "n2"
leaves_behind = "namesake"

[layout]
drain = ["n1"]
remove = ["n5"]
activate = ["n3"]
weights = { n1 = 4, n2 = 1 }
zones = { n2 = "z3" }
replicas = 2
write_quorum = 2
read_quorum = 1
settle = true
tell = ["n1"]
"#;

/// Everything outside steps that a file may leave out, with a value that is not the default.
const OPTIONAL: [(&str, &str); 10] = [
    ("name = \"good\"", "controls = [\"no-eviction\", \"first-w\"]"),
    ("zones = 1", ""),
    ("zones = 1", "active = 4"),
    (
        "loss = 0.0",
        "dns_ttl = \"90s\"\n[firewall]\nnodes = [\"n2\"]\nforgets_after = \"1h\"\nstrays = \"reset\"",
    ),
    ("sync_ms = [1, 3]", "power_loss = \"everything\"\nspike_share = 0.125\nspike_ms = [20, 99.5]"),
    (
        "\n[workload]",
        "\n[store]\nsegment_bytes = 65536\nmaintenance_bytes_per_second = 1\n[workload]",
    ),
    ("settled_puts = 5", "pool_connections_max = 8\nzone = \"z1\"\nreads_back = 4"),
    (
        "\n[expect]",
        "\n[repair]\nhint_bytes = 1\ncompares = false\ncompare_interval = \"2m\"\nhint_age = \"12h\"\nscrub_interval_days = 7\n[expect]",
    ),
    (
        "\n[workload]",
        "\n[catalog]\nclients = 1\nrepositories = 3\nrefs = 2\npace_ms = [0, 5]\nupdate_share = 1.0\natomic_share = 0.0\nheartbeat_ms = 1000\nelection_timeout_ms = 3000\nsnapshot_bytes = 1\nagree_within = \"2s\"\nupdates_min = 0\nsnapshots_min = 2\ngap_max = \"3s\"\nvoters = [[\"n1\"], [\"n1\", \"n2\"]]\n[workload]",
    ),
    (
        "stuck_after = \"5m\"",
        "failed_in_reach_max = 0\ndials_per_10s_max = 1\nconnections_max = 2\ncompactions_min = 3\ndeletions_min = 4\nconverge_within = \"1500ms\"",
    ),
];

#[track_caller]
fn check_written(plan: &Plan) {
    let text = plan.to_toml();
    let file = PathBuf::from(format!("{}.toml", plan.name));
    let again = Plan::parse(&file, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(Plan { path: plan.path.clone(), ..again }, *plan, "{text}");
}

/// The good file with one more step: an action with these fields.
fn with_step(action: &str, fields: &toml::Table) -> String {
    let mut step = fields.clone();
    step.insert("at".to_owned(), Value::from("1s"));
    step.insert("action".to_owned(), Value::from(action));
    let steps = toml::Table::from_iter([("step".to_owned(), Value::Array(vec![step.into()]))]);
    let good = GOOD.split_once("[[step]]").map_or(GOOD, |(before, _)| before);
    let firewall = "[firewall]\nforgets_after = \"1h\"\nstrays = \"drop\"";
    format!("{good}\n{firewall}\n\n[catalog]\n\n{steps}")
}

fn actions() -> BTreeMap<String, toml::Table> {
    toml::from_str(ACTIONS).expect("each is a table")
}

#[test]
fn every_shipped_scenario_can_be_written_back() {
    let scenarios = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    let plans = load_all(&[scenarios.to_owned()]).expect("all are good");
    assert!(plans.len() > 60, "{} scenarios", plans.len());
    plans.iter().for_each(check_written);
}

#[test]
fn every_action_with_every_field_can_be_written_back() {
    for (action, fields) in actions() {
        let text = with_step(&action, &fields);
        let plan = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        check_written(&plan);
        let (name, written) = plan.steps[0].action.parts().expect("writable");
        assert_eq!((name, written), (action, fields), "as it was written by hand");
    }
}

#[test]
fn the_data_above_has_every_action_and_every_field() {
    let known = |text: &str, before: &str| -> BTreeSet<String> {
        let error = parse(text).expect_err("there is no such word");
        let (_, known) = error.split_once(before).unwrap_or_else(|| panic!("{error}"));
        known.split(", ").map(str::to_owned).filter(|word| word != "no fields").collect()
    };
    let all = known(&with_step("?", &toml::Table::new()), "is none of ");
    assert_eq!(all, actions().into_keys().collect());
    for (action, mut fields) in actions() {
        let given: BTreeSet<String> = fields.keys().cloned().collect();
        fields.insert("?".to_owned(), Value::from(0));
        assert_eq!(known(&with_step(&action, &fields), ", which has "), given, "{action}");
    }
}

#[test]
fn what_a_file_may_leave_out_is_written_back_where_it_is_given() {
    check_written(&parse(GOOD).unwrap());
    for (after, given) in OPTIONAL {
        assert!(GOOD.contains(after), "{after}");
        let text = match given.contains("[workload]") || given.contains("[expect]") {
            true => GOOD.replacen(after, given, 1),
            false => GOOD.replacen(after, &format!("{after}\n{given}"), 1),
        };
        let plan = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(given.is_empty() || plan != parse(GOOD).unwrap(), "{given}");
        check_written(&plan);
    }
}

#[test]
fn what_is_left_out_has_the_documented_value() {
    let explicit = GOOD
        .replacen("latency_ms = [0.5, 2]", "latency_ms = [0.3, 2]\ndns_ttl = \"0s\"", 1)
        .replacen("read_ms = [0.1, 1]", "read_ms = [0.1, 0.5]\npower_loss = \"torn\"", 1)
        .replacen("sync_ms = [1, 3]", "sync_ms = [0.5, 4]\nspike_share = 0\nspike_ms = [0, 0]", 1)
        .replacen("\"2s\"", "\"3s\"\nreads_back = 0", 1)
        .replacen(
            "\n[expect]",
            "\n[repair]\ncompares = true\n[catalog]\nclients = 0\n\n[expect]",
            1,
        );
    let (before, rest) = GOOD.split_once("zones = 1").unwrap();
    let (_, rest) = rest.split_once("\n[workload]").unwrap();
    let short = format!("{before}\n[workload]{rest}");
    let short =
        short.replacen("clients = 2\n", "", 1).replacen("request_timeout = \"2s\"\n", "", 1);
    assert_eq!(parse(&short), parse(&explicit));
}

#[test]
fn times_are_written_in_the_longest_unit() {
    let millis = Duration::from_millis;
    let texts = [
        (0, "0s"),
        (1, "1ms"),
        (1_500, "1500ms"),
        (90_000, "90s"),
        (120_000, "2m"),
        (5_400_000, "90m"),
        (86_400_000, "24h"),
    ];
    for (time, text) in texts {
        assert_eq!(Value::try_from(Time(millis(time))), Ok(Value::from(text)));
        let one = TimeRange(millis(time)..=millis(time));
        assert_eq!(Value::try_from(one), Ok(Value::from(text)), "a range of one time");
    }
    let two = TimeRange(millis(5_000)..=millis(60_000));
    assert_eq!(Value::try_from(two), Ok(Value::from(vec!["5s", "1m"])));
    assert!(Value::try_from(Time(Duration::from_micros(1))).is_err(), "no whole millisecond");
    for micros in [0, 1, 99, 100, 300, 1_000, 123_456_789, 1_000_000_000_000] {
        let range = MillisRange::micros(0, micros);
        let written = Value::try_from(range.clone()).expect("two numbers");
        assert_eq!(written.try_into(), Ok(range), "{micros} µs");
    }
}
