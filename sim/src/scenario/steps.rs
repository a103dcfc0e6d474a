//! Scenario steps.
//!
//! One `[[step]]`: when, which action, and the fields of that.
//!
//! A file has all of it in one table, and serde wants the fields of an enum inside a table of
//! their own. [`nest`] makes one of the other before a step is read. (An internally tagged enum
//! would do without, and forget on which line a field is.)

use std::ops::Range;
use std::time::Duration;

use serde::ser::{Error as _, SerializeMap as _};
use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Problem;
use super::{Action, TimeRange};

/// One step and when it is taken.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Step {
    /// When, drawn from the range.
    pub when: When,
    /// What.
    pub action: Action,
}

/// When a step is taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So long after the load began.
    At(TimeRange),
    /// So long after the step before it.
    After(TimeRange),
}

impl When {
    /// The shortest time that it may mean.
    pub fn earliest(&self) -> Duration {
        match self {
            When::At(range) | When::After(range) => *range.start(),
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, fields) = self.action.parts().map_err(S::Error::custom)?;
        let mut table = serializer.serialize_map(None)?;
        match &self.when {
            When::At(range) => table.serialize_entry("at", range)?,
            When::After(range) => table.serialize_entry("after", range)?,
        }
        table.serialize_entry("action", &name)?;
        for (field, value) in &fields {
            table.serialize_entry(field, value)?;
        }
        table.end()
    }
}

/// Gives a step of a file the shape that [`Step`] is read from:
/// `{ when = { at = … }, action = { cut = { nodes = … } } }`.
///
/// # Errors
/// When it has not one of `at` and `after`, or no action.
pub(super) fn nest(step: &mut Spanned<DeValue<'_>>) -> Result<(), Problem> {
    let span = step.span();
    // What is no table is refused where it is read.
    let DeValue::Table(fields) = step.get_mut() else { return Ok(()) };
    let mut fields = std::mem::take(fields);
    let when = ["at", "after"].into_iter().filter_map(|field| fields.remove_entry(field));
    let when: DeTable<'_> = when.collect();
    if when.len() != 1 {
        return Err(Problem::new("at", "exactly one of at and after is needed"));
    }
    let action = fields.remove("action").ok_or_else(|| Problem::new("action", "needed"))?;
    let DeValue::String(name) = action.get_ref() else {
        return Err(Problem::new("action", "must be the name of one"));
    };
    let time = when.values().next().map_or(span.clone(), Spanned::span);
    let fields = Spanned::new(span.clone(), DeValue::Table(fields));
    let action: DeTable<'_> =
        [(Spanned::new(action.span(), name.clone()), fields)].into_iter().collect();
    let named = |key: &'static str, span: Range<usize>, table| {
        (Spanned::new(span.clone(), key.into()), Spanned::new(span, DeValue::Table(table)))
    };
    let nested = [named("when", time, when), named("action", span, action)];
    *step.get_mut() = DeValue::Table(nested.into_iter().collect());
    Ok(())
}
