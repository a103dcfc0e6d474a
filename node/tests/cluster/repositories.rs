//! Whole repositories: an import that is killed, a check that finds damage, forks.

use std::fs;
use std::path::Path;

use crate::support::{files, git, gitstratum, make_repository, output, run, wait_until};
use crate::trio::Cluster;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Refs of a repository in the cluster.
fn refs(cluster: &Cluster, name: &str) -> Vec<String> {
    let shown = run(&["repo", "show", name], &cluster.peers);
    shown.lines().filter_map(|line| Some(line.strip_prefix("    ")?.to_owned())).collect()
}

fn marks(cluster: &Cluster) -> usize {
    let shown = output(&["repo", "show", "project"], &cluster.peers).stdout;
    String::from_utf8(shown).unwrap().matches("refs/gitstratum/import/").count()
}

fn assert_returned(cluster: &Cluster, name: &str, repository: &Path) {
    let returned = cluster.dir.path().join("returned.git");
    run(&["export", name, text(&returned)], &cluster.peers);
    git(&returned, &["fsck", "--full"]);
    assert_eq!(git(&returned, &["for-each-ref"]), git(repository, &["for-each-ref"]));
    let head = |dir: &Path| git(dir, &["symbolic-ref", "HEAD"]);
    assert_eq!(head(&returned), head(repository));
    fs::remove_dir_all(returned).unwrap();
}

#[test]
fn an_import_that_is_killed_goes_on_and_forks_take_no_room() {
    let cluster = Cluster::start();
    let repository = cluster.dir.path().join("repository");
    make_repository(&repository, 400);
    let arguments = ["import", text(&repository), "project", "--slice-objects", "300"];
    let mut import = gitstratum(&arguments, &cluster.peers).spawn().unwrap();
    wait_until("a part is there", || marks(&cluster) > 0);
    import.kill().unwrap();
    import.wait().unwrap();
    let there = run(&["repo", "list", "--json"], &cluster.peers);
    assert!(there.contains("\"packs\":") && !there.contains("\"packs\":0"), "{there}");

    let done = output(&arguments, &cluster.peers);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && marks(&cluster) == 0, "{said}");
    let all = git(&repository, &["rev-list", "--objects", "--all", "--count"]);
    let sent: u64 = said.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(sent > 0 && sent < all.trim().parse().unwrap(), "{sent} of {all}: {said}");
    assert_returned(&cluster, "project", &repository);
    let sound = run(&["repo", "verify", "project"], &cluster.peers);
    assert!(sound.starts_with("project is sound: "), "{sound}");

    run(&["repo", "fork", "project", "fork"], &cluster.peers);
    assert_eq!(refs(&cluster, "fork"), refs(&cluster, "project"));
    assert_returned(&cluster, "fork", &repository);
    git(&repository, &["branch", "new"]);
    run(&["import", text(&repository), "fork"], &cluster.peers);
    assert_returned(&cluster, "fork", &repository);
    assert_eq!(refs(&cluster, "fork").len(), refs(&cluster, "project").len() + 1);
    let events = run(&["events"], &cluster.peers);
    assert!(events.contains("repository_forked"), "{events}");
}

/// Bytes that do not compress.
pub fn noise(len: usize) -> Vec<u8> {
    let step = |state: &mut u64| {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 56) as u8)
    };
    std::iter::repeat_n((), len).scan(7, |state, ()| step(state)).collect()
}

/// Flips a bit in the middle of what a running node has.
fn damage(data: &Path) {
    let segment = &files(&data.join("segments"), ".seg")[0];
    let at = 300_000;
    let mut byte = [fs::read(segment).unwrap()[at]];
    byte[0] ^= 1;
    // In place: the node has the file open.
    let file = fs::File::options().write(true).open(segment).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &byte, at as u64).unwrap();
}

#[test]
fn verify_says_which_replica_has_a_flipped_bit_and_which_is_missing() {
    let mut cluster = Cluster::start();
    let repository = cluster.dir.path().join("repository");
    make_repository(&repository, 3);
    fs::write(repository.join("large"), noise(2_500_000)).unwrap();
    let blob = git(&repository, &["hash-object", "-w", "large"]);
    git(&repository, &["tag", "large", blob.trim()]);
    run(&["import", text(&repository), "project"], &cluster.peers);
    run(&["repo", "verify", "project"], &cluster.peers);

    damage(&cluster.data(1));
    let found = output(&["repo", "verify", "project"], &cluster.peers);
    let (lines, said) =
        (String::from_utf8(found.stdout).unwrap(), String::from_utf8(found.stderr).unwrap());
    assert_eq!(found.status.code(), Some(1), "{lines} {said}");
    assert!(lines.lines().any(|line| line.contains("chunk") && line.contains("n2")), "{lines}");
    assert!(!lines.contains("n1") && !lines.contains("n3"), "{lines}");
    assert!(said.contains("not sound"), "{said}");

    cluster.kill(2);
    let found = output(&["repo", "verify", "project"], &cluster.peers);
    let lines = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(1));
    assert!(lines.contains("from n3"), "{lines}");
    assert!(!lines.contains("is missing"), "nothing is lost: {lines}");
}
