//! Connection of the engine to one other member.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use super::applier::RaftSnapshot;
use super::types::{LogId, Types, Vote};
use crate::entry::{Ballot, Entry, MemberId, Position};
use crate::journal::Identity;
use crate::message::{
    self, Append, Appended, Envelope, Member, Refusal, Request, Response, SnapshotPart,
    SnapshotTaken, TransferLeader, Voted,
};
use crate::peers::{PeerError, Peers};
use crate::snapshot::Snapshot;

/// Bytes of a snapshot in one message.
const SNAPSHOT_PART_BYTES: usize = 512 << 10;

/// Makes links.
#[derive(Clone)]
pub(crate) struct Links {
    pub(crate) identity: Identity,
    pub(crate) peers: Arc<dyn Peers>,
}

impl Links {
    /// Asks a member something, and reads its answer.
    pub(crate) async fn ask(
        &self,
        to: &Member,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, AskError> {
        let Identity { group, member } = self.identity;
        let envelope = Envelope { group, from: member, to: to.id, request };
        let answer = self.peers.call(to, message::encode(&envelope), deadline).await?;
        match minicbor::decode(&answer)? {
            Response::Refused(refusal) => Err(AskError::Refused(refusal)),
            response => Ok(response),
        }
    }
}

/// Why a member did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("an answer that cannot be read: {0}")]
    Answer(#[from] minicbor::decode::Error),
    #[error("{0}")]
    Refused(Refusal),
    #[error("an answer to another question")]
    Other,
    #[error("it no longer leads, and has not answered")]
    Deposed,
}

impl RaftNetworkFactory<Types> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: MemberId, node: &String) -> Link {
        Link { links: self.clone(), to: Member { id: target, node: node.clone() } }
    }
}

/// A link to one member.
pub(crate) struct Link {
    links: Links,
    to: Member,
}

impl Link {
    async fn ask(
        &self,
        request: Request,
        option: &RPCOption,
    ) -> Result<Response, Unreachable<Types>> {
        let asked = self.links.ask(&self.to, request, option.hard_ttl()).await;
        asked.map_err(|error| {
            tracing::debug!(to = %self.to.node, %error, "a member did not answer");
            Unreachable::new(&error)
        })
    }
}

fn other<T>() -> Result<T, RPCError<Types>> {
    Err(RPCError::Unreachable(Unreachable::new(&AskError::Other)))
}

fn position(log_id: Option<&LogId>) -> Option<Position> {
    log_id.map(Position::from)
}

fn vote_request(rpc: VoteRequest<Types>) -> message::VoteRequest {
    message::VoteRequest {
        ballot: Ballot::from(&rpc.vote),
        last: position(rpc.last_log_id.as_ref()),
        transfer: rpc.leadership_transfer,
    }
}

fn voted(response: Response) -> Result<VoteResponse<Types>, RPCError<Types>> {
    let Response::Vote(Voted { ballot, granted, last }) = response else { return other() };
    Ok(VoteResponse::new(Vote::from(ballot), last.map(LogId::from), granted))
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = Snapshot;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let request = Request::Append(Append {
            ballot: Ballot::from(&rpc.vote),
            previous: position(rpc.prev_log_id.as_ref()),
            entries: rpc.entries.iter().map(Entry::from).collect(),
            committed: position(rpc.leader_commit.as_ref()),
        });
        let Response::Append(appended) = self.ask(request, &option).await? else { return other() };
        Ok(match appended {
            Appended::All => AppendEntriesResponse::Success,
            Appended::UpTo(last) => AppendEntriesResponse::PartialSuccess(last.map(LogId::from)),
            Appended::Conflict => AppendEntriesResponse::Conflict,
            Appended::HigherBallot(ballot) => AppendEntriesResponse::HigherVote(ballot.into()),
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        voted(self.ask(Request::Vote(vote_request(rpc)), &option).await?)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        voted(self.ask(Request::PreVote(vote_request(rpc)), &option).await?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        // A transfer that outlives its leader would bring the next one's entries under an old vote.
        tokio::select! {
            biased;
            closed = pin!(cancel) => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(&vote, &snapshot.snapshot, &option) => Ok(sent?),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let request = Request::TransferLeader(TransferLeader {
            from: Ballot::from(request.from_leader()),
            to: *request.to_node_id(),
            last: position(request.last_log_id()),
        });
        match self.ask(request, &option).await? {
            Response::LeaderTransferred => Ok(Ok(())),
            _ => other(),
        }
    }
}

impl Link {
    async fn send_snapshot(
        &self,
        vote: &Vote,
        snapshot: &Snapshot,
        option: &RPCOption,
    ) -> Result<SnapshotResponse<Types>, Unreachable<Types>> {
        let total = snapshot.bytes;
        let mut offset = 0;
        loop {
            let left = usize::try_from(total - offset).unwrap_or(usize::MAX);
            let read = snapshot.file.read_at(offset, SNAPSHOT_PART_BYTES.min(left)).await;
            let bytes = read.map_err(|error| Unreachable::new(&error))?;
            let next = offset + bytes.len() as u64;
            let part = SnapshotPart { ballot: vote.into(), offset, bytes, total };
            match self.ask(Request::Snapshot(part), option).await? {
                Response::Snapshot(SnapshotTaken::Part) => offset = next,
                Response::Snapshot(SnapshotTaken::Restart) => offset = 0,
                Response::Snapshot(SnapshotTaken::Installed(ballot)) => {
                    return Ok(SnapshotResponse::new(ballot.into()));
                }
                _ => return Err(Unreachable::new(&AskError::Other)),
            }
        }
    }
}
