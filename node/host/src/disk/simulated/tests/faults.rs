//! Each fault of a running disk, and damage at rest.

use super::*;

#[tokio::test]
async fn an_error_hits_the_file_and_the_operation_it_was_meant_for() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    let other = disk.open("d/other", OpenMode::CreateNew).await.unwrap();
    disk.inject(Fault::error(Operation::Read, ErrorKind::Other).on("d/f").after(1).once());
    let mut failed = Vec::new();
    for _ in 0..4 {
        other.read_at(0, 1).await.unwrap();
        failed.push(file.read_at(0, 1).await.is_err());
    }
    assert_eq!(failed, [false, true, false, false]);

    disk.inject(Fault::error(Operation::Write, ErrorKind::Other).on("d"));
    for file in [&file, &other] {
        for _ in 0..2 {
            let error = file.write_at(0, vec![bytes("x")]).await.unwrap_err();
            assert!(error.to_string().contains("injected fault"), "{error}");
        }
    }
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "0123456789");
    disk.clear_faults();
    file.write_at(0, vec![bytes("x")]).await.unwrap();
}

#[tokio::test]
async fn a_bad_sector_fails_what_touches_it_and_nothing_else() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    disk.inject(Fault::error(Operation::Read, ErrorKind::Other).on("d/f").at(3..5));
    for (offset, len, fails) in
        [(0, 3, false), (0, 4, true), (3, 1, true), (4, 9, true), (5, 5, false)]
    {
        assert_eq!(file.read_at(offset, len).await.is_err(), fails, "{len} bytes at {offset}");
    }
    assert!(disk.read_whole("d/f").await.is_err());
    file.write_at(0, vec![bytes("abc")]).await.unwrap();
    disk.clear_faults();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "abc3456789");
}

#[tokio::test]
async fn an_error_finds_a_file_by_the_name_it_has_now() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    disk.rename("d/f", "d/renamed").await.unwrap();
    disk.inject(Fault::error(Operation::Sync, ErrorKind::Other).on("d/renamed"));
    assert!(file.sync_data().await.is_err());
    disk.sync_dir("d").await.unwrap();
}

#[tokio::test]
async fn an_error_goes_by_the_name_under_which_a_file_was_opened() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    let temporary = disk.open("d/g.tmp", OpenMode::CreateNew).await.unwrap();
    disk.rename("d/g.tmp", "d/g").await.unwrap();
    disk.inject(Fault::error(Operation::Sync, ErrorKind::Other).on_names_ending(".tmp"));
    assert!(temporary.sync_data().await.is_err());
    file.sync_data().await.unwrap();
    disk.sync_dir("d").await.unwrap();
}

#[tokio::test]
async fn no_later_sync_covers_what_a_failed_one_left() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    file.write_at(0, vec![bytes("abc")]).await.unwrap();
    disk.inject(Fault::error(Operation::Sync, ErrorKind::Other).once());
    assert!(file.sync_data().await.is_err());
    file.write_at(5, vec![bytes("X")]).await.unwrap();
    file.sync_data().await.unwrap();
    assert_eq!(file.read_at(0, 10).await.unwrap(), "abc34X6789", "the cache still has it");
    disk.power_lost();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "01234X6789");
}

#[tokio::test]
async fn a_failed_sync_may_have_synced_a_part() {
    let mut left = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let disk = Disk::simulated(DiskProfile::instant(), seed);
        disk.create_dir_all("d").await.unwrap();
        let file = durable_file(&disk).await;
        file.write_at(0, vec![bytes("abc")]).await.unwrap();
        disk.inject(Fault::error(Operation::Sync, ErrorKind::Other));
        assert!(file.sync_data().await.is_err());
        disk.power_lost();
        left.insert(disk.read_whole("d/f").await.unwrap());
    }
    for possible in ["0123456789", "ab23456789", "abc3456789"] {
        assert!(left.contains(possible.as_bytes()), "{left:?}");
    }
}

#[tokio::test]
async fn a_lying_sync_makes_nothing_durable() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    disk.inject(Fault::lying_sync());
    file.write_at_and_sync(0, vec![bytes("abc")]).await.unwrap();
    disk.rename("d/f", "d/g").await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.power_lost();
    assert_eq!(disk.list("d").await.unwrap(), ["f"]);
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_misdirected_write_lands_elsewhere() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    let victim = disk.open("d/victim", OpenMode::CreateNew).await.unwrap();
    victim.write_at_and_sync(0, vec![bytes("victim")]).await.unwrap();
    disk.sync_dir("d").await.unwrap();
    disk.inject(Fault::misdirected_write("d/victim", 3).on("d/f").once());
    file.write_at_and_sync(8, vec![bytes("abcde")]).await.unwrap();
    file.write_at_and_sync(0, vec![bytes("X")]).await.unwrap();
    disk.power_lost();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "X123456789\0\0\0");
    assert_eq!(disk.read_whole("d/victim").await.unwrap(), "vicabc");
}

