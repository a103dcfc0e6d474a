//! Raw HTTP/2 client: frames written by hand, for what no library would send.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
const INITIAL_WINDOW: u16 = 4;
/// What every peer takes.
const FRAME_BYTES_MAX: usize = 16 << 10;

/// A TCP connection from one of the addresses of this machine: loopback has many.
pub async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Its end, or the status in its first headers.
    End,
    /// A reset.
    Reset,
    /// The connection was closed.
    Closed,
    /// Nothing of that.
    Nothing,
}

/// A client of one connection.
pub struct RawClient {
    stream: TcpStream,
    read: Vec<u8>,
    last_stream: u32,
    /// Streams that ended, and how first; all of them, under 0.
    ended: BTreeMap<u32, Came>,
    /// Bytes of answers.
    pub received: usize,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A message with what stands before it on a stream, which may say another length.
pub fn framed(message: &[u8], length: usize) -> Vec<u8> {
    [&[0][..], &u32::try_from(length).unwrap().to_be_bytes(), message].concat()
}

/// Headers without any compression.
pub fn headers(method: &str) -> Vec<u8> {
    let path = format!("/gitstratum.v1.Node/{method}");
    let lines = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "node"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let line = |(name, value): (&str, &str)| {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [&[0][..], &text(name), &text(value)].concat()
    };
    lines.map(line).concat()
}

impl RawClient {
    /// Connects from an address, and says how much of each answer may come unasked.
    pub async fn connect(from: &str, to: SocketAddr, window: u32) -> Self {
        let mut stream = connect(from, to).await;
        let settings = [&INITIAL_WINDOW.to_be_bytes()[..], &window.to_be_bytes()].concat();
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat();
        stream.write_all(&hello).await.unwrap();
        let mut client = RawClient {
            stream,
            read: Vec::new(),
            last_stream: u32::MAX,
            ended: BTreeMap::new(),
            received: 0,
        };
        // The other side's windows are as large as it says from then on.
        client.listen(Duration::from_millis(100)).await;
        client
    }

    /// Sends a frame, whatever it says and wherever.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.write(&frame(kind, flags, stream, payload)).await;
    }

    /// Sends what may be no frame.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        self.write(bytes).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        // The other side may close what it refuses.
        drop(self.stream.write_all(bytes).await);
    }

    /// Begins a request.
    pub async fn begin(&mut self, method: &str) -> u32 {
        self.last_stream = self.last_stream.wrapping_add(2);
        self.write(&frame(HEADERS, END_HEADERS, self.last_stream, &headers(method))).await;
        self.last_stream
    }

    /// Sends bytes of it; the last ones, or not.
    pub async fn send(&mut self, stream: u32, bytes: &[u8], last: bool) {
        let mut parts = bytes.chunks(FRAME_BYTES_MAX).peekable();
        while let Some(part) = parts.next() {
            let end = last && parts.peek().is_none();
            self.write(&frame(DATA, if end { END_STREAM } else { 0 }, stream, part)).await;
        }
    }

    /// Has more of an answer come, and of all of them.
    pub async fn make_room(&mut self, stream: u32, bytes: u32) {
        self.write(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())).await;
        self.write(&frame(WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes())).await;
    }

    /// Takes what comes, and answers pings: it is alive.
    pub async fn listen(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            while let Some(length) = self.frame_length() {
                let taken: Vec<u8> = self.read.drain(..length).collect();
                self.take(&taken).await;
            }
            let mut part = [0; 64 << 10];
            match tokio::time::timeout_at(until, self.stream.read(&mut part)).await {
                Err(_) => return,
                Ok(Ok(length @ 1..)) => self.read.extend_from_slice(&part[..length]),
                Ok(Ok(0) | Err(_)) => {
                    self.ended.entry(0).or_insert(Came::Closed);
                    return;
                }
            }
        }
    }

    /// Takes what comes until that is so, or for some seconds.
    pub async fn listen_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(4);
        while !is_so(self) && Instant::now() < until {
            self.listen(Duration::from_millis(5)).await;
        }
    }

    fn frame_length(&self) -> Option<usize> {
        let [a, b, c] = *self.read.first_chunk()?;
        let length = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        (self.read.len() >= length).then_some(length)
    }

    async fn take(&mut self, frame_: &[u8]) {
        let (kind, flags, payload) = (frame_[3], frame_[4], &frame_[9..]);
        let stream = u32::from_be_bytes(frame_[5..9].try_into().unwrap());
        match kind {
            SETTINGS if flags & ACK == 0 => self.write(&frame(SETTINGS, ACK, 0, &[])).await,
            PING if flags & ACK == 0 => self.write(&frame(PING, ACK, 0, payload)).await,
            DATA => self.received += payload.len(),
            RESET => _ = self.ended.entry(stream).or_insert(Came::Reset),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.ended.entry(stream).or_insert(Came::End);
        }
    }

    /// How a request ended so far.
    pub fn came(&self, stream: u32) -> Came {
        let ended = self.ended.get(&stream).or(self.ended.get(&0));
        ended.copied().unwrap_or(Came::Nothing)
    }

    /// How many requests ended so.
    pub fn count(&self, came: Came) -> usize {
        self.ended.values().filter(|ended| **ended == came).count()
    }
}
