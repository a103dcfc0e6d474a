//! Where in a TOML text a field stands, and which field stands at a place.
//!
//! An operator needs both of every error: the line to go to and the field's full name.
//! The parser gives a span without the name, a check gives the name without the line.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// A parsed text with the place of every field.
pub(super) struct Source<'t> {
    text: &'t str,
    name: &'t str,
    /// Each field after the table or array that it is in.
    fields: Vec<Field>,
}

struct Field {
    /// Such as `cluster.write_quorum` or `node[2].address`.
    path: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl<'t> Source<'t> {
    /// Parses `text`; `name` stands before errors.
    pub(super) fn parse(text: &'t str, name: &'t str) -> Result<Self, ConfigError> {
        let mut source = Source { text, name, fields: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => source.collect("", table.get_ref()),
            Err(error) => {
                let line = source.line(error.span().map_or(0, |span| span.start));
                let problem = error.message().to_owned();
                return Err(ConfigError::Syntax { source_name: name.to_owned(), line, problem });
            }
        }
        Ok(source)
    }

    /// Reads the text into `T`; an error names the field that it is about.
    pub(super) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error: toml::de::Error| {
            let span = error.span().unwrap_or(0..0);
            let at = |range: &Range<usize>| range.start <= span.start && span.end <= range.end;
            let field = self.fields.iter().rfind(|field| at(&field.key) || at(&field.value));
            ConfigError::Field {
                source_name: self.name.to_owned(),
                line: Some(self.line(span.start)),
                field: field.map_or_else(|| "file".to_owned(), |field| field.path.clone()),
                problem: error.message().replace('\n', " ").trim().to_owned(),
            }
        })
    }

    /// An error about `field`, with its line or that of the nearest table around it.
    pub(super) fn field_error(&self, field: &str, problem: String) -> ConfigError {
        let mut around = Some(field);
        let mut line = None;
        while let (None, Some(path)) = (line, around) {
            let found = self.fields.iter().find(|field| field.path == path);
            line = found.map(|field| self.line(field.key.start));
            around = path.rsplit_once('.').map(|(table, _)| table);
        }
        let source_name = self.name.to_owned();
        ConfigError::Field { source_name, line, field: field.to_owned(), problem }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|&byte| byte == b'\n').count()
    }

    fn collect(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = format!("{prefix}{}", key.get_ref());
            self.fields.push(Field { path: path.clone(), key: key.span(), value: value.span() });
            match value.get_ref() {
                DeValue::Table(table) => self.collect(&format!("{path}."), table),
                DeValue::Array(array) => {
                    for (index, element) in array.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        let span = element.span();
                        let DeValue::Table(table) = element.get_ref() else { continue };
                        self.fields.push(Field {
                            path: path.clone(),
                            key: span.clone(),
                            value: span,
                        });
                        self.collect(&format!("{path}."), table);
                    }
                }
                _ => {}
            }
        }
    }
}
