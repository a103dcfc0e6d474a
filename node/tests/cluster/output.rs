//! Output that cannot be written, logs, and the file that `get` writes: what a shell, a script
//! and an operator's log file meet.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Serve, gitstratum, listen, make_repository, output, run, wait_until};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A descriptor on which every write fails for want of room.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn node(dir: &Path) -> (Serve, String) {
    let (address, data) = (listen(), dir.join("data"));
    (Serve::start(&["--data", text(&data), "--listen", &address]), address)
}

#[test]
fn a_result_that_cannot_be_written_ends_a_command_with_exit_code_1_and_without_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (serve, address) = node(dir.path());
    let (file, repository) = (dir.path().join("file"), dir.path().join("repository"));
    fs::write(&file, "hi").unwrap();
    make_repository(&repository, 3);
    let id = run(&["put", text(&file)], &address);
    let id = id.trim();
    run(&["import", text(&repository), "project"], &address);
    let config = dir.path().join("node.toml");
    fs::write(&config, "data = \"d\"\n").unwrap();
    let layout = dir.path().join("layout.toml");
    fs::write(&layout, run(&["layout", "show"], &address)).unwrap();
    let commands: &[&[&str]] = &[
        &["put", text(&file)],
        &["get", id],
        &["get", id, "-o", "/dev/stdout"],
        &["has", id],
        &["import", text(&repository), "project"],
        &["repo", "verify", "project"],
        &["status"],
        &["status", "--json"],
        &["layout", "show"],
        &["layout", "check", text(&layout)],
        &["layout", "apply", text(&layout)],
        &["repair", "status"],
        &["scrub", "status"],
        &["scrub", "pause"],
        &["check-config", text(&config)],
        &["--help"],
        &["--version"],
        &["get", "--help"],
    ];
    for (n, &command) in commands.iter().enumerate() {
        let peers = if ["check-config", "--help", "--version"].contains(&command[0]) {
            ""
        } else {
            &address
        };
        let full = gitstratum(command, peers).stdout(full()).output().unwrap();
        let words = String::from_utf8_lossy(&full.stderr).into_owned();
        assert_eq!(full.status.code(), Some(1), "{command:?}: {words}");
        assert!(words.contains("standard output: No space left"), "{command:?}: {words}");
        let closed_out = gitstratum(command, peers).stdout(closed()).output().unwrap();
        let words = String::from_utf8_lossy(&closed_out.stderr).into_owned();
        assert_eq!(closed_out.status.code(), Some(1), "{command:?}: {words}");
        let quiet = !words.contains("gitstratum: ") && !words.contains("panicked");
        assert!(quiet, "{command:?}: {words}");
        // And nobody reads what goes to standard error.
        for stderr in [self::full(), closed()] {
            let done = gitstratum(command, peers).stderr(stderr).output().unwrap();
            assert_eq!(done.status.code(), Some(0), "{n} {command:?}");
        }
    }
    // One each: a snapshot has a name of its own.
    for (name, stdout) in [("one", full()), ("two", closed())] {
        let snapshot = gitstratum(&["snapshot", name], &address).stdout(stdout).output().unwrap();
        assert_eq!(snapshot.status.code(), Some(1));
    }
    let wrong = gitstratum(&["get", "xyz"], &address).stderr(full()).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "clap's own words cannot be written either");
    let down = gitstratum(&["status"], "127.0.0.1:1").stderr(full()).output().unwrap();
    assert_eq!(down.status.code(), Some(1));
    serve.terminate();
    for command in [["store", "stats"], ["store", "verify"]] {
        let data = dir.path().join("data");
        let arguments = [&command[..], &[text(&data)]].concat();
        for stdout in [full(), closed()] {
            let done = gitstratum(&arguments, "").stdout(stdout).output().unwrap();
            assert_eq!(done.status.code(), Some(1), "{command:?}");
        }
        assert!(gitstratum(&arguments, "").stderr(full()).output().unwrap().status.success());
    }
}

