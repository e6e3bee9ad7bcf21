//! The model of the lease protocol: discrete events against the real code. A run is a seed, which is printed when it fails; `MODEL_SEEDS` asks
//! for more of them than a test run has time for, `MODEL_FIRST` begins elsewhere.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

mod check;
mod node;
mod random;
mod store;
mod weather;
mod world;

use portcullis_lease::{Terms, conformance};
use store::Store;
use weather::{WEAKNESSES, Weakness};
use world::World;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn seeds(otherwise: u64) -> std::ops::Range<u64> {
    let first = number("MODEL_FIRST").unwrap_or(1);
    first..first + number("MODEL_SEEDS").unwrap_or(otherwise)
}

fn run(seed: u64, weakness: Weakness) -> World {
    let mut world = World::new(seed, weakness, Terms::default());
    world.run();
    world
}

#[test]
fn the_protocol_forwards_nothing_after_a_2xx() {
    let seeds = seeds(20);
    let runs = seeds.end - seeds.start;
    let (mut forwards, mut acknowledged) = (0, 0);
    for seed in seeds {
        let world = run(seed, Weakness::None);
        let faults = &world.record.violations;
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        let unrest = world.unrest();
        assert!(unrest.is_empty(), "seed {seed}: {unrest:#?}");
        forwards += world.record.forwards;
        acknowledged += world.record.acknowledgements();
    }
    println!("{runs} runs, {forwards} forwards, {acknowledged} changes acknowledged: nothing after a 2xx");
    assert!(forwards > runs * 500 && acknowledged as u64 > runs * 10, "nothing happened");
}

/// Where seeds are asked for, all of them are run and counted; otherwise the first that shows it is enough.
#[test]
fn every_weakened_variant_is_found_out() {
    let mut unnoticed = Vec::new();
    for weakness in WEAKNESSES {
        let seeds = seeds(400);
        let runs = seeds.end - seeds.start;
        let mut found = seeds.filter(|seed| !run(*seed, weakness).record.violations.is_empty());
        let Some(first) = found.next() else {
            unnoticed.push(weakness);
            continue;
        };
        if number("MODEL_SEEDS").is_some() {
            println!("{weakness:?}: found in {} of {runs} runs", found.count() + 1);
        } else {
            println!("{weakness:?}: found by seed {first}");
        }
    }
    assert!(unnoticed.is_empty(), "nothing was found in {unnoticed:?}");
}

#[test]
fn the_store_of_the_model_is_an_engine() {
    conformance::walk(&mut Store::default());
}
