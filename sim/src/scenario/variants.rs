//! Scenario variants.
//!
//! Scenarios of one file that differ in a few values.
//!
//! Each `[[variant]]` holds what is different in it, in the shape of the file: its fields
//! replace those of the file, tables field by field, and `step.0` is the first step. Values
//! keep their places in the text, so that an error names the line on which its value is.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong, and where.
type Wrong = (Range<usize>, String);

/// One table for each scenario of a file: the file itself if it has no variants.
pub(super) fn expand<'t>(file: &DeTable<'t>) -> Result<Vec<DeTable<'t>>, Wrong> {
    let mut file = file.clone();
    let Some(variants) = file.remove("variant") else { return Ok(vec![file]) };
    let span = variants.span();
    let wrong = || (span.clone(), "variant: must be tables: [[variant]]".to_owned());
    let DeValue::Array(variants) = variants.into_inner() else { return Err(wrong()) };
    if variants.is_empty() {
        return Err(wrong());
    }
    variants
        .into_iter()
        .map(|variant| {
            let DeValue::Table(changes) = variant.into_inner() else { return Err(wrong()) };
            let mut scenario = file.clone();
            overlay(&mut scenario, changes)?;
            Ok(scenario)
        })
        .collect()
}

fn overlay<'t>(table: &mut DeTable<'t>, changes: DeTable<'t>) -> Result<(), Wrong> {
    for (key, change) in changes {
        match table.get_mut(key.get_ref().as_ref()) {
            Some(value) => replace(value, change)?,
            None => drop(table.insert(key, change)),
        }
    }
    Ok(())
}

fn replace<'t>(
    value: &mut Spanned<DeValue<'t>>,
    change: Spanned<DeValue<'t>>,
) -> Result<(), Wrong> {
    let span = change.span();
    match (value.get_mut(), change.into_inner()) {
        (DeValue::Table(table), DeValue::Table(changes)) => overlay(table, changes),
        (DeValue::Array(elements), DeValue::Table(changes)) => {
            for (key, change) in changes {
                let place = key.get_ref().parse().ok();
                let element = place.and_then(|place: usize| elements.get_mut(place));
                let none = || (key.span(), format!("variant: there is nothing numbered {key}"));
                replace(element.ok_or_else(none)?, change)?;
            }
            Ok(())
        }
        (_, change) => {
            *value = Spanned::new(span, change);
            Ok(())
        }
    }
}
