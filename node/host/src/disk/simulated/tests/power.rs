//! What a power loss may leave, and stopping a machine at any operation.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The outcomes of many power losses, as what `look` sees of each.
async fn outcomes<T: Ord>(disk: &Disk, look: impl AsyncFn(&Disk) -> T) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    for seed in 0..4000 {
        seen.insert(look(&disk.after_power_loss(seed)).await);
    }
    seen
}

async fn content(disk: &Disk, path: &str) -> Option<Bytes> {
    match disk.read_whole(path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some(read.unwrap()),
    }
}

#[tokio::test]
async fn any_subset_of_the_unsynced_writes_survives_whole_or_torn() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    file.write_at(1, vec![bytes("abcd")]).await.unwrap();
    file.write_at(8, vec![bytes("WXYZ")]).await.unwrap();
    let look = async |disk: &Disk| content(disk, "d/f").await.unwrap();

    disk.set_loss(Loss::Subset);
    let whole = ["0123456789", "0abcd56789", "01234567WXYZ", "0abcd567WXYZ"];
    let whole: BTreeSet<Bytes> = whole.map(bytes).into();
    assert_eq!(outcomes(&disk, look).await, whole);

    disk.set_loss(Loss::Torn);
    let seen = outcomes(&disk, look).await;
    assert!(whole.is_subset(&seen), "{seen:?}");
    let torn = ["0ab3456789", "0123d56789", "0a23d56789", "01234567WX", "01234567W9"];
    for torn in torn.into_iter().chain(["01234567WX\0\0", "0123456789\0\0", "01234567W9\0Z"]) {
        assert!(seen.contains(torn.as_bytes()), "never {torn:?}: {seen:?}");
    }
    for left in &seen {
        for (at, byte) in left.iter().enumerate() {
            let old = b"0123456789\0\0"[at];
            let new = b"0abcd567WXYZ"[at];
            assert!([old, new].contains(byte), "{left:?} has bytes from nowhere");
        }
    }

    disk.set_loss(Loss::Everything);
    assert_eq!(outcomes(&disk, look).await, [bytes("0123456789")].into());
    disk.set_loss(Loss::Nothing);
    assert_eq!(outcomes(&disk, look).await, [bytes("0abcd567WXYZ")].into());
}

#[tokio::test]
async fn a_resize_survives_or_not_apart_from_the_writes_about_it() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    file.set_len(4).await.unwrap();
    file.write_at(4, vec![bytes("ab")]).await.unwrap();
    disk.set_loss(Loss::Subset);
    let seen = outcomes(&disk, async |disk| content(disk, "d/f").await.unwrap()).await;
    let possible = ["0123", "0123456789", "0123ab", "0123ab6789"];
    assert_eq!(seen, possible.map(bytes).into());
}

#[tokio::test]
async fn a_long_write_loses_any_of_its_pages() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    let long = Bytes::from(vec![b'x'; 5 * 4096]);
    file.write_at(100, vec![long]).await.unwrap();
    disk.set_loss(Loss::Torn);
    let pages = async |disk: &Disk| {
        let left = content(disk, "d/f").await.unwrap();
        let pages = left.chunks(4096);
        pages.map(|page| page.last() == Some(&b'x')).collect::<Vec<bool>>()
    };
    let seen = outcomes(&disk, pages).await;
    assert!(seen.contains(&vec![false, true, false, true, false, true]), "{seen:?}");
}

#[tokio::test]
async fn what_was_synced_survives_every_power_loss() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    file.write_at(2, vec![bytes("ab")]).await.unwrap();
    file.sync_data().await.unwrap();
    file.write_at(10, vec![bytes("tail")]).await.unwrap();
    disk.open("d/new", OpenMode::CreateNew).await.unwrap();
    disk.set_loss(Loss::Torn);
    let synced = |left: Bytes| left.starts_with(b"01ab456789");
    let look = async |disk: &Disk| synced(content(disk, "d/f").await.unwrap());
    assert_eq!(outcomes(&disk, look).await, [true].into());
}

#[tokio::test]
async fn each_unsynced_name_survives_or_not_and_a_rename_is_one_change() {
    let disk = disk().await;
    durable_file(&disk).await;
    disk.create_dir_all("e").await.unwrap();
    disk.open("d/a", OpenMode::CreateNew).await.unwrap();
    disk.link("d/f", "d/b").await.unwrap();
    disk.rename("d/f", "e/g").await.unwrap();
    disk.set_loss(Loss::Torn);
    let look = async |disk: &Disk| {
        let has = async |path| disk.exists(path).await.unwrap();
        [has("d/a").await, has("d/b").await, has("d/f").await, has("e/g").await]
    };
    let mut possible = BTreeSet::new();
    for bits in 0..8 {
        let (a, b, renamed) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        possible.insert([a, b, !renamed, renamed]);
    }
    assert_eq!(outcomes(&disk, look).await, possible);

    // A rename across directories is durable with the directory of the new name.
    disk.sync_dir("e").await.unwrap();
    let renamed = async |disk: &Disk| {
        let [_, _, old, new] = look(disk).await;
        (old, new)
    };
    assert_eq!(outcomes(&disk, renamed).await, [(false, true)].into());
}

