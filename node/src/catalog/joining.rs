//! A member's first steps: what its directory asks for when it joins, and how it enters the layout.
//!
//! Invariant: a node enters the layout when it serves, and not before. So no write waits for a
//! machine that was prepared and does not run yet.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitstratum_catalog::command::ApplyLayout;
use gitstratum_catalog::encode::{decode_answer, decode_reply, encode_query};
use gitstratum_catalog::ids::ClientId;
use gitstratum_catalog::{Answer, CatalogError, Operation, Outcome, Query, Reply};
use gitstratum_core::limits;
use gitstratum_core::placement::{Layout, LayoutError, Member, MemberState, NodeId};
use gitstratum_host::Disk;
use gitstratum_proto::v1::catalog_response::Answer as Answered;
use gitstratum_proto::v1::{CatalogRequest, catalog_request};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};

use super::found::{FoundError, become_member};
use super::identity::{DIRECTORY, Identity, IdentityError};
use super::{Participant, document};

const FILE: &str = "catalog/joining.toml";
/// Between two attempts to enter the layout.
const PAUSE: Duration = Duration::from_secs(1);

/// What a directory asks for that joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joining {
    /// Where others reach the node.
    pub address: String,
    /// Its failure domain.
    pub zone: String,
    /// Its share of the objects.
    pub weight: u32,
    /// Copies that each object is to have then, if that was said.
    pub replicas: Option<usize>,
    /// It waits until somebody else puts it into the layout.
    pub spare: bool,
}

impl Joining {
    /// What the directory asks for; nothing where it did not join, or has entered the layout.
    ///
    /// # Errors
    /// Those of the disk; `InvalidData` for a file that is damaged.
    pub async fn read(disk: &Disk) -> io::Result<Option<Self>> {
        if !disk.exists(FILE).await? {
            return Ok(None);
        }
        let contents = disk.read_whole(FILE).await?;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{FILE}: {error}"));
        document::parse(&contents).map(Some).map_err(named)
    }

    /// Whether the cluster has let the directory in that asked for it.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn is_let_in(disk: &Disk) -> Result<bool, IdentityError> {
        Ok(Identity::read(disk).await?.is_some_and(|identity| identity.member.is_some()))
    }

    /// The layout after this one, with the node in it. A spare at the address of a member has lost
    /// that one's disk, and is to have its place.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn enter(&self, node: &NodeId, layout: &Layout) -> Result<Layout, LayoutError> {
        let Joining { address, zone, weight, replicas, spare } = self.clone();
        let mut present = layout.members.iter().filter(|m| m.state != MemberState::Removed);
        let lost = present.find(|member| member.address.eq_ignore_ascii_case(&address));
        let member = Member::active(node.clone(), address, zone, weight);
        match lost.filter(|_| spare) {
            Some(lost) => layout.with_replaced(&lost.node_id, Some(member)),
            None => layout.with_member(member, replicas),
        }
    }

    /// Notes what the directory asks for, and gives it an id of its own.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(crate) async fn begin(
        &self,
        disk: &Disk,
        rng: &mut ChaCha12Rng,
    ) -> Result<Asking, IdentityError> {
        disk.create_dir_all(DIRECTORY).await?;
        let text = toml::to_string(self).map_err(io::Error::other)?;
        disk.replace(FILE, text.into()).await?;
        Ok(Asking(Identity::keep(disk, rng).await?))
    }
}

/// A directory that asks to be a member.
pub(crate) struct Asking(Identity);

impl Asking {
    /// The directory's own id.
    pub(crate) fn directory(&self) -> gitstratum_catalog::ids::DirectoryId {
        self.0.directory
    }

    /// Makes it this member of the group, once.
    ///
    /// # Errors
    /// [`FoundError`].
    pub(crate) async fn became(
        self,
        disk: &Disk,
        member: u64,
        rng: &mut ChaCha12Rng,
    ) -> Result<(), FoundError> {
        match self.0.member {
            Some(_) => Ok(()),
            None => become_member(disk, self.0, member, rng).await,
        }
    }
}

impl Participant {
    /// Where others reach this node, or will.
    pub(super) fn address(&self) -> Option<String> {
        let layout = self.peers.layout.get();
        let known = layout.member(&self.node).map(|member| member.address.clone());
        known.or_else(|| self.joining.get().map(|joining| joining.address.clone()))
    }

