//! Remotes that cannot be mirrored, and repositories that are no mirrors: said, with what to do.

use std::fs;
use std::process::Command;

use super::backend::Backend;
use super::{Mirrored, commit};
use crate::support::{git, gitstratum, listen, output, run};

#[test]
fn what_is_no_repository_is_refused_with_what_to_do_and_nothing_is_made() {
    let mirrored = Mirrored::start();
    let nobody = format!("http://{}/x", listen());
    let here = &mirrored.backend.url;
    for (url, code, words) in [
        (format!("{here}/no/such"), 1, "is not found (HTTP 404)"),
        (format!("{here}/page"), 1, "no Git repository over smart HTTP"),
        (nobody, 1, "refused"),
        ("http://nobody.invalid/x".to_owned(), 1, "host is not found"),
        ("git@example.org:a/b".to_owned(), 2, "https://"),
        ("ssh://git:hidden@example.org/a".to_owned(), 2, "https://"),
        (format!("{here}/project?x=y"), 2, "\"?\""),
    ] {
        let refused = output(&["mirror", &url, "project"], &mirrored.peers);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!((refused.status.code(), refused.stdout), (Some(code), vec![]), "{said}");
        assert!(said.contains(words) && !said.contains("hidden"), "{url}: {said}");
    }
    let pattern = output(&["mirror", here, "x", "--refs", "main"], &mirrored.peers);
    assert_eq!(pattern.status.code(), Some(2), "{pattern:?}");
    let name = output(&["mirror", here, "x//y"], &mirrored.peers);
    assert_eq!(name.status.code(), Some(2), "{name:?}");
    assert_eq!(run(&["repo", "list", "--json"], &mirrored.peers), "");
}

#[test]
fn credentials_are_sent_to_their_host_and_never_shown() {
    let mirrored = Mirrored::start();
    let remote = mirrored.make_empty("private", "sha1");
    commit(&remote, "main", "one");
    mirrored.backend.set(|behaviour| {
        behaviour.credentials = Some("ann:s3cr:t".to_owned());
        behaviour.moved = Some(("/old".to_owned(), "/private".to_owned()));
    });
    let said = mirrored.refused("private", &[]);
    let words = ["HTTP 401", "who are you?", "USER:PASSWORD@", "GITSTRATUM_MIRROR_TOKEN"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    let url =
        |credentials: &str, path: &str| format!("{}/{path}", mirrored.backend.url_as(credentials));
    let mut all = Vec::new();
    let mut mirror = |url: &str, token: Option<&str>| {
        let mut command = gitstratum(&["mirror", url, "private", "--log-level", "trace"], "");
        command.env("GITSTRATUM_PEERS", &mirrored.peers);
        command.envs(token.map(|token| ("GITSTRATUM_MIRROR_TOKEN", token)));
        let done = command.output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        all.push(said.clone());
        (done.status.code(), said)
    };
    let (code, said) = mirror(&url("ann:wr0ng", "private"), None);
    assert!(code == Some(1) && said.contains("does not take those that it got"), "{said}");
    let (code, said) = mirror(&url("ann:s3cr%3At", "old/"), None);
    assert_eq!(code, Some(0), "after a redirect: {said}");
    // A token goes with any name, and does not replace what the URL has.
    mirrored.backend.set(|behaviour| behaviour.credentials = Some("git:t0ken".to_owned()));
    let plain = format!("{}/private", mirrored.backend.url);
    let (code, said) = mirror(&plain, Some("t0ken"));
    assert_eq!(code, Some(0), "{said}");
    let (code, _) = mirror(&url("ann:s3cr%3At", "private"), Some("t0ken"));
    assert_eq!(code, Some(1));
    // Another host is not given what is this one's.
    let other = Backend::start(&mirrored.dir.path().join("remotes"));
    other.set(|behaviour| {
        behaviour.moved = Some(("/away".to_owned(), plain.clone()));
    });
    let (code, said) = mirror(&format!("{}/away", other.url_as("git:t0ken")), None);
    assert!(code == Some(1) && said.contains("HTTP 401"), "{said}");
    all.push(run(&["events"], &mirrored.peers));
    all.push(run(&["repo", "show", "private"], &mirrored.peers));
    for secret in ["s3cr", "wr0ng", "t0ken"] {
        assert!(!all.iter().any(|text| text.contains(secret)), "{secret}: {all:?}");
    }
    assert!(
        all.last().unwrap().contains(&format!("mirror of {}", mirrored.backend.url)),
        "{all:?}"
    );
}

#[test]
fn a_certificate_is_trusted_where_the_machine_does_or_is_told_to() {
    let mirrored = Mirrored::start();
    let remote = mirrored.make_empty("project", "sha1");
    commit(&remote, "main", "one");
    let path = |name: &str| mirrored.dir.path().join(name);
    let config = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = more\n\
                  [name]\nCN = localhost\n\
                  [more]\nsubjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n";
    fs::write(path("openssl.cnf"), config).unwrap();
    let made = Command::new("openssl")
        .current_dir(mirrored.dir.path())
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "30", "-config", "openssl.cnf", "-keyout", "key", "-out", "cert"])
        .output();
    let Ok(made) = made else {
        println!("skipped: openssl is not installed");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let backend = Backend::start_tls(&path("remotes"), &path("cert"), &path("key"));
    let url = format!("{}/project", backend.url);
    let mirror = |trusted: Option<&str>| {
        let mut command = gitstratum(&["mirror", &url, "project"], &mirrored.peers);
        command.env_remove("SSL_CERT_DIR").env_remove("SSL_CERT_FILE");
        command.envs(trusted.map(|name| ("SSL_CERT_FILE", path(name))));
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let (code, said) = mirror(None);
    assert!(code == Some(1) && said.contains("SSL_CERT_FILE"), "{said}");
    let (code, said) = mirror(Some("nothing"));
    assert!(code == Some(1) && said.contains("no certificates"), "{said}");
    let (code, said) = mirror(Some("cert"));
    assert_eq!(code, Some(0), "{said}");
    mirrored.assert_same("project");
    let plain = mirrored.backend.url.replace("http://", "https://") + "/project";
    let mut command = gitstratum(&["mirror", &plain, "project"], &mirrored.peers);
    command.env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", path("cert"));
    let done = command.output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && said.contains("TLS failed"), "{said}");
}

