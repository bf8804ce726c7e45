//! The stores against the engines they could have stood on: durable 300-byte records from 1 and 64 writers,
//! all behind the same group commit, each engine with its own cheapest setting that survives a loss of power.

mod engines;
mod group;
mod state;

use crate::house::data_dir;
use crate::report::{Failed, Peer, Row, Target};
use engines::{Engine, Fjall, OwnLog, Redb, Syncs};
use group::Figures;
use state::State;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a record: about what the placement of one task takes in the log.
const RECORD: usize = 300;
const WRITERS: [usize; 2] = [1, 64];

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the data here; on a file system in memory the figures mean nothing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Measure each engine this long per round.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 300)]
    millis: u64,
    /// Go round all engines so often, and take the median: what else the machine does then hits all alike.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let dir = data_dir(&arguments.dir)?;
    let time = Duration::from_millis(arguments.millis);
    let mut rows = Vec::new();
    for writers in WRITERS {
        let dir = dir.path().join(writers.to_string());
        let mut all = Subjects::open(&dir)?;
        let rounds: Result<Vec<Round>, Failed> =
            (0..arguments.rounds).map(|_| all.round(writers, time)).collect();
        rows.extend(Round::median(&rounds?).rows(writers));
    }
    let micros = open(&dir.path().join("reads"), State::open)?.reads(time)?;
    rows.push(Row::new("state store, one get", micros, "us"));
    Ok(rows)
}

/// Everything that is measured, each in a directory of its own.
struct Subjects {
    syncs: Syncs,
    own: OwnLog,
    state: State,
    redb: Redb,
    fjall: Fjall,
}

/// What one round, or the median of all, comes to.
#[derive(Clone, Copy)]
struct Round {
    syncs: Figures,
    own: Figures,
    state: Figures,
    redb: Figures,
    fjall: Figures,
}

impl Subjects {
    fn open(dir: &Path) -> Result<Self, Failed> {
        Ok(Self {
            syncs: open(&dir.join("fdatasync"), Syncs::open)?,
            own: open(&dir.join("ledger-log"), OwnLog::open)?,
            state: open(&dir.join("state-store"), State::open)?,
            redb: open(&dir.join("redb"), Redb::open)?,
            fjall: open(&dir.join("fjall"), Fjall::open)?,
        })
    }

    fn round(&mut self, writers: usize, time: Duration) -> Result<Round, Failed> {
        Ok(Round {
            syncs: group::measure(&mut self.syncs, writers, time)?,
            own: group::measure(&mut self.own, writers, time)?,
            state: self.state.writes(writers, time)?,
            redb: group::measure(&mut self.redb, writers, time)?,
            fjall: group::measure(&mut self.fjall, writers, time)?,
        })
    }
}

impl Round {
    fn median(rounds: &[Self]) -> Self {
        let of = |pick: fn(&Self) -> Figures| Figures::median(rounds.iter().map(pick));
        Self {
            syncs: of(|r| r.syncs),
            own: of(|r| r.own),
            state: of(|r| r.state),
            redb: of(|r| r.redb),
            fjall: of(|r| r.fjall),
        }
    }

    fn rows(&self, writers: usize) -> Vec<Row> {
        let best = match self.redb.per_second > self.fjall.per_second {
            true => ("redb", self.redb),
            false => ("fjall", self.fjall),
        };
        let mut rows = Vec::new();
        rows.extend(lines("bare fdatasync", writers, self.syncs, None));
        rows.extend(lines("ledger log", writers, self.own, Some(best)));
        rows.extend(lines("state store", writers, self.state, Some(best)));
        rows.extend(lines("redb", writers, self.redb, None));
        rows.extend(lines("fjall", writers, self.fjall, None));
        rows
    }
}

fn open<T>(dir: &Path, open: impl FnOnce(&Path) -> Result<T, Failed>) -> Result<T, Failed> {
    std::fs::create_dir_all(dir).map_err(Failed::in_(dir.display().to_string()))?;
    open(dir)
}

/// The rows of one engine; with a peer, which it should at least equal.
fn lines(name: &str, writers: usize, figures: Figures, peer: Option<(&str, Figures)>) -> [Row; 2] {
    let with = match writers {
        1 => "1 writer".to_owned(),
        n => format!("{n} writers"),
    };
    let mut rate = Row::new(format!("{name}, {with}"), figures.per_second, "records/s");
    let mut late = Row::new(format!("{name}, {with}, p99"), figures.p99_micros, "us");
    if let Some((peer, reached)) = peer {
        let peer = |value| {
            let name = peer.to_owned();
            Some(Peer { name, value })
        };
        rate.target = Some(Target::AtLeast(reached.per_second));
        rate.peer = peer(reached.per_second);
        late.peer = peer(reached.p99_micros);
    }
    [rate, late]
}
