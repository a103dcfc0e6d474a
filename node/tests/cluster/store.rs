//! A store's files as an operator meets them: snapshots of a live node, `store verify` and
//! `store stats`, damage, and directories that are none or are in use.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{Serve, files, gitstratum, listen, output, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A node with so many objects put, its directory and its address.
fn node_with(objects: usize) -> (TempDir, Serve, String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let (address, data) = (listen(), dir.path().join("data"));
    let serve = Serve::start(&["--data", text(&data), "--listen", &address]);
    let files: Vec<_> = (0..objects).map(|n| dir.path().join(format!("file-{n}"))).collect();
    for (n, file) in files.iter().enumerate() {
        fs::write(file, format!("contents {n} ").repeat(n * 50 + 1)).unwrap();
    }
    let large = dir.path().join("large");
    fs::write(&large, vec![7; 3 << 20]).unwrap();
    let named = files.iter().map(|file| text(file)).chain([text(&large)]);
    let put = run(&["put"].into_iter().chain(named).collect::<Vec<_>>(), &address);
    (dir, serve, address, put.lines().map(str::to_owned).collect())
}

#[test]
fn a_snapshot_of_a_live_node_verifies_and_serves_what_was_there() {
    let (dir, serve, address, ids) = node_with(20);
    let made = run(&["snapshot", "monday"], &address);
    assert!(made.contains("snapshots/monday"), "{made}");
    let again = output(&["snapshot", "monday"], &address);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("there is one of that name"));
    let later = dir.path().join("later");
    fs::write(&later, "put after the snapshot").unwrap();
    let later = run(&["put", text(&later)], &address);
    let snapshot = dir.path().join("data/snapshots/monday");
    let verified = run(&["store", "verify", text(&snapshot)], "");
    assert!(verified.contains("all sound"), "{verified}");
    let stats = run(&["store", "stats", text(&snapshot), "--json"], "");
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!((&stats["objects"], &stats["large_objects"]), (&21.into(), &1.into()));
    assert!(run(&["store", "stats", text(&snapshot)], "").contains("data of node       n1"));

    let copy = dir.path().join("copy");
    let copied = std::process::Command::new("cp").arg("-r").args([&snapshot, &copy]).status();
    assert!(copied.unwrap().success());
    serve.terminate();
    let served = listen();
    let serve = Serve::start(&["--data", text(&copy), "--listen", &served]);
    for id in &ids {
        assert!(!gitstratum(&["get", id], &served).output().unwrap().stdout.is_empty());
    }
    assert_eq!(output(&["has", later.trim()], &served).status.code(), Some(1));
    serve.terminate();
}

#[test]
fn verify_names_what_is_damaged_and_changes_nothing() {
    let (dir, serve, _, _) = node_with(20);
    let data = dir.path().join("data");
    let in_use = output(&["store", "verify", text(&data)], "");
    assert_eq!(in_use.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("in use"));
    serve.terminate();
    assert!(run(&["store", "verify", text(&data)], "").contains("all sound"));
    for file in [files(&data.join("segments"), ".seg"), files(&data.join("large"), ".obj")].concat()
    {
        let sound = fs::read(&file).unwrap();
        let mut flipped = sound.clone();
        flipped[sound.len() / 2] ^= 1;
        fs::write(&file, &flipped).unwrap();
        let verified = output(&["store", "verify", text(&data)], "");
        assert_eq!(verified.status.code(), Some(1));
        let problems = String::from_utf8(verified.stdout).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(problems.lines().count(), 1, "{problems}");
        assert!(problems.contains(name), "{problems}");
        assert_eq!(fs::read(&file).unwrap(), flipped, "verify changed the file");
        fs::write(&file, sound).unwrap();
    }
    assert!(run(&["store", "verify", text(&data)], "").contains("all sound"));
}

#[test]
fn a_directory_that_is_no_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["verify", "stats"] {
        let refused = output(&["store", command, text(dir.path())], "");
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("no data directory"), "{said}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn many_alike_are_three_and_a_count_and_what_was_put_again_is_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    let (address, data) = (listen(), dir.path().join("data"));
    let serve = Serve::start(&["--data", text(&data), "--listen", &address]);
    let paths: Vec<_> = (0..30).map(|n| dir.path().join(format!("file-{n}"))).collect();
    for (n, path) in paths.iter().enumerate() {
        fs::write(path, format!("damaged later {n}")).unwrap();
    }
    let arguments: Vec<_> =
        ["put"].into_iter().chain(paths.iter().map(|path| text(path))).collect();
    let put = run(&arguments, &address);
    serve.terminate();
    let segment = &files(&data.join("segments"), ".seg")[0];
    let mut bytes = fs::read(segment).unwrap();
    let needle = b"damaged later ";
    let at: Vec<_> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert_eq!(at.len(), 30, "small objects stand in the segment as they are");
    at.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(segment, &bytes).unwrap();

    let verified = output(&["store", "verify", text(&data)], "");
    assert_eq!(verified.status.code(), Some(1));
    let (problems, words) =
        (String::from_utf8(verified.stdout).unwrap(), String::from_utf8(verified.stderr).unwrap());
    assert_eq!(problems.lines().count(), 4, "{problems}");
    assert!(problems.ends_with("and 27 more like these\n"), "{problems}");
    assert!(words.contains("30 problems"), "{words}");
    let all = output(&["store", "verify", "--all", text(&data)], "");
    assert_eq!(String::from_utf8(all.stdout).unwrap().lines().count(), 30);

    let serve = Serve::start(&["--data", text(&data), "--listen", &address]);
    let row = || run(&["status"], &address);
    assert!(row().contains("30 damaged objects"), "{}", row());
    assert_eq!(run(&arguments, &address), put);
    assert!(row().lines().nth(1).unwrap().ends_with("ok"), "{}", row());
    let said = run(&["scrub", "status"], &address);
    assert!(!said.contains("damaged: "), "{said}");
    serve.terminate();
    let verified = output(&["store", "verify", text(&data)], "");
    let words = String::from_utf8(verified.stderr).unwrap();
    assert_eq!(verified.status.code(), Some(0), "{words}");
    let healed = "note: 30 damaged records of objects that are whole again or were deleted";
    assert!(words.contains(healed), "{words}");
}
