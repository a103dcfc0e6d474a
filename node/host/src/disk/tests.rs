//! What both disks do alike, and what only the simulated one can show.

use std::io::ErrorKind;

use bytes::Bytes;

use super::*;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn what_is_written_in_pieces_is_read_back_at_any_offset() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all("a/b").await.unwrap();
    let file = disk.open("a/b/f", OpenMode::CreateNew).await.unwrap();
    let many = (0..3000).map(|i| bytes(&format!("{i:04}"))).collect();
    file.write_at(4, many).await.unwrap();
    file.write_at(0, vec![bytes(""), bytes("head"), bytes("")]).await.unwrap();
    file.sync_data().await.unwrap();
    assert_eq!(file.len().await.unwrap(), 12_004);
    assert_eq!(file.read_at(0, 12).await.unwrap(), "head00000001");
    assert_eq!(file.read_at(12_000, 100).await.unwrap(), "2999");
    assert_eq!(file.read_at(20_000, 1).await.unwrap(), "");
    file.set_len(6).await.unwrap();
    file.write_at(8, vec![bytes("x")]).await.unwrap();
    assert_eq!(file.read_at(0, 100).await.unwrap(), &b"head00\0\0x"[..]);
}

#[tokio::test]
async fn a_read_gives_what_the_file_has_there_and_no_more() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all("").await.unwrap();
    let file = disk.open("f", OpenMode::CreateNew).await.unwrap();
    let contents: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    file.write_at(0, vec![contents.clone().into()]).await.unwrap();
    for (offset, len) in [(0, 0), (3, 1), (7, 65_536), (0, 200_000), (199_990, 100), (250_000, 8)] {
        let read = file.read_at(offset, len).await.unwrap();
        let from = contents.len().min(offset as usize);
        assert_eq!(read, contents[from..contents.len().min(from + len)], "{len} at {offset}");
    }
}

#[tokio::test]
async fn names_are_listed_sorted_and_renamed_over_each_other() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all("d/sub").await.unwrap();
    for name in ["d/c", "d/a"] {
        let file = disk.open(name, OpenMode::CreateNew).await.unwrap();
        file.write_at(0, vec![bytes(name)]).await.unwrap();
    }
    assert_eq!(disk.list("d").await.unwrap(), ["a", "c", "sub"]);
    disk.rename("d/c", "d/a").await.unwrap();
    assert_eq!(disk.list("d").await.unwrap(), ["a", "sub"]);
    assert_eq!(disk.read_whole("d/a").await.unwrap(), "d/c");
    disk.replace("d/a", bytes("new")).await.unwrap();
    disk.replace("d/new", bytes("newer")).await.unwrap();
    assert_eq!(disk.read_whole("d/a").await.unwrap(), "new");
    disk.remove("d/a").await.unwrap();
    assert_eq!(disk.list("d").await.unwrap(), ["new", "sub"]);
    assert!(disk.exists("d/new").await.unwrap() && disk.exists("d/sub").await.unwrap());
    assert!(!disk.exists("d/a").await.unwrap());
}

#[tokio::test]
async fn a_linked_file_is_one_file_under_two_names() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all("d").await.unwrap();
    disk.create_dir_all("e").await.unwrap();
    let file = disk.open("d/f", OpenMode::CreateNew).await.unwrap();
    disk.link("d/f", "e/g").await.unwrap();
    file.write_at(0, vec![bytes("one")]).await.unwrap();
    assert_eq!(disk.read_whole("e/g").await.unwrap(), "one");
    for to in ["d/f", "e/g", "e"] {
        let error = disk.link("d/f", to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains(to), "{error}");
    }
    let error = disk.link("d/h", "e/h").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    disk.remove("d/f").await.unwrap();
    assert_eq!(disk.read_whole("e/g").await.unwrap(), "one");
}

#[tokio::test]
async fn a_disk_says_how_much_room_there_is() {
    let scratch = scratch();
    scratch.disk.create_dir_all("").await.unwrap();
    let available = scratch.disk.available_bytes().await.unwrap();
    assert!(available > 1 << 20, "only {available} bytes");
}

#[tokio::test]
async fn errors_keep_their_kind_and_name_the_file() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all("d").await.unwrap();
    disk.open("d/f", OpenMode::CreateNew).await.unwrap();
    for (error, kind, name) in [
        (disk.open("d/g", OpenMode::Read).await.unwrap_err(), ErrorKind::NotFound, "d/g"),
        (disk.open("d/f", OpenMode::CreateNew).await.unwrap_err(), ErrorKind::AlreadyExists, "d/f"),
        (disk.list("e").await.unwrap_err(), ErrorKind::NotFound, "e"),
        (disk.remove("d/h").await.unwrap_err(), ErrorKind::NotFound, "d/h"),
        (disk.rename("d/h", "d/i").await.unwrap_err(), ErrorKind::NotFound, "d/h"),
    ] {
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_lock_is_exclusive_until_dropped() {
    let scratch = scratch();
    let disk = &scratch.disk;
    disk.create_dir_all("").await.unwrap();
    let lock = disk.lock("lock").await.unwrap();
    assert_eq!(disk.lock("lock").await.unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(lock);
    disk.lock("lock").await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "is not plain")]
async fn a_path_out_of_the_root_is_a_bug() {
    let _ = scratch().disk.open("../f", OpenMode::Read).await;
}
