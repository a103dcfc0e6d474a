//! A repository that tests script, and what stands in requests and answers, as lines to read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use gitstratum_core::object::{HashAlgorithm, ObjectId};

use crate::pkt_line::{Decoder, Packet, Packets};
use crate::protocol::{Failure, Output, Service, Version, serve};
use crate::service::*;

/// What the logs call the requests of tests.
pub const REQUEST: &str = "r-1";

/// An object id of SHA-1, all of whose bytes are this.
pub fn id(byte: u8) -> ObjectId {
    ObjectId::from_bytes(&[byte; 20]).unwrap()
}

/// A ref.
pub fn reference(name: &str, at: u8, peeled: Option<u8>) -> AdvertisedRef {
    AdvertisedRef { name: name.into(), id: id(at), peeled: peeled.map(id) }
}

/// What a repository was asked to do.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub depths: Vec<Depth>,
    pub packs: Vec<PackRequest>,
    pub pushes: Vec<(PushRequest, Option<Vec<u8>>)>,
}

/// A repository that answers as it is told.
#[derive(Debug)]
pub struct Scripted {
    pub format: HashAlgorithm,
    pub refs: Refs,
    pub has: BTreeSet<ObjectId>,
    pub ready: bool,
    pub shallow: Shallow,
    /// The parts of its packs, and how they end.
    pub pack: Vec<Bytes>,
    pub pack_ends: Result<(), RepositoryError>,
    /// Said after the first part.
    pub progress: Option<&'static str>,
    /// How long it thinks before it answers a fetch, or a push whose pack it has.
    pub thinks: Duration,
    /// How many parts of a push's pack it reads.
    pub reads: usize,
    pub push: Result<PushOutcome, RepositoryError>,
    pub asked: Arc<Mutex<Asked>>,
}

impl Default for Scripted {
    fn default() -> Self {
        let refs = vec![
            reference("refs/heads/main", 1, None),
            reference("refs/heads/topic", 2, None),
            reference("refs/tags/v1", 3, Some(1)),
        ];
        Scripted {
            format: HashAlgorithm::Sha1,
            refs: Refs { head: Head::Branch("refs/heads/main".into()), refs },
            has: (1..10).map(id).collect(),
            ready: false,
            shallow: Shallow::default(),
            pack: vec![Bytes::from_static(b"PACK")],
            pack_ends: Ok(()),
            progress: None,
            thinks: Duration::ZERO,
            reads: usize::MAX,
            push: Ok(PushOutcome { unpacked: Ok(()), verdicts: vec![Ok(()); 8] }),
            asked: Arc::default(),
        }
    }
}

#[async_trait]
impl Repository for Scripted {
    fn object_format(&self) -> HashAlgorithm {
        self.format
    }

    async fn refs(&self) -> Result<Refs, RepositoryError> {
        Ok(self.refs.clone())
    }

    async fn contains(&self, ids: &[ObjectId]) -> Result<Vec<bool>, RepositoryError> {
        Ok(ids.iter().map(|id| self.has.contains(id)).collect())
    }

    async fn is_ready(&self, _: &[ObjectId], _: &[ObjectId]) -> Result<bool, RepositoryError> {
        Ok(self.ready)
    }

    async fn deepen(
        &self,
        _: &[ObjectId],
        _: &[ObjectId],
        depth: &Depth,
    ) -> Result<Shallow, RepositoryError> {
        self.asked.lock().unwrap().depths.push(depth.clone());
        Ok(self.shallow.clone())
    }

    async fn pack(
        &self,
        request: PackRequest,
        sink: &mut dyn PackSink,
    ) -> Result<(), RepositoryError> {
        self.asked.lock().unwrap().packs.push(request);
        tokio::time::sleep(self.thinks).await;
        for (at, part) in self.pack.iter().enumerate() {
            if let (1, Some(text)) = (at, self.progress) {
                sink.progress(text).await?;
            }
            sink.pack(part.clone()).await?;
        }
        self.pack_ends.clone()
    }

    async fn push(
        &self,
        request: PushRequest,
        pack: Option<PackBody>,
        progress: &mut dyn ProgressSink,
    ) -> Result<PushOutcome, RepositoryError> {
        progress.progress("early\n").await;
        let pack = match pack {
            Some(pack) => {
                let parts: Vec<_> = pack.take(self.reads).collect().await;
                let parts = parts.into_iter().collect::<Result<Vec<_>, _>>();
                Some(parts.map_err(|_| RepositoryError::Gone)?.concat())
            }
            None => None,
        };
        self.asked.lock().unwrap().pushes.push((request, pack));
        tokio::time::sleep(self.thinks).await;
        progress.progress("late\n").await;
        self.push.clone()
    }
}

/// A request of packets: a line each, `0000` and `0001` for the marks.
pub fn request(lines: &[&str]) -> Vec<u8> {
    let mut packets = Packets::new();
    for line in lines {
        match *line {
            "0000" => packets.flush(),
            "0001" => packets.delimiter(),
            line => packets.data(line.as_bytes()),
        };
    }
    packets.take().to_vec()
}

/// What stands in an answer of packets, as lines: ids are shortened to their first two digits, and
/// what follows the packets comes last.
pub fn lines(answer: &[u8]) -> Vec<String> {
    let (mut decoder, mut lines) = (Decoder::new(), Vec::new());
    decoder.feed(answer);
    while let Ok(Some(packet)) = decoder.next_packet() {
        lines.push(match packet {
            Packet::Flush => "0000".into(),
            Packet::Delimiter => "0001".into(),
            Packet::ResponseEnd => "0002".into(),
            Packet::Data(data) => short(&String::from_utf8_lossy(Packet::line(&data))),
        });
    }
    let rest = decoder.into_rest();
    if !rest.is_empty() {
        lines.push(format!("then {}", String::from_utf8_lossy(&rest)));
    }
    lines
}

/// A line whose object ids are shortened.
fn short(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let is_id = word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { &word[..2] } else { word }
    });
    words.collect::<Vec<_>>().join(" ").replace('\0', "|")
}

/// The body of a request, in parts of so many bytes.
pub fn body(bytes: &[u8], part: usize) -> PackBody {
    let parts = bytes.chunks(part).map(|part| Ok(Bytes::copy_from_slice(part)));
    Box::pin(futures_util::stream::iter(parts.collect::<Vec<_>>()))
}

/// The answer to a request, and how the exchange ended.
pub async fn exchange(
    service: Service,
    version: Version,
    repository: &Scripted,
    bytes: &[u8],
) -> (Vec<u8>, Result<(), Failure>) {
    let (output, mut parts) = Output::channel();
    let collect = async {
        let mut answer = Vec::new();
        while let Some(part) = parts.recv().await {
            answer.extend_from_slice(&part);
        }
        answer
    };
    let served = async {
        let output = output;
        serve((service, version), REQUEST, repository, body(bytes, 7), &output).await
    };
    futures_util::future::join(collect, served).await
}
