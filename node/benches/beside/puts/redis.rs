//! Keys of redis: a primary that flushes each change before it answers, and two replicas, of which one
//! has to have it when a put returns (`WAIT 1`). It has it in memory then, and flushes it on its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{Callers, Connections, Keeper, Payloads};
use crate::Outcome;
use crate::contender::SERVERS;
use crate::load::Again;
use crate::process::{Servers, free_addresses};

/// Both replicas have to be there by then.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// What stands for an object's id.
const KEY_BYTES: usize = 20;
/// How long a replica may take.
const WAIT_MS: &[u8] = b"30000";

/// A primary with two replicas.
pub struct Redis {
    servers: Servers,
    primary: SocketAddr,
}

impl Redis {
    /// Starts them, with their data below `dir`.
    pub async fn start(program: &Path, dir: &Path) -> Outcome<Self> {
        let mut servers = Servers::new(program, dir)?;
        let addresses = free_addresses(SERVERS)?;
        let primary = addresses[0];
        for (n, address) in addresses.iter().enumerate() {
            let data = dir.join(format!("r{n}"));
            std::fs::create_dir_all(&data)?;
            let (port, data) = (address.port().to_string(), data.display().to_string());
            let mut arguments = vec!["--port", &port, "--bind", "127.0.0.1", "--dir", &data];
            // Each change is flushed, and nothing else is ever saved.
            arguments.extend(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
            let of = primary.port().to_string();
            if n > 0 {
                arguments.extend(["--replicaof", "127.0.0.1", &of]);
            }
            servers.start(arguments.into_iter().map(str::to_owned).collect())?;
        }
        let redis = Redis { servers, primary };
        redis.wait_for_replicas().await?;
        Ok(redis)
    }

    async fn wait_for_replicas(&self) -> Outcome<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let error = match self.replicas().await {
                Ok(replicas) if replicas + 1 == SERVERS => return Ok(()),
                Ok(replicas) => format!("redis has {replicas} of {} replicas", SERVERS - 1).into(),
                Err(error) => error,
            };
            if Instant::now() > until {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Replicas that have all that there is.
    async fn replicas(&self) -> Outcome<usize> {
        let mut connection = Connection::open(self.primary).await?;
        connection.send(&[b"INFO", b"replication"]).await?;
        match connection.reply().await? {
            Reply::Bytes(info) => {
                let info = String::from_utf8(info)?;
                Ok(info.lines().filter(|line| line.contains("state=online")).count())
            }
            other => Err(format!("redis answers INFO with {other:?}").into()),
        }
    }
}

#[async_trait]
impl Keeper for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn servers(&self) -> &Servers {
        &self.servers
    }

    async fn callers(&self, count: usize, connections: Connections) -> Outcome<Callers> {
        // Who waits for replicas holds its connection up for all others.
        if connections == Connections::Shared {
            return Ok(None);
        }
        let mut callers: Vec<Box<dyn Again>> = Vec::new();
        for _ in 0..count {
            let connection = Connection::open(self.primary).await?;
            callers.push(Box::new(Putting { connection, payloads: Payloads::new() }));
        }
        Ok(Some(callers))
    }
}

struct Putting {
    connection: Connection,
    payloads: Payloads,
}

#[async_trait]
impl Again for Putting {
    async fn once(&mut self) -> Outcome<()> {
        let data = self.payloads.next();
        let key = hex::encode(&data[..KEY_BYTES]);
        self.connection.write(&[b"SET", key.as_bytes(), &data]).await?;
        self.connection.send(&[b"WAIT", b"1", WAIT_MS]).await?;
        match (self.connection.reply().await?, self.connection.reply().await?) {
            (Reply::Status(status), Reply::Number(replicas)) if status == "OK" && replicas > 0 => {
                Ok(())
            }
            other => Err(format!("redis answers SET and WAIT with {other:?}").into()),
        }
    }
}

/// A connection that speaks RESP, redis' protocol.
struct Connection(BufStream<TcpStream>);

/// A reply, of the kinds that are asked for here.
#[derive(Debug)]
enum Reply {
    Status(String),
    Number(i64),
    Bytes(Vec<u8>),
}

impl Connection {
    async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufStream::new(stream)))
    }

    /// Puts a command behind those that wait to be sent.
    async fn write(&mut self, words: &[&[u8]]) -> Outcome<()> {
        self.0.write_all(format!("*{}\r\n", words.len()).as_bytes()).await?;
        for word in words {
            self.0.write_all(format!("${}\r\n", word.len()).as_bytes()).await?;
            self.0.write_all(word).await?;
            self.0.write_all(b"\r\n").await?;
        }
        Ok(())
    }

    /// The same, and sends them.
    async fn send(&mut self, words: &[&[u8]]) -> Outcome<()> {
        self.write(words).await?;
        Ok(self.0.flush().await?)
    }

    async fn reply(&mut self) -> Outcome<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let line = line.trim_end();
        match line.split_at_checked(1) {
            Some(("+", status)) => Ok(Reply::Status(status.to_owned())),
            Some((":", number)) => Ok(Reply::Number(number.parse()?)),
            Some(("$", length)) => {
                let mut bytes = vec![0; length.parse::<usize>()? + 2];
                self.0.read_exact(&mut bytes).await?;
                bytes.truncate(bytes.len() - 2);
                Ok(Reply::Bytes(bytes))
            }
            _ => Err(format!("redis says {line:?}").into()),
        }
    }
}
