//! Mirroring: a repository in the cluster follows a remote one.
//!
//! A round lists the refs of the remote, asks for what is not there, and pushes that with the ref
//! updates, as `git push --mirror` from the remote would: the pack that arrives is the body of the
//! push, which takes it apart, checks it and stores it part by part. So nothing lies on this machine's
//! disk, and a round that breaks off leaves nothing half done. Refs that change in between are for the
//! next round.
//!
//! Invariant: unless that is forced, no ref is pointed away from what the remote has never seen. The
//! remote itself is asked: it acknowledges those of the old values that it has, also where no ref of
//! its own reaches them any more. So it may rewrite its history, and what was pushed here by somebody
//! else is not lost.

mod error;
mod pack;
mod plan;
pub mod remote;
mod selection;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gitstratum_core::object::ObjectId;
use gitstratum_git::service::{Head, RefCommand, Refs, Repository};

use super::progress::{Counters, showing};
use super::push::push;
use super::{PointHead, Progress};
use pack::{Broken, body};
use plan::Plan;
use remote::{PackAnswer, Remote, RemoteRefs};

pub use error::MirrorError;
pub use selection::{PatternError, Selection};

/// How often a remote is asked again of what it did not acknowledge.
const ASKED_AGAIN_MAX: usize = 8;

/// What a mirror is asked for.
#[derive(Clone, Debug)]
pub struct MirrorOptions {
    /// Which refs it follows.
    pub selection: Selection,
    /// Refs that the remote does not have any more are deleted.
    pub prune: bool,
    /// Refs are pointed away from what the remote does not have, and the last ones are deleted.
    pub force: bool,
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorReport {
    /// Refs of the remote, all of which are here.
    pub refs: u64,
    /// Those of them that are new here.
    pub created: u64,
    /// Those that point elsewhere than before.
    pub moved: u64,
    /// Refs that are not here any more.
    pub deleted: u64,
    /// Refs that the remote does not have, and that stay.
    pub kept: Vec<String>,
    /// Where `HEAD` points, if that is new.
    pub head: Option<Head>,
    /// Objects that came.
    pub objects: u64,
    /// Bytes of their pack.
    pub bytes: u64,
    /// What fsck let pass, and what else is to be warned of.
    pub warnings: Vec<String>,
}

impl MirrorReport {
    /// Whether anything is other than before.
    pub fn is_change(&self) -> bool {
        self.created + self.moved + self.deleted > 0 || self.head.is_some()
    }
}

/// A mirror from round to round.
#[derive(Debug)]
pub struct Mirror {
    options: MirrorOptions,
    /// What the last round has set: it came from the remote.
    followed: BTreeMap<String, ObjectId>,
}

impl Mirror {
    /// One that has made no round yet.
    pub fn new(options: MirrorOptions) -> Self {
        Mirror { options, followed: BTreeMap::new() }
    }

    /// Which refs it follows.
    pub fn selection(&self) -> &Selection {
        &self.options.selection
    }

    /// Makes the refs of `repository` those of the remote, `theirs`.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn round(
        &mut self,
        remote: &Remote,
        theirs: RemoteRefs,
        repository: &dyn Repository,
        head: &dyn PointHead,
        progress: &dyn Progress,
    ) -> Result<MirrorReport, MirrorError> {
        let formats = (remote.object_format(), repository.object_format());
        if formats.0 != formats.1 {
            return Err(MirrorError::ObjectFormat { theirs: formats.0, ours: formats.1 });
        }
        let ours = repository.refs().await?;
        let plan = Plan::new(&self.options, &theirs, &ours, &self.followed);
        if theirs.refs.is_empty() && plan.deletions() > 0 && !self.options.force {
            return Err(MirrorError::Emptied(plan.deletions()));
        }
        let mut round =
            Round { remote, repository, head, progress, report: report(&theirs, &plan) };
        round.run(plan, &theirs, &ours, self.options.force).await?;
        self.followed = theirs.refs;
        match theirs.unreadable.is_empty() {
            true => Ok(round.report),
            false => Err(MirrorError::Names(theirs.unreadable)),
        }
    }
}

/// What will have been done.
fn report(theirs: &RemoteRefs, plan: &Plan) -> MirrorReport {
    let updates = |is_new: bool| {
        let updates = plan.commands.iter().filter(|command| command.new.is_some());
        updates.filter(|command| command.old.is_none() == is_new).count() as u64
    };
    MirrorReport {
        refs: theirs.refs.len() as u64,
        created: updates(true),
        moved: updates(false),
        deleted: plan.deletions(),
        kept: plan.kept.clone(),
        ..MirrorReport::default()
    }
}

