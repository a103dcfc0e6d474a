//! The tables: what was measured, how far our store is ahead, and what was to be reached.

use std::path::Path;

use crate::contenders::{Contender, READ_CACHE_BYTES};
use crate::corpus::{Block, Corpus};
use crate::results::{Better, Results, Row};
use crate::rounds::Plan;
use crate::sizes::Sizes;
use crate::{Outcome, compression, system};

/// With more processes than this on each processor, figures are of little use.
const LOAD_MAX: f64 = 0.5;

const ENGINES: &[Contender] = &[
    Contender::Redb,
    Contender::Fjall,
    #[cfg(feature = "rocksdb")]
    Contender::Rocksdb,
];

/// Says what is going to be measured, and on what.
pub fn print_head(dir: &Path, plan: &Plan, bulk_sizes: &Sizes) -> Outcome<()> {
    let load = system::load()?;
    if load > LOAD_MAX {
        println!(
            "THE MACHINE IS BUSY: {load:.1} processes want each processor. Whoever a flush wakes"
        );
        println!(
            "then waits for the others, which says nothing of stores. Take no figure from this."
        );
    }
    println!("data on {}; {} rounds, medians", system::file_system(dir)?, plan.rounds);
    println!(
        "objects: mean {:.0} bytes; in the bulk load those of at most {} bytes, mean {:.0}",
        plan.sizes.mean(),
        bulk_sizes.bytes_max(),
        bulk_sizes.mean(),
    );
    println!(
        "{} gets of each kind; engines read with caches of {} MiB",
        plan.gets,
        READ_CACHE_BYTES >> 20
    );
    Ok(())
}

/// Says what compression of single objects would make of the first of them.
pub fn print_compressibility(corpus: &Corpus) -> Outcome<()> {
    let objects = corpus.blocks.first().map(Block::objects).unwrap_or_default();
    let data: Vec<&[u8]> = objects.iter().map(|object| &object.data()[..]).collect();
    let ratios = compression::ratios(&data)?;
    let shown: Vec<String> = ratios.iter().map(|(name, r)| format!("{name} {r:.3}")).collect();
    println!("each object compressed by itself: {}", shown.join(", "));
    Ok(())
}

/// Prints all tables.
pub fn print(results: &Results) {
    print_figures(results);
    print_ahead(results);
    print_targets(results);
}

fn print_figures(results: &Results) {
    let columns: Vec<Contender> =
        [Contender::Ours, Contender::Bare].iter().chain(ENGINES).copied().collect();
    println!();
    print!("{:<62}", "measured");
    for contender in &columns {
        print!(" {:>11}", contender.name());
    }
    println!();
    let mut last = "";
    for row in results.rows() {
        let what = if row.what == last { "" } else { &row.what };
        last = &row.what;
        print!("{what:<38} {:<23}", row.unit);
        for contender in &columns {
            match row.median(*contender) {
                Some(figure) => print!(" {:>11}", shown(figure)),
                None => print!(" {:>11}", "-"),
            }
        }
        println!();
    }
}

/// A figure with at least three digits that say something.
fn shown(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0..100.0 => format!("{figure:.1}"),
        1.0..10.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

fn judged(results: &Results) -> impl Iterator<Item = &Row> {
    results.rows().iter().filter(|row| row.better != Better::Neither)
}

fn print_ahead(results: &Results) {
    println!();
    print!("{:<62} {:>11}", "ours is ahead of each engine, times", "to reach");
    for engine in ENGINES {
        print!(" {:>11}", engine.name());
    }
    println!("  reached");
    for row in judged(results) {
        print!("{:<38} {:<23} {:>11}", row.what, row.unit, shown(row.target.ahead));
        let mut reached = true;
        for engine in ENGINES {
            let ahead = row.ahead_of(*engine);
            reached &= ahead.is_some_and(|ahead| ahead >= row.target.ahead);
            print!(" {:>11}", ahead.map_or("-".to_owned(), shown));
        }
        println!("  {}", verdict(reached));
    }
}

fn print_targets(results: &Results) {
    println!();
    println!("{:<62} {:>11} {:>11}  reached", "figures of its own", "to reach", "ours");
    for row in judged(results) {
        if let (Some(share), Some(reached)) =
            (row.target.share_of_bare, row.ahead_of(Contender::Bare))
        {
            print_target(row, "share of the bare loop", share, reached, reached >= share);
        }
        if let (Some(target), Some(figure)) = (row.target.figure, row.median(Contender::Ours)) {
            let reached = match row.better {
                Better::Higher => figure >= target,
                _ => figure < target,
            };
            print_target(row, row.unit, target, figure, reached);
        }
    }
}

fn print_target(row: &Row, unit: &str, target: f64, figure: f64, reached: bool) {
    let (target, figure) = (shown(target), shown(figure));
    println!("{:<38} {unit:<23} {target:>11} {figure:>11}  {}", row.what, verdict(reached));
}

fn verdict(reached: bool) -> &'static str {
    if reached { "yes" } else { "NO" }
}
