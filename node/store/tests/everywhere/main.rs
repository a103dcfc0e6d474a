//! The store against a model: random work, a crash at every I/O operation of it in turn,
//! and every bit of its files flipped.
//!
//! After a crash, whatever the power loss took of what was not synced: the store opens,
//! what was acknowledged is there, what was being put is whole or absent, and all of it
//! stays so. After a flipped bit: right bytes or an error, never other bytes.
//!
//! Plain `cargo test` runs a reduced form, in the simulated world. In full, with counts:
//! `cargo test-sim -p gitstratum-store --test everywhere -- --ignored --nocapture`

#[cfg(madsim)]
mod crash;
#[cfg(madsim)]
mod flips;
#[cfg(madsim)]
mod model;
#[cfg(madsim)]
mod trouble;
#[cfg(madsim)]
mod work;

/// The form that every `cargo test` runs.
#[cfg(madsim)]
mod reduced {
    use super::{crash, flips, trouble, work};

    #[test]
    fn random_work_does_what_the_model_says() {
        for seed in 0..20 {
            work::run_through(seed, 150);
        }
    }

    #[test]
    fn a_crash_at_any_operation_loses_nothing_acknowledged() {
        let counts = crash::everywhere(0..2, 40, 3);
        println!("{counts}");
        assert!(counts.points > 150, "{counts}");
        assert!(counts.stopped_recoveries > 150, "{counts}");
    }

    #[test]
    fn an_error_at_any_operation_loses_nothing_acknowledged() {
        let counts = trouble::errors_everywhere(0, 40);
        println!("errors everywhere: {counts}");
        assert!(counts.runs > 200 && counts.refused > 200, "{counts}");
    }

    #[test]
    fn a_disk_full_at_any_byte_refuses_and_goes_on_when_there_is_room() {
        let counts = trouble::full_everywhere(0, 40, 97);
        println!("full everywhere: {counts}");
        assert!(counts.runs > 100 && counts.refused > 200, "{counts}");
    }

    #[test]
    fn a_flipped_bit_never_gives_other_bytes() {
        let counts = flips::everywhere(0, 97);
        println!("{counts}");
        assert!(counts.flips > 1000, "{counts}");
        assert!(counts.errors > 100 && counts.refused > 0, "{counts}");
    }
}

/// All of it, by one command.
#[cfg(madsim)]
mod full {
    use super::{crash, flips, trouble, work};

    #[test]
    #[ignore = "takes minutes"]
    fn random_work_does_what_the_model_says() {
        for seed in 0..400 {
            work::run_through(seed, 400);
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn a_crash_at_any_operation_loses_nothing_acknowledged() {
        println!("{}", crash::everywhere(0..20, 80, 12));
    }

    #[test]
    #[ignore = "takes minutes"]
    fn an_error_at_any_operation_loses_nothing_acknowledged() {
        for seed in 0..10 {
            println!("errors everywhere, seed {seed}: {}", trouble::errors_everywhere(seed, 80));
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn a_disk_full_at_any_byte_refuses_and_goes_on_when_there_is_room() {
        for seed in 0..3 {
            println!("full everywhere, seed {seed}: {}", trouble::full_everywhere(seed, 40, 7));
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn a_flipped_bit_never_gives_other_bytes() {
        println!("{}", flips::everywhere(0, 1));
    }
}

/// In the real world there is no such disk: the same tests are run in the simulated one.
#[cfg(not(madsim))]
#[test]
fn the_store_survives_crashes_and_flips_on_a_simulated_disk() {
    // The workspace's, where the target directories of both worlds are.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["test-sim", "-p", "gitstratum-store", "--test", "everywhere"])
        .current_dir(root)
        // Flags from outside would replace the ones that choose the simulated world.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs, as it runs this test");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    assert!(printed.contains(" passed"), "no test was run:\n{printed}");
}
