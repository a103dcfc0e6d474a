//! Scenario parser.
//!
//! From the text of a file to its plans: errors with line and field.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gitstratum_core::config_text::{FieldPlaces, line_at};
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::{Problem, check};
use super::{Plan, ScenarioError, steps, variants};

/// Reads and checks all scenarios of a file: one, or one for each variant.
pub(super) fn plans(path: &Path, text: &str) -> Result<Vec<Plan>, ScenarioError> {
    let source = Source { path, text };
    let file = DeTable::parse(text)
        .map_err(|error| source.error(error.span(), one_line(error.message())))?;
    let (whole, file) = (file.span(), file.into_inner());
    let tables =
        variants::expand(&file).map_err(|(span, problem)| source.error(Some(span), problem))?;
    let has_variants = file.contains_key("variant");
    let mut plans: Vec<Plan> = Vec::new();
    for table in tables {
        let (places, mut plan) = source.scenario(whole.clone(), table)?;
        let refuse = |problem| source.problem(&places, problem);
        let bad_name = |what| refuse(Problem::new("name", what));
        if plans.iter().any(|other| other.name == plan.name) {
            return Err(bad_name(format!("{:?} is there already", plan.name)));
        }
        plan.path = source.named(&plan.name, has_variants).map_err(bad_name)?;
        check(&plan).map_err(refuse)?;
        plans.push(plan);
    }
    Ok(plans)
}

/// The file, to turn byte offsets into lines.
struct Source<'t> {
    path: &'t Path,
    text: &'t str,
}

impl<'t> Source<'t> {
    /// Reads one scenario, which is not checked yet.
    fn scenario(
        &self,
        whole: Range<usize>,
        mut table: DeTable<'t>,
    ) -> Result<(FieldPlaces, Plan), ScenarioError> {
        let places = FieldPlaces::of(&table);
        if let Some(DeValue::Array(steps)) = table.get_mut("step").map(Spanned::get_mut) {
            for (index, step) in steps.iter_mut().enumerate() {
                steps::nest(step)
                    .map_err(|problem| self.problem(&places, problem.in_step(index)))?;
            }
        }
        let deserializer = toml::de::Deserializer::from(Spanned::new(whole, table));
        let mut plan =
            Plan::deserialize(deserializer).map_err(|error| self.refusal(&places, &error))?;
        plan.description = plan.description.trim().to_owned();
        Ok((places, plan))
    }

    /// What loads the scenario of this name, if the file may have one of this name.
    fn named(&self, name: &str, is_variant: bool) -> Result<PathBuf, String> {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let path = self.path.display();
        match name.strip_prefix(&*stem) {
            Some("") if !is_variant => Ok(self.path.to_owned()),
            Some(rest) if is_variant && rest.starts_with('-') => {
                Ok(PathBuf::from(format!("{path}:{name}")))
            }
            _ if is_variant => {
                Err(format!("{name:?} does not begin with {stem}-, the file's name"))
            }
            _ => Err(format!("{name:?} is not the name of the file")),
        }
    }

    /// The words of serde as ours: which field, and what is wrong with it.
    fn refusal(&self, places: &FieldPlaces, error: &toml::de::Error) -> ScenarioError {
        let span = error.span().unwrap_or_default();
        let message = one_line(error.message());
        let quoted = |rest: &str| rest.split('`').next().unwrap_or_default().to_owned();
        let field = places.field_at(&span).unwrap_or("file");
        let (field, problem) = if let Some(rest) = message.strip_prefix("missing field `") {
            let table = places.table_at(&span);
            let field = table.map_or(quoted(rest), |table| format!("{table}.{}", quoted(rest)));
            let action = table.and_then(|table| self.action(places, table));
            (field, action.map_or("needed".to_owned(), |action| format!("needed by {action}")))
        } else if message.starts_with("unknown field") || message.starts_with("unexpected keys") {
            let table = field.rsplit_once('.').map_or("", |(table, _)| table);
            let known = known(&message);
            let problem = self.action(places, table).map_or_else(
                || format!("there is no such field, but {known}"),
                |action| format!("means nothing to {action}, which has {known}"),
            );
            (field.to_owned(), problem)
        } else if let Some(rest) = message.strip_prefix("unknown variant `") {
            (field.to_owned(), format!("{:?} is none of {}", quoted(rest), known(&message)))
        } else {
            (field.to_owned(), message)
        };
        self.error(Some(span), format!("{field}: {problem}"))
    }

    /// The action of the step at `table`, quoted as it is in the file.
    fn action(&self, places: &FieldPlaces, table: &str) -> Option<&'t str> {
        table
            .starts_with("step[")
            .then(|| places.value_of(&format!("{table}.action")))?
            .and_then(|span| self.text.get(span))
    }

    fn problem(&self, places: &FieldPlaces, Problem { field, what }: Problem) -> ScenarioError {
        self.error(places.value_of(&field), format!("{field}: {what}"))
    }

    fn error(&self, span: Option<Range<usize>>, problem: String) -> ScenarioError {
        let line = span.map(|span| line_at(self.text, span.start));
        ScenarioError { path: self.path.to_owned(), line, problem }
    }
}

/// The words that serde would have known, from its message.
fn known(message: &str) -> String {
    let lists = ["available keys:", "expected one of", "expected"];
    let known = lists.iter().find_map(|list| Some(message.split_once(list)?.1));
    let known = known.unwrap_or_default().trim().replace('`', "").replace(" or ", ", ");
    if known.is_empty() { "no fields".to_owned() } else { known }
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', " ")
}
