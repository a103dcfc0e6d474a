//! What differs between two readings of a configuration, by the names of its fields.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::LoadedConfig;

/// What is not compared field by field: the layout has versions, and the log is followed.
const APART: [&str; 3] = ["cluster", "node", "log"];

impl LoadedConfig {
    /// The fields in which the other one differs, such as `store.fsync`, in order; those of the
    /// layout and of the log are left out.
    ///
    /// # Errors
    /// As [`LoadedConfig::to_toml`].
    pub fn fields_changed_in(&self, other: &Self) -> Result<Vec<String>, toml::ser::Error> {
        let mut changed = Vec::new();
        compare("", &self.table()?, &other.table()?, &mut changed);
        Ok(changed)
    }

    fn table(&self) -> Result<Table, toml::ser::Error> {
        let mut table = Table::try_from(self.file())?;
        table.retain(|name, _| !APART.contains(&name));
        Ok(table)
    }
}

fn compare(within: &str, one: &Table, other: &Table, changed: &mut Vec<String>) {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        let field = match within {
            "" => name.clone(),
            _ => format!("{within}.{name}"),
        };
        match (one.get(name), other.get(name)) {
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                compare(&field, one, other, changed);
            }
            (one, other) if one == other => {}
            _ => changed.push(field),
        }
    }
}