#[tokio::test]
async fn a_stalled_operation_waits_until_released_or_its_process_dies() {
    let disk = disk().await;
    let file = durable_file(&disk).await;
    disk.inject(Fault::stall(Operation::Sync).on("d/f"));
    let sync = |file: &File| {
        let file = file.clone();
        tokio::spawn(async move { file.sync_data().await })
    };
    file.write_at(0, vec![bytes("abc")]).await.unwrap();
    let stalled = sync(&file);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!stalled.is_finished());
    file.read_at(0, 1).await.expect("only syncs stall");
    disk.release();
    stalled.await.unwrap().unwrap();
    sync(&file).await.unwrap().unwrap();

    disk.inject(Fault::stall(Operation::Sync));
    let stalled = sync(&file);
    tokio::time::sleep(Duration::from_secs(60)).await;
    disk.process_gone();
    assert_eq!(stalled.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_slow_disk_takes_so_many_times_as_long_and_spikes_come_on_top() {
    let ms = Duration::from_millis;
    let usual = DiskProfile { read_latency: ms(4)..=ms(4), ..DiskProfile::instant() };
    let spiky = DiskProfile { spike_share: 0.3, spike_latency: ms(90)..=ms(90), ..usual.clone() };
    let read = async |profile: DiskProfile, slowdown| {
        let disk = Disk::simulated(profile, 3);
        disk.create_dir_all("d").await.unwrap();
        let file = durable_file(&disk).await;
        disk.set_slowdown(slowdown);
        let begun = tokio::time::Instant::now();
        for _ in 0..20 {
            file.read_at(0, 1).await.unwrap();
        }
        begun.elapsed().as_millis()
    };
    let (usual, slow, spiky) =
        (read(usual.clone(), 1).await, read(usual, 10).await, read(spiky, 1).await);
    assert!((80..200).contains(&usual), "{usual}");
    assert!((800..1000).contains(&slow), "{slow}");
    assert!((usual + 180..usual + 1500).contains(&spiky), "{spiky}");
}

#[tokio::test]
async fn a_flipped_bit_is_flipped_for_readers_and_after_a_power_loss() {
    let disk = disk().await;
    durable_file(&disk).await;
    disk.flip_bit("d/f", 8 * 3 + 1).unwrap();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "0121456789");
    disk.power_lost();
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "0121456789");
    disk.flip_bit("d/f", 8 * 3 + 1).unwrap();
    assert_eq!(disk.flip_bit("d/none", 0).unwrap_err().kind(), ErrorKind::NotFound);

    disk.create_dir_all("e").await.unwrap();
    assert_eq!(disk.flip_drawn_bit("e"), None);
    let mut drawn = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let (path, bit) = disk.flip_drawn_bit("d").unwrap();
        assert_ne!(disk.read_whole("d/f").await.unwrap(), "0123456789");
        disk.flip_bit(&path, bit).unwrap();
        drawn.insert(bit);
    }
    assert!(drawn.len() > 70, "only {} of 80 bits", drawn.len());
    assert_eq!(disk.read_whole("d/f").await.unwrap(), "0123456789");
}

#[tokio::test]
async fn a_file_that_was_lost_or_cut_at_rest_stays_so_after_a_power_loss() {
    let disk = disk().await;
    durable_file(&disk).await;
    let lost = disk.open("d/lost", OpenMode::CreateNew).await.unwrap();
    lost.write_at_and_sync(0, vec![bytes("abc")]).await.unwrap();
    // Its name is not durable yet: what is lost does not come back by a sync.
    disk.lose_file("d/lost").unwrap();
    disk.truncate_file("d/f", 3).unwrap();
    disk.truncate_file("d/f", 5).unwrap();
    disk.sync_dir("d").await.unwrap();
    for _ in 0..2 {
        assert_eq!(disk.files(), [("d/f".to_owned(), 3)]);
        assert_eq!(disk.read_whole("d/f").await.unwrap(), "012");
        disk.power_lost();
    }
    assert_eq!(disk.lose_file("d/lost").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.truncate_file("d/lost", 0).unwrap_err().kind(), ErrorKind::NotFound);
}
