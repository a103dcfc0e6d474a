//! Serves the repositories of a directory over smart HTTP, by the `git` program behind the protocol
//! of this package: `cargo run -p gitstratum-git --example serve_directory -- DIR [ADDRESS]`.
//!
//! It is what `ci/git-clients` is tried on without a cluster. A repository is made by the first
//! push to it.

#[path = "../tests/git_clients/directory/mod.rs"]
mod directory;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gitstratum_core::trace::RequestIds;
use gitstratum_git::http::GitServer;
use gitstratum_host::Net;
use tracing::subscriber::set_global_default;

/// Prints what the server logs, one line each.
struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::DEBUG && metadata.target().starts_with("gitstratum")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} ", event.metadata().level());
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line += &format!("{field}={value:?} ");
        });
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("usage: serve_directory DIR [ADDRESS]")?);
    let address: SocketAddr = arguments.next().as_deref().unwrap_or("127.0.0.1:0").parse()?;
    set_global_default(Log)?;
    let listener = Net::new().listen(address).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    let server = GitServer::new(Arc::new(directory::Directory::new(&root)), RequestIds::default());
    server.run(listener, std::future::pending()).await;
    Ok(())
}
