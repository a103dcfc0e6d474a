//! Packs are what Git says they are, histories hold together, and damage is seen.

use std::collections::BTreeSet;

use gitstratum_core::object::{Kind, ObjectId};
use sha1::{Digest, Sha1};

use super::super::stream;
use super::histories::Histories;
use super::object::{Made, blob, commit, tree};
use super::pack::{Objects, read, write};
use super::pkt_line::{Packet, Packets, delimiter, flush, line};

fn id(text: &str) -> ObjectId {
    text.parse().expect("an id")
}

/// The ids were computed by git.
#[test]
fn objects_have_the_ids_that_git_gives_them() {
    let file = blob(b"hello\n".to_vec());
    assert_eq!(file.id, id("ce013625030ba8dba906f756967f9e9ca394464a"));
    let files = [("hello.txt", file.id)].into();
    assert_eq!(tree(&files, &[].into()).id, id("aaa96ced2d9a1c8e72c56b253a0e2fe78393feb7"));
    assert_eq!(tree(&[].into(), &[].into()).id, id("4b825dc642cb6eb9a060e54bf8d69288fbee4904"));
}

#[test]
fn what_was_written_is_read() {
    let (_, objects) = Histories::default().commit(&[], false, &mut stream(1, "contents"));
    let read = read(&write(objects.iter()), &Objects::new()).expect("a sound pack");
    let expected: Objects = objects.iter().map(|it| (it.id, (it.kind, it.data.clone()))).collect();
    assert_eq!(read, expected);
}

#[test]
fn whatever_bit_of_a_pack_flips_is_noticed() {
    let pack = write([blob(b"some text".to_vec())].iter());
    for bit in 0..pack.len() * 8 {
        let mut damaged = pack.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&damaged, &Objects::new()).is_err(), "bit {bit}");
    }
}

/// A pack of a blob and then of these entries: each a head that stands before the data.
fn pack_with(base: &Made, entries: &[(Vec<u8>, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let whole = write([base.clone()].iter());
    let mut pack = whole[..whole.len() - 20].to_vec();
    pack[11] = 1 + entries.len() as u8;
    let base_bytes = pack.len() - 12;
    for (head, data) in entries {
        // A head that ends in its distance: to the first entry, which is a byte away from nothing.
        let distance = if head[0] >> 4 & 7 == 6 { vec![base_bytes as u8] } else { Vec::new() };
        pack.extend_from_slice(head);
        pack.extend_from_slice(&distance);
        let mut encoder =
            flate2::write::ZlibEncoder::new(&mut pack, flate2::Compression::default());
        encoder.write_all(data).expect("to memory");
        encoder.finish().expect("to memory");
    }
    let checksum = Sha1::digest(&pack);
    pack.extend_from_slice(&checksum);
    pack
}

/// Copies the first five bytes of a base of eleven, and inserts two.
const DELTA: &[u8] = &[11, 7, 0x90, 5, 2, b'!', b'\n'];

#[test]
fn a_delta_over_an_entry_and_one_over_an_object_are_resolved() {
    let base = blob(b"hello world".to_vec());
    let by_offset = vec![0x60 | DELTA.len() as u8];
    let mut by_id = vec![0x70 | DELTA.len() as u8];
    by_id.extend_from_slice(base.id.as_bytes());
    for head in [by_offset, by_id] {
        let pack = pack_with(&base, &[(head, DELTA)]);
        let objects = read(&pack, &Objects::new()).expect("a sound pack");
        let made = blob(b"hello!\n".to_vec());
        assert_eq!(objects.keys().copied().collect::<BTreeSet<_>>(), [base.id, made.id].into());
    }
}

#[test]
fn a_thin_pack_needs_what_it_builds_on() {
    let (base, other) = (blob(b"hello world".to_vec()), blob(b"other".to_vec()));
    let mut head = vec![0x70 | DELTA.len() as u8];
    head.extend_from_slice(base.id.as_bytes());
    let pack = pack_with(&other, &[(head, DELTA)]);
    let missing = read(&pack, &Objects::new());
    assert_eq!(missing, Err("1 deltas of the pack have no base".to_owned()));
    let held: Objects = [(base.id, (base.kind, base.data.clone()))].into();
    assert!(
        read(&pack, &held).expect("the base is held").contains_key(&blob(b"hello!\n".to_vec()).id)
    );
}

#[test]
fn a_delta_that_lies_about_sizes_is_refused() {
    let base = b"hello world";
    let apply = super::delta::apply;
    assert_eq!(apply(base, DELTA), Ok(b"hello!\n".to_vec()));
    for wrong in [
        &[10, 7, 0x90, 5, 2, b'!', b'\n'][..],
        &[11, 8, 0x90, 5, 2, b'!', b'\n'],
        &[11, 7, 0x90, 50],
        &[11, 7, 0x90],
        &[11, 7, 5, b'!'],
        &[11, 0, 0],
        &[11],
    ] {
        assert!(apply(base, wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_commit_comes_with_all_that_its_parents_have_not() {
    let (histories, mut rng) = (Histories::default(), stream(3, "contents"));
    let mut there = BTreeSet::new();
    let mut tips: Vec<ObjectId> = Vec::new();
    for round in 0..50 {
        let parents = &tips[tips.len().saturating_sub(1 + round % 2)..];
        let (tip, objects) = histories.commit(parents, false, &mut rng);
        assert_eq!(objects[0].id, tip);
        assert_eq!(objects.last().expect("several").kind, Kind::Blob);
        there.extend(objects.iter().map(|made| made.id.to_string()));
        for object in objects.iter().map(Made::traced) {
            let named = object.names.iter().chain(&object.parents);
            assert!(named.clone().all(|name| there.contains(name)), "{object:?}");
        }
        tips.push(tip);
    }
    assert_eq!(histories.parent(&tips[0]), None);
    assert!(histories.parent(&tips[40]).is_some());
}

#[test]
fn pkt_lines_are_read_as_they_were_written() {
    let mut bytes = Vec::new();
    line(&mut bytes, "want x\n");
    delimiter(&mut bytes);
    line(&mut bytes, "ERR no\n");
    flush(&mut bytes);
    assert_eq!(bytes, b"000bwant x\n0001000bERR no\n0000");
    let mut packets = Packets(&bytes);
    assert_eq!(packets.next(), Ok(Some(Packet::Line(b"want x"))));
    assert_eq!(packets.next(), Ok(Some(Packet::Delimiter)));
    assert_eq!(packets.next(), Err("no".to_owned()));
    assert_eq!(packets.next(), Ok(Some(Packet::Flush)));
    assert_eq!(packets.next(), Ok(None));
    assert!(Packets(b"000").next().is_err());
    assert!(Packets(b"0009abc").next().is_err());
}

#[test]
fn a_commit_is_what_git_writes() {
    let tree = id("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    let made = commit(tree, &[], 1_700_000_000, "First");
    let text = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
                author Simulated Committer <committer@example.org> 1700000000 +0000\n\
                committer Simulated Committer <committer@example.org> 1700000000 +0000\n\nFirst\n";
    assert_eq!(made.data, text);
}
