//! How soon a peer is used again after something happened to it, in the real world: our
//! pool, tonic's own channel, and a naive pool, side by side on the same peer.
//!
//! `cargo run --manifest-path node/benches/recovery/Cargo.toml`, some two minutes once it is
//! built. The peer is a real process on loopback, this program once more; where the machine
//! allows namespaces, it stands behind a firewall of our own for the event that needs one.
//! All times are the defaults of the node's `limits`. `gitstratum-sim recovery` prints the
//! same of simulated machines.

mod contenders;
mod event;
mod load;
mod node;
// What the tests of real processes use too.
#[path = "../../tests/cluster/connections/namespace.rs"]
mod namespace;
#[path = "../../tests/cluster/connections/stranger.rs"]
mod stranger;

use std::process::ExitCode;

use event::Event;
use namespace::Network;

/// What fails here fails the program as a whole.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["node", id, address, data] => {
            runtime()?.block_on(node::run(id, address, data))?;
            return Ok(ExitCode::SUCCESS);
        }
        [] => {}
        _ => {
            eprintln!("recovery takes no arguments");
            return Ok(ExitCode::from(2));
        }
    }
    let network = if namespace::is_inside() {
        Network::make()
    } else {
        match namespace::entering(std::env::current_exe()?) {
            Ok(mut inside) => {
                let ended = inside.status()?;
                return Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Err(reason) => Err(reason),
        }
    };
    println!(
        "{} calls a second of each pool to one peer; first success: of a call that began when \
         the event was over, after that; failed: calls that failed after it was over, and in \
         brackets before; wrong: objects that came to somebody else; dials: since the event \
         began",
        load::CALLS_PER_SECOND
    );
    println!();
    println!(
        "{:<34} {:<14} {:>13} {:>14} {:>6} {:>6}",
        "event", "pool", "first success", "failed", "wrong", "dials"
    );
    let runtime = runtime()?;
    for event in Event::ALL {
        match (event, &network) {
            (Event::Forgotten, Err(reason)) => {
                println!("{:<34} SKIPPED, no network of our own: {reason}", event.name());
            }
            (event, network) => {
                runtime.block_on(event::measure(event, network.as_ref().ok()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
