//! Deciding alone, as fast as one core goes: pools filled and churned, with what it costs as the pool grows, fair
//! sharing among many tenants, and a plain full scan in the same run. Rates are of processor time, so that who works
//! beside them does not count; single decisions are timed by the clock.

mod pool;
mod reclaim;
mod rounds;
mod workloads;
mod world;

use crate::report::{Failed, Peer, Row, Target};
use plenum_model::rules::Strategy;
use pool::{Pool, Run};
use workloads::Mix;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Mixed rules at 85 %, at the smallest and the largest size: whole lives, and decisions alone.
    Decisions,
    /// Every task is spread over racks.
    Racks,
    /// One turn of each of many tenants, and what one more costs while all of them wait.
    Rounds,
    /// Whom to stop for those who have a right to room.
    Reclaim,
    /// How well the pool is used, beside a full scan with exact best fit.
    Packing,
    /// Pools of every size filled and churned, with and without rules, with few tenants and many.
    Pools,
}

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure.
    #[arg(long, value_name = "PART", value_delimiter = ',', value_enum,
        default_values_t = [Part::Decisions, Part::Racks, Part::Rounds, Part::Reclaim, Part::Packing, Part::Pools])]
    parts: Vec<Part>,
    /// Sizes of the pool, in nodes.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 10_000, 50_000])]
    nodes: Vec<u32>,
    /// Tasks that end and are replaced.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    turns: usize,
    /// How nodes are chosen where decisions are measured: spread (the default of tasks) or pack.
    #[arg(long, value_name = "STRATEGY", value_delimiter = ',', value_parser = strategy,
        default_values = ["spread", "pack"])]
    strategies: Vec<Strategy>,
    /// Tenants.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [3, 1_000])]
    tenants: Vec<u32>,
}

/// Up to so many nodes are looked at one by one: what the broker does by default.
const EXACT: usize = 64;

fn strategy(name: &str) -> Result<Strategy, serde_json::Error> {
    serde_json::from_value(serde_json::Value::from(name))
}

/// Measures; the rows.
pub(crate) fn run(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for part in &arguments.parts {
        rows.extend(match part {
            Part::Decisions => decisions(arguments, rows.is_empty())?,
            Part::Racks => racks(arguments)?,
            Part::Rounds => rounds::run(arguments.nodes.iter().copied().max().unwrap_or(1))?,
            Part::Reclaim => reclaim::run(arguments.nodes.iter().copied().max().unwrap_or(1))?,
            Part::Packing => packing(arguments)?,
            Part::Pools => pools(arguments)?,
        });
    }
    Ok(rows)
}

fn pool(nodes: u32, mix: Mix, tenants: u32) -> Pool {
    Pool {
        nodes,
        mix,
        strategy: Strategy::default(),
        tenants,
        workloads: tenants.max(nodes / 10).max(100),
        exact: EXACT,
        full: 85,
    }
}

/// What one decision costs in pools of both ends.
struct Costs {
    life: f64,
    decision: f64,
}

/// `first`: nothing was measured before. Only then is what the process grows by what the pool takes: later ones take
/// what earlier ones gave back.
fn decisions(arguments: &Arguments, first: bool) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    let (Some(least), Some(most)) = (arguments.nodes.iter().min(), arguments.nodes.iter().max()) else {
        return Ok(rows);
    };
    for strategy in arguments.strategies.iter().copied() {
        let mut costs = Vec::new();
        for nodes in [*most, *least] {
            let pool = Pool {
                strategy,
                ..pool(nodes, Mix::Mixed, 100)
            };
            let (more, cost) = of_pool(&pool, arguments, first && rows.is_empty())?;
            rows.extend(more);
            costs.push(cost);
        }
        let [many, few] = costs.as_slice() else { continue };
        let ratio = |what: &str, few: f64, many: f64| Row {
            target: Some(Target::AtMost(3.0)),
            ..Row::new(
                format!("{strategy:?}, {least} to {most} nodes: {what} costs"),
                many / few,
                "times",
            )
        };
        rows.push(ratio("a life", few.life, many.life));
        rows.push(ratio("a decision", few.decision, many.decision));
    }
    Ok(rows)
}

