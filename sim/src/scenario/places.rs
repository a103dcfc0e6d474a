//! Where in the text of a scenario each field stands, and which field stands at a place.
//!
//! As `gitstratum_core::config_text` does it, but of a table that variants have changed: it is
//! not the text any more.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// The places of all fields of a scenario.
pub(super) struct Places {
    /// Each field after the table that it is in.
    fields: Vec<Field>,
}

/// Where one field stands.
struct Field {
    /// Such as `cluster.write_quorum` or `step[2].nodes`.
    path: String,
    key: Range<usize>,
    value: Range<usize>,
    is_table: bool,
}

impl Places {
    /// Looks through a whole scenario.
    pub(super) fn of(scenario: &DeTable<'_>) -> Self {
        let mut places = Places { fields: Vec::new() };
        places.collect("", scenario);
        places
    }

    /// The innermost field whose name or value contains `span`.
    pub(super) fn field_at(&self, span: &Range<usize>) -> Option<&str> {
        self.innermost(span, |_| true)
    }

    /// The innermost table that contains `span`; `None` is the file.
    pub(super) fn table_at(&self, span: &Range<usize>) -> Option<&str> {
        self.innermost(span, |field| field.is_table)
    }

    /// Where the value of `field` stands, or that of the nearest table around it.
    pub(super) fn value_of(&self, field: &str) -> Option<Range<usize>> {
        let found = self.fields.iter().find(|known| known.path == field);
        found.map(|field| field.value.clone()).or_else(|| {
            let (around, _) = field.rsplit_once('.')?;
            self.value_of(around)
        })
    }

    fn innermost(&self, span: &Range<usize>, wanted: impl Fn(&Field) -> bool) -> Option<&str> {
        let within = |range: &Range<usize>| {
            let contains = range.start <= span.start && span.end <= range.end;
            contains.then_some(range.len())
        };
        let containing = self.fields.iter().filter(|field| wanted(field)).filter_map(|field| {
            let width = within(&field.key).into_iter().chain(within(&field.value)).min()?;
            Some((width, field.path.as_str()))
        });
        // Of equals the last: it is inside the others.
        containing.rev().min_by_key(|(width, _)| *width).map(|(_, path)| path)
    }

    fn collect(&mut self, around: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = format!("{around}{}", key.get_ref());
            self.add(path, key.span(), value.span(), value.get_ref());
        }
    }

    fn add(&mut self, path: String, key: Range<usize>, span: Range<usize>, value: &DeValue<'_>) {
        let is_table = matches!(value, DeValue::Table(_));
        self.fields.push(Field { path: path.clone(), key, value: span, is_table });
        match value {
            DeValue::Table(table) => self.collect(&format!("{path}."), table),
            DeValue::Array(elements) => {
                let tables = elements
                    .iter()
                    .enumerate()
                    .filter(|(_, element)| matches!(element.get_ref(), DeValue::Table(_)));
                for (index, element) in tables {
                    let span = element.span();
                    self.add(format!("{path}[{index}]"), span.clone(), span, element.get_ref());
                }
            }
            _ => {}
        }
    }
}