#[tokio::test]
async fn an_older_name_does_not_come_back_over_a_synced_one() {
    let disk = disk().await;
    disk.create_dir_all("e").await.unwrap();
    disk.open("d/a", OpenMode::CreateNew).await.unwrap();
    disk.rename("d/a", "e/a").await.unwrap();
    disk.sync_dir("e").await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.power_lost();
    assert!(!disk.exists("d/a").await.unwrap() && disk.exists("e/a").await.unwrap());
}

#[tokio::test]
async fn the_same_seed_leaves_the_same_and_each_copy_is_its_own() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    file.write_at(0, vec![bytes("a new beginning")]).await.unwrap();
    disk.link("d/f", "d/g").await.unwrap();
    disk.set_loss(Loss::Torn);
    for seed in 0..50 {
        let (one, other) = (disk.after_power_loss(seed), disk.after_power_loss(seed));
        assert_eq!(content(&one, "d/f").await, content(&other, "d/f").await);
        assert_eq!(content(&one, "d/g").await, content(&other, "d/g").await);
        let file = one.open("d/f", OpenMode::ReadWrite).await.unwrap();
        file.write_at(0, vec![bytes("changed")]).await.unwrap();
        assert_ne!(content(&one, "d/f").await, content(&other, "d/f").await);
        if one.exists("d/g").await.unwrap() {
            let linked = content(&one, "d/g").await;
            assert_eq!(linked, content(&one, "d/f").await, "a link became a file of its own");
        }
    }
    assert_eq!(disk.copy().read_whole("d/g").await.unwrap(), "a new beginning");
}

#[tokio::test]
async fn a_directory_can_be_copied_to_be_a_root() {
    let disk = disk().await;
    durable_file(&disk).await;
    disk.create_dir_all("d/e").await.unwrap();
    disk.create_dir_all("dd").await.unwrap();
    disk.link("d/f", "d/e/g").await.unwrap();
    disk.link("d/f", "dd/other").await.unwrap();
    let copy = disk.copy_below("d");
    assert_eq!(copy.list("").await.unwrap(), ["e", "f"]);
    assert_eq!(copy.read_whole("e/g").await.unwrap(), "0123456789");
    copy.remove("f").await.unwrap();
    assert!(disk.exists("d/f").await.unwrap());
}

/// Makes a file with two writes, replaces it, and removes it.
async fn workload(disk: Disk) -> io::Result<()> {
    let file = disk.open("d/f", OpenMode::CreateNew).await?;
    file.write_at_and_sync(0, vec![bytes("one")]).await?;
    disk.sync_dir("d").await?;
    file.set_len(1).await?;
    disk.replace("d/f", bytes("two")).await?;
    disk.link("d/f", "d/g").await?;
    disk.remove("d/f").await
}

#[tokio::test]
async fn a_machine_stops_at_each_operation_in_turn() {
    let whole = disk().await;
    let before = whole.operations();
    workload(whole.clone()).await.unwrap();
    let count = whole.operations() - before;
    assert_eq!(count, 4 + 1 + 5 + 2);
    let mut seen: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for n in 0..count {
        let disk = disk().await;
        disk.set_loss(Loss::Torn);
        disk.stop_after(n);
        let running = tokio::spawn(workload(disk.clone()));
        disk.stopped().await;
        assert_eq!(disk.operations(), before + n + 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!running.is_finished(), "something returned after the stop at {n}");
        for seed in 0..50 {
            let left = disk.after_power_loss(seed);
            let f = content(&left, "d/f").await;
            seen.entry(n).or_default().push(format!("{f:?}"));
        }
        disk.process_gone();
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    let of = |n: u64| seen[&n].iter().map(String::as_str).collect::<BTreeSet<_>>();
    let replaced = |left: &BTreeSet<&str>| left.contains("Some(b\"two\")");
    // The sync of the directory is the fourth; until it was done the file may be gone.
    assert!(of(3).contains("None") && of(3).contains("Some(b\"one\")"));
    assert_eq!(of(4), ["Some(b\"o\")", "Some(b\"one\")"].into());
    // The rename of the replacement is the ninth.
    assert!(!replaced(&of(7)) && replaced(&of(8)));
    assert_eq!(of(10), ["Some(b\"two\")"].into());
}
