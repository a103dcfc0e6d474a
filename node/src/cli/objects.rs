//! `put`, `get` and `has`: single objects.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use gitstratum_cluster::client::{Client, Got, PutReport};
use gitstratum_core::limits;
use gitstratum_core::object::{HashAlgorithm, Kind, Object, ObjectHasher, ObjectHead, ObjectId};
use gitstratum_core::replica::LargeReader;
use tokio::sync::mpsc;

use super::arguments::{Get, Has, Put};
use super::destination::Destination;
use super::{Failure, connect, connect_for_puts, show};

/// Stores files.
pub(super) async fn put(asked: Put) -> Result<(), Failure> {
    let client = connect_for_puts(&asked.client, asked.consistency).await?;
    let algorithm = match asked.sha256 {
        true => HashAlgorithm::Sha256,
        false => HashAlgorithm::Sha1,
    };
    let stored = put_files(&client, &asked, algorithm).await;
    // However it ended: replicas that were slow have what was stored, or are known to lack it.
    client.drain().await;
    stored
}

async fn put_files(client: &Client, asked: &Put, algorithm: HashAlgorithm) -> Result<(), Failure> {
    for path in &asked.files {
        let id = put_file(client, path, asked.kind, algorithm).await?;
        show(&format!("{id}\n"))?;
    }
    Ok(())
}

async fn put_file(
    client: &Client,
    path: &Path,
    kind: Kind,
    algorithm: HashAlgorithm,
) -> Result<ObjectId, Failure> {
    let reading = || Failure::operation(format!("read {}", path.display()));
    let size_bytes = std::fs::metadata(path).map_err(reading())?.len();
    let report: PutReport;
    let id = if size_bytes <= limits::OBJECT_BYTES_WHOLE_MAX as u64 {
        let data = std::fs::read(path).map_err(reading())?;
        let object = Object::hash(algorithm, kind, Bytes::from(data))?;
        let id = object.id();
        report = client.put(object).await?;
        id
    } else {
        let head = hash_file(path.to_owned(), kind, algorithm).await.map_err(reading())??;
        let (sender, parts) = mpsc::channel(limits::LARGE_PARTS_IN_FLIGHT);
        let reader = tokio::task::spawn_blocking({
            let path = path.to_owned();
            move || send_file(&path, &sender)
        });
        let put = client.put_large(head, parts).await;
        // A file that cannot be read explains a put that ended early.
        reader.await?.map_err(reading())?;
        report = put?;
        head.id
    };
    tracing::debug!(%id, replicas = report.stored.len(), "stored");
    Ok(id)
}

/// The first pass over a file that is too large to hold: its id.
async fn hash_file(
    path: PathBuf,
    kind: Kind,
    algorithm: HashAlgorithm,
) -> std::io::Result<Result<ObjectHead, gitstratum_core::object::CollisionDetected>> {
    let hashed = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        let size_bytes = file.metadata()?.len();
        let mut hasher = ObjectHasher::detecting(algorithm, kind, size_bytes);
        let mut buffer = vec![0; limits::PART_BYTES_MAX];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(hasher.finish().map(|id| ObjectHead { id, kind, size_bytes }));
            }
            hasher.update(&buffer[..read]);
        }
    });
    hashed.await.map_err(std::io::Error::other)?
}

/// The second pass: its parts. Ends early when nobody takes them any more.
fn send_file(path: &Path, parts: &mpsc::Sender<Bytes>) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    loop {
        let mut part = BytesMut::zeroed(limits::PART_BYTES_MAX);
        let read = file.read(&mut part)?;
        part.truncate(read);
        if read == 0 || parts.blocking_send(part.freeze()).is_err() {
            return Ok(());
        }
    }
}

/// Prints an object's data or writes it to a file, which appears only when it is whole.
pub(super) async fn get(asked: Get) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    let fetched =
        Destination::fill(asked.output.as_deref(), async |to| fetch(&client, asked.id, to).await);
    let fetched = fetched.await;
    // Replicas that were found lacking are given the object before we go.
    client.drain().await;
    fetched
}

async fn fetch(client: &Client, id: ObjectId, to: &mut Destination) -> Result<(), Failure> {
    match client.get(id).await? {
        Got::Object(object) => to.write(object.data()),
        Got::Large(head) => fetch_parts(client.get_large(id).await?, head, to).await,
    }
}

async fn fetch_parts(
    mut reader: Box<dyn LargeReader>,
    head: ObjectHead,
    to: &mut Destination,
) -> Result<(), Failure> {
    let mut hasher = ObjectHasher::plain(head.id.algorithm(), head.kind, head.size_bytes);
    while let Some(part) = reader.next().await? {
        hasher.update(&part);
        to.write(&part)?;
    }
    Ok(hasher.verify(head.id)?)
}

/// Prints the replicas that hold an object.
pub(super) async fn has(asked: Has) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    let holders = client.has(vec![asked.id]).await.pop().expect("one id, one answer")?;
    let lines: String = holders.iter().map(|node_id| format!("{node_id}\n")).collect();
    show(&lines)
}
