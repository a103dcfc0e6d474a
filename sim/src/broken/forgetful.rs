//! Control that votes again after it lost its vote: in place of a disk that is replaced, one that has
//! everything but the log of the catalog, and with it the votes that the node gave.

use gitstratum::catalog::GROUP;
use gitstratum_consensus::{Identity, create};
use gitstratum_host::Disk;
use rand_chacha::ChaCha12Rng;
use serde::Deserialize;

const DIRECTORY: &str = "catalog";
const FILE: &str = "catalog/member.toml";

#[derive(Deserialize)]
struct Named {
    member: Option<u64>,
}

/// Has a disk forget what the member that it is agreed to; says whether it is one.
///
/// # Panics
/// When the disk, which nobody has made fail, fails.
pub async fn forget_votes(disk: &Disk, rng: &mut ChaCha12Rng) -> bool {
    let Some(member) = member_of(disk).await else { return false };
    let of_log =
        |path: &String| path.starts_with(&format!("{DIRECTORY}/")) && path.as_str() != FILE;
    for path in disk.files().into_iter().map(|(path, _)| path).filter(of_log) {
        disk.lose_file(&path).expect("listed just now");
    }
    let identity = Identity { group: GROUP, member };
    create(disk, DIRECTORY, identity, rng).await.expect("nothing is in the way");
    true
}

async fn member_of(disk: &Disk) -> Option<u64> {
    let file = disk.read_whole(FILE).await.ok()?;
    let Named { member } = toml::from_str(str::from_utf8(&file).ok()?).ok()?;
    member
}
