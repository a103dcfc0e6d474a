//! The `[git]` table of a scenario: nodes that serve Git over HTTP, and who pushes and clones.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{Checked, not_zero, share, within};
use super::{MillisRange, Time};

/// What Git clients do. A plan without one has nodes that do not listen for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitPlan {
    /// Client machines `g1`, `g2`, …, each with one request under way at a time.
    pub clients: usize,
    /// Repositories; the first push to each makes it.
    pub repositories: usize,
    /// Branches that are pushed to in each.
    pub branches: usize,
    /// Pause of a client between two pushes or fetches.
    #[serde(rename = "pace_ms")]
    pub pace: MillisRange,
    /// Share of pushes, 0.0 to 1.0; the others fetch.
    pub push_share: f64,
    /// Share of fetches that go on from what the client has; the others clone.
    pub fetch_share: f64,
    /// Share of clones that leave old history out.
    pub shallow_share: f64,
    /// Share of pushes that merge two branches.
    pub merge_share: f64,
    /// Share of pushes of an annotated tag.
    pub tag_share: f64,
    /// Share of pushes that drop the last commit of a branch.
    pub force_share: f64,
    /// Share of pushes that delete a branch.
    pub delete_share: f64,
    /// Share of pushes of two branches, both or none.
    pub atomic_share: f64,
    /// Share of pushes of a branch whose name is a directory of another one's.
    pub nested_share: f64,
    /// Share of pushes that leave an object out, and so must be refused.
    pub incomplete_share: f64,
    /// Share of pushes whose client goes away: one half in the middle of the pack, the other before
    /// it was answered.
    pub vanish_share: f64,
    /// Share of pushes with a file that fits no single chunk.
    pub large_share: f64,
    /// A request to a node that can be reached is answered within this, if only by a refusal.
    pub answer_within: Time,
    /// Least number of acknowledged pushes, so that a run that did nothing does not pass.
    pub pushes_min: u64,
    /// Least number of clones and fetches that brought a pack.
    pub fetches_min: u64,
    /// When the faults are over for so long, and nobody asked for anything meanwhile, no replica has
    /// a chunk that nobody owns; not looked at if not given. More than the lease of a push, where
    /// pushes end shortly before.
    pub swept_within: Option<Time>,
}

impl Default for GitPlan {
    fn default() -> Self {
        GitPlan {
            clients: 4,
            repositories: 2,
            branches: 3,
            pace: MillisRange::micros(20_000, 300_000),
            push_share: 0.5,
            fetch_share: 0.4,
            shallow_share: 0.2,
            merge_share: 0.1,
            tag_share: 0.1,
            force_share: 0.05,
            delete_share: 0.05,
            atomic_share: 0.1,
            nested_share: 0.05,
            incomplete_share: 0.05,
            vanish_share: 0.05,
            large_share: 0.01,
            answer_within: Time(Duration::from_secs(60)),
            pushes_min: 50,
            fetches_min: 50,
            swept_within: None,
        }
    }
}

impl GitPlan {
    /// Names of the client machines.
    pub fn client_names(&self) -> Vec<String> {
        (1..=self.clients).map(|number| format!("g{number}")).collect()
    }

    /// Names of the repositories; none is one of the catalog's clients'.
    pub fn repository_names(&self) -> Vec<String> {
        (1..=self.repositories).map(|number| format!("git/project{number}")).collect()
    }

    pub(super) fn check(&self) -> Checked {
        within("git.clients", self.clients, 1, 100)?;
        within("git.repositories", self.repositories, 1, 100)?;
        within("git.branches", self.branches, 2, 100)?;
        for (field, value) in [
            ("git.push_share", self.push_share),
            ("git.fetch_share", self.fetch_share),
            ("git.shallow_share", self.shallow_share),
            ("git.merge_share", self.merge_share),
            ("git.tag_share", self.tag_share),
            ("git.force_share", self.force_share),
            ("git.delete_share", self.delete_share),
            ("git.atomic_share", self.atomic_share),
            ("git.nested_share", self.nested_share),
            ("git.incomplete_share", self.incomplete_share),
            ("git.vanish_share", self.vanish_share),
            ("git.large_share", self.large_share),
        ] {
            share(field, value)?;
        }
        not_zero("git.answer_within", Some(self.answer_within))?;
        not_zero("git.swept_within", self.swept_within)
    }
}
