//! Clusters through bad days: whatever fails, the invariants hold at each step, and once it is calm what runs
//! is what is wanted.
//!
//! `STORM_SEEDS=1000..2000` looks at other seeds than the usual ones, as long as one likes.

use plenum_model::amounts::Amounts;
use plenum_model::claim::{HostPort, PortAsk, Protocol};
use plenum_model::ids::{SchedulerId, TenantPath};
use plenum_model::tenant::Tenant;
use plenum_sdk::health::is_ready;
use plenum_sdk::rollout::policy::Policy;
use plenum_testkit::Factory;
use plenum_testkit::machine::{RUNTIME, Temper};
use plenum_testkit::replicas::{Replicas, Wish, Wishes};
use plenum_testkit::rng::Rng;
use plenum_testkit::sim::{Fault, Sim};
use std::collections::BTreeMap;
use std::ops::Range;
use std::slice;

fn factory(wishes: &Wishes) -> Factory {
    let wishes = wishes.clone();
    Box::new(move || Box::new(Replicas::new(wishes.clone(), RUNTIME)))
}

fn scheduler(name: &str) -> SchedulerId {
    SchedulerId::new(name).unwrap()
}

fn assert_sound(sim: &mut Sim, seed: u64) {
    sim.check_copies();
    assert!(
        sim.violations().is_empty(),
        "seed {seed}: {:#?}",
        sim.violations()
    );
}

/// Whether what runs on machines and what a scheduler sees is what is wanted, and nothing else.
fn is_as_wanted(sim: &Sim, all: &[Wishes]) -> bool {
    if !sim.is_whole() {
        return false;
    }
    let mut wanted = 0;
    for (index, wishes) in all.iter().enumerate() {
        let Some(observed) = sim.observed(index) else {
            return false;
        };
        for (uid, wish) in wishes.lock().iter() {
            let version = wish.version.to_string();
            let ready = observed.workload(uid).filter(|t| is_ready(t));
            let mut slots: Vec<u64> = ready
                .filter(|t| t.terms.workload.version == version)
                .map(|t| t.seat.slot)
                .collect();
            slots.dedup();
            if slots.len() != wish.count as usize {
                return false;
            }
            wanted += slots.len();
        }
    }
    sim.running().count() == wanted
}

fn settle(sim: &mut Sim, all: &[Wishes], seed: u64) {
    sim.calm();
    let settled = sim.until(600_000, |s| is_as_wanted(s, all));
    assert_sound(sim, seed);
    assert!(
        settled,
        "seed {seed}: not as wanted after ten calm minutes: {}",
        describe(sim, all)
    );
}

fn describe(sim: &Sim, all: &[Wishes]) -> String {
    let mut out = format!("whole: {}, running: {}", sim.is_whole(), sim.running().count());
    for (index, wishes) in all.iter().enumerate() {
        for (uid, wish) in wishes.lock().iter() {
            let mut phases: BTreeMap<String, u32> = BTreeMap::new();
            for t in sim.observed(index).into_iter().flat_map(|o| o.workload(uid)) {
                let key = format!(
                    "{}{} v{}",
                    t.status.phase(),
                    if t.released { "!" } else { "" },
                    t.terms.workload.version
                );
                *phases.entry(key).or_default() += 1;
            }
            out += &format!("\n{uid}: {} of v{}: {phases:?}", wish.count, wish.version);
        }
    }
    let odd = (0..all.len())
        .filter_map(|index| sim.observed(index))
        .flat_map(plenum_sdk::observed::Observed::tasks)
        .find(|t| !t.status.phase().is_terminal() && !is_ready(t));
    out + &odd.map(|t| sim.dossier(t.id())).unwrap_or_default()
}

