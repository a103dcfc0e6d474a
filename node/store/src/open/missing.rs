//! Missing data: what an opening does not find of what a store should hold.

use std::collections::BTreeMap;

use gitstratum_core::object::ObjectId;
use gitstratum_host::Disk;
use gitstratum_host::disk::OpenMode;

use crate::error::{OpenError, io_error};
use crate::files::names::large_path;
use crate::format::large::large_size_of;
use crate::manifest::{self, UnidentifiedRecords};
use crate::state::large_names::{self, Journal, Said};
use crate::state::quarantine::Missing;
use crate::state::view::{Bad, BadPlace};

impl Missing {
    /// Notes when there is no manifest where one was; says whether a copy is to be written again.
    pub(crate) fn look_at_manifest(&mut self, read: &manifest::Read, had: bool) -> bool {
        let trouble = read.trouble.join(", ");
        match &read.manifest {
            None if had => {
                let lost =
                    UnidentifiedRecords::unknown(format!("{trouble}: nobody knows what there was"));
                self.lost.push((manifest::FILE.to_owned(), lost));
            }
            Some(_) if !trouble.is_empty() => {
                tracing::warn!(trouble, "a copy of the manifest is written again");
            }
            _ => {}
        }
        !trouble.is_empty()
    }

    /// Compares the large objects that are there with the journal of their names; the journal as
    /// it can be gone on with.
    pub(crate) async fn look_at_large(
        &mut self,
        disk: &Disk,
        said: Said,
        large: &BTreeMap<ObjectId, u64>,
    ) -> Result<Journal, OpenError> {
        let whole = said.lost.is_none();
        self.lost.extend(said.lost.map(|lost| (large_names::FILE.to_owned(), lost)));
        self.large.extend(said.large.iter().filter_map(|(id, len)| {
            let size = large_size_of(*len);
            let bad = match large.get(id) {
                // A journal that lost lines may have lost that it was deleted.
                None if !whole => return None,
                None => {
                    Bad::wrong(BadPlace::Dropped, size, format!("{} is missing", large_path(*id)))
                }
                Some(found) if found != len => {
                    Bad::wrong(BadPlace::Large, size, format!("{found} of {len} bytes are left"))
                }
                Some(_) => return None,
            };
            Some((*id, bad))
        }));
        let same = whole && said.whole && said.large.keys().eq(large.keys());
        let file = match same {
            true => {
                let opened = disk.open(large_names::FILE, OpenMode::ReadWrite).await;
                Some(opened.map_err(io_error("open", large_names::FILE))?)
            }
            false => None,
        };
        Ok(Journal::found(said.reach, said.lines, file))
    }
}
