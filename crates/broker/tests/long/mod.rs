//! A million random steps: long histories from fixed seeds, in which the broker dies between deciding, keeping and
//! telling. Every step is held against an account of its own; every so many of them all there is is looked at.
//!
//! `HISTORY_SEEDS=1000..2000` looks at other seeds than the usual ones, as long as one likes. A history that fails is
//! cut down to the least that still fails, and printed.

mod account;
mod claims;
mod history;
mod laws;
mod line;
mod op;
pub(crate) mod pool;
mod seen;

use history::{History, play};
use op::{Rng, Turn, turn};
use seen::Seen;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Turns of one history, most of which are a step of the core and some a dozen.
const TURNS: usize = 5_000;
/// Tests that share the seeds, to use more than one processor.
const PARTS: u64 = 4;
/// The usual seeds.
const USUAL: Range<u64> = 0..104;
/// Steps of the core that they make at least.
const STEPS: u64 = 1_000_000;

fn turns(seed: u64) -> Vec<Turn> {
    let mut rng = Rng::new(!seed);
    (0..TURNS).map(|_| turn(&mut rng)).collect()
}

fn seeds() -> Range<u64> {
    let asked = std::env::var("HISTORY_SEEDS").ok();
    asked.map_or(USUAL, |text| {
        let (from, to) = text.split_once("..").expect("HISTORY_SEEDS is FROM..TO");
        from.parse().unwrap()..to.parse().unwrap()
    })
}

fn histories(part: u64) {
    let (mut all, mut steps) = (Seen::default(), 0);
    for seed in seeds().filter(|seed| seed % PARTS == part) {
        let turns = turns(seed);
        match catch_unwind(AssertUnwindSafe(|| play(seed, &turns, &Cell::new(0)))) {
            Ok(history) => {
                steps += history.line.steps;
                all.add(history.seen);
            }
            Err(failure) => {
                let least = cut_down(seed, turns);
                println!("seed {seed}: {} turns fail as well:", least.len());
                least.iter().for_each(|turn| println!("    {turn:?},"));
                resume_unwind(failure);
            }
        }
    }
    println!("{steps} steps: {all:?}");
    assert!(all.is_eventful(), "too little came to pass: {all:?}");
    assert!(seeds() != USUAL || steps >= STEPS / PARTS, "{steps} steps");
}

/// Leaves out what is not needed to fail: ever smaller parts, from the end on, for as long as that may take.
fn cut_down(seed: u64, mut turns: Vec<Turn>) -> Vec<Turn> {
    const AT_MOST: Duration = Duration::from_secs(60);
    let begun = Instant::now();
    let reached = Cell::new(0);
    let fails = |turns: &[Turn]| {
        let play = || play(seed, turns, &reached);
        begun.elapsed() < AT_MOST && catch_unwind(AssertUnwindSafe(play)).is_err()
    };
    if fails(&turns) {
        turns.truncate(reached.get());
    }
    let mut part = turns.len() / 2;
    while part > 0 {
        let mut end = turns.len();
        while end > 0 {
            let start = end.saturating_sub(part);
            let without: Vec<_> = turns[..start].iter().chain(&turns[end..]).copied().collect();
            if fails(&without) {
                turns = without;
            }
            end = start;
        }
        part /= 2;
    }
    turns
}

#[test]
fn long_histories_keep_the_account_first_part() {
    histories(0);
}

#[test]
fn long_histories_keep_the_account_second_part() {
    histories(1);
}

#[test]
fn long_histories_keep_the_account_third_part() {
    histories(2);
}

#[test]
fn long_histories_keep_the_account_fourth_part() {
    histories(3);
}

#[test]
fn the_same_history_gives_the_same_log() {
    let log = |seed: u64| -> Vec<u8> {
        let played: History = play(seed, &turns(seed)[..1_500], &Cell::new(0));
        played.line.bytes()
    };
    for seed in [1_000_001, 1_000_002] {
        assert!(log(seed) == log(seed), "seed {seed}");
    }
}
