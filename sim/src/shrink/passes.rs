//! What can be taken away from a scenario, the most first.

use toml::Value;

use super::document::Document;

/// Gives the scenarios that are smaller by one thing.
type Pass = fn(&Document) -> Vec<Document>;

/// In the order in which they are tried.
pub(super) const PASSES: [Pass; 5] = [steps, parts, numbers, fields, within_steps];

/// Parts that nothing can do without, or that say what failure is.
const NEEDED: [&str; 3] = ["cluster", "workload", "expect"];
/// Fields that say what is promised, and so what a failure is.
const PROMISES: [&str; 3] = ["replicas", "write_quorum", "read_quorum"];
/// The part that says what must hold.
const EXPECTATIONS: &str = "expect";

/// Without all steps, without each half, each quarter, and so on to each one.
fn steps(document: &Document) -> Vec<Document> {
    let count = document.steps().len();
    let mut smaller = Vec::new();
    let mut size = count;
    while size > 0 {
        for first in (0..count).step_by(size) {
            smaller.push(document.without_steps(first..count.min(first + size)));
        }
        size /= 2;
    }
    smaller
}

/// Without a whole part: links, disks, a firewall, and so on are then what they are by default.
fn parts(document: &Document) -> Vec<Document> {
    let parts = document.tables().map(|(part, _)| part);
    let parts = parts.filter(|part| !NEEDED.contains(&part.as_str()));
    parts.map(|part| document.without(part)).collect()
}

/// With fewer nodes, clients, objects, for a shorter time.
fn numbers(document: &Document) -> Vec<Document> {
    let mut smaller = Vec::new();
    for (part, fields) in document.tables().filter(|(part, _)| *part != EXPECTATIONS) {
        for (field, value) in fields.iter().filter(|(field, _)| !is_promise(field)) {
            let lesser = lesser(value).into_iter();
            smaller.extend(lesser.map(|value| document.with_field(part, field, Some(value))));
        }
    }
    smaller
}

/// Without a field, which then has its default.
fn fields(document: &Document) -> Vec<Document> {
    let mut smaller = Vec::new();
    for (part, fields) in document.tables().filter(|(part, _)| *part != EXPECTATIONS) {
        let fields = fields.keys().filter(|field| !is_promise(field));
        smaller.extend(fields.map(|field| document.with_field(part, field, None)));
    }
    smaller
}

/// With fewer machines in a step, with lesser numbers, without a field.
fn within_steps(document: &Document) -> Vec<Document> {
    let mut smaller = Vec::new();
    for (index, step) in document.steps().iter().enumerate() {
        let Some(fields) = step.as_table() else { continue };
        let fields = fields.iter().filter(|(field, _)| !["at", "after"].contains(&field.as_str()));
        for (field, value) in fields {
            let lesser = lesser(value).into_iter().map(Some).chain([None]);
            smaller.extend(lesser.map(|value| document.with_step_field(index, field, value)));
        }
    }
    smaller
}

fn is_promise(field: &str) -> bool {
    PROMISES.contains(&field)
}

/// Lesser values in place of this one, the least first.
fn lesser(value: &Value) -> Vec<Value> {
    match value {
        Value::Integer(number) => {
            let mut lesser = vec![0, 1, number / 2, number - 1];
            lesser.retain(|less| less < number);
            lesser.dedup();
            lesser.into_iter().map(Value::Integer).collect()
        }
        Value::Float(number) if *number > 0.0 => vec![Value::Float(0.0)],
        Value::Boolean(true) => vec![Value::Boolean(false)],
        Value::String(time) => half_of(time).map(Value::String).into_iter().collect(),
        // Names: of the rest of them, each may be the one that is not needed.
        Value::Array(names) if names.len() > 1 && names.iter().all(is_name) => {
            let without = |index: usize| {
                let mut fewer = names.clone();
                fewer.remove(index);
                Value::Array(fewer)
            };
            (0..names.len()).map(without).collect()
        }
        _ => Vec::new(),
    }
}

fn is_name(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.starts_with(|first: char| first.is_ascii_digit()))
}

/// Half of a time such as `19s`.
fn half_of(time: &str) -> Option<String> {
    let unit = time.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = time.split_at(unit);
    let number: u64 = number.parse().ok()?;
    (number > 1 && ["ms", "s", "m", "h"].contains(&unit)).then(|| format!("{}{unit}", number / 2))
}
