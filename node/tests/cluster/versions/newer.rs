//! Files of a newer version: each is refused by name, with its format, the newest that is known and
//! what to do, and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ADDRESS, Alone, READ, address_of_fixtures, text, unpacked};
use crate::support::{PROGRAM, Serve, files, gitstratum, listen, output, run, wait_until};

/// What a later version makes of a file.
type Later = fn(Vec<u8>) -> Vec<u8>;

/// Puts the number after these words up by one.
fn number_after(contents: &[u8], title: &str) -> Vec<u8> {
    let text = String::from_utf8(contents.to_vec()).unwrap();
    let rest = text.strip_prefix(title).unwrap_or_else(|| panic!("{title:?} begins {text:?}"));
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
    let next = rest[..digits].parse::<u32>().unwrap() + 1;
    format!("{title}{next}{}", &rest[digits..]).into_bytes()
}

/// With the checksum of all before the last line, which has `words` before it.
fn sealed_after(contents: Vec<u8>, words: &str) -> Vec<u8> {
    let text = String::from_utf8(contents).unwrap();
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    format!("{body}\n{words}{:08x}\n", crc32c::crc32c(format!("{body}\n").as_bytes())).into_bytes()
}

/// With the checksum of the first `len` bytes behind them.
fn sealed_at(mut contents: Vec<u8>, len: usize) -> Vec<u8> {
    let sum = crc32c::crc32c(&contents[..len]);
    contents[len..len + 4].copy_from_slice(&sum.to_le_bytes());
    contents
}

/// A file whose first frame, of no salt, is an array that begins with the number.
fn framed(mut contents: Vec<u8>) -> Vec<u8> {
    const HEADER: usize = 24;
    let len = u32::from_le_bytes(contents[4..8].try_into().unwrap()) as usize;
    contents[HEADER + 1] += 1;
    let sum = crc32c::crc32c(&contents[HEADER..HEADER + len]);
    contents[16..20].copy_from_slice(&sum.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&contents[..20]), &0_u64.to_le_bytes());
    contents[20..24].copy_from_slice(&sum.to_le_bytes());
    contents
}

/// With the binary number at byte 8 put up by one.
fn counted(mut contents: Vec<u8>) -> Vec<u8> {
    contents[8] += 1;
    contents
}

/// Files of a data directory, how a later version makes each, and the newest format that is known.
fn later() -> Vec<(&'static str, Later, u32)> {
    vec![
        ("node", |old| number_after(&old, "gitstratum data "), 2),
        ("cluster", |old| sealed_after(number_after(&old, "gitstratum cluster "), "crc32c "), 1),
        ("layout.toml", |_| b"format = 2\nrings = []\n".to_vec(), 1),
        ("manifest", |old| sealed_after(number_after(&old, "gitstratum manifest "), ""), 1),
        ("large-names", |old| number_after(&old, "gitstratum large-names "), 1),
        ("quarantine", |_| b"gitstratum quarantine 3 1\n".to_vec(), 2),
        ("segments/*.idx", counted, 8),
        ("segments/*.seg", |old| sealed_at(counted(old), 24), 4),
        ("catalog/member.toml", |_| b"format = 2\n".to_vec(), 1),
        // An array of two, the second of which is text.
        ("catalog/logs", |_| sealed_at(b"\x82\x02\x61x    ".to_vec(), 4), 1),
        ("catalog/log-*", framed, 1),
        ("catalog/snapshot", framed, 1),
    ]
}

/// A file of a data directory; `*` stands for what its name is by chance. Of several, the last.
fn found(data: &Path, pattern: &str) -> PathBuf {
    let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
    let path = data.join(before);
    if !pattern.contains('*') {
        return path;
    }
    let dir = if before.ends_with('/') { path.clone() } else { path.parent().unwrap().to_owned() };
    let mut found = files(&dir, after);
    found.retain(|file| text(file).starts_with(text(&path)));
    found.pop().unwrap_or_else(|| panic!("{pattern} is there"))
}

/// All files below a directory, but the one that is locked, with their contents.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else if !path.ends_with("lock") {
            let contents = fs::read(&path).unwrap();
            all.insert(path, contents);
        }
    }
    all
}

/// What a node says that does not start; or that starts and keeps out of the catalog, because objects
/// are served without it.
fn refused(data: &Path, serves: bool, log: &Path) -> String {
    let arguments = ["--data", text(data), "--listen", ADDRESS, "--node-id", "n1"];
    if !serves {
        let arguments = [&["serve", "--while-stdin-is-open"], &arguments[..]].concat();
        let refused = output(&arguments, "");
        assert!(!refused.status.success(), "{refused:?}");
        return String::from_utf8(refused.stderr).unwrap();
    }
    let to = fs::File::create(log).unwrap();
    let node = Serve::start_made(to.into(), Command::new(PROGRAM), &arguments);
    let said = || fs::read_to_string(log).unwrap();
    wait_until("it keeps out", || said().contains("takes no part in the catalog"));
    node.terminate();
    said()
}

#[test]
fn a_node_refuses_each_file_of_a_newer_version_by_name_and_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let data = unpacked(READ[0], "node", dir);
    let _address = address_of_fixtures();
    for (pattern, later, newest) in later() {
        let path = found(&data, pattern);
        let kept = fs::read(&path).ok();
        let changed = later(kept.clone().unwrap_or_default());
        fs::write(&path, &changed).unwrap();
        // Where an index does not hold, its segment is looked at.
        let index = pattern.ends_with(".seg").then(|| path.with_extension("idx"));
        let index = index.and_then(|path| Some((fs::read(&path).ok()?, path)));
        if let Some((_, path)) = &index {
            fs::remove_file(path).unwrap();
        }
        let before = contents(&data);
        let said = refused(&data, pattern.starts_with("catalog/"), &dir.join("log"));
        let words =
            format!("has format {}, and this program reads formats up to {newest}", newest + 1);
        let name = path.file_name().unwrap().to_str().unwrap();
        for words in [&*words, "start the version of gitstratum that wrote it", name] {
            assert!(said.contains(words), "{pattern}: {said}");
        }
        let mut after = contents(&data);
        if pattern.starts_with("catalog/") {
            // The store was open meanwhile.
            after.retain(|path, _| path.starts_with(data.join("catalog")));
        }
        let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
        let differ: Vec<_> = after.keys().filter(differs).collect();
        assert!(differ.is_empty(), "{pattern}: {differ:?}");
        match kept {
            Some(kept) => fs::write(&path, kept).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        if let Some((kept, path)) = index {
            fs::write(path, kept).unwrap();
        }
    }
    // And it is as it was.
    let node = Alone::start(dir, &data, ADDRESS, "");
    node.node.terminate();
    run(&["store", "verify", text(&data)], "");
}

#[test]
fn commands_refuse_texts_and_backups_of_a_newer_version() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let (data, address) = (dir.join("data"), listen());
    run(&["init", "--data", text(&data), "--id", "n1", "--address", &address], "");
    let dump = dir.join("catalog.jsonl");
    fs::write(&dump, "{\"kind\":\"head\",\"format\":2,\"words\":[]}\n").unwrap();
    let backup = unpacked(READ[0], "backup", dir);
    fs::write(backup.join("gitstratum-backup.json"), "{\"format\":2}\n").unwrap();
    for arguments in [
        &["catalog", "load", text(&dump), "--data", text(&data)][..],
        &["backup", "verify", text(&backup)],
    ] {
        let refused = gitstratum(arguments, "").output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{arguments:?}: {said}");
        let words = "has format 2, and this program reads formats up to 1";
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
