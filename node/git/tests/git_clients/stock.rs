//! What stock git does with the server, in each version of the protocol.

use crate::support::{Server, has_git};

const VERSIONS: [&str; 3] = ["protocol.version=0", "protocol.version=1", "protocol.version=2"];

fn then<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_is_cloned_and_fetched_in_every_version() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    for format in ["sha1", "sha256"] {
        let work = format!("work-{format}");
        server.make(&work, 5, format).await;
        server.ok(&work, &["tag", "-a", "v1", "-m", "one"]).await;
        for (number, version) in VERSIONS.iter().enumerate() {
            let url = server.url(&format!("team/{format}-{number}.git"));
            let clone = format!("clone-{format}-{number}");
            server.ok(&work, &["-c", version, "push", "-q", &url, "main", "v1"]).await;
            server.ok("", &["-c", version, "clone", "-q", &url, &clone]).await;
            server.ok(&clone, &["fsck", "--full", "--strict"]).await;
            let head = server.ok(&work, &["rev-parse", "HEAD", "v1"]).await;
            assert_eq!(server.ok(&clone, &["rev-parse", "origin/main", "v1"]).await, head);
            let branch = server.ok(&clone, &["symbolic-ref", "HEAD"]).await;
            assert_eq!(branch, "refs/heads/main");

            server.ok(&work, &["checkout", "-q", "-b", &format!("next-{number}")]).await;
            server.commit(&work, &format!("more-{number}")).await;
            server.ok(&work, &["tag", "-a", &format!("t-{number}"), "-m", "two"]).await;
            server.ok(&work, &["push", "-q", &url, "HEAD:main", "--follow-tags"]).await;
            server.ok(&clone, &["-c", version, "fetch", "-q"]).await;
            let head = server.ok(&work, &["rev-parse", "HEAD", &format!("t-{number}")]).await;
            let fetched = ["rev-parse", "origin/main", &format!("t-{number}")];
            assert_eq!(server.ok(&clone, &fetched).await, head, "{version}: a tag follows");
            server.ok(&clone, &["fsck", "--full"]).await;
            server.ok(&work, &["checkout", "-q", "main"]).await;
        }
    }
    let samples = server.stop().await;
    assert_eq!(samples.count("gitstratum_git_requests_in_flight"), 0);
    assert_eq!(samples.count("gitstratum_git_requests_failed_total"), 0);
    assert_eq!(samples.count("gitstratum_git_connections"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shallow_clones_are_cut_deepened_and_completed_in_every_version() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    server.make("work", 12, "sha1").await;
    let url = server.url("shallow");
    server.ok("work", &["push", "-q", &url, "main", "main~6:refs/heads/old"]).await;
    let count = ["rev-list", "--count", "HEAD"];
    for (number, version) in VERSIONS.iter().enumerate() {
        let clone = format!("clone-{number}");
        server.ok("", &then(&["-c", version], &["clone", "-q", "--depth=2", &url, &clone])).await;
        assert_eq!(server.ok(&clone, &count).await, "2");
        server.ok(&clone, &then(&["-c", version, "fetch", "-q"], &["--depth=4"])).await;
        assert_eq!(server.ok(&clone, &count).await, "4");
        server.ok(&clone, &then(&["-c", version, "fetch", "-q"], &["--deepen=3"])).await;
        assert_eq!(server.ok(&clone, &count).await, "7");
        server.ok(&clone, &["fsck", "--full"]).await;
        server.ok(&clone, &then(&["-c", version, "fetch", "-q"], &["--unshallow"])).await;
        assert_eq!(server.ok(&clone, &count).await, "12");
        server.ok(&clone, &["fsck", "--full"]).await;
        let since = format!("since-{number}");
        server
            .ok(
                "",
                &then(&["-c", version], &["clone", "-q", "--shallow-exclude=old", &url, &since]),
            )
            .await;
        assert_eq!(server.ok(&since, &count).await, "6");
        let (is_ok, said) = server
            .git(
                "",
                &then(&["-c", version], &["clone", "-q", "--shallow-exclude=nothing", &url, "no"]),
            )
            .await;
        assert!(!is_ok && said.contains("ambiguous deepen-not: nothing"), "{said}");
    }
    assert_eq!(server.stop().await.count("gitstratum_git_requests_failed_total"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_from_a_shallow_clone_is_taken() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    server.make("work", 4, "sha1").await;
    let url = server.url("shallow-push");
    server.ok("work", &["push", "-q", &url, "main"]).await;
    server.ok("", &["clone", "-q", "--depth=1", &url, "clone"]).await;
    server.commit("clone", "new").await;
    server.ok("clone", &["push", "-q", "origin", "main"]).await;
    server.ok("work", &["pull", "-q", &url, "main"]).await;
    assert_eq!(server.ok("work", &["rev-list", "--count", "HEAD"]).await, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_clones_fetch_the_rest_when_it_is_needed() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    server.make("work", 3, "sha1").await;
    let url = server.url("partial");
    server.ok("work", &["push", "-q", &url, "main"]).await;
    for (number, filter) in ["blob:none", "blob:limit=1k", "tree:0"].iter().enumerate() {
        for version in ["protocol.version=0", "protocol.version=2"] {
            let clone = format!("clone-{number}-{version}");
            let filter = format!("--filter={filter}");
            let clone_it = ["-c", version, "clone", "-q", "--no-checkout", &filter, &url, &clone];
            server.ok("", &clone_it).await;
            let missing = ["rev-list", "--objects", "--missing=print", "HEAD"];
            assert!(server.ok(&clone, &missing).await.contains("\n?"), "{filter}");
            server.ok(&clone, &["-c", version, "checkout", "-q", "main"]).await;
            assert_eq!(server.ok(&clone, &["status", "--porcelain"]).await, "");
        }
    }
    let refused = ["clone", "-q", "--filter=sparse:oid=main:x", &url, "no"];
    let (is_ok, said) = server.git("", &refused).await;
    assert!(!is_ok && said.contains("is not supported"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_each_ref_of_a_push_is_reported() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    server.make("work", 3, "sha1").await;
    let url = server.url("report");
    server.ok("work", &["push", "-q", &url, "main"]).await;
    let both = ["push", "--progress", &url, "main:refs/heads/free", "main:refs/heads/protected"];
    let (is_ok, said) = server.git("work", &both).await;
    assert!(!is_ok && said.contains("[remote rejected] main -> protected (hook declined)"));
    assert!(said.contains("[new branch]      main -> free"), "{said}");
    assert!(said.contains("remote: Updating refs by git"), "{said}");

    let atomic = ["push", "--atomic", &url, "main:refs/heads/two", "main:refs/heads/protected-2"];
    let (is_ok, said) = server.git("work", &atomic).await;
    assert!(!is_ok && said.contains("[remote rejected] main -> two"), "{said}");
    let listed = server.ok("work", &["ls-remote", &url]).await;
    assert!(!listed.contains("refs/heads/two"), "{listed}");

    let clash = ["push", &url, "main:refs/heads/free/below"];
    let (is_ok, said) = server.git("work", &clash).await;
    assert!(!is_ok && said.contains("[remote rejected] main -> free/below"), "{said}");

    server.ok("work", &["push", "-q", &url, ":free"]).await;
    server.ok("work", &["push", "-q", "-o", "ci.skip", "-o", "a b", &url, "main:other"]).await;
    assert_eq!(*server.options.lock().unwrap(), ["ci.skip", "a b"]);
    let (is_ok, said) = server.git("work", &["push", "--signed=yes", &url, "main:third"]).await;
    assert!(!is_ok, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_holds_nothing_tells_which_branch_is_unborn() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    server.make("work", 1, "sha1").await;
    let url = server.url("unborn");
    server.ok("work", &["push", "-q", &url, "main:topic"]).await;
    let served = server.served("unborn").display().to_string();
    server.ok("", &["--git-dir", &served, "symbolic-ref", "HEAD", "refs/heads/trunk"]).await;
    server.ok("work", &["push", "-q", &url, ":topic"]).await;
    for version in VERSIONS {
        let clone = format!("clone-{version}");
        server.ok("", &["-c", version, "clone", "-q", &url, &clone]).await;
        let branch = server.ok(&clone, &["symbolic-ref", "HEAD"]).await;
        if version.ends_with('2') {
            assert_eq!(branch, "refs/heads/trunk");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_pushes_and_long_negotiations_go_in_parts() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    server.make("work", 1, "sha1").await;
    let noise: Vec<u8> = (0..3_000_000u64).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let url = server.url("large");
    std::fs::write(server.path("work").join("noise"), noise).unwrap();
    server.commit("work", "file").await;
    // Past this, git asks by four bytes before it sends in chunks.
    let post = "http.postBuffer=65536";
    server.ok("work", &["-c", post, "push", "-q", &url, "main"]).await;
    server.ok("", &["clone", "-q", &url, "other"]).await;
    for number in 0..60 {
        server.ok("work", &["commit", "-q", "--allow-empty", "-m", &number.to_string()]).await;
        server.ok("other", &["commit", "-q", "--allow-empty", "-m", &number.to_string()]).await;
    }
    server.ok("work", &["push", "-q", &url, "main"]).await;
    for version in VERSIONS {
        let copy = format!("copy-{version}");
        server.ok("", &["clone", "-q", "other", &copy]).await;
        let fetch = ["-c", version, "-c", post, "fetch", "-q", &url, "main"];
        server.ok(&copy, &fetch).await;
        let fetched = server.ok(&copy, &["rev-parse", "FETCH_HEAD"]).await;
        assert_eq!(server.ok("work", &["rev-parse", "main"]).await, fetched);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_are_shown_to_who_types_the_command() {
    if !has_git() {
        return;
    }
    let server = Server::start().await;
    let cases: &[(&str, &[&str])] = &[
        ("missing", &["remote: repository \"missing\" not found", "not found"]),
        ("private/x", &["could not read Username"]),
        ("a%2e%2e/../b", &["not found"]),
    ];
    for (name, reasons) in cases {
        let (is_ok, said) = server.git("", &["ls-remote", &server.url(name)]).await;
        assert!(!is_ok && reasons.iter().all(|reason| said.contains(reason)), "{name}: {said}");
    }
    let with = |user: &str| format!("http://{user}@{}/private/x.git", server.address);
    server.make("work", 1, "sha1").await;
    server.ok("work", &["push", "-q", &with("ann:secret"), "main"]).await;
    let (is_ok, said) = server.git("work", &["push", "-q", &with("bob:x"), "main"]).await;
    assert!(!is_ok && said.contains("bob may not see it"), "{said}");
}