fn wishes(items: impl IntoIterator<Item = (&'static str, Wish)>) -> Wishes {
    let all: Wishes = Wishes::default();
    all.lock()
        .extend(items.into_iter().map(|(uid, w)| (uid.to_owned(), w)));
    all
}

#[test]
fn replicas_run_scale_roll_and_end() {
    let all = wishes([("web", Wish::new(30)), ("db", Wish::new(3))]);
    let mut sim = Sim::seeded(1).nodes(5).scheduler(scheduler("one"), factory(&all));
    settle(&mut sim, slice::from_ref(&all), 1);
    if let Some(web) = all.lock().get_mut("web") {
        web.version = 2;
        web.since = sim.moment();
        web.count = 12;
    }
    all.lock().remove("db");
    sim.wake(0);
    settle(&mut sim, slice::from_ref(&all), 1);
    all.lock().clear();
    sim.wake(0);
    let empty = sim.until(60_000, |s| s.running().count() == 0 && s.task_count() == Some(0));
    assert!(empty, "nothing is left: {}", describe(&sim, &[all]));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let all = wishes([("web", Wish::new(20))]);
        let mut sim = Sim::seeded(seed)
            .nodes(4)
            .scheduler(scheduler("one"), factory(&all));
        let mut faults = Vec::new();
        for _ in 0..20 {
            sim.run_for(700);
            faults.push(sim.misfortune());
        }
        let observed = sim
            .observed(0)
            .map(|o| format!("{:?}", o.tasks().collect::<Vec<_>>()));
        (sim.now(), faults, observed)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_lost_node_is_replaced_and_its_copies_are_stopped_when_it_returns() {
    let all = wishes([("web", Wish::new(8))]);
    let mut sim = Sim::seeded(3).nodes(4).scheduler(scheduler("one"), factory(&all));
    settle(&mut sim, slice::from_ref(&all), 3);
    let node = sim.running().next().map(|(node, _)| node).unwrap();
    sim.fault(Fault::Partition(node, 120_000));
    let replaced = sim.until(100_000, |s| {
        s.observed(0)
            .is_some_and(|o| o.tasks().filter(|t| is_ready(t)).count() == 8)
            && s.running().count() > 8
    });
    assert!(replaced, "{}", describe(&sim, slice::from_ref(&all)));
    settle(&mut sim, &[all], 3);
}

/// What two schedulers' users want at first, on so many nodes.
fn everything(n: u32) -> [Wishes; 2] {
    let fixed = PortAsk {
        host: HostPort::Fixed(8080),
        protocol: Protocol::Tcp,
        ..PortAsk::default()
    };
    let dynamic = PortAsk {
        protocol: Protocol::Both,
        ..PortAsk::default()
    };
    let web = Wish {
        ports: vec![dynamic],
        ..Wish::new(n * 3)
    };
    let edge = Wish {
        ports: vec![fixed],
        ..Wish::new(n / 2)
    };
    let stubborn = Wish {
        args: vec!["stubborn".into()],
        ..Wish::new(n / 4 + 1)
    };
    let batch = Wish {
        tenant: TenantPath::new("narrow/batch").unwrap(),
        ..Wish::new(n)
    };
    [
        wishes([("web", web), ("edge", edge), ("stubborn", stubborn)]),
        wishes([("batch", batch), ("quiet", Wish::new(n / 3 + 1))]),
    ]
}

/// Another version or another count of one workload of one scheduler.
fn change_a_mind(rng: &mut Rng, sim: &mut Sim, all: &[Wishes; 2], n: u32) {
    let at = usize::try_from(rng.below(2)).unwrap();
    let moment = sim.moment();
    {
        let mut wishes = all[at].lock();
        let uids: Vec<String> = wishes.keys().cloned().collect();
        let Some(wish) = rng.pick(&uids).and_then(|uid| wishes.get_mut(uid)) else {
            return;
        };
        if rng.per_mille(500) {
            wish.version += 1;
            wish.since = moment;
        } else {
            let count = u32::try_from(rng.below(u64::from(wish.count) + 3)).unwrap();
            wish.count = count.min(n / 2 + 1);
        }
    }
    sim.wake(at);
}

/// A cluster with everything in it, through so many misfortunes, while its users change their minds.
fn storm(seed: u64, nodes: usize, misfortunes: u32) {
    let mut rng = Rng::new(seed ^ 0xABCD);
    let n = u32::try_from(nodes).unwrap();
    let all = everything(n);
    let mut sim = Sim::seeded(seed)
        .temper(Temper {
            flaky: 20,
            no_image: 5,
            mortal: 10,
        })
        .nodes(nodes)
        .scheduler(scheduler("one"), factory(&all[0]))
        .scheduler(scheduler("two"), factory(&all[1]));
    // Room for what is wanted and not for what a rollout would like to have besides.
    let limit = Amounts {
        slots: u64::from(n),
        ..Amounts::default()
    };
    sim.tenant(Tenant {
        limit,
        ..Tenant::new(TenantPath::new("narrow").unwrap())
    });
    for _ in 0..misfortunes {
        sim.run_for(rng.between(10, 3_000));
        sim.misfortune();
        if rng.per_mille(200) {
            change_a_mind(&mut rng, &mut sim, &all, n);
        }
        assert_sound(&mut sim, seed);
    }
    settle(&mut sim, &all, seed);
    println!(
        "seed {seed}: {} events in {} s",
        sim.event_count(),
        sim.now() / 1000
    );
}

/// What three workloads want of a pool that is too small for all of it.
fn scarce() -> [Wishes; 2] {
    let path = |name| TenantPath::new(name).unwrap();
    let core = |count| Wish {
        charge: Amounts::task(1_000, 16 << 20, 0),
        ..Wish::new(count)
    };
    let keep_seats = |count| Policy {
        keep_seats: true,
        ..Policy::marathon(count, 0.5, 0.0, false)
    };
    let gold = Wish {
        tenant: path("gold"),
        policy: keep_seats,
        ..core(8)
    };
    let urgent = Wish {
        tenant: path("poor"),
        priority: 5,
        may_preempt: true,
        ..core(2)
    };
    let batch = Wish {
        tenant: path("poor"),
        min_healthy: Some(2),
        ..core(16)
    };
    [
        wishes([("gold", gold)]),
        wishes([("batch", batch), ("urgent", urgent)]),
    ]
}

/// A pool that is too small, where what one tenant is guaranteed is lent and taken back over and over.
fn scarcity(seed: u64, misfortunes: u32) {
    let mut rng = Rng::new(seed ^ 0x90_1D);
    let all = scarce();
    let mut sim = Sim::seeded(seed)
        .nodes(4)
        .scheduler(scheduler("one"), factory(&all[0]))
        .scheduler(scheduler("two"), factory(&all[1]));
    let guarantee = Amounts::task(8_000, 1 << 30, 0);
    sim.tenant(Tenant {
        guarantee: Amounts {
            slots: 8,
            ..guarantee
        },
        ..Tenant::new(TenantPath::new("gold").unwrap())
    });
    for _ in 0..misfortunes {
        sim.run_for(rng.between(100, 6_000));
        sim.misfortune();
        if rng.per_mille(400) {
            let moment = sim.moment();
            if let Some(gold) = all[0].lock().get_mut("gold") {
                match rng.below(3) {
                    0 => (gold.version, gold.since) = (gold.version + 1, moment),
                    _ => gold.count = 8 - gold.count.min(8),
                }
            }
            sim.wake(0);
        }
        assert_sound(&mut sim, seed);
    }
    sim.calm();
    if let Some(gold) = all[0].lock().get_mut("gold") {
        gold.count = 8;
    }
    sim.wake(0);
    let ready = |sim: &Sim, at: usize, uid: &str| {
        let observed = sim.observed(at);
        observed.map_or(0, |o| o.workload(uid).filter(|t| is_ready(t)).count())
    };
    let fair = sim.until(600_000, |s| {
        let (gold, batch, urgent) = (ready(s, 0, "gold"), ready(s, 1, "batch"), ready(s, 1, "urgent"));
        s.is_whole() && (gold, batch, urgent) == (8, 6, 2)
    });
    assert_sound(&mut sim, seed);
    assert!(
        fair,
        "seed {seed}: gold has not all it is guaranteed: {}",
        describe(&sim, &all)
    );
    if let Some(batch) = all[1].lock().get_mut("batch") {
        batch.count = 6;
    }
    sim.wake(1);
    settle(&mut sim, &all, seed);
}

#[test]
fn what_is_guaranteed_is_lent_and_taken_back_through_storms() {
    for seed in seeds(0..30) {
        scarcity(seed, 25);
    }
}

pub(crate) fn seeds(usual: Range<u64>) -> Range<u64> {
    let asked = std::env::var("STORM_SEEDS").ok();
    asked.map_or(usual, |text| {
        let (from, to) = text.split_once("..").expect("STORM_SEEDS is FROM..TO");
        from.parse().unwrap()..to.parse().unwrap()
    })
}

#[test]
fn small_clusters_survive_many_storms() {
    for seed in seeds(0..40) {
        storm(seed, 5, 40);
    }
}

#[test]
fn a_hundred_nodes_survive_a_storm() {
    storm(100, 100, 300);
}

#[test]
fn the_checker_sees_what_a_lying_disk_loses() {
    let all = wishes([("web", Wish::new(8))]);
    let mut sim = Sim::seeded(5).nodes(4).scheduler(scheduler("one"), factory(&all));
    settle(&mut sim, slice::from_ref(&all), 5);
    if let Some(web) = all.lock().get_mut("web") {
        web.count = 12;
    }
    sim.wake(0);
    let more = sim.until(5_000, |s| s.task_count().is_some_and(|n| n > 8));
    assert!(more);
    sim.fault(Fault::LyingDisk);
    sim.run_for(30_000);
    assert!(!sim.violations().is_empty(), "a disk that lies is found out");
}
