//! What a scenario does to the disks of nodes.

use gitstratum_host::disk::{Fault, Loss, Operation};
use gitstratum_host::simulated::DiskProfile;

use super::Cluster;
use crate::scenario::{DiskOperations, DiskPlan, PowerLoss};
use crate::trace::{Event, Stop};

/// How the disks of a plan behave.
pub(super) fn profile(plan: &DiskPlan) -> DiskProfile {
    DiskProfile {
        read_latency: plan.read.clone(),
        write_latency: plan.write.clone(),
        sync_latency: plan.sync.clone(),
        spike_share: plan.spike_share,
        spike_latency: plan.spike.clone(),
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

impl Cluster {
    /// Flips so many drawn bits of the files in a directory of a node.
    pub fn rot(&self, name: &str, dir: &str, bits: u32) {
        for _ in 0..bits {
            let Some((path, bit)) = self.disk(name).flip_drawn_bit(dir) else { return };
            self.recorder.record(name, Event::Rotted { path, bit });
        }
    }

    /// Cuts a node's power and gives its machine an empty disk.
    pub fn wipe(&self, name: &str) {
        self.stop(name, Stop::PowerOff);
        self.disk(name).replaced();
        let trouble = "replaced by an empty one".to_owned();
        self.recorder.record(name, Event::Disk { trouble, stores: true });
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
