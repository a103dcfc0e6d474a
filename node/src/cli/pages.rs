//! `pages`: manual pages and completions, made of the grammar of the command line.
//!
//! Hidden, because it is for packages: what they bring is then of the very program that they bring.

use std::fs;
use std::path::Path;

use clap_complete::Shell;

use super::{Failure, help, show};

/// Shells that completions are made for, and what their files are called.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "completions/bash/gitstratum"),
    (Shell::Zsh, "completions/zsh/_gitstratum"),
    (Shell::Fish, "completions/fish/gitstratum.fish"),
];

/// Writes `man/gitstratum.1` with a page for each command beside it, and the completions.
pub(super) fn write(directory: &Path) -> Result<(), Failure> {
    let pages = directory.join("man");
    let failed = |path: &Path| Failure::operation(format!("write under {}", path.display()));
    fs::create_dir_all(&pages).map_err(failed(&pages))?;
    clap_mangen::generate_to(help::command(), &pages).map_err(failed(&pages))?;
    let mut command = help::command();
    for (shell, name) in COMPLETIONS {
        let path = directory.join(name);
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "gitstratum", &mut script);
        let within = path.parent().expect("a file of a directory");
        let written = fs::create_dir_all(within).and_then(|()| fs::write(&path, script));
        written.map_err(failed(within))?;
    }
    show(&format!("manual pages and completions are under {}\n", directory.display()))
}