fn of_pool(pool: &Pool, arguments: &Arguments, first: bool) -> Result<(Vec<Row>, Costs), Failed> {
    let mut run = Run::new(pool)?;
    let fill = run.fill(pool)?;
    let of = format!("{:?}, {} nodes, {} tasks", pool.strategy, pool.nodes, run.tasks());
    let lives = run.lives(arguments.turns)?;
    let alone = run.alone(arguments.turns.min(20_000))?;
    let (rejected, per_task, per_node) = (run.rejected(), run.per_task, run.per_node);
    let (decisions, times) = run.decisions(arguments.turns)?;
    let target = |target, row: Row| Row {
        target: Some(target),
        ..row
    };
    let row = |what: &str, value, unit| Row::new(format!("{of}: {what}"), value, unit);
    let mut rows = vec![
        row("claimed and placed", fill.per_second(), "tasks/s"),
        target(
            Target::AtLeast(1_000_000.0),
            row("released and placed, whole lives", lives.per_second(), "tasks/s"),
        ),
        row("the same by the clock", lives.per_second_of_clock(), "tasks/s"),
        target(
            Target::AtLeast(1_000_000.0),
            row(
                "released and placed, decisions alone",
                decisions.per_second(),
                "tasks/s",
            ),
        ),
        target(
            Target::AtMost(10.0),
            row("one claim, p99", alone.micros(99), "us"),
        ),
        target(
            Target::AtMost(10.0),
            row("one decision, p99", times.micros(99), "us"),
        ),
        target(Target::AtMost(0.1), row("without room", rejected, "%")),
    ];
    if first {
        rows.extend([
            target(Target::AtMost(1_024.0), row("memory", per_node, "bytes/node")),
            target(Target::AtMost(256.0), row("memory", per_task, "bytes/task")),
        ]);
    }
    let costs = Costs {
        life: lives.micros(),
        decision: decisions.micros(),
    };
    Ok((rows, costs))
}

fn racks(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let most = arguments.nodes.iter().copied().max().unwrap_or(1);
    let pool = pool(most.min(5_000), Mix::Racks, 100);
    let mut run = Run::new(&pool)?;
    let fill = run.fill(&pool)?;
    let lives = run.lives(arguments.turns)?;
    let (decisions, _) = run.decisions(arguments.turns)?;
    let row = |what: &str, value| Row {
        target: Some(Target::AtLeast(200_000.0)),
        ..Row::new(
            format!("{} nodes, over racks: {what}", pool.nodes),
            value,
            "tasks/s",
        )
    };
    Ok(vec![
        row("claimed and placed", fill.per_second()),
        row("released and placed, whole lives", lives.per_second()),
        row("released and placed, decisions alone", decisions.per_second()),
    ])
}

/// The index against looking at every node, on a pool that the scan can still manage.
fn packing(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let nodes = arguments.nodes.iter().copied().max().unwrap_or(1).min(1_000);
    let turns = arguments.turns.min(20_000);
    let packed = |exact, full| -> Result<_, Failed> {
        let pool = Pool {
            strategy: Strategy::Pack,
            exact,
            full,
            ..pool(nodes, Mix::Mixed, 100)
        };
        let mut run = Run::new(&pool)?;
        let fill = run.fill(&pool)?;
        run.lives(turns)?;
        let (used, rejected) = (run.used() as f64, run.rejected());
        let (decisions, _) = run.decisions(turns)?;
        Ok((used, rejected, fill.per_second(), decisions.per_second()))
    };
    let mut rows = Vec::new();
    for full in [50, 90] {
        let (used, rejected, fill, decided) = packed(EXACT, full)?;
        let scan = packed(usize::MAX, full)?;
        let beside = |what: &str, value, unit, target, peer| Row {
            target: Some(target),
            peer: Some(Peer {
                name: "full scan".to_owned(),
                value: peer,
            }),
            ..Row::new(format!("{nodes} nodes packed to {full} %: {what}"), value, unit)
        };
        let same = Target::AtMostOfPeer(1.0);
        rows.push(beside("nodes used", used, "nodes", same, scan.0));
        rows.push(beside("without room", rejected, "%", Target::AtMost(0.1), scan.1));
        let faster = |peer| Target::AtLeast(2.0 * peer);
        rows.push(beside(
            "claimed and placed",
            fill,
            "tasks/s",
            faster(scan.2),
            scan.2,
        ));
        rows.push(beside(
            "decisions alone",
            decided,
            "tasks/s",
            faster(scan.3),
            scan.3,
        ));
    }
    Ok(rows)
}

fn pools(arguments: &Arguments) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    let mixes = [
        ("no rules", Mix::Plain),
        ("mixed rules", Mix::Mixed),
        ("over racks", Mix::Racks),
    ];
    for nodes in &arguments.nodes {
        for (name, mix) in mixes {
            for tenants in &arguments.tenants {
                let pool = Pool {
                    full: 90,
                    ..pool(*nodes, mix, *tenants)
                };
                let mut run = Run::new(&pool)?;
                let fill = run.fill(&pool)?;
                let of = format!("{nodes} nodes, {name}, {tenants} tenants");
                let tasks = run.tasks();
                rows.push(Row::new(
                    format!("{of}: {tasks} claimed and placed"),
                    fill.per_second(),
                    "tasks/s",
                ));
                let lives = run.lives(arguments.turns)?;
                rows.push(Row::new(
                    format!("{of}: released and placed"),
                    lives.per_second(),
                    "tasks/s",
                ));
                rows.push(Row::new(format!("{of}: without room"), run.rejected(), "%"));
            }
        }
    }
    Ok(rows)
}
