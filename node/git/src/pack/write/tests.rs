//! Tests of the writer: git reads what it makes.

use std::collections::BTreeSet;

use bytes::Bytes;
use gitstratum_core::object::{HashAlgorithm, Kind, ObjectId};

use super::{DeltaForms, PackWriter, StoredEntry};
use crate::pack::PackError;
use crate::pack::entry::EntryKind;
use crate::pack::fixture::{GitRepository, id_of};
use crate::pack::index::tests::{Feed, Objects, Outcome, history, index, objects};

const ALL: DeltaForms = DeltaForms { by_distance: true, thin: false };
const BY_ID: DeltaForms = DeltaForms { by_distance: false, thin: false };
const THIN: DeltaForms = DeltaForms { by_distance: true, thin: true };

/// Copies the objects at these places of a stored pack, each entry in two parts.
fn copied(
    algorithm: HashAlgorithm,
    from: &Outcome,
    places: &[usize],
    forms: DeltaForms,
) -> Result<Vec<u8>, PackError> {
    let objects = &from.indexed.objects;
    let (mut writer, header) = PackWriter::new(algorithm, places.len() as u32, forms);
    let mut pack = header.to_vec();
    for place in places {
        let object = &objects[*place];
        let begin = object.offset as usize;
        let bytes = &from.body[begin..begin + object.packed_len as usize];
        let (first, rest) = bytes.split_at(bytes.len() - 3);
        let pieces = writer.copy(StoredEntry {
            id: object.id,
            offset: object.offset,
            bytes: Bytes::copy_from_slice(first),
            base: object.base.map(|base| objects[base as usize].id),
        })?;
        pieces.iter().for_each(|piece| pack.extend_from_slice(piece));
        pack.extend_from_slice(&writer.copy_on(Bytes::copy_from_slice(rest)));
        assert!(writer.contains(&object.id));
        assert_eq!(writer.written_bytes(), pack.len() as u64);
    }
    pack.extend_from_slice(&writer.finish()?);
    Ok(pack)
}

fn ids(found: &Outcome) -> BTreeSet<ObjectId> {
    found.indexed.objects.iter().map(|object| object.id).collect()
}

#[test]
fn entries_that_are_copied_in_any_order_make_a_pack_that_git_reads() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let repository = history(algorithm, 10);
        for options in [&["--all"][..], &["--all", "--delta-base-offset"]] {
            let stored = repository.pack(options, &[]);
            let stored = index(algorithm, &stored, &Objects::new(), Feed::default()).unwrap();
            let count = stored.indexed.objects.len();
            let forward: Vec<usize> = (0..count).collect();
            let backward: Vec<usize> = (0..count).rev().collect();
            for (order, forms) in
                [(&forward, ALL), (&forward, BY_ID), (&backward, ALL), (&backward, BY_ID)]
            {
                let pack = copied(algorithm, &stored, order, forms).unwrap();
                let fresh = GitRepository::new(algorithm);
                fresh.pack_file(&pack);
                fresh.git(&["index-pack", "--strict", "test.pack"]);
                let again = index(algorithm, &pack, &Objects::new(), Feed::default()).unwrap();
                assert_eq!(ids(&again), ids(&stored));
                let deltas = again.indexed.objects.iter().filter(|object| object.base.is_some());
                assert!(deltas.clone().count() > 5, "deltas are copied as deltas");
                let by_distance = |entry| matches!(entry, EntryKind::OfsDelta { .. });
                if forms == BY_ID {
                    assert!(!deltas.clone().any(|object| by_distance(object.entry)));
                } else if *order == forward {
                    assert!(deltas.clone().all(|object| by_distance(object.entry)));
                }
            }
        }
    }
}

#[test]
fn a_thin_pack_lacks_what_the_client_has() {
    let algorithm = HashAlgorithm::Sha1;
    let repository = history(algorithm, 10);
    let stored = repository.pack(&["--all", "--delta-base-offset"], &[]);
    let stored = index(algorithm, &stored, &Objects::new(), Feed::default()).unwrap();
    let is_delta = |place: &usize| stored.indexed.objects[*place].base.is_some();
    let deltas: Vec<usize> = (0..stored.indexed.objects.len()).filter(is_delta).collect();
    let error = copied(algorithm, &stored, &deltas, ALL).unwrap_err();
    assert!(matches!(error, PackError::MissingBases { .. }), "{error}");
    let pack = copied(algorithm, &stored, &deltas, THIN).unwrap();
    let all = objects(&repository);
    let found = index(algorithm, &pack, &all, Feed::default()).unwrap();
    let sent = found.indexed.objects.iter().filter(|object| !object.appended).count();
    assert_eq!(sent, deltas.len());
}

#[test]
fn whole_objects_and_runs_make_a_pack_that_git_reads() {
    for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let repository = history(algorithm, 5);
        let stored = repository.pack(&["--all", "--delta-base-offset"], &[]);
        let stored = index(algorithm, &stored, &Objects::new(), Feed::default()).unwrap();
        let run = stored.indexed.objects.iter().map(|object| (object.id, object.offset));
        let all = objects(&repository);
        let large = vec![b'x'; 3 << 20];
        let mut more: Vec<(ObjectId, Kind, Bytes)> = all
            .iter()
            .filter(|(id, _)| !ids(&stored).contains(id))
            .map(|(id, (kind, data))| (*id, *kind, data.clone()))
            .collect();
        more.push((id_of(algorithm, Kind::Blob, &large), Kind::Blob, large.into()));
        more.push((id_of(algorithm, Kind::Blob, b""), Kind::Blob, Bytes::new()));
        let count = stored.indexed.objects.len() + more.len();
        let (mut writer, header) = PackWriter::new(algorithm, count as u32, ALL);
        let mut pack = header.to_vec();
        pack.extend_from_slice(&writer.copy_run(stored.body.clone().into(), run).unwrap());
        for (id, kind, data) in &more {
            pack.extend_from_slice(&writer.whole(*id, *kind, data).unwrap());
        }
        pack.extend_from_slice(&writer.finish().unwrap());
        let fresh = GitRepository::new(algorithm);
        fresh.pack_file(&pack);
        fresh.git(&["index-pack", "--strict", "test.pack"]);
        let again = index(algorithm, &pack, &Objects::new(), Feed::default()).unwrap();
        assert_eq!(again.indexed.objects.len(), count);
        assert!(more.iter().all(|(id, ..)| ids(&again).contains(id)));
    }
}

#[test]
fn a_writer_refuses_what_would_make_a_pack_that_is_none() {
    let id = id_of(HashAlgorithm::Sha1, Kind::Blob, b"x");
    let (mut writer, _) = PackWriter::new(HashAlgorithm::Sha1, 2, ALL);
    writer.whole(id, Kind::Blob, b"x").unwrap();
    assert_eq!(writer.whole(id, Kind::Blob, b"x"), Err(PackError::WrittenTwice(id)));
    let mut bytes = Vec::new();
    EntryKind::OfsDelta { base: 3 }.write_header(9, 20, &mut bytes);
    let other = id_of(HashAlgorithm::Sha1, Kind::Blob, b"y");
    let entry = |bytes: &[u8]| StoredEntry {
        id: other,
        offset: 9,
        bytes: Bytes::copy_from_slice(bytes),
        base: None,
    };
    assert_eq!(writer.copy(entry(&bytes)), Err(PackError::BaseUnnamed(other)));
    assert!(matches!(writer.copy(entry(&bytes[..1])), Err(PackError::Ended(_))));
    assert_eq!(writer.finish(), Err(PackError::WrittenCount { declared: 2, written: 1 }));
}
