//! Disk faults.
//!
//! What a scenario does to the disks of nodes.

use gitstratum_host::disk::{Fault, Loss, Operation};
use gitstratum_host::simulated::DiskProfile;
use rand::Rng;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha12Rng;

use super::{Cluster, Run};
use crate::broken::forget_votes;
use crate::scenario::{Control, DiskOperations, DiskPlan, PowerLoss, StoreFile};
use crate::trace::{Event, Stop};
use crate::workload::stream;

/// How the disks of a plan behave.
pub(super) fn profile(plan: &DiskPlan) -> DiskProfile {
    DiskProfile {
        read_latency: plan.read.0.clone(),
        write_latency: plan.write.0.clone(),
        sync_latency: plan.sync.0.clone(),
        spike_share: plan.spike_share,
        spike_latency: plan.spike.0.clone(),
    }
}

/// What a power loss may take on the disks of a plan.
pub(super) fn loss(plan: &DiskPlan) -> Loss {
    match plan.power_loss {
        PowerLoss::Everything => Loss::Everything,
        PowerLoss::Subset => Loss::Subset,
        PowerLoss::Torn => Loss::Torn,
    }
}

/// The index of the segment at `path`.
fn index_of(path: &str) -> String {
    format!("{}.idx", path.strip_suffix(".seg").unwrap_or(path))
}

impl Cluster {
    /// Flips so many drawn bits of the files in a directory of a node.
    pub fn rot(&self, name: &str, dir: &str, bits: u32) {
        for _ in 0..bits {
            let Some((path, bit)) = self.disk(name).flip_drawn_bit(dir) else {
                let wanted = format!("a bit of a file in {dir}");
                self.recorder.record(name, Event::FaultMissed { wanted });
                return;
            };
            self.recorder.record(name, Event::Rotted { path, bit });
        }
    }

    /// Loses a drawn file of a node's store.
    pub fn lose_file(&self, name: &str, file: StoreFile, rng: &mut ChaCha12Rng) {
        let Some((path, bytes)) = self.drawn_file(name, file, rng) else { return };
        let disk = self.disk(name);
        let lost = |path: String, bytes: u64| {
            disk.lose_file(&path).expect("listed just now");
            self.recorder.record(name, Event::FileDamaged { path, bytes, left: None });
        };
        if file == StoreFile::SegmentAndIndex {
            let index = index_of(&path);
            let listed = disk.files().into_iter().find(|(path, _)| *path == index);
            let (index, bytes) = listed.expect("a segment without one is not drawn");
            lost(index, bytes);
        }
        lost(path, bytes);
    }

    /// Cuts the end off a drawn file of a node's store; of one in four nothing is left but its
    /// name.
    pub fn truncate_file(&self, name: &str, file: StoreFile, rng: &mut ChaCha12Rng) {
        let Some((path, bytes)) = self.drawn_file(name, file, rng) else { return };
        let left = if rng.random_bool(0.25) { 0 } else { rng.random_range(0..bytes) };
        self.disk(name).truncate_file(&path, left).expect("listed just now");
        self.recorder.record(name, Event::FileDamaged { path, bytes, left: Some(left) });
    }

    /// A file that is not empty, each as likely as any other. A segment counts as sealed when it
    /// has an index.
    fn drawn_file(
        &self,
        name: &str,
        file: StoreFile,
        rng: &mut ChaCha12Rng,
    ) -> Option<(String, u64)> {
        let files = self.disk(name).files();
        let is_there = |path: &str| files.iter().any(|(known, _)| known == path);
        let meant = |path: &str| match file {
            StoreFile::Segment | StoreFile::SegmentAndIndex => {
                path.starts_with("segments/") && path.ends_with(".seg") && is_there(&index_of(path))
            }
            StoreFile::Large => path.starts_with("large/") && path.ends_with(".obj"),
        };
        let drawn = files.iter().filter(|(path, bytes)| *bytes > 0 && meant(path)).choose(rng);
        if drawn.is_none() {
            let wanted = match file {
                StoreFile::Segment | StoreFile::SegmentAndIndex => "a sealed segment",
                StoreFile::Large => "a large object",
            };
            self.recorder.record(name, Event::FaultMissed { wanted: wanted.to_owned() });
        }
        drawn.cloned()
    }

    /// Cuts a node's power and gives its machine an empty disk; or, with the control that has it
    /// so, one that lacks the log of the catalog alone.
    pub async fn wipe(&self, run: &Run, name: &str) {
        self.stop(name, Stop::PowerOff);
        let disk = self.disk(name);
        let mut rng = stream(run.seed, &format!("forgetful/{name}"));
        let forgets = run.control == Some(Control::ForgottenVote);
        if !forgets || !forget_votes(&disk, &mut rng).await {
            disk.replaced();
        }
        self.recorder.record(name, Event::DiskReplaced);
        self.changes().replaced.insert(name.to_owned());
    }

    /// Makes a node's disk so many times as slow as it was at first.
    pub fn slow(&self, name: &str, factor: u32) {
        self.disk(name).set_slowdown(factor);
        self.trouble(name, format!("{factor} times as slow"), true);
    }

    /// Lets operations of a node's disk wait.
    pub fn stall(&self, name: &str, operations: DiskOperations) {
        let operation = match operations {
            DiskOperations::Reads => Operation::Read,
            DiskOperations::Writes => Operation::Write,
            DiskOperations::Syncs => Operation::Sync,
        };
        self.disk(name).inject(Fault::stall(operation));
        self.trouble(name, format!("{operations:?} stall"), false);
    }

    /// Leaves a node's disk room for so many bytes.
    pub fn fill(&self, name: &str, room_bytes: u64) {
        let disk = self.disk(name);
        disk.set_capacity_bytes(Some(disk.content_bytes() + room_bytes));
        self.trouble(name, format!("room for {room_bytes} bytes"), false);
    }

    /// Lets a node open no file any more.
    pub fn exhaust(&self, name: &str) {
        self.disk(name).inject(Fault::exhausted());
        self.trouble(name, "no descriptors".to_owned(), false);
    }

    /// Ends all trouble of a node's disk.
    pub fn release_disk(&self, name: &str) {
        if !self.changes().troubled.remove(name) {
            return;
        }
        let disk = self.disk(name);
        disk.set_slowdown(1);
        disk.set_capacity_bytes(None);
        disk.clear_faults();
        self.recorder.record(name, Event::DiskReleased);
    }

    fn trouble(&self, name: &str, trouble: String, stores: bool) {
        self.changes().troubled.insert(name.to_owned());
        self.recorder.record(name, Event::Disk { trouble, stores });
    }
}
