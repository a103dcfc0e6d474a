//! Names of the log's files, and the manifest that says which there must be.

use bytes::Bytes;
use gitstratum_host::Disk;
use minicbor::{Decode, Encode};

use super::JournalError;
use super::record::{FORMAT, Identity};
use crate::entry::{encode_to, format_of};

/// The manifest's name.
pub(crate) const MANIFEST: &str = "logs";
const PREFIX: &str = "log-";

/// How long a file is made, at least: as long as its first frames need.
pub(crate) const FILE_BYTES: usize = 4 << 20;

/// The path of the file whose first frame has this sequence number.
pub(crate) fn path(directory: &str, sequence: u64) -> String {
    format!("{directory}/{PREFIX}{sequence:016x}")
}

/// The first sequence numbers of the files that are there, in order.
pub(crate) async fn list(disk: &Disk, directory: &str) -> Result<Vec<u64>, JournalError> {
    let names = disk.list(directory).await?;
    let number = |name: &String| u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok();
    let mut found: Vec<u64> = names.iter().filter_map(number).collect();
    found.sort_unstable();
    Ok(found)
}

/// Which files there must be.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Manifest {
    #[n(0)]
    pub(crate) format: u32,
    #[n(1)]
    pub(crate) identity: Identity,
    /// The sequence number that the first file begins with.
    #[n(2)]
    pub(crate) first: u64,
    /// The one that the last file begins with; a later one may be there by its side.
    #[n(3)]
    pub(crate) last: u64,
}

impl Manifest {
    pub(crate) fn new(identity: Identity, first: u64, last: u64) -> Self {
        Manifest { format: FORMAT, identity, first, last }
    }

    pub(crate) async fn write(self, disk: &Disk, directory: &str) -> Result<(), JournalError> {
        let mut contents = Vec::new();
        encode_to(&mut contents, &self);
        let checksum = crc32c::crc32c(&contents);
        contents.extend_from_slice(&checksum.to_le_bytes());
        Ok(disk.replace(&format!("{directory}/{MANIFEST}"), contents.into()).await?)
    }

    pub(crate) async fn read(disk: &Disk, directory: &str) -> Result<Self, JournalError> {
        let file = format!("{directory}/{MANIFEST}");
        if !disk.exists(&file).await? {
            return Err(JournalError::Missing { directory: directory.to_owned() });
        }
        let contents = disk.read_whole(&file).await?;
        let damaged = |what: String| JournalError::Damaged { file: file.clone(), what };
        let body = checked(&contents);
        let body = body.ok_or_else(|| damaged("its checksum does not match".to_owned()))?;
        let unreadable = |error: minicbor::decode::Error| damaged(error.to_string());
        // Before all else: of a newer format only the number is known.
        match format_of(body).map_err(unreadable)? {
            FORMAT => minicbor::decode(body).map_err(unreadable),
            format => Err(JournalError::Format { file, format }),
        }
    }
}

/// All but the checksum, if that holds.
fn checked(contents: &Bytes) -> Option<&[u8]> {
    let (body, checksum) = contents.split_last_chunk()?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*checksum)).then_some(body)
}