/// One round.
struct Round<'a> {
    remote: &'a Remote,
    repository: &'a dyn Repository,
    head: &'a dyn PointHead,
    progress: &'a dyn Progress,
    report: MirrorReport,
}

impl Round<'_> {
    async fn run(
        &mut self,
        plan: Plan,
        theirs: &RemoteRefs,
        ours: &Refs,
        force: bool,
    ) -> Result<(), MirrorError> {
        let tips = plan.tips();
        let there = self.repository.contains(&tips).await?;
        let there: BTreeMap<ObjectId, bool> = tips.into_iter().zip(there).collect();
        let wants: Vec<ObjectId> =
            there.iter().filter(|(_, is_there)| !**is_there).map(|(id, _)| *id).collect();
        let haves = plan.haves(ours);
        let pack = match force || plan.at_risk.is_empty() {
            false => self.negotiate(&plan, theirs, &wants, &haves).await?,
            true if wants.is_empty() => None,
            true => Some(self.remote.pack(&wants, &haves).await?),
        };
        if !plan.commands.is_empty() {
            self.push(plan.commands, pack).await?;
        }
        if let Some(head) = plan.head {
            self.point_head(head, &there).await?;
        }
        if let Some(deletion) = plan.last_deletion {
            self.push(vec![deletion], None).await?;
        }
        Ok(())
    }

    /// Makes sure that the remote has what refs are pointed away from; the pack with what is wanted,
    /// if anything is.
    async fn negotiate(
        &self,
        plan: &Plan,
        theirs: &RemoteRefs,
        wants: &[ObjectId],
        haves: &[ObjectId],
    ) -> Result<Option<PackAnswer>, MirrorError> {
        // A remote is told what is there only if something is wanted.
        let any: Vec<ObjectId> = theirs.refs.values().copied().take(1).collect();
        let asked = if wants.is_empty() { &any[..] } else { wants };
        let (mut common, pack) = self.remote.negotiate(asked, haves).await?;
        // Git's server does not acknowledge a parent of what was told before it, so those are told
        // once more, in the other order.
        let mut unsure: Vec<ObjectId> = plan.at_risk.iter().map(|(_, id)| *id).collect();
        for _ in 0..ASKED_AGAIN_MAX {
            unsure.retain(|id| !common.contains(id));
            unsure.reverse();
            if unsure.is_empty() {
                break;
            }
            let (more, _) = self.remote.negotiate(asked, &unsure).await?;
            if more.is_empty() {
                break;
            }
            common.extend(more);
        }
        let lost = plan.at_risk.iter().filter(|(_, id)| !common.contains(id));
        let lost: Vec<String> = lost.map(|(name, _)| name.clone()).collect();
        if !lost.is_empty() {
            return Err(MirrorError::Diverged(lost));
        }
        match pack {
            _ if wants.is_empty() => Ok(None),
            Some(pack) => Ok(Some(pack)),
            None => {
                let common: Vec<ObjectId> = common.into_iter().collect();
                Ok(Some(self.remote.pack(wants, &common).await?))
            }
        }
    }

    async fn push(
        &mut self,
        commands: Vec<RefCommand>,
        pack: Option<PackAnswer>,
    ) -> Result<(), MirrorError> {
        let (counters, broken) = (Arc::new(Counters::default()), Broken::default());
        let body = pack.map(|pack| body(pack, counters.clone(), broken.clone()));
        let has_pack = body.is_some();
        if has_pack {
            self.progress.begin_bytes("mirroring");
        }
        let pushed = push(self.repository, commands, body, &counters, &mut self.report.warnings);
        let pushed = showing(pushed, &counters, self.progress).await;
        if has_pack {
            self.progress.end();
        }
        // Of a pack that broke off a push knows no more than that.
        if let (Err(_), Some(error)) = (&pushed, broken.take()) {
            return Err(error.into());
        }
        self.report.objects += counters.objects.load(Ordering::Relaxed);
        self.report.bytes += counters.bytes.load(Ordering::Relaxed);
        Ok(pushed?)
    }

    /// Points `HEAD` there. `there` says which objects were here before the push.
    async fn point_head(
        &mut self,
        head: Head,
        there: &BTreeMap<ObjectId, bool>,
    ) -> Result<(), MirrorError> {
        if let Head::Detached(id) = head {
            // What was asked for came with the push.
            let is_here =
                there.contains_key(&id) || self.repository.contains(&[id]).await? == [true];
            if !is_here {
                self.report.warnings.push(format!(
                    "HEAD of the remote is at commit {id}, which no ref that changed brings: HEAD \
                     stays as it is"
                ));
                return Ok(());
            }
        }
        self.head.point_head(&head).await?;
        self.report.head = Some(head);
        Ok(())
    }
}
