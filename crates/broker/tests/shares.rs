//! The order of admission, held against progressive filling as it is defined: whoever has the lowest share is given
//! one task more, until nobody who asks finds room. Shares are exact here, too, but counted in another way.

use crate::world::{MIB, World, facts, seats, terms};
use plenum_model::amounts::Amounts;
use plenum_model::tenant::Tenant;
use proptest::prelude::*;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

/// Tasks that ask the same, all of one tenant.
#[derive(Debug, Clone)]
struct Asks {
    tenant: usize,
    cpu: u64,
    memory: u64,
    count: u64,
    priority: i32,
    /// Whether its priority counts among all below the tenant above.
    wide: bool,
}

#[derive(Debug, Clone)]
struct Team {
    weight: u32,
    guarantee: u64,
    /// 0: none.
    limit: u64,
}

/// Two levels: each tenant at the top has two below it, whose path ends in `/0` and `/1`.
const TOPS: usize = 3;

fn path(tenant: usize) -> String {
    if tenant < TOPS {
        format!("t{tenant}")
    } else {
        format!("t{}/{}", (tenant - TOPS) / 2, (tenant - TOPS) % 2)
    }
}

fn above(tenant: usize) -> Option<usize> {
    tenant.checked_sub(TOPS).map(|below| below / 2)
}

fn top(tenant: usize) -> usize {
    above(tenant).unwrap_or(tenant)
}

/// `a / b` beside `c / d`.
fn fractions((a, b): (u128, u128), (c, d): (u128, u128)) -> Ordering {
    (a * d).cmp(&(c * b))
}

/// How a tenant stands, the priority that counts, and whom it puts forward.
type Front = ((bool, (u128, u128)), i32, usize);

/// The reference.
struct Filling<'a> {
    teams: &'a [Team],
    asks: &'a [Asks],
    capacity: (u64, u64),
    placed: Vec<u64>,
}

impl Filling<'_> {
    fn sum(&self, tenant: usize, own: bool) -> (u64, u64) {
        let mut sum = (0, 0);
        for (asks, placed) in self.asks.iter().zip(&self.placed) {
            if asks.tenant == tenant || (!own && above(asks.tenant) == Some(tenant)) {
                sum.0 += asks.cpu * placed;
                sum.1 += asks.memory * placed;
            }
        }
        sum
    }

    fn guarantee(&self, tenant: usize) -> u64 {
        let below = (TOPS..self.teams.len()).filter(|t| above(*t) == Some(tenant));
        let below: u64 = below.map(|t| self.teams[t].guarantee).sum();
        self.teams[tenant].guarantee.max(below)
    }

    /// How a tenant stands: whether it has all of its guarantee, and its share.
    fn stand(&self, tenant: usize, own: bool) -> (bool, (u128, u128)) {
        let (cpu, memory) = self.sum(tenant, own);
        let (guarantee, weight) = if own {
            (0, 1)
        } else {
            (self.guarantee(tenant), self.teams[tenant].weight)
        };
        let part = |over: u64, of: u64| (u128::from(over), u128::from(of) * u128::from(weight));
        let shares = [
            part(cpu.saturating_sub(guarantee), self.capacity.0),
            part(memory, self.capacity.1),
        ];
        let share = if fractions(shares[0], shares[1]).is_ge() {
            shares[0]
        } else {
            shares[1]
        };
        (!(guarantee > 0 && cpu < guarantee), share)
    }

    /// Which of these goes first. At each level every tenant puts forward the one that goes first of its own.
    fn first(&self, open: &[usize]) -> Option<usize> {
        let mut fronts = Vec::new();
        for tenant in 0..TOPS {
            let mine: Vec<_> = open
                .iter()
                .copied()
                .filter(|i| top(self.asks[*i].tenant) == tenant)
                .collect();
            if let Some(first) = self.first_below(&mine, tenant) {
                fronts.push((self.stand(tenant, false), 0, first));
            }
        }
        Self::lowest(fronts)
    }

    fn first_below(&self, open: &[usize], top: usize) -> Option<usize> {
        let mut groups: BTreeMap<(usize, i32), Vec<usize>> = BTreeMap::new();
        for i in open {
            let asks = &self.asks[*i];
            let counts = asks.wide || asks.tenant == top;
            let group = (asks.tenant, if counts { asks.priority } else { 0 });
            groups.entry(group).or_default().push(*i);
        }
        let front = |((tenant, priority), mine): ((usize, i32), Vec<usize>)| {
            let first = mine
                .into_iter()
                .min_by_key(|i| (Reverse(self.asks[*i].priority), *i))?;
            Some((self.stand(tenant, tenant == top), priority, first))
        };
        Self::lowest(groups.into_iter().filter_map(front).collect())
    }

    fn lowest(mut fronts: Vec<Front>) -> Option<usize> {
        fronts.sort_by(|(s, p, i), (t, q, j)| {
            let priority = Reverse(p).cmp(&Reverse(q));
            let share = || fractions(s.1, t.1);
            s.0.cmp(&t.0).then(priority).then_with(share).then(i.cmp(j))
        });
        fronts.first().map(|(_, _, i)| *i)
    }

    /// Whoever is first and finds no room, or has reached a limit, steps aside: there is only less of it later.
    fn fill(&mut self) {
        let mut asks: Vec<usize> = (0..self.asks.len()).collect();
        while let Some(next) = self.first(&asks) {
            let (cpu, memory) = (0..TOPS).fold((0, 0), |all, t| {
                let used = self.sum(t, false);
                (all.0 + used.0, all.1 + used.1)
            });
            let free = (self.capacity.0 - cpu, self.capacity.1 - memory);
            let wanted = &self.asks[next];
            let allowed = [Some(wanted.tenant), above(wanted.tenant)].into_iter().flatten();
            let mut allowed = allowed.filter(|t| self.teams[*t].limit > 0);
            let allowed = allowed.all(|t| self.sum(t, false).0 + wanted.cpu <= self.teams[t].limit);
            if allowed && wanted.cpu <= free.0 && wanted.memory <= free.1 {
                self.placed[next] += 1;
            } else {
                asks.retain(|i| *i != next);
            }
            asks.retain(|i| self.placed[*i] < self.asks[*i].count);
        }
    }
}

