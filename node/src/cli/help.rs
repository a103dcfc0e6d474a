//! `--help`: the commands, grouped by what one wants to do.

use clap::{Command, CommandFactory};

use super::arguments::Arguments;

const GROUPS: [(&str, &[&str]); 7] = [
    ("Run nodes", &["init", "join", "serve", "check-config", "dev"]),
    ("Name repositories", &["repo", "events"]),
    ("Let people in", &["token", "cert"]),
    ("Keep repositories and objects", &["import", "export", "mirror", "put", "get", "has"]),
    ("See and change a cluster", &["status", "node", "layout", "repair", "scrub"]),
    ("Keep copies of a cluster", &["backup", "restore", "snapshot", "catalog"]),
    ("Work on files without a node", &["store", "recover"]),
];

/// What the command line is parsed with.
pub(super) fn command() -> Command {
    let command = Arguments::command();
    let commands = listed(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{commands}Options:\n{{options}}{{after-help}}"
    ))
}

/// Each group with its commands, and what each of them does.
fn listed(command: &Command) -> String {
    let mut text = String::new();
    for (group, names) in GROUPS {
        text.push_str(&format!("{group}:\n"));
        for name in names {
            let command = command.find_subcommand(name).expect("a group names commands");
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {name:<13} {about}\n"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let command = Arguments::command();
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        let mut all: Vec<_> = shown.map(Command::get_name).collect();
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }
}
