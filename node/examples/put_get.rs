//! A program of one's own as a client: it stores a text, and reads it back from a
//! quorum. It needs a cluster that runs, such as `cargo run -p gitstratum -- dev`:
//!
//! `cargo run -p gitstratum --example put_get -- 127.0.0.1:7401`

use gitstratum_cluster::client::{Client, ClientOptions, Got};
use gitstratum_core::object::{HashAlgorithm, Kind, Object};
use gitstratum_host::Net;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let peers: Vec<String> = std::env::args().skip(1).collect();
    // It draws the jitter of back-offs alone, so any seed will do.
    let rng = ChaCha12Rng::seed_from_u64(u64::from(std::process::id()));
    let client = Client::connect(Net::new(), &peers, rng, ClientOptions::default()).await?;

    let object = Object::hash(HashAlgorithm::Sha1, Kind::Blob, "hello\n".into())?;
    let id = object.id();
    let report = client.put(object).await?;
    println!("{id} is durable on {} replicas", report.stored.len());

    match client.get(id).await? {
        Got::Object(object) => println!("read back {} bytes", object.data().len()),
        Got::Large(head) => println!("{} bytes: too many to be read at once", head.size_bytes),
    }
    // Writes that the quorum did not wait for go on until then.
    client.drain().await;
    Ok(())
}