    /// Enters the layout, where the directory asks for it. Tries for as long as it takes.
    pub(super) async fn enter_layout(&self, identity: Identity) {
        let Some(joining) = self.joining.get() else { return };
        if joining.spare {
            self.state_from_outside(identity).await;
        }
        loop {
            let layout = self.keeper.current().get();
            if layout.knows(&self.node) {
                if let Err(error) = self.disk.remove(FILE).await {
                    // It is found to be in the layout at the next start, too.
                    tracing::warn!(%error, "{FILE} stays");
                }
                return;
            }
            if joining.spare {
                self.keeper.current().changed_since(layout.version).await;
                continue;
            }
            if let Err(reason) = self.enter_after(&layout, joining).await {
                tracing::warn!(node = %self.node, reason, "not in the layout yet");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// States the program of a node that nobody sends the log to, because it waits outside of the
    /// layout: it applies all of it later. Tries for as long as it takes, or until it is inside.
    async fn state_from_outside(&self, identity: Identity) {
        loop {
            let layout = self.keeper.current().get();
            let Some(command) = self.join_command(identity) else { return };
            if layout.knows(&self.node) {
                return;
            }
            let stated = self.ask_any(&layout, catalog_request::Request::Command(command)).await;
            let reply =
                stated.and_then(|reply| decode_reply(&reply).map_err(|error| error.to_string()));
            match reply {
                Ok(reply) if self.author_of(identity).is_behind(&reply) => continue,
                Ok(Reply::Refused(error)) => {
                    tracing::warn!(%error, "the catalog does not take what this node states");
                    return;
                }
                Ok(Reply::Done(_)) => return,
                Err(reason) => {
                    tracing::debug!(reason, "the catalog does not know this program yet")
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Has the layout agreed on that follows this one, with the node in it, and goes by it.
    async fn enter_after(&self, layout: &Arc<Layout>, joining: &Joining) -> Result<(), String> {
        let next = joining.enter(&self.node, layout).map_err(|error| error.to_string())?;
        let client = self.directory.get().map_or([0; 16], |directory| directory.0);
        let apply = ApplyLayout { layout: Arc::new(next.clone()), accept_loss: false };
        let author = self.author(ClientId(client));
        let command = author.command(Operation::ApplyLayout(apply));
        let reply = self.ask_any(layout, catalog_request::Request::Command(command)).await?;
        let reply = decode_reply(&reply).map_err(|error| error.to_string())?;
        // Then the next attempt is not.
        author.is_behind(&reply);
        let next = match reply {
            Reply::Done(Outcome::LayoutInForce { version, .. }) => {
                tracing::info!(node = %self.node, version, "enters the layout");
                next
            }
            // Others were faster.
            Reply::Refused(CatalogError::LayoutVersion { .. } | CatalogError::Layout { .. }) => {
                let query = Bytes::from(encode_query(&Query::Layout));
                let query = catalog_request::Request::Query(query);
                match decode_answer(&self.ask_any(layout, query).await?) {
                    Ok(Answer::Layout(Some(agreed))) => Layout::clone(&agreed.0),
                    _ => return Err("the catalog has no layout yet".to_owned()),
                }
            }
            Reply::Refused(error) => return Err(error.to_string()),
            Reply::Done(other) => return Err(format!("an answer to another question: {other:?}")),
        };
        self.keeper.take(&next).await.map(drop).map_err(|error| error.to_string())
    }

    /// Asks the members of a layout until one answers.
    async fn ask_any(
        &self,
        layout: &Layout,
        request: catalog_request::Request,
    ) -> Result<Bytes, String> {
        let mut problem = "the layout has no members".to_owned();
        let request = CatalogRequest { request: Some(request), local: false };
        let others = layout.members.iter().filter(|member| layout.is_read_from(&member.node_id));
        for member in others {
            let node = self.peers.node(&member.node_id);
            let answer = node.catalog(request.clone(), limits::CATALOG_REQUEST_TIMEOUT).await;
            problem = match answer.map(|response| response.answer) {
                Ok(Some(Answered::Reply(reply))) => return Ok(reply),
                Ok(Some(Answered::Failure(failure))) => failure.message,
                Ok(None) => format!("{} says nothing", member.node_id),
                Err(error) => format!("{}: {error}", member.node_id),
            };
        }
        Err(problem)
    }
}
