//! TOML field locations.
//!
//! Where in a TOML text a field stands, and which field stands at a place.
//!
//! An operator needs both of every error: the line to go to and the field's full name.
//! The parser gives a span without the name, a check gives the name without the line.

use std::ops::Range;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no TOML.
    #[error("{source_name}:{line}: {problem}")]
    Syntax {
        /// The file.
        source_name: String,
        /// Counted from 1.
        line: usize,
        /// The parser's words.
        problem: String,
    },
    /// A field is unknown, missing, of the wrong type, or its value cannot be.
    #[error("{}: {field}: {problem}", place(source_name, *line))]
    Field {
        /// The file, or what stands for it when there is none.
        source_name: String,
        /// Counted from 1; `None` when the field is not in the file.
        line: Option<usize>,
        /// The field, such as `cluster.write_quorum` or `node[2].address`.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

fn place(source_name: &str, line: Option<usize>) -> String {
    line.map_or_else(|| source_name.to_owned(), |line| format!("{source_name}:{line}"))
}

/// A parsed text with the place of every field.
pub struct ConfigText<'t> {
    text: &'t str,
    name: &'t str,
    fields: FieldPlaces,
}

impl<'t> ConfigText<'t> {
    /// Parses `text`; `name` stands before errors.
    pub fn parse(text: &'t str, name: &'t str) -> Result<Self, ConfigError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            let problem = error.message().to_owned();
            ConfigError::Syntax { source_name: name.to_owned(), line, problem }
        })?;
        Ok(ConfigText { text, name, fields: FieldPlaces::of(table.get_ref()) })
    }

    /// Reads the text into `T`; an error names the field that it is about.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error: toml::de::Error| {
            let span = error.span().unwrap_or(0..0);
            ConfigError::Field {
                source_name: self.name.to_owned(),
                line: Some(line_at(self.text, span.start)),
                field: self.fields.field_at(&span).unwrap_or("file").to_owned(),
                problem: error.message().replace('\n', " ").trim().to_owned(),
            }
        })
    }

    /// An error about `field`, with its line or that of the nearest table around it.
    pub fn field_error(&self, field: &str, problem: String) -> ConfigError {
        let line = self.fields.value_of(field).map(|value| line_at(self.text, value.start));
        let source_name = self.name.to_owned();
        ConfigError::Field { source_name, line, field: field.to_owned(), problem }
    }
}

/// Where in a text each field of a table stands, and which field stands at a place.
pub struct FieldPlaces {
    /// Each field after the table or array that it is in.
    fields: Vec<Field>,
}

struct Field {
    /// Such as `cluster.write_quorum` or `node[2].address`.
    path: String,
    key: Range<usize>,
    value: Range<usize>,
    is_table: bool,
}

impl FieldPlaces {
    /// Looks through a table, and through all that are in it.
    pub fn of(table: &DeTable<'_>) -> Self {
        let mut places = FieldPlaces { fields: Vec::new() };
        places.collect("", table);
        places
    }

    /// The innermost field whose name or value contains `span`.
    pub fn field_at(&self, span: &Range<usize>) -> Option<&str> {
        self.innermost(span, |_| true)
    }

    /// The innermost table that contains `span`; `None` is the outermost.
    pub fn table_at(&self, span: &Range<usize>) -> Option<&str> {
        self.innermost(span, |field| field.is_table)
    }

    /// Where the value of `field` stands, or that of the nearest table around it.
    pub fn value_of(&self, field: &str) -> Option<Range<usize>> {
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

/// The line of a byte of a text, counted from 1.
pub fn line_at(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}
