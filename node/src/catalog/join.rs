//! Becoming a member: the first node of the layout makes the group, the others ask to be let in.
//!
//! Invariant: there is one group. Only the node whose id comes first makes one, and only when every
//! other member of its layout has said that it is certain to be in none: a first node whose disk was
//! lost then finds the group that the others have, and does not make a second. Who has started a moment
//! ago and has not looked yet what it is, is not certain.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use gitstratum_catalog::command::JoinNode;
use gitstratum_catalog::encode::decode_reply;
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{Operation, Outcome, Reply};
use gitstratum_consensus::Group;
use gitstratum_core::limits;
use gitstratum_core::placement::{MemberState, NodeId};
use gitstratum_proto::v1::catalog_response::Answer;
use gitstratum_proto::v1::{CatalogRequest, catalog_request};
use rand_chacha::ChaCha12Rng;

use super::author::Author;
use super::found::become_member;
use super::identity::Identity;
use super::save::{FILE as COPY, is_copy};
use super::{Catalog, Participant, Trouble};

/// The member that makes the group.
pub(super) const FOUNDER: u64 = 1;
/// How long a node waits before it looks for the group again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it waits for another to say whether it knows of one.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

impl Participant {
    /// Makes the group, or has this directory let in; says which member it is. Tries for as long as
    /// it takes.
    pub(super) async fn become_member(
        &self,
        identity: Identity,
        rng: &mut ChaCha12Rng,
    ) -> Result<u64, Trouble> {
        let member = loop {
            match self.look_for_group(identity).await {
                Ok(found) => break found,
                Err(reason) => {
                    tracing::debug!(reason, "no member of the catalog yet");
                    self.is_in_trouble(reason);
                }
            }
            tokio::time::sleep(PAUSE).await;
        };
        self.is_none.store(false, Ordering::SeqCst);
        become_member(&self.disk, identity, member, rng).await?;
        Ok(member)
    }

    async fn look_for_group(&self, identity: Identity) -> Result<u64, String> {
        let layout = self.peers.layout.get();
        let members = layout.members.iter().filter(|m| m.state != MemberState::Removed);
        let members: Vec<&NodeId> = members.map(|member| &member.node_id).collect();
        let others = || members.iter().copied().filter(|id| **id != self.node);
        let is_first = members.iter().copied().min() == Some(&self.node);
        // For others there is a group while it may make one.
        self.is_none.store(!is_first, Ordering::SeqCst);
        let asked = others().map(|id| async move {
            (id, self.peers.node(id).agree(Bytes::new(), ASK_TIMEOUT).await)
        });
        let answers = join_all(asked).await;
        if let Some((through, _)) = answers.iter().find(|(_, answer)| matches!(answer, Ok(Some(_))))
        {
            self.is_none.store(true, Ordering::SeqCst);
            return match self.ask_to_join(through, identity).await? {
                FOUNDER => Err(format!("{through} gave this node the id of the founder")),
                member => Ok(member),
            };
        }
        if !is_first {
            return Err("none of the others has the catalog yet".to_owned());
        }
        if is_copy(&self.disk).await {
            // Whoever makes a catalog without names here has lost those of the copy.
            return Err(format!(
                "its directory is a copy: `gitstratum catalog load` begins with the copy's {COPY}, or \
                 remove that file to begin with none"
            ));
        }
        match answers.iter().find_map(|(id, answer)| Some((id, answer.as_ref().err()?))) {
            // It may have the group.
            Some((id, error)) => {
                Err(format!("{id} does not say whether it has the catalog: {error}"))
            }
            None => Ok(FOUNDER),
        }
    }

    async fn ask_to_join(&self, through: &NodeId, identity: Identity) -> Result<u64, String> {
        let command = self.join_command(identity).ok_or("it is not in the layout")?;
        let request = CatalogRequest {
            request: Some(catalog_request::Request::Command(command)),
            local: false,
        };
        let timeout = limits::CATALOG_REQUEST_TIMEOUT + ASK_TIMEOUT;
        let answered = self.peers.node(through).catalog(request, timeout).await;
        match answered.map_err(|error| format!("{through}: {error}"))?.answer {
            Some(Answer::Reply(reply)) => {
                if let Ok(reply) = decode_reply(&reply) {
                    // Then the next attempt is not.
                    self.author_of(identity).is_behind(&reply);
                }
                member_of(&reply)
            }
            Some(Answer::Failure(failure)) => Err(failure.message),
            None => Err(format!("{through} says nothing")),
        }
    }

    /// Has the catalog know where this member is, of the founder that it is one at all. Tries for
    /// as long as it takes.
    pub(super) async fn enter(&self, identity: Identity, group: &Group<Catalog>) {
        while !self.is_known_at_its_address(identity, group) {
            let Some(command) = self.join_command(identity) else { return };
            match group.propose(command, limits::CATALOG_REQUEST_TIMEOUT).await {
                Ok(proposed) => {
                    let is_behind = decode_reply(&proposed.reply)
                        .is_ok_and(|reply| self.author_of(identity).is_behind(&reply));
                    if is_behind {
                        continue;
                    }
                    if let Err(reason) = member_of(&proposed.reply) {
                        tracing::error!(reason, "the catalog does not take this node's address");
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the catalog does not have this node's address yet");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_known_at_its_address(&self, identity: Identity, group: &Group<Catalog>) -> bool {
        let address = self.address();
        group.with_local(|catalog| {
            catalog.0.node(&self.node).is_some_and(|node| {
                node.directory == identity.directory && Some(&node.address) == address.as_ref()
            })
        })
    }

    /// That this member is, where, and with which program.
    pub(super) fn join_command(&self, identity: Identity) -> Option<Bytes> {
        let address = self.address()?;
        let (node, program) = (self.node.to_string(), Some(self.program.clone()));
        let join = JoinNode { node, directory: identity.directory, address, program };
        Some(self.author_of(identity).command(Operation::JoinNode(join)))
    }

    pub(super) fn author_of(&self, identity: Identity) -> Author<'_> {
        self.author(ClientId(identity.directory.0))
    }
}

/// Which member the answer to a [`JoinNode`] says.
pub(super) fn member_of(reply: &[u8]) -> Result<u64, String> {
    match decode_reply(reply).map_err(|error| error.to_string())? {
        Reply::Done(Outcome::Joined { raft }) => Ok(raft.0),
        Reply::Done(other) => Err(format!("an answer to another question: {other:?}")),
        Reply::Refused(error) => Err(error.to_string()),
    }
}
