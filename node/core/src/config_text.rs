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
    /// Each field after the table or array that it is in.
    fields: Vec<Field>,
}

struct Field {
    /// Such as `cluster.write_quorum` or `node[2].address`.
    path: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl<'t> ConfigText<'t> {
    /// Parses `text`; `name` stands before errors.
    pub fn parse(text: &'t str, name: &'t str) -> Result<Self, ConfigError> {
        let mut source = ConfigText { text, name, fields: Vec::new() };
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
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
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
    pub fn field_error(&self, field: &str, problem: String) -> ConfigError {
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
