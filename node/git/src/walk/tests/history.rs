//! Ancestry against `git merge-base`, and peeling.

use gitstratum_core::object::{Kind, ObjectId};

use super::fixture::{Clocks, Disk, Random, git, ids};
use crate::service::RepositoryError;
use crate::walk::{is_ready, merge_bases, peel, reaches};

#[tokio::test]
async fn merge_bases_and_ancestors_are_those_of_git() {
    for (seed, clocks) in [(0, Clocks::Right), (1, Clocks::Wrong), (2, Clocks::Wrong)] {
        let disk = Disk::random(seed, 50, clocks);
        let mut objects = disk.objects();
        git(disk.path(), &["commit-graph", "write", "--reachable"], "");
        let random = &mut Random::new(seed);
        let mut merged = 0;
        for _ in 0..60 {
            let [a, b] = [(); 2].map(|()| *random.pick(&disk.commits));
            let (first, second) = (a.to_string(), b.to_string());
            // It says by its exit code whether there is any.
            let script = format!("alias.bases=!git merge-base --all {first} {second} || true");
            let mut expected = ids(&git(disk.path(), &["-c", &script, "bases"], ""));
            expected.sort();
            merged += usize::from(expected.len() > 1);
            for generations in [true, false] {
                objects.generations = generations;
                let mut found = merge_bases(&objects, a, b).await.unwrap();
                found.sort();
                assert_eq!(found, expected, "seed {seed}: {a} and {b}");
                let is_ancestor = expected == [b];
                assert_eq!(reaches(&objects, a, b).await.unwrap(), is_ancestor, "{a} to {b}");
            }
        }
        assert!(merged > 0, "seed {seed} has no two histories that cross");
    }
}

#[tokio::test]
async fn a_negotiation_may_end_once_every_want_leads_to_something_common() {
    let disk = Disk::random(4, 60, Clocks::Wrong);
    let mut objects = disk.objects();
    let random = &mut Random::new(4);
    let mut answers = [0, 0];
    for _ in 0..200 {
        let wants: Vec<ObjectId> = random.some(&disk.commits, 2);
        let common = random.some(&disk.commits, 1);
        let mut known = common.clone();
        known.extend(&objects.nodes[&common[0]].parents);
        let mut expected = true;
        for want in &wants {
            let mut leads = false;
            for id in &known {
                leads |= reaches(&objects, *want, *id).await.unwrap();
            }
            expected &= leads;
        }
        objects.generations = true;
        assert_eq!(is_ready(&objects, &wants, &common).await.unwrap(), expected, "{wants:?}");
        // By times alone it may be found out later, not sooner.
        objects.generations = false;
        assert!(expected || !is_ready(&objects, &wants, &common).await.unwrap());
        answers[usize::from(expected)] += 1;
    }
    assert!(answers[0] > 20 && answers[1] > 20, "{answers:?}");
    assert!(!is_ready(&objects, &disk.commits, &[]).await.unwrap(), "nothing is common");
}

#[tokio::test]
async fn tags_of_tags_peel_to_what_git_peels_them_to() {
    let disk = Disk::random(2, 20, Clocks::Right);
    let objects = disk.objects();
    for tag in &disk.tags {
        let (id, kind) = peel(&objects, *tag).await.unwrap();
        let expected = git(disk.path(), &["rev-parse", &format!("{tag}^{{}}")], "");
        assert_eq!(id.to_string(), expected.trim());
        assert_eq!(kind, objects.objects[&id].0);
    }
    let commit = disk.commits[3];
    assert_eq!(peel(&objects, commit).await.unwrap(), (commit, Kind::Commit));
    let absent: ObjectId = "12".repeat(20).parse().unwrap();
    let error = peel(&objects, absent).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NotOurRef(id) if id == absent), "{error}");
}
