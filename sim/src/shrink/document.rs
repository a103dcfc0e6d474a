//! A scenario as fields that can be taken away.

use std::path::Path;

use toml::{Table, Value};

use crate::scenario::Plan;

/// The name of the steps in a file.
const STEP: &str = "step";

/// A scenario file, field by field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document(Table);

impl Document {
    /// A scenario with every field in it.
    pub(super) fn of(plan: &Plan) -> Self {
        let text = plan.to_toml();
        Document(text.parse().expect("what was written as TOML is TOML"))
    }

    /// What it says; `None` when a scenario cannot be so.
    pub(super) fn plan(&self, path: &Path) -> Option<Plan> {
        Plan::parse(path, &toml::to_string(&self.0).ok()?).ok()
    }

    /// The steps, in order.
    pub(super) fn steps(&self) -> &[Value] {
        self.0.get(STEP).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The parts of the scenario that are tables, and their fields.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&String, &Table)> {
        self.0.iter().filter_map(|(name, value)| Some((name, value.as_table()?)))
    }

    /// How many fields it has.
    pub(super) fn fields(&self) -> usize {
        let fields = |value: &Value| match value {
            Value::Table(table) => table.len(),
            Value::Array(steps) => steps.iter().filter_map(Value::as_table).map(Table::len).sum(),
            _ => 1,
        };
        self.0.values().map(fields).sum()
    }

    /// The same without these steps.
    pub(super) fn without_steps(&self, taken: std::ops::Range<usize>) -> Self {
        self.changed(|table| {
            if let Some(Value::Array(steps)) = table.get_mut(STEP) {
                steps.drain(taken);
            }
        })
    }

    /// The same without a part.
    pub(super) fn without(&self, part: &str) -> Self {
        self.changed(|table| drop(table.remove(part)))
    }

    /// The same with another value of a field, or without it.
    pub(super) fn with_field(&self, part: &str, field: &str, value: Option<Value>) -> Self {
        self.changed(|table| {
            if let Some(Value::Table(part)) = table.get_mut(part) {
                set(part, field, value);
            }
        })
    }

    /// The same with another value of a field of a step, or without it.
    pub(super) fn with_step_field(&self, step: usize, field: &str, value: Option<Value>) -> Self {
        self.changed(|table| {
            if let Some(Value::Array(steps)) = table.get_mut(STEP)
                && let Some(Value::Table(step)) = steps.get_mut(step)
            {
                set(step, field, value);
            }
        })
    }

    fn changed(&self, change: impl FnOnce(&mut Table)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.0);
        changed
    }

    /// The file of `plan`, which is what this says: in the order in which people write scenarios, and
    /// with no field that is not here.
    pub(super) fn text(&self, plan: &Plan) -> String {
        let full = plan.to_toml();
        let (mut text, mut head) = (String::new(), None);
        let (mut part, mut kept): (Option<&Table>, bool) = (Some(&self.0), true);
        let mut steps = self.steps().iter().filter_map(Value::as_table);
        for line in full.lines() {
            match line {
                "[[step]]" => {
                    part = steps.next();
                    head = Some(line);
                }
                _ if line.starts_with('[') => {
                    let name = line.trim_matches(['[', ']']);
                    part = self.0.get(name).and_then(Value::as_table);
                    head = Some(line);
                }
                _ if line.is_empty() => {}
                _ => {
                    // A line that begins no field goes on with the one before.
                    if let Some((field, _)) = line.split_once(" = ") {
                        kept = part.is_some_and(|part| part.contains_key(field));
                    }
                    if kept {
                        text.extend(head.take().map(|head| format!("\n{head}\n")));
                        text.push_str(line);
                        text.push('\n');
                    }
                }
            }
        }
        match Plan::parse(&plan.path, &text) {
            Ok(read) if read == *plan => text,
            // A field that this does not know how to leave out.
            _ => full,
        }
    }
}

fn set(table: &mut Table, field: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(table.insert(field.to_owned(), value)),
        None => drop(table.remove(field)),
    }
}
