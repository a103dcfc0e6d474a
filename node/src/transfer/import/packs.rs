//! Packs of a repository on disk: where an object's entry is, as the bytes that the pack has.
//!
//! gix finds and maps the packs. To copy an entry takes more than that: where it ends, and which object
//! a delta builds on, both of which the offsets of all entries tell.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::odb::pack;

use super::error::{ImportError, reading};

/// An entry of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which pack.
    pub(super) pack: u32,
    /// Where the entry begins.
    pub(super) offset: u64,
    /// Where it ends.
    pub(super) end: u64,
}

/// A pack with its index, both mapped, so that they can be read when Git has removed them.
struct Opened {
    bundle: pack::Bundle,
    /// Where entries begin, ascending, each with its place in the index.
    offsets: Vec<(u64, u32)>,
}

/// The packs of a repository and of its alternates, in an order that stays.
pub(super) struct Packs(Vec<Opened>);

impl Packs {
    /// Opens those in these object directories.
    pub(super) fn open(
        directories: &[PathBuf],
        hash: gix::hash::Kind,
    ) -> Result<Self, ImportError> {
        let mut opened = Vec::new();
        for directory in directories {
            for index in indices(&directory.join("pack"))? {
                let bundle = pack::Bundle::at(&index, hash);
                let bundle = bundle.map_err(reading(format!("pack {}", index.display())))?;
                let count = bundle.index.num_objects();
                let mut offsets: Vec<_> =
                    (0..count).map(|at| (bundle.index.pack_offset_at_index(at), at)).collect();
                offsets.sort_unstable();
                opened.push(Opened { bundle, offsets });
            }
        }
        Ok(Packs(opened))
    }

    /// How many objects they have, those that several have counted by each.
    pub(super) fn objects(&self) -> u64 {
        self.0.iter().map(|pack| pack.offsets.len() as u64).sum()
    }

    /// Where an object is packed: always the same, where several packs have it.
    pub(super) fn locate(&self, id: &gix::oid) -> Option<Place> {
        let mut packs = self.0.iter().enumerate();
        let (at, pack, place) =
            packs.find_map(|(at, pack)| Some((at, pack, pack.bundle.index.lookup(id)?)))?;
        let offset = pack.bundle.index.pack_offset_at_index(place);
        let next = pack.offsets.partition_point(|(other, _)| *other <= offset);
        let pack_end = pack.bundle.pack.pack_end() as u64;
        let end = pack.offsets.get(next).map_or(pack_end, |(next, _)| *next);
        Some(Place { pack: at as u32, offset, end })
    }

    /// The bytes of an entry; nothing where the pack is too short for it.
    pub(super) fn entry(&self, place: Place) -> Option<&[u8]> {
        self.0[place.pack as usize].bundle.pack.entry_slice(place.offset..place.end)
    }

    /// The object whose entry begins there.
    pub(super) fn object_at(&self, pack: u32, offset: u64) -> Option<ObjectId> {
        let pack = &self.0[pack as usize];
        let at = pack.offsets.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(pack.bundle.index.oid_at_index(pack.offsets[at].1).to_owned())
    }
}

/// Indices whose packs are there, sorted.
fn indices(directory: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let unreadable = |error: io::Error| ImportError::Object {
        what: format!("{} cannot be listed: {error}", directory.display()),
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut indices = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|found| found == "idx")
            && path.with_extension("pack").is_file()
        {
            indices.push(path);
        }
    }
    indices.sort();
    Ok(indices)
}