#[test]
fn a_node_whose_log_cannot_be_written_serves_and_stops_as_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let (address, data) = (listen(), dir.path().join("data"));
    let file = dir.path().join("file");
    fs::write(&file, "hi").unwrap();
    for log in [full(), closed()] {
        let serve = Serve::start_logging(log, &["--data", text(&data), "--listen", &address]);
        run(&["put", text(&file)], &address);
        serve.terminate();
    }
}

#[test]
fn a_log_in_a_file_has_no_colours_and_a_wrong_level_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (address, data) = (listen(), dir.path().join("data"));
    let path = dir.path().join("log");
    let log = File::create(&path).unwrap();
    let serve = Serve::start_logging(log.into(), &["--data", text(&data), "--listen", &address]);
    serve.terminate();
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.contains("INFO") && log.contains("serving"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
    for level in ["infoo", "gitstratum=loud", ""] {
        let refused = output(&["--log-level", level, "status"], &address);
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(words.contains("--log-level") && words.contains("debug"), "{words}");
    }
}

#[test]
fn a_get_that_fails_leaves_nothing_and_what_was_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let (serve, address) = node(dir.path());
    let (file, out) = (dir.path().join("file"), dir.path().join("out"));
    fs::create_dir(&out).unwrap();
    let data = vec![b'x'; 5 << 20];
    fs::write(&file, &data).unwrap();
    let id = run(&["put", text(&file)], &address);
    let id = id.trim();
    let (absent, path) = ("0123456789012345678901234567890123456789", out.join("object"));
    let names = || fs::read_dir(&out).unwrap().count();
    assert_eq!(output(&["get", absent, "-o", text(&path)], &address).status.code(), Some(1));
    assert_eq!(names(), 0);
    fs::write(&path, "before").unwrap();
    assert_eq!(output(&["get", absent, "-o", text(&path)], &address).status.code(), Some(1));
    assert_eq!((names(), fs::read(&path).unwrap()), (1, b"before".to_vec()));
    run(&["get", id, "-o", text(&path)], &address);
    assert_eq!((names(), fs::read(&path).unwrap()), (1, data.clone()));
    // The shell opened it, and wrote to it before.
    let (appended, script) =
        (out.join("appended"), "echo head; exec \"$0\" get \"$1\" -o /dev/stdout");
    let to: Stdio = File::create(&appended).unwrap().into();
    let mut shell = Command::new("sh");
    shell.args(["-c", script, crate::support::PROGRAM, id]).env("GITSTRATUM_PEERS", &address);
    assert!(shell.stdout(to).status().unwrap().success());
    assert_eq!(fs::read(&appended).unwrap(), [b"head\n".to_vec(), data].concat());
    serve.terminate();
}

#[test]
fn a_get_that_is_interrupted_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (serve, address) = node(dir.path());
    let (file, out) = (dir.path().join("file"), dir.path().join("out"));
    fs::create_dir(&out).unwrap();
    fs::write(&file, vec![b'x'; 40 << 20]).unwrap();
    let id = run(&["put", text(&file)], &address);
    let path = out.join("object");
    fs::write(&path, "before").unwrap();
    // The node stands still, so that the get does too.
    let arguments = ["get", id.trim(), "-o", text(&path), "--timeout", "60"];
    serve.pause();
    let get = gitstratum(&arguments, &address).spawn().unwrap();
    // It reaches nobody yet, and has no file aside either; then it has both.
    serve.resume();
    wait_until("it writes aside", || fs::read_dir(&out).unwrap().count() == 2);
    serve.pause();
    crate::support::terminate(get.id());
    let ended: Output = get.wait_with_output().unwrap();
    serve.resume();
    let code = ended.status.code();
    let left = fs::read_dir(&out).unwrap().count();
    assert!(left == 1 && matches!(code, Some(0 | 1)), "{code:?}, {left} files");
    if code == Some(1) {
        assert_eq!(fs::read(&path).unwrap(), b"before");
        let words = String::from_utf8(ended.stderr).unwrap();
        assert!(words.contains("interrupted; nothing was written"), "{words}");
    }
    serve.terminate();
}