fn team() -> impl Strategy<Value = Team> {
    let rarely = || prop_oneof![3 => Just(0_u64), 1 => 1..12_u64];
    (1..5_u32, rarely(), rarely()).prop_map(|(weight, guarantee, limit)| Team {
        weight,
        guarantee: guarantee * 1_000,
        limit: limit * 1_000,
    })
}

fn asks() -> impl Strategy<Value = Asks> {
    let what = (0..TOPS * 3, 1..5_u64, 1..5_u64, 1..9_u64);
    (what, -1..2_i32, any::<bool>()).prop_map(|((tenant, cpu, memory, count), priority, wide)| Asks {
        tenant,
        cpu: cpu * 1_000,
        memory: memory * MIB,
        count,
        priority,
        wide,
    })
}

/// Claims all while there is no node, then gives one node to all of them.
fn play(teams: &[Team], asks: &[Asks], capacity: (u64, u64)) -> (World, Vec<u64>) {
    let mut world = World::new();
    for (tenant, team) in teams.iter().enumerate() {
        let set = Tenant {
            weight: team.weight,
            guarantee: Amounts {
                cpu_millis: team.guarantee,
                ..Amounts::default()
            },
            limit: Amounts {
                cpu_millis: team.limit,
                ..Amounts::default()
            },
            ..Tenant::new(path(tenant).parse().unwrap())
        };
        world.step(plenum_broker::input::Input::SetTenant(set, "alice".into()));
    }
    for (i, asks) in asks.iter().enumerate() {
        let app = format!("app{i}");
        let mut t = terms(&app, asks.cpu, asks.memory / MIB);
        t.tenant = path(asks.tenant).parse().unwrap();
        t.priority.value = asks.priority;
        if let Some(top) = above(asks.tenant).filter(|_| asks.wide) {
            t.priority.scope = Some(path(top).parse().unwrap());
        }
        world.claim("web", t, seats("web", &app, 0..asks.count));
    }
    let mut node = facts("n1", capacity.0, capacity.1 / MIB);
    node.capacity.slots = 1_000_000_000;
    world.attach(node);
    let mut placed: BTreeMap<String, u64> = BTreeMap::new();
    for id in world.view.on_node(&crate::world::node_id("n1")) {
        let task = &world.view.task(id).unwrap().task;
        *placed.entry(task.terms.workload.name.clone()).or_default() += 1;
    }
    let placed = (0..asks.len()).map(|i| placed.get(&format!("app{i}")).copied().unwrap_or(0));
    let placed = placed.collect();
    (world, placed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_admitted_is_what_progressive_filling_admits(
        teams in proptest::collection::vec(team(), TOPS * 3),
        asks in proptest::collection::vec(asks(), 1..12),
        cpu in 1..40_u64,
        memory in 1..40_u64,
    ) {
        let capacity = (cpu * 1_000, memory * MIB);
        // All below one tenant ask the same: whoever is first and finds no room then hides nobody who would.
        let sizes: BTreeMap<usize, (u64, u64)> = asks.iter().map(|a| (top(a.tenant), (a.cpu, a.memory))).collect();
        let asks: Vec<Asks> = asks
            .into_iter()
            .map(|a| Asks { cpu: sizes[&top(a.tenant)].0, memory: sizes[&top(a.tenant)].1, ..a })
            .collect();
        let mut reference = Filling { teams: &teams, asks: &asks, capacity, placed: vec![0; asks.len()] };
        reference.fill();
        let (world, placed) = play(&teams, &asks, capacity);
        prop_assert_eq!(&placed, &reference.placed);
        prop_assert_eq!(world.restored().snapshot(), world.core.snapshot());
    }
}

#[test]
fn the_systems_own_tasks_go_before_everybody_and_nobody_elses_do() {
    let config = plenum_broker::CoreConfig {
        system: Some("plenum".parse().unwrap()),
        ..plenum_broker::CoreConfig::default()
    };
    let mut world = World::with(config);
    let set = Tenant {
        guarantee: Amounts::task(9_000, 0, 0),
        ..Tenant::new("gold".parse().unwrap())
    };
    world.step(plenum_broker::input::Input::SetTenant(set, "alice".into()));
    for (scheduler, app, tenant) in [
        ("web", "a", "gold"),
        ("web", "b", "system"),
        ("plenum", "c", "gold/below"),
    ] {
        let mut t = terms(app, 1_000, 0);
        t.tenant = tenant.parse().unwrap();
        t.priority.value = i32::MAX - 1;
        world.claim(scheduler, t, seats(scheduler, app, 0..1));
    }
    let mut order = Vec::new();
    for name in ["n1", "n2", "n3"] {
        world.attach(facts(name, 1_000, 1_000));
        let id = world.view.on_node(&crate::world::node_id(name))[0];
        order.push(world.view.task(id).unwrap().task.terms.workload.name.clone());
    }
    assert_eq!(order, ["c", "a", "b"]);
}
