//! `mirror --every`: another cluster is followed, through its failures.

use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;

use super::{Mirrored, commit, refs};
use crate::support::{git, gitstratum, run, terminate, wait_until};

#[test]
fn another_cluster_is_followed_through_its_failures_until_the_end() {
    let (mut from, to) = (Mirrored::start(), Mirrored::start());
    let work = from.make("work");
    let url = format!("{}/team/project", from.git);
    let push = |work: &std::path::Path| {
        git(work, &["push", "-q", &url, "+refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"]);
    };
    push(&work);
    let arguments = ["mirror", &url, "copy", "--every", "1s", "--prune"];
    let mut following = gitstratum(&arguments, &to.peers).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stderr = BufReader::new(following.stderr.take().unwrap());
    std::thread::spawn(move || {
        stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let wait_for = |words: &str| {
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(words)) {
            match lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => said.push(line),
                Err(error) => panic!("{words:?} is not said ({error}): {said:?}"),
            }
        }
        said
    };
    wait_for("mirrored http://");
    assert_eq!(to.refs("copy"), refs(&work));
    assert!(run(&["repo", "show", "copy"], &to.peers).contains("mirror of http://"));

    // What is pushed there is here, within a round or two.
    commit(&work, "main", "more");
    push(&work);
    let more = wait_for("mirrored http://");
    assert!(
        !more.iter().any(|line| line.contains("already")),
        "quiet while nothing new is: {more:?}"
    );
    assert_eq!(to.refs("copy"), refs(&work));

    // The other cluster dies and comes back.
    drop(from.node.take());
    wait_for("tried again in 1 s");
    wait_for("tried again in 2 s");
    from.serve();
    git(&work, &["branch", "-q", "after"]);
    push(&work);
    wait_for("1 refs are new");
    assert_eq!(to.refs("copy"), refs(&work));
    run(&["repo", "verify", "copy"], &to.peers);

    terminate(following.id());
    let mut ended = None;
    wait_until("it stops", || {
        ended = following.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success(), "{ended:?}");
}
