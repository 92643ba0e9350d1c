//! Thousands of seeds. Each tells its number when it breaks a promise; `cargo run -p sim -- --seed N` shows
//! it again, and it is to be added to the kept ones.

use std::collections::BTreeMap;

use sim::{Scenario, run};

/// Seeds that have shown a mistake once.
const KEPT: &str = include_str!("kept-seeds.txt");
const EACH: u64 = 1_300;

/// A quarter of the seeds, with what they must have met.
fn quarter(number: u64) {
    let (mut accepted, mut refused) = (0, 0);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut aside: BTreeMap<&str, u64> = BTreeMap::new();
    let mut broken = Vec::new();
    for seed in number * EACH..(number + 1) * EACH {
        let verdict = run(Scenario::new(seed)).unwrap();
        accepted += verdict.accepted;
        refused += verdict.refused_commits;
        for (kind, count) in &verdict.faults {
            *faults.entry(kind).or_default() += count;
        }
        for (outcome, count) in &verdict.aside {
            *aside.entry(outcome).or_default() += count;
        }
        if !verdict.offences.is_empty() {
            broken.push(verdict.to_string());
        }
    }
    println!(
        "{EACH} seeds: {accepted} turns accepted, faults {faults:?}, {refused} late commits refused, \
         {aside:?} without a run"
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // A run that meets nothing shows nothing.
    assert!(accepted > EACH * 15, "only {accepted} turns were accepted");
    for kind in ["kill", "freeze", "cut", "broker", "store", "roll", "scale"] {
        assert!(faults.get(kind).is_some_and(|count| *count > 200), "{kind}: {faults:?}");
    }
    for outcome in ["merged", "superseded", "rejected"] {
        assert!(aside.get(outcome).is_some_and(|count| *count > 200), "{outcome}: {aside:?}");
    }
    assert!(refused >= 3, "only {refused} late commits were refused");
}

#[test]
fn the_first_quarter_of_the_seeds_keeps_every_promise() {
    quarter(0);
}

#[test]
fn the_second_quarter_of_the_seeds_keeps_every_promise() {
    quarter(1);
}

#[test]
fn the_third_quarter_of_the_seeds_keeps_every_promise() {
    quarter(2);
}

#[test]
fn the_last_quarter_of_the_seeds_keeps_every_promise() {
    quarter(3);
}

#[test]
fn seeds_that_have_shown_a_mistake_keep_every_promise_now() {
    for line in KEPT.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split(' ').next().unwrap().parse().unwrap();
        let verdict = run(Scenario::new(seed)).unwrap();
        assert!(verdict.offences.is_empty(), "{verdict}");
    }
}

#[test]
fn one_seed_goes_one_way() {
    for seed in 1..=100 {
        let (once, again) = (run(Scenario::new(seed)).unwrap(), run(Scenario::new(seed)).unwrap());
        assert_eq!(once, again);
    }
}
