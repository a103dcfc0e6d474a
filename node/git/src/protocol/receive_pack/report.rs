//! Verdicts on the commands of a push, and the report that tells them.

use std::collections::BTreeMap;

use bytes::Bytes;
use gitstratum_core::limits::REF_NAME_BYTES_MAX;

use super::super::error::one_line;
use super::commands::Commands;
use crate::pkt_line::Packets;
use crate::service::{PushOutcome, RefCommand};

/// What is said of the commands of an atomic push of which another one was refused.
const ATOMIC: &str = "atomic push failure";

/// What can be said of each command without asking the repository: the reason to refuse it.
pub(in super::super) struct Verdicts(Vec<Option<&'static str>>);

impl Verdicts {
    /// Looks at the commands alone.
    pub fn check(commands: &Commands) -> Self {
        let mut times = BTreeMap::new();
        for command in &commands.list {
            *times.entry(command.name.as_slice()).or_insert(0) += 1;
        }
        let has_twice = times.len() < commands.list.len();
        let refused = commands.list.iter().map(|command| {
            if times[command.name.as_slice()] > 1 {
                Some("multiple updates for ref not allowed")
            } else if has_twice {
                Some("another ref has multiple updates")
            } else if command.name.len() > REF_NAME_BYTES_MAX {
                Some("the name of the ref is too long")
            } else if !command.name.starts_with(b"refs/")
                || std::str::from_utf8(&command.name).is_err()
            {
                Some("funny refname")
            } else {
                None
            }
        });
        let mut refused: Vec<_> = refused.collect();
        if commands.capabilities.has("atomic") && refused.iter().any(Option::is_some) {
            refused.iter_mut().for_each(|verdict| *verdict = verdict.or(Some(ATOMIC)));
        }
        Verdicts(refused)
    }

    /// The commands that are not refused.
    pub fn sensible(&self, commands: &Commands) -> Vec<RefCommand> {
        let all = commands.list.iter().zip(&self.0).filter(|(_, refused)| refused.is_none());
        let sensible = all.map(|(command, _)| RefCommand {
            name: String::from_utf8(command.name.clone()).expect("others are refused"),
            old: command.old,
            new: command.new,
        });
        sensible.collect()
    }

    /// The outcome, where none was sensible.
    pub fn into_outcome(mut self) -> PushOutcome {
        self.join(PushOutcome { unpacked: Ok(()), verdicts: Vec::new() })
    }

    /// The outcome of all, given that of the sensible ones.
    pub fn join(&mut self, of_sensible: PushOutcome) -> PushOutcome {
        let mut said = of_sensible.verdicts.into_iter();
        let verdicts = self.0.iter().map(|refused| match refused {
            Some(reason) => Err((*reason).to_owned()),
            None => said.next().unwrap_or_else(|| Err("nothing was said of this ref".into())),
        });
        PushOutcome { verdicts: verdicts.collect(), unpacked: of_sensible.unpacked }
    }
}

/// The report: a line for the pack and one for each command. Where the pack was not taken, no
/// command was done.
pub(in super::super) fn write(commands: &Commands, outcome: &PushOutcome) -> Bytes {
    let mut packets = Packets::new();
    match &outcome.unpacked {
        Ok(()) => packets.line(format_args!("unpack ok")),
        Err(reason) => packets.line(format_args!("unpack {}", one_line(reason))),
    };
    for (command, verdict) in commands.list.iter().zip(&outcome.verdicts) {
        let mut line = match (verdict, &outcome.unpacked) {
            (Ok(()), Ok(())) => b"ok ".to_vec(),
            _ => b"ng ".to_vec(),
        };
        line.extend_from_slice(&command.name);
        match (verdict, &outcome.unpacked) {
            (Err(reason), _) => line.extend_from_slice(format!(" {}", one_line(reason)).as_bytes()),
            (Ok(()), Err(_)) => line.extend_from_slice(b" unpacker error"),
            (Ok(()), Ok(())) => {}
        }
        line.push(b'\n');
        packets.data(&line);
    }
    packets.flush().take()
}
