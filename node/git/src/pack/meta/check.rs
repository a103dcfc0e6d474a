//! Decoding of a pack index: everything that others rely on is checked once.

use bytes::Bytes;
use gitstratum_core::object::Kind;

use super::layout::{
    CHECKSUM_BYTES, COMMIT_BYTES, Counts, FLAGS_ALL, FORM_REF, FORM_SHIFT, FORMAT, HEADER_BYTES,
    Layout, MAGIC, TAG_BYTES, U40_MAX, kind_of, u32_at,
};
use super::{Link, MetaError, PackMeta};

impl PackMeta {
    /// Reads an index, and checks it.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn decode(bytes: Bytes) -> Result<Self, MetaError> {
        if bytes.len() < MAGIC.len() + 1 || bytes[..MAGIC.len()] != MAGIC {
            return Err(MetaError::NotMeta);
        }
        if bytes[MAGIC.len()] != FORMAT {
            return Err(MetaError::Format(bytes[MAGIC.len()]));
        }
        let (actual, least) = (bytes.len(), HEADER_BYTES + CHECKSUM_BYTES);
        if actual < least {
            let (expected, actual) = (least as u64, actual as u64);
            return Err(MetaError::Length { expected, actual });
        }
        let (content, checksum) = bytes.split_at(actual - CHECKSUM_BYTES);
        if crc32c::crc32c(content).to_le_bytes() != *checksum {
            return Err(MetaError::Checksum);
        }
        let (algorithm, counts) = Counts::read_header(&bytes)?;
        let layout = Layout::new(algorithm, &counts, actual)?;
        let meta = PackMeta { bytes, algorithm, counts, layout };
        meta.check_ids()?;
        meta.check_entries()?;
        meta.check_bases()?;
        meta.check_commits()?;
        meta.check_tags()?;
        Ok(meta)
    }

    /// Positions sorted by id name each object once, and ids outside are outside.
    fn check_ids(&self) -> Result<(), MetaError> {
        let mut last: Option<&[u8]> = None;
        for position in self.by_id() {
            if position >= self.len() {
                return Err(MetaError::Invalid("an order of ids with a position that is none"));
            }
            let id = self.id_bytes(self.layout.ids, position);
            if last.is_some_and(|last| last >= id) {
                return Err(MetaError::Invalid("ids out of order, or one twice"));
            }
            last = Some(id);
        }
        let mut last: Option<&[u8]> = None;
        for row in 0..self.counts.outside {
            let id = self.id_bytes(self.layout.outside, row);
            if last.is_some_and(|last| last >= id) {
                return Err(MetaError::Invalid("outside ids out of order, or one twice"));
            }
            if self.find(&self.read_id(self.layout.outside, row)).is_some() {
                return Err(MetaError::Invalid("an outside id that is inside"));
            }
            last = Some(id);
        }
        Ok(())
    }

    /// Entries and garbage follow each other without gaps, up to the end of the body. There is one
    /// piece of garbage at most before an entry.
    fn check_entries(&self) -> Result<(), MetaError> {
        if self.body_bytes() > U40_MAX {
            return Err(MetaError::Invalid("a body that is too long"));
        }
        let mut garbage = (0..self.counts.garbage as usize).map(|row| self.garbage(row)).peekable();
        let mut begin = 0;
        for position in 0..=self.len() {
            let next =
                if position < self.len() { self.offset(position) } else { self.body_bytes() };
            // What is from `begin` to `next`: an entry, unless this is before the first; then
            // perhaps garbage.
            let entry_len_min = u64::from(position > 0);
            let mut end = next;
            if let Some((offset, len)) = garbage.next_if(|(offset, _)| *offset < next) {
                if len == 0 || offset.checked_add(len) != Some(next) {
                    return Err(MetaError::Invalid(
                        "garbage that does not end where an entry begins",
                    ));
                }
                end = offset;
            } else if position == 0 && next != 0 {
                return Err(MetaError::Invalid("bytes before the first entry that are nothing"));
            }
            if end.checked_sub(begin).is_none_or(|len| len < entry_len_min) {
                return Err(MetaError::Invalid("entries out of order"));
            }
            if position == 0 && end != 0 {
                return Err(MetaError::Invalid("bytes before the first entry that are nothing"));
            }
            begin = next;
        }
        if garbage.next().is_some() {
            return Err(MetaError::Invalid("garbage out of order"));
        }
        Ok(())
    }

    /// Deltas, and nothing else, have bases; those are of the same kind, and following them ends.
    fn check_bases(&self) -> Result<(), MetaError> {
        for position in 0..self.len() {
            let flags = self.flags(position);
            let form = flags >> FORM_SHIFT & 3;
            if flags > FLAGS_ALL || form > FORM_REF {
                return Err(MetaError::Invalid("flags that mean nothing"));
            }
            let base = self.base(position);
            if base.is_some() != (form != 0) {
                return Err(MetaError::Invalid("a delta without a base, or a base of no delta"));
            }
            if base.is_some_and(|base| {
                base >= self.len() || kind_of(self.flags(base)) != kind_of(flags)
            }) {
                return Err(MetaError::Invalid("a base that cannot be one"));
            }
        }
        let mut ends = vec![false; self.len() as usize];
        let mut path = Vec::new();
        for position in 0..self.len() {
            let mut at = Some(position);
            while let Some(next) = at.filter(|next| !ends[*next as usize]) {
                if path.len() >= self.len() as usize {
                    return Err(MetaError::Invalid("deltas in a circle"));
                }
                path.push(next);
                at = self.base(next);
            }
            path.drain(..).for_each(|on_path| ends[on_path as usize] = true);
        }
        Ok(())
    }

    fn count(&self, kind: Kind) -> usize {
        (0..self.len()).filter(|position| self.kind(*position) == kind).count()
    }

    /// The link at a place of the encoded form is to something that may be of this kind.
    fn check_link(&self, at: usize, kind: Kind) -> Result<Link, MetaError> {
        let number = u32_at(&self.bytes, at);
        if u64::from(number) >= u64::from(self.len()) + u64::from(self.counts.outside) {
            return Err(MetaError::Invalid("a link to nothing"));
        }
        let link = self.link(at);
        match link {
            Link::Inside(position) if self.kind(position) != kind => {
                Err(MetaError::Invalid("a link to an object of another kind"))
            }
            _ => Ok(link),
        }
    }

    fn check_commits(&self) -> Result<(), MetaError> {
        if self.count(Kind::Commit) != self.counts.commits as usize {
            return Err(MetaError::Invalid("commits without a row, or rows without a commit"));
        }
        let (mut last, mut parents) = (None, 0);
        for row in 0..self.counts.commits as usize {
            let at = self.layout.commits + COMMIT_BYTES * row;
            let position = u32_at(&self.bytes, at);
            if last.is_some_and(|last| last >= position)
                || position >= self.len()
                || self.kind(position) != Kind::Commit
            {
                return Err(MetaError::Invalid("commits out of order, or what is none"));
            }
            self.check_link(at + 4, Kind::Tree)?;
            let end = u32_at(&self.bytes, at + 8);
            if end < parents || end > self.counts.parents {
                return Err(MetaError::Invalid("parents that end before they begin"));
            }
            for parent in parents..end {
                self.check_link(self.layout.parents + 4 * parent as usize, Kind::Commit)?;
            }
            (last, parents) = (Some(position), end);
        }
        if parents != self.counts.parents {
            return Err(MetaError::Invalid("parents of no commit"));
        }
        for commit in self.commits() {
            let too_low = |parent: u32| {
                let parent = self.commit(parent).map_or(0, |parent| parent.generation());
                commit.generation() != 0 && (parent == 0 || parent >= commit.generation())
            };
            let mut inside = commit.parents().filter_map(|link| match link {
                Link::Inside(position) => Some(position),
                Link::Outside(_) => None,
            });
            if inside.any(too_low) {
                return Err(MetaError::Invalid("a generation number below that of a parent"));
            }
        }
        Ok(())
    }

    fn check_tags(&self) -> Result<(), MetaError> {
        if self.count(Kind::Tag) != self.counts.tags as usize {
            return Err(MetaError::Invalid("tags without a row, or rows without a tag"));
        }
        let mut last = None;
        for row in 0..self.counts.tags as usize {
            let at = self.layout.tags + TAG_BYTES * row;
            let position = u32_at(&self.bytes, at);
            if last.is_some_and(|last| last >= position)
                || position >= self.len()
                || self.kind(position) != Kind::Tag
            {
                return Err(MetaError::Invalid("tags out of order, or what is none"));
            }
            let kind = self.bytes[at + 8];
            if kind > 3 {
                return Err(MetaError::Invalid("a tag of an unknown kind of object"));
            }
            self.check_link(at + 4, kind_of(kind))?;
            last = Some(position);
        }
        Ok(())
    }
}
