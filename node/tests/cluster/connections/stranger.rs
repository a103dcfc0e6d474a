//! Something that is no node, and listens where one did.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What a web server of another time says to those whom it does not understand.
pub const WEB_SERVER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/// Something that is no node: it says the same to all who connect, and remembers what it
/// is told.
pub struct Stranger {
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Stranger {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn at(address: &str, says: &'static [u8]) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let ears = heard.clone();
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut visitors = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let ears = ears.clone();
                visitors.spawn(async move {
                    let mut buffer = vec![0; 4096];
                    // Whoever is gone already has nothing to say.
                    let _ = stream.write_all(says).await;
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        ears.lock()
                            .expect("nobody panics with it")
                            .extend_from_slice(&buffer[..read]);
                    }
                });
            }
        });
        Ok(Stranger { heard, task })
    }

    /// Ends it, and says what it was told.
    pub async fn leave(self) -> Vec<u8> {
        self.task.abort();
        let ended = self.task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
        std::mem::take(&mut self.heard.lock().expect("nobody panics with it"))
    }
}

/// How often `what` is in what a stranger was told.
pub fn count(heard: &[u8], what: &str) -> usize {
    heard.windows(what.len()).filter(|heard| *heard == what.as_bytes()).count()
}
