//! Scenario lookup.
//!
//! Which file a scenario is in: by its path, by `FILE:NAME`, or by its name in a directory.

use std::path::{Path, PathBuf};

use super::{Plan, ScenarioError, read};

impl Plan {
    /// Reads and checks the scenario at a path, or the one of that name at `FILE:NAME`.
    ///
    /// # Errors
    /// [`ScenarioError`] naming line and field, or all scenarios of a file that has several.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        only(path, load(path)?)
    }

    /// Checks the text of a file that has one scenario; `path` names it and appears in errors.
    ///
    /// # Errors
    /// [`ScenarioError`] naming line and field.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ScenarioError> {
        only(path, read::plans(path, text)?)
    }
}

/// Loads scenario files; of a directory every `.toml` in it and in those in it, in the order
/// of paths. `FILE:NAME` is one of several scenarios of a file.
///
/// # Errors
/// [`ScenarioError`] of the first bad file, or when a directory has none at all, or when two
/// have one name.
pub fn load_all(paths: &[PathBuf]) -> Result<Vec<Plan>, ScenarioError> {
    let mut plans: Vec<Plan> = Vec::new();
    for path in paths {
        for file in files_at(path)? {
            for plan in load(&file)? {
                if let Some(other) = plans.iter().find(|other| other.name == plan.name) {
                    let problem = format!("name: {} has it already", other.path.display());
                    return Err(ScenarioError { path: file, line: None, problem });
                }
                plans.push(plan);
            }
        }
    }
    Ok(plans)
}

/// Loads the scenario of this name from a directory and those in it.
///
/// # Errors
/// [`ScenarioError`] when there is none, or it is bad.
pub fn load_named(dir: &Path, name: &str) -> Result<Plan, ScenarioError> {
    let files = files_at(dir)?;
    let stem = |file: &PathBuf| file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if let Some(file) = files.iter().find(|file| stem(file).is_some_and(|stem| stem == name)) {
        return Plan::load(file);
    }
    // The name of a variant begins with that of its file.
    for file in files {
        let rest = stem(&file).and_then(|stem| name.strip_prefix(&*stem));
        if rest.is_some_and(|rest| rest.starts_with('-')) {
            let named = load(&file)?.into_iter().find(|plan| plan.name == name);
            if let Some(plan) = named {
                return Ok(plan);
            }
        }
    }
    Err(refusal(dir, format!("there is no scenario {name:?} here")))
}

/// All scenarios of a file, or the one that is named after it.
fn load(path: &Path) -> Result<Vec<Plan>, ScenarioError> {
    let (file, name) = match path.to_str().and_then(|path| path.rsplit_once(':')) {
        Some((file, name)) if !path.exists() => (Path::new(file), Some(name)),
        _ => (path, None),
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| refusal(file, format!("cannot be read: {error}")))?;
    let mut plans = read::plans(file, &text)?;
    if let Some(name) = name {
        let known = names(&plans);
        plans.retain(|plan| plan.name == name);
        if plans.is_empty() {
            return Err(refusal(file, format!("there is no scenario {name:?} here: {known}")));
        }
    }
    Ok(plans)
}

fn only(path: &Path, mut plans: Vec<Plan>) -> Result<Plan, ScenarioError> {
    match plans.pop() {
        Some(plan) if plans.is_empty() => Ok(plan),
        last => {
            plans.extend(last);
            let path_shown = path.display();
            let problem =
                format!("has several scenarios, {}: name one, {path_shown}:NAME", names(&plans));
            Err(refusal(path, problem))
        }
    }
}

fn names(plans: &[Plan]) -> String {
    plans.iter().map(|plan| plan.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn refusal(path: &Path, problem: String) -> ScenarioError {
    ScenarioError { path: path.to_owned(), line: None, problem }
}

/// The file itself, or all of a directory; at least one.
fn files_at(path: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files =
        files_under(path).map_err(|error| refusal(path, format!("cannot be listed: {error}")))?;
    files.sort();
    if files.is_empty() {
        return Err(refusal(path, "no scenario (*.toml) here".to_owned()));
    }
    Ok(files)
}

/// Scenario files of a directory and of those in it, in any order.
fn files_under(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_under(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(files)
}
