//! Opened repository.
//!
//! A repository that is being imported: its references, where its objects are, and what is known
//! of them so far.
//!
//! Invariant: an object that was there all the time is sent, wherever Git moves it meanwhile; and
//! what was sent is all that HEAD and the references reach, or it is said what is missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gitstratum_core::limits;
use gitstratum_core::object::ObjectId;
use tokio::sync::mpsc;

use super::closure::{Lacking, roots};
use super::error::ImportError;
use super::ids::Ids;
use super::places::Places;
use super::plan::{Cursor, Plan};
use super::read::{self, Learnt, Pass};
use super::repository::Repository;
use super::send::Sender;
use super::warning::Warning;
use super::{ImportOptions, blocking, refs};
use crate::transfer::manifest::Manifest;

/// How often objects that are not where they were are looked for again.
const PASSES_MAX: usize = 64;

/// A repository that is imported.
pub(super) struct Opened {
    path: PathBuf,
    /// Without objects, and lists of them.
    pub(super) manifest: Manifest,
    pub(super) shallow: Arc<BTreeSet<ObjectId>>,
    pub(super) places: Arc<Places>,
    /// What was listed when it was opened.
    pub(super) plan: Arc<Plan>,
    /// What references reach, as far as readers saw, and no place has; or what was listed and
    /// has gone.
    not_found: BTreeSet<ObjectId>,
    /// Objects that do not say what they refer to.
    malformed: BTreeSet<ObjectId>,
    pub(super) warnings: Vec<Warning>,
}

impl Opened {
    /// Reads the references, and then lists the objects, so that an object which a reference
    /// names is among those listed even when someone commits meanwhile.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let repository = Repository::find(path)?;
        let refs::References { head, refs, mut warnings } = refs::read(&repository)?;
        let manifest = Manifest {
            algorithm: repository.algorithm,
            objects: 0,
            missing: 0,
            lists: Vec::new(),
            head,
            shallow: refs::shallow(&repository)?,
            refs,
        };
        // Before anything is sent; the lists are not known yet.
        super::check(path, &manifest)?;
        let mut places = Places::find(&repository, &mut warnings)?;
        let loose = places.list()?;
        let plan = Plan::all(repository.algorithm, &places, &loose)?;
        Ok(Opened {
            path: path.to_owned(),
            shallow: Arc::new(manifest.shallow.iter().copied().collect()),
            manifest,
            places: Arc::new(places),
            plan: Arc::new(plan),
            not_found: BTreeSet::new(),
            malformed: BTreeSet::new(),
            warnings,
        })
    }

    /// Reads and sends all objects: those that were listed, and then, wherever they are by now,
    /// those that had gone from there and those that turned out to be referred to. The ids of
    /// all.
    pub(super) async fn transfer(&mut self, sender: &mut Sender<'_>) -> Result<Ids, ImportError> {
        let mut plan = self.plan.clone();
        let mut sent: Vec<Arc<Plan>> = Vec::new();
        let roots = roots(&self.manifest).map(|(_, id)| id);
        self.not_found = roots.filter(|id| !plan.ids().contains(id)).collect();
        for _ in 0..PASSES_MAX {
            let learnt = self.pass(plan.clone(), &sent, sender).await?;
            sent.push(plan);
            self.malformed.extend(learnt.malformed);
            self.warnings.extend(learnt.warnings);
            self.not_found.extend(learnt.absent);
            self.not_found.extend(learnt.gone);
            plan = self.look_again().await?;
            if plan.objects() == 0 {
                return Ok(self.ids_of(&sent));
            }
            self.not_found.retain(|id| !plan.ids().contains(id));
        }
        Err(ImportError::Unsupported {
            path: self.path.clone(),
            problem: "its objects went elsewhere each time they were looked for: import it when \
                      nobody repacks it"
                .to_owned(),
        })
    }

    /// Reads a plan with several readers.
    async fn pass(
        &self,
        plan: Arc<Plan>,
        sent: &[Arc<Plan>],
        sender: &mut Sender<'_>,
    ) -> Result<Learnt, ImportError> {
        let (items, mut decoded) = mpsc::channel(limits::IMPORT_BATCHES_WAITING_MAX);
        let pass = Arc::new(Pass {
            plan,
            earlier: sent.to_vec(),
            places: self.places.clone(),
            shallow: self.shallow.clone(),
            cursor: Cursor::default(),
            learnt: Mutex::default(),
        });
        let readers: Vec<_> = (0..limits::IMPORT_READERS)
            .map(|_| {
                let (pass, items) = (pass.clone(), items.clone());
                tokio::task::spawn_blocking(move || read::run(&pass, &items))
            })
            .collect();
        drop(items);
        while let Some(item) = decoded.recv().await {
            sender.put(item?).await?;
        }
        for reader in readers {
            reader.await.expect("a reader does not panic");
        }
        sender.finish().await?;
        let mut learnt = pass.learnt.lock().expect("a reader does not panic");
        Ok(std::mem::take(&mut *learnt))
    }

    /// What there is by now of what was not found.
    async fn look_again(&mut self) -> Result<Arc<Plan>, ImportError> {
        let algorithm = self.manifest.algorithm;
        if self.not_found.is_empty() {
            return Ok(Arc::new(Plan::empty(algorithm)));
        }
        let (places, not_found) = (self.places.clone(), self.not_found.clone());
        let looked = blocking(move || {
            let mut places = Places::clone(&places);
            places.open_packs()?;
            let plan = Plan::of(algorithm, &places, &not_found);
            Ok((places, plan))
        });
        let (places, plan) = looked.await?;
        self.places = Arc::new(places);
        Ok(Arc::new(plan))
    }

    /// Ids that were sent: those of all plans but for what had gone.
    fn ids_of(&self, sent: &[Arc<Plan>]) -> Ids {
        let (first, later) = sent.split_first().expect("there was a first pass");
        let later = later.iter().map(|plan| plan.ids());
        first.ids().changed(&self.not_found, later, self.manifest.algorithm)
    }

    /// Makes sure that these ids are all that HEAD and the references reach, or counts and names
    /// what is missing, if that is allowed.
    pub(super) async fn proven_whole(
        mut self,
        ids: &Arc<Ids>,
        options: ImportOptions,
    ) -> Result<Self, ImportError> {
        if self.not_found.is_empty() && self.malformed.is_empty() {
            return Ok(self);
        }
        let ids = ids.clone();
        let follow = blocking(move || {
            let lacking = Lacking::find(&self.manifest, &ids, &self.places, &self.shallow)?;
            Ok((self, lacking))
        });
        let lacking;
        (self, lacking) = follow.await?;
        if !lacking.is_nothing() && !options.allow_missing {
            let problem = lacking.problem(self.places.is_partial_clone);
            return Err(ImportError::Incomplete { path: self.path, problem });
        }
        self.manifest.missing = lacking.missing();
        self.warnings.extend(lacking.warnings());
        Ok(self)
    }
}
