//! Records of a repository in parts that each fit a command.

use gitstratum_catalog::State;
use gitstratum_catalog::command::RestoredRef;
use gitstratum_catalog::entity::{Pack, Ref};
use gitstratum_catalog::ids::RepositoryId;
use gitstratum_catalog::names::RefName;
use gitstratum_core::limits::{
    COMMAND_BYTES_MAX, PACK_SOURCE_BYTES_MAX, REF_NAME_BYTES_MAX, REFLOG_ENTRIES_MAX,
    REFLOG_MESSAGE_BYTES_MAX, WHO_BYTES_MAX,
};

/// Packs of one command.
const PACKS_AT_ONCE: usize = 512;
/// Refs of one command, as what they take is estimated.
const REF_BYTES_AT_ONCE: usize = 256 << 10;
/// What a pack takes beside its source, at most: five fields, one of them an id.
const PACK_BYTES_MAX: usize = 96;
/// What an object's id and its frame take, at most.
const TARGET_BYTES_MAX: usize = 48;
/// What an entry of a log takes beside its words and its target, at most.
const ENTRY_BYTES_MAX: usize = 32;
/// What one ref takes at most: the last that goes into a command may have as much.
const REF_BYTES_MAX: usize = 2 * REF_NAME_BYTES_MAX
    + 2 * TARGET_BYTES_MAX
    + REFLOG_ENTRIES_MAX
        * (ENTRY_BYTES_MAX + REF_NAME_BYTES_MAX + WHO_BYTES_MAX + REFLOG_MESSAGE_BYTES_MAX);

const _: () =
    assert!(2 * PACKS_AT_ONCE * (PACK_BYTES_MAX + PACK_SOURCE_BYTES_MAX) < COMMAND_BYTES_MAX);
const _: () = assert!(2 * (REF_BYTES_AT_ONCE + REF_BYTES_MAX) < COMMAND_BYTES_MAX);

/// The packs of a repository.
pub(super) fn pack_batches(state: &State, repository: RepositoryId) -> Vec<Vec<Pack>> {
    let packs: Vec<Pack> = state.packs(repository).map(|pack| Pack::clone(pack)).collect();
    packs.chunks(PACKS_AT_ONCE).map(<[Pack]>::to_vec).collect()
}

/// What a ref takes in a command, about.
fn bytes_of(name: &RefName, held: &Ref) -> usize {
    let target = |words: usize| TARGET_BYTES_MAX + words;
    let log = held.log.iter().map(|entry| {
        let old = entry.old.as_ref().map_or(0, |old| target(old.to_string().len()));
        ENTRY_BYTES_MAX + old + entry.note.who.len() + entry.note.message.len()
    });
    name.as_str().len() + target(held.target.to_string().len()) + log.sum::<usize>()
}

/// The refs of a repository with their logs.
pub(super) fn ref_batches(
    state: &State,
    repository: RepositoryId,
) -> impl Iterator<Item = Vec<RestoredRef>> {
    let mut refs = state.references(repository).peekable();
    std::iter::from_fn(move || {
        refs.peek()?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < REF_BYTES_AT_ONCE
            && let Some((name, held)) = refs.next()
        {
            bytes += bytes_of(name, held);
            batch.push(RestoredRef { name: name.to_string(), value: Ref::clone(held) });
        }
        Some(batch)
    })
}
