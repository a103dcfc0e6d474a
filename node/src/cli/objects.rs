//! `put`, `get` and `has`: single objects.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::arguments::{Get, Has, Put};
use super::{Failure, connect, connect_for_puts};
use crate::client::{Client, Got, PutReport};
use crate::limits;
use crate::object::{HashAlgorithm, Kind, Object, ObjectHasher, ObjectHead, ObjectId};
use crate::store::LargeReader;

/// Stores files.
pub(super) async fn put(asked: Put) -> Result<(), Failure> {
    let client = connect_for_puts(&asked.client, asked.consistency).await?;
    let algorithm = match asked.sha256 {
        true => HashAlgorithm::Sha256,
        false => HashAlgorithm::Sha1,
    };
    for path in &asked.files {
        let id = put_file(&client, path, asked.kind, algorithm).await?;
        println!("{id}");
    }
    client.drain().await;
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
) -> std::io::Result<Result<ObjectHead, crate::object::CollisionDetected>> {
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
    let fetched = fetch_to(&client, &asked).await;
    // Replicas that were found lacking are given the object before we go.
    client.drain().await;
    fetched
}

async fn fetch_to(client: &Client, asked: &Get) -> Result<(), Failure> {
    match &asked.output {
        None => {
            let mut stdout = std::io::stdout().lock();
            fetch(client, asked.id, &mut stdout).await?;
            stdout.flush().map_err(Failure::operation("write to standard output"))
        }
        Some(path) => {
            let writing = || Failure::operation(format!("write {}", path.display()));
            let mut temporary = path.clone().into_os_string();
            temporary.push(".part");
            let mut file = File::create(&temporary).map_err(writing())?;
            let fetched = fetch(client, asked.id, &mut file).await;
            let written = match fetched {
                Ok(()) => file.sync_all().map_err(writing()),
                Err(failure) => Err(failure),
            };
            match written {
                Ok(()) => std::fs::rename(&temporary, path).map_err(writing()),
                Err(failure) => {
                    std::fs::remove_file(&temporary).map_err(writing())?;
                    Err(failure)
                }
            }
        }
    }
}

async fn fetch(client: &Client, id: ObjectId, output: &mut impl Write) -> Result<(), Failure> {
    match client.get(id).await? {
        Got::Object(object) => {
            output.write_all(object.data()).map_err(Failure::operation("write the object"))
        }
        Got::Large(head) => {
            let reader = client.get_large(id).await?;
            fetch_parts(reader, head, output).await
        }
    }
}

async fn fetch_parts(
    mut reader: Box<dyn LargeReader>,
    head: ObjectHead,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let mut hasher = ObjectHasher::plain(head.id.algorithm(), head.kind, head.size_bytes);
    while let Some(part) = reader.next().await? {
        hasher.update(&part);
        output.write_all(&part).map_err(Failure::operation("write the object"))?;
    }
    Ok(hasher.verify(head.id)?)
}

/// Prints the replicas that hold an object.
pub(super) async fn has(asked: Has) -> Result<(), Failure> {
    let client = connect(&asked.client).await?;
    let holders = client.has(vec![asked.id]).await.pop().expect("one id, one answer")?;
    for node_id in holders {
        println!("{node_id}");
    }
    Ok(())
}
