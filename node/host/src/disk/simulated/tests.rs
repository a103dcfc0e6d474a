//! What only the simulated disk can show: what survives, and what is in whose way.

mod contents;
mod faults;
mod power;

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;

use super::*;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// An instant disk with the directory `d`; a power loss takes all that was not synced.
async fn disk() -> Disk {
    let disk = Disk::simulated(DiskProfile::instant(), 1);
    disk.set_loss(Loss::Everything);
    disk.create_dir_all("d").await.unwrap();
    disk
}

async fn durable_file(disk: &Disk) -> File {
    let file = disk.open("d/f", OpenMode::CreateNew).await.unwrap();
    file.write_at_and_sync(0, vec![bytes("0123456789")]).await.unwrap();
    disk.sync_dir("d").await.unwrap();
    file
}

#[tokio::test]
async fn a_power_loss_takes_what_was_not_synced_and_nothing_else() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    file.write_at(2, vec![bytes("ab")]).await.unwrap();
    file.sync_data().await.unwrap();
    file.write_at(3, vec![bytes("XYZ")]).await.unwrap();
    file.set_len(5).await.unwrap();
    file.write_at(8, vec![bytes("end")]).await.unwrap();
    assert_eq!(file.read_at(0, 99).await.unwrap(), &b"01aXY\0\0\0end"[..]);
    disk.power_lost();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "01ab456789");
}

#[tokio::test]
async fn names_are_durable_only_after_their_directory_was_synced() {
    let disk = disk().await;
    durable_file(&disk).await;
    let unnamed = disk.open("d/new", OpenMode::CreateNew).await.unwrap();
    unnamed.write_at_and_sync(0, vec![bytes("lost")]).await.unwrap();
    disk.rename("d/f", "d/g").await.unwrap();
    disk.power_lost();
    assert_eq!(disk.list("d").await.unwrap(), ["f"]);
    disk.rename("d/f", "d/g").await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.power_lost();
    assert_eq!(disk.list("d").await.unwrap(), ["g"]);
    disk.remove("d/g").await.unwrap();
    disk.power_lost();
    assert_eq!(disk.read_whole("d/g").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_dead_process_leaves_its_cache_but_no_files_and_no_locks() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    let stale = disk.lock("d/lock").await.unwrap();
    file.write_at(0, vec![bytes("A")]).await.unwrap();
    disk.process_gone();
    assert_eq!(file.len().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "A123456789");
    let _held = disk.lock("d/lock").await.unwrap();
    drop(stale);
    assert_eq!(disk.lock("d/lock").await.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn what_a_dead_process_still_tries_does_not_happen() {
    let disk = disk().await;
    durable_file(&disk).await;
    let process = disk.of_process();
    process.remove("d/f").await.unwrap();
    process.create_dir_all("e").await.unwrap();
    disk.power_lost();
    let error = process.remove("d/f").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(process.open("d/f", OpenMode::Read).await.is_err());
    assert_eq!(disk.of_process().read_whole("d/f").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_sync_covers_what_was_written_before_it_began() {
    let ms = Duration::from_millis;
    let slow = DiskProfile { sync_latency: ms(5)..=ms(5), ..DiskProfile::instant() };
    let disk = Disk::simulated(slow, 1);
    disk.set_loss(Loss::Everything);
    disk.create_dir_all("d").await.unwrap();
    let file = durable_file(&disk).await;
    file.write_at(0, vec![bytes("A")]).await.unwrap();
    let (synced, ()) = tokio::join!(file.sync_data(), async {
        tokio::time::sleep(ms(2)).await;
        file.write_at(1, vec![bytes("B")]).await.unwrap();
    });
    synced.unwrap();
    disk.power_lost();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "A123456789");
}

#[tokio::test]
async fn a_full_disk_takes_what_there_is_room_for() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    disk.set_capacity_bytes(Some(13));
    let error = file.write_at(8, vec![bytes("abcd"), bytes("efgh")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "01234567abcde");
    disk.set_fault(Operation::Sync, Some(ErrorKind::Other));
    assert!(file.sync_data().await.is_err());
}

#[tokio::test]
async fn room_is_capacity_without_content_and_a_linked_file_counts_once() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    assert_eq!(disk.available_bytes().await.unwrap(), u64::MAX);
    disk.set_capacity_bytes(Some(13));
    disk.link("d/f", "d/g").await.unwrap();
    assert_eq!(disk.available_bytes().await.unwrap(), 3);
    file.write_at(10, vec![bytes("abc")]).await.unwrap();
    assert_eq!(disk.available_bytes().await.unwrap(), 0);
    disk.remove("d/f").await.unwrap();
    assert_eq!(disk.available_bytes().await.unwrap(), 0);
    disk.remove("d/g").await.unwrap();
    assert_eq!(disk.available_bytes().await.unwrap(), 13);
}

#[tokio::test]
async fn a_link_is_durable_only_after_its_directory_was_synced() {
    let disk = disk().await;
    durable_file(&disk).await;
    disk.create_dir_all("e").await.unwrap();
    disk.link("d/f", "e/f").await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.power_lost();
    assert!(!disk.exists("e/f").await.unwrap() && disk.exists("d/f").await.unwrap());
    disk.link("d/f", "e/f").await.unwrap();
    disk.sync_dir("e").await.unwrap();
    disk.power_lost();
    assert_eq!(disk.read_whole("e/f").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn equal_seeds_take_equal_time() {
    let us = Duration::from_micros;
    let profile = DiskProfile {
        read_latency: us(1000)..=us(9000),
        write_latency: us(1000)..=us(9000),
        sync_latency: us(1000)..=us(90_000),
        ..DiskProfile::instant()
    };
    let run = async |seed| {
        let begun = tokio::time::Instant::now();
        let disk = Disk::simulated(profile.clone(), seed);
        disk.create_dir_all("d").await.unwrap();
        durable_file(&disk).await.read_at(0, 1).await.unwrap();
        begun.elapsed().as_millis()
    };
    assert_eq!(run(7).await, run(7).await);
    assert_ne!(run(7).await, run(8).await);
}
