//! Requests of other members, answered.

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use super::applier::raft_snapshot;
use super::core::Core;
use super::incoming::Taken;
use super::types::{LogId, Types, Vote, raft_entry};
use crate::entry::{Ballot, MemberId, Position};
use crate::message::{
    self, Append, Appended, Envelope, Refusal, Request, Response, SnapshotPart, SnapshotTaken,
    TransferLeader, Voted,
};

impl Core {
    /// Answers a request that another member sent; whatever it contains, there is an answer.
    pub async fn receive(&self, request: &Bytes) -> Bytes {
        let answer = match minicbor::decode(request) {
            Ok(envelope) => self.answer(envelope).await.unwrap_or_else(Response::Refused),
            Err(error) => Response::Refused(Refusal::Invalid(error.to_string())),
        };
        message::encode(&answer)
    }

    async fn answer(&self, envelope: Envelope) -> Result<Response, Refusal> {
        let Envelope { group, from, to, request } = envelope;
        if group != self.identity.group {
            return Err(Refusal::WrongGroup);
        }
        if to != self.identity.member {
            return Err(Refusal::WrongMember(self.identity.member));
        }
        match request {
            Request::Append(append) => self.take_entries(append).await.map(Response::Append),
            Request::Vote(vote) => {
                let answered = self.raft.vote(vote_request(vote)).await;
                answered.map(voted).map_err(stopped)
            }
            Request::PreVote(vote) => {
                let answered = self.raft.pre_vote(vote_request(vote)).await;
                answered.map(voted).map_err(stopped)
            }
            Request::Snapshot(part) => self.take_snapshot(from, part).await,
            Request::TransferLeader(transfer) => self.transfer(transfer).await,
            Request::Propose(command) => self.propose_here(command).await.map(Response::Proposed),
            Request::ReadIndex => self.read_index_here().await.map(Response::ReadIndex),
        }
    }

    async fn take_entries(&self, append: Append) -> Result<Appended, Refusal> {
        let entries = append.entries.into_iter().map(raft_entry).collect::<Result<_, _>>();
        let rpc = AppendEntriesRequest {
            vote: Vote::from(append.ballot),
            prev_log_id: append.previous.map(LogId::from),
            entries: entries.map_err(|error| Refusal::Invalid(error.to_string()))?,
            leader_commit: append.committed.map(LogId::from),
        };
        let taken = self.raft.append_entries(rpc).await.map_err(stopped)?;
        if !matches!(taken, AppendEntriesResponse::HigherVote(_)) {
            self.heard.now();
        }
        Ok(match taken {
            AppendEntriesResponse::Success => Appended::All,
            AppendEntriesResponse::PartialSuccess(last) => {
                Appended::UpTo(last.as_ref().map(Position::from))
            }
            AppendEntriesResponse::Conflict => Appended::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Appended::HigherBallot(Ballot::from(&vote)),
        })
    }

    async fn take_snapshot(&self, from: MemberId, part: SnapshotPart) -> Result<Response, Refusal> {
        let ballot = part.ballot;
        let invalid = |error: &dyn std::error::Error| Refusal::Invalid(error.to_string());
        let taken = self.incoming.take(self.identity.group, from, part).await;
        let snapshot = match taken.map_err(|error| invalid(&error))? {
            Taken::Part => return Ok(Response::Snapshot(SnapshotTaken::Part)),
            Taken::Restart => return Ok(Response::Snapshot(SnapshotTaken::Restart)),
            Taken::Whole(snapshot) => snapshot,
        };
        if snapshot.head.position.is_some_and(|position| position.term > ballot.term) {
            // Brought under an old vote: the leader that made it is a later one.
            return Err(Refusal::Invalid("the snapshot is newer than who sends it".to_owned()));
        }
        let snapshot = raft_snapshot(*snapshot).map_err(|error| invalid(&error))?;
        let installed = self.raft.install_full_snapshot(Vote::from(ballot), snapshot).await;
        let vote = installed.map_err(|fatal| Refusal::Stopped(fatal.to_string()))?.vote;
        Ok(Response::Snapshot(SnapshotTaken::Installed(Ballot::from(&vote))))
    }

    async fn transfer(&self, transfer: TransferLeader) -> Result<Response, Refusal> {
        let TransferLeader { from, to, last } = transfer;
        let request = TransferLeaderRequest::new(from.into(), to, last.map(LogId::from));
        let handled = self.raft.handle_transfer_leader(request).await;
        match handled.map_err(|fatal| Refusal::Stopped(fatal.to_string()))? {
            Ok(()) => Ok(Response::LeaderTransferred),
            Err(error) => Err(Refusal::Invalid(error.to_string())),
        }
    }
}

fn stopped(error: impl std::error::Error) -> Refusal {
    Refusal::Stopped(error.to_string())
}

fn vote_request(request: message::VoteRequest) -> VoteRequest<Types> {
    let message::VoteRequest { ballot, last, transfer } = request;
    let mut rpc = VoteRequest::new(Vote::from(ballot), last.map(LogId::from));
    rpc.leadership_transfer = transfer;
    rpc
}

fn voted(response: VoteResponse<Types>) -> Response {
    Response::Vote(Voted {
        ballot: Ballot::from(&response.vote),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(Position::from),
    })
}
