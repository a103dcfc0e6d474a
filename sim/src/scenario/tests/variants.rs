//! Several scenarios of one file: each is the file with what is different in it.

use std::path::{Path, PathBuf};

use super::super::{Action, load_all, read};
use super::{GOOD, Plan};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");

fn plans(variants: &str) -> Result<Vec<Plan>, String> {
    let text = format!("{GOOD}\n[[variant]]\nname = \"good-one\"\n{variants}");
    read::plans(Path::new("scenarios/good.toml"), &text).map_err(|error| error.to_string())
}

/// Asserts that the good file with one variant of these fields is refused with `message`.
#[track_caller]
fn refused(fields: &str, message: &str) {
    let error = plans(fields).expect_err("refused");
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_variant_is_the_file_with_its_own_values_in_it() {
    let two = "[[variant]]\nname = \"good-two\"\ndescription = \"Two.\"\nworkload.put_share = 0.7\n\
               step.0.nodes = [\"n1\", \"n2\"]\nstep.1.after = \"1s\"";
    let plans = plans(two).expect("accepted");
    let good = super::parse(GOOD).unwrap();
    let [one, two] = plans.as_slice() else { panic!("two variants") };
    assert_eq!(one.path, PathBuf::from("scenarios/good.toml:good-one"));
    assert_eq!(*one, Plan { name: one.name.clone(), path: one.path.clone(), ..good.clone() });
    assert_eq!((two.name.as_str(), two.description.as_str()), ("good-two", "Two."));
    assert!((two.workload.put_share - 0.7).abs() < 1e-9);
    assert_eq!(two.workload.duration, good.workload.duration);
    assert!(matches!(&two.steps[0].action, Action::Cut { nodes, .. } if nodes.len() == 2));
    assert_eq!(two.steps[0].when, good.steps[0].when);
    assert_ne!(two.steps[1].when, good.steps[1].when);
}

#[test]
fn what_is_wrong_with_a_variant_is_refused_with_its_line() {
    // The variant begins on line 48, and its name is on line 49.
    refused("cluster.write_quorum = 4", "toml:50: cluster.write_quorum: 4 is not from");
    refused("cluster.write_quorom = 2", "toml:50: cluster.write_quorom: there is no such field");
    refused("step.0.nodes = [\"n9\"]", "toml:50: step[0].nodes: no node \"n9\"");
    refused("step.0.bits = 1", "toml:50: step[0].bits: means nothing to \"cut\", which has nodes");
    refused("step.2.nodes = [\"n1\"]", "toml:50: variant: there is nothing numbered 2");
    refused("workload.duration = \"1 s\"", "toml:50: workload.duration: \"1 s\" is no length");
    refused(
        "[[variant]]\nname = \"better\"",
        "toml:51: name: \"better\" does not begin with good-",
    );
    refused("[[variant]]\nname = \"good-one\"", "toml:51: name: \"good-one\" is there already");
    let none = super::parse(&format!("variant = []\n{GOOD}")).expect_err("refused");
    assert!(none.contains("toml:1: variant: must be tables"), "{none}");
}

#[test]
fn one_of_several_is_loaded_by_its_name() {
    let file = format!("{SCENARIOS}/pool/stampede.toml");
    let error = Plan::load(Path::new(&file)).expect_err("there are two").to_string();
    assert!(error.contains("has several scenarios, stampede-100, stampede-1000"), "{error}");
    let named = PathBuf::from(format!("{file}:stampede-1000"));
    let plan = Plan::load(&named).expect("named");
    assert_eq!((plan.name.as_str(), &plan.path), ("stampede-1000", &named));
    assert_eq!(load_all(&[named]).unwrap(), [plan]);
    let unknown = Plan::load(Path::new(&format!("{file}:stampede-7"))).expect_err("unknown");
    assert!(unknown.to_string().contains("there is no scenario \"stampede-7\" here"), "{unknown}");
}