#[test]
fn what_only_the_cluster_has_is_not_overwritten_unless_that_is_forced() {
    let mirrored = Mirrored::start();
    for is_old in [false, true] {
        mirrored.backend.set(|behaviour| behaviour.is_old = is_old);
        let name = format!("project-{is_old}");
        let remote = mirrored.make_empty(&name, "sha1");
        commit(&remote, "main", "one");
        commit(&remote, "side", "one");
        mirrored.mirrored(&name, &[]);
        // Somebody pushes to the mirror, and then the remote goes on.
        let clone = mirrored.dir.path().join("clone");
        let url = format!("{}/{name}", mirrored.git);
        git(mirrored.dir.path(), &["clone", "-q", "--bare", &url, "clone"]);
        let pushed = commit(&clone, "main", "pushed here");
        commit(&clone, "own", "a branch of the mirror's own");
        git(&clone, &["push", "-q", &url, "main", "own"]);
        fs::remove_dir_all(clone).unwrap();
        let before = mirrored.refs(&name);
        assert!(before.contains(&pushed), "{before}");
        commit(&remote, "side", "two");
        let said = mirrored.refused(&name, &[]);
        assert!(said.contains("does not: refs/heads/main;") && said.contains("--force"), "{said}");
        let said = mirrored.refused(&name, &["--prune"]);
        assert!(said.contains("refs/heads/main, refs/heads/own;"), "{said}");
        assert_eq!(mirrored.refs(&name), before, "nothing was done");
        mirrored.mirrored(&name, &["--force", "--prune"]);
        mirrored.assert_same(&name);

        // A remote that has lost everything takes nothing with it.
        for branch in ["main", "side"] {
            git(&remote, &["update-ref", "-d", &format!("refs/heads/{branch}")]);
        }
        let before = mirrored.refs(&name);
        let said = mirrored.refused(&name, &["--prune"]);
        assert!(said.contains("would delete all 1 here"), "{said}");
        let said = mirrored.mirrored(&name, &[]);
        assert!(said.contains("2 refs that"), "{said}");
        assert_eq!(mirrored.refs(&name), before);
        mirrored.mirrored(&name, &["--force", "--prune"]);
        assert!(!mirrored.refs(&name).contains("refs/heads/side"), "HEAD's branch stays");
    }
    // A name that is taken by another repository, of another hash.
    mirrored.make_empty("sha256", "sha256");
    let url = format!("{}/sha256", mirrored.backend.url);
    let refused = output(&["mirror", &url, "project-true"], &mirrored.peers);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("another name would do"), "{said}");
}

#[test]
fn a_ref_that_cannot_be_had_is_told_and_all_others_are_there() {
    let mirrored = Mirrored::start();
    let remote = mirrored.make_empty("project", "sha1");
    let first = commit(&remote, "main", "one");
    // A name of bytes that are no UTF-8, and a branch that is no commit.
    let blob = git(&remote, &["rev-parse", "main:words"]);
    let packed = [
        format!("{first} refs/heads/").as_bytes(),
        b"\xff\n",
        format!("{} refs/heads/blob\n", blob.trim()).as_bytes(),
    ]
    .concat();
    fs::write(remote.join("packed-refs"), packed).unwrap();
    let said = mirrored.refused("project", &[]);
    assert!(said.contains("refs/heads/blob: a branch points to a commit"), "{said}");
    git(&remote, &["update-ref", "-d", "refs/heads/blob"]);
    let said = mirrored.refused("project", &[]);
    assert!(said.contains("not UTF-8"), "{said}");
    assert!(mirrored.refs("project").contains(&format!("{first} refs/heads/main\n")));
}
