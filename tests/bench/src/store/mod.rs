//! The stores against the engines they could have stood on: durable 300-byte records from 1 and 64 writers,
//! all behind the same group commit, each engine with its own cheapest setting that survives a loss of power.

mod engines;
mod group;
mod state;

use crate::report::{Failed, Peer, Row, Target};
use engines::{Engine, Fjall, OwnLog, Redb, Syncs};
use group::Figures;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Bytes of a record: about what the placement of one task takes in the log.
const RECORD: usize = 300;
const WRITERS: [usize; 2] = [1, 64];

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the data here; on a file system in memory the figures mean nothing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Measure each line this long.
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    seconds: u64,
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let dir = TempDir::with_prefix_in("plenum-bench-", &arguments.dir).map_err(Failed::in_(format!(
        "a directory in `{}`",
        arguments.dir.display()
    )))?;
    let bench = Bench {
        dir: dir.path(),
        time: Duration::from_secs(arguments.seconds),
    };
    let mut rows = Vec::new();
    for writers in WRITERS {
        bench.with(writers, &mut rows)?;
    }
    rows.push(bench.reads()?);
    Ok(rows)
}

struct Bench<'d> {
    dir: &'d Path,
    time: Duration,
}

impl Bench<'_> {
    fn with(&self, writers: usize, rows: &mut Vec<Row>) -> Result<(), Failed> {
        let floor = self.engine::<Syncs>(writers)?;
        let own = self.engine::<OwnLog>(writers)?;
        let redb = self.engine::<Redb>(writers)?;
        let fjall = self.engine::<Fjall>(writers)?;
        let state = state::writes(&self.dir.join(format!("state-{writers}")), writers, self.time)?;
        let best = match redb.per_second > fjall.per_second {
            true => ("redb", redb),
            false => ("fjall", fjall),
        };
        rows.extend(lines("bare fdatasync", writers, floor, None));
        rows.extend(lines("ledger log", writers, own, Some(best)));
        rows.extend(lines("state store", writers, state, Some(best)));
        rows.extend(lines("redb", writers, redb, None));
        rows.extend(lines("fjall", writers, fjall, None));
        Ok(())
    }

    fn engine<E: Engine>(&self, writers: usize) -> Result<Figures, Failed> {
        let dir = self.dir.join(format!("{}-{writers}", E::NAME));
        std::fs::create_dir(&dir).map_err(Failed::in_(E::NAME))?;
        group::measure(E::open(&dir)?, writers, self.time)
    }

    fn reads(&self) -> Result<Row, Failed> {
        let micros = state::reads(&self.dir.join("state-reads"), self.time)?;
        Ok(Row::new("state store, one get", micros, "us"))
    }
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
