//! Repositories of stock git, for tests: what it makes of objects and packs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectHasher, ObjectId};

use super::checksum::Checksum;
use super::entry::EntryKind;
use super::scan::PackHeader;

/// The id of an object.
pub(crate) fn id_of(algorithm: HashAlgorithm, kind: Kind, data: &[u8]) -> ObjectId {
    let mut hasher = ObjectHasher::plain(algorithm, kind, data.len() as u64);
    hasher.update(data);
    hasher.finish().unwrap()
}

/// What compresses to zlib data.
pub(crate) fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A repository in a directory that is removed at the end.
pub(crate) struct GitRepository {
    directory: tempfile::TempDir,
    algorithm: HashAlgorithm,
}

/// What a run of git wrote, and whether it was content.
pub(crate) struct Ran {
    pub(crate) ok: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl GitRepository {
    pub(crate) fn new(algorithm: HashAlgorithm) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repository = GitRepository { directory, algorithm };
        let format = format!("--object-format={}", algorithm.as_str());
        repository.git(&["init", "--quiet", "--initial-branch=main", &format]);
        for (key, value) in [
            ("user.name", "A U Thor"),
            ("user.email", "author@example.com"),
            ("gc.auto", "0"),
            ("pack.threads", "1"),
            ("maintenance.auto", "false"),
        ] {
            repository.git(&["config", key, value]);
        }
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs git here, whatever comes of it.
    pub(crate) fn run(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.path())
            .env("GIT_AUTHOR_DATE", "1700000000 +0100")
            .env("GIT_COMMITTER_DATE", "1700000000 +0100")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A git that ends early closes its end.
        let _ = pipe.write_all(stdin);
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        Ran {
            ok: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What git prints, which must be content.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments, b"");
        assert!(ran.ok, "git {arguments:?}: {}", ran.stderr);
        String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
    }

    /// Writes a file of the work tree.
    pub(crate) fn write(&self, name: &str, data: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data).unwrap();
    }

    /// Commits all files of the work tree.
    pub(crate) fn commit(&self, message: &str) -> ObjectId {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// Puts an object there as it is, however malformed.
    pub(crate) fn put(&self, kind: Kind, data: &[u8]) -> ObjectId {
        let id = id_of(self.algorithm, kind, data);
        let (first, rest) = (id.to_string()[..2].to_owned(), id.to_string()[2..].to_owned());
        let directory = self.path().join(".git/objects").join(first);
        std::fs::create_dir_all(&directory).unwrap();
        let framed = [format!("{kind} {}\0", data.len()).as_bytes(), data].concat();
        std::fs::write(directory.join(rest), deflated(&framed)).unwrap();
        id
    }

    /// A pack of these objects and of what they reach, as rev-list has it (`^id` leaves out).
    pub(crate) fn pack(&self, options: &[&str], revisions: &[&str]) -> Vec<u8> {
        let arguments = [&["pack-objects", "--stdout", "--quiet", "--revs"], options].concat();
        let ran = self.run(&arguments, revisions.join("\n").as_bytes());
        assert!(ran.ok, "{}", ran.stderr);
        ran.stdout
    }

    /// Writes a pack beside the repository and returns its path.
    pub(crate) fn pack_file(&self, pack: &[u8]) -> PathBuf {
        let path = self.path().join("test.pack");
        std::fs::write(&path, pack).unwrap();
        path
    }
}

/// A pack that is put together by hand, with whatever headers and data.
pub(crate) struct PackBuilder {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) objects: u32,
    pub(crate) body: Vec<u8>,
}

impl PackBuilder {
    pub(crate) fn new(algorithm: HashAlgorithm) -> Self {
        PackBuilder { algorithm, objects: 0, body: Vec::new() }
    }

    /// Adds an entry that claims to be of some size. Returns its offset.
    pub(crate) fn raw(&mut self, kind: EntryKind, size: u64, packed: &[u8]) -> u64 {
        let offset = self.body.len() as u64;
        kind.write_header(offset, size, &mut self.body);
        self.body.extend_from_slice(packed);
        self.objects += 1;
        offset
    }

    pub(crate) fn entry(&mut self, kind: EntryKind, data: &[u8]) -> u64 {
        self.raw(kind, data.len() as u64, &deflated(data))
    }

    /// Adds a whole object. Returns its offset and its id.
    pub(crate) fn object(&mut self, kind: Kind, data: &[u8]) -> (u64, ObjectId) {
        let id = id_of(self.algorithm, kind, data);
        (self.entry(EntryKind::Whole(kind), data), id)
    }

    /// The pack, with a checksum that is right.
    pub(crate) fn pack(&self) -> Vec<u8> {
        sealed(self.algorithm, self.objects, &self.body)
    }
}

/// A pack of this body, with a checksum that is right.
pub(crate) fn sealed(algorithm: HashAlgorithm, objects: u32, body: &[u8]) -> Vec<u8> {
    let mut pack = [&PackHeader::bytes(objects)[..], body].concat();
    let mut checksum = Checksum::new(algorithm);
    checksum.update(&pack);
    pack.extend_from_slice(checksum.finish().as_bytes());
    pack
}

fn delta_size(mut size: usize, out: &mut Vec<u8>) {
    while size >= 0x80 {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

/// A delta to a base of so many bytes: copies `(offset, length)` of at most 64 KiB, then bytes of
/// its own.
pub(crate) fn delta(base_len: usize, copies: &[(usize, usize)], literal: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    delta_size(base_len, &mut out);
    delta_size(copies.iter().map(|copy| copy.1).sum::<usize>() + literal.len(), &mut out);
    for (offset, len) in copies {
        assert!((1..=0x1_0000).contains(len));
        out.push(0xbf);
        out.extend_from_slice(&(*offset as u32).to_le_bytes());
        out.extend_from_slice(&(*len as u16).to_le_bytes());
    }
    for part in literal.chunks(127) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
    out
}
