//! Who `why` says goes before a task is who does: the order that readers work out, held against the one in which the
//! core places when the room of one who held everything comes free.

use crate::world::{World, facts, node_id, seats, task_id, terms};
use plenum_broker::input::{Change, Input, TaskEvent, What};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Priority, Terms};
use plenum_model::ids::TaskId;
use plenum_model::phase::Phase;
use plenum_model::tenant::Tenant;
use plenum_model::why::Because;
use proptest::prelude::*;

const TENANTS: [&str; 6] = ["a", "a/x", "a/y", "b", "b/x", "c"];

/// Tasks that are claimed together.
#[derive(Debug, Clone)]
struct Asks {
    tenant: usize,
    cpu_millis: u64,
    memory_mib: u64,
    count: u64,
    priority: i32,
    wide: bool,
}

#[derive(Debug, Clone)]
struct Team {
    weight: u32,
    guarantee: u64,
}

fn asks() -> impl Strategy<Value = Asks> {
    (
        0..TENANTS.len(),
        1..4_u64,
        1..4_u64,
        1..4_u64,
        -1..2_i32,
        any::<bool>(),
    )
        .prop_map(|(tenant, cpu, memory, count, priority, wide)| Asks {
            tenant,
            cpu_millis: cpu * 100,
            memory_mib: memory * 100,
            count,
            priority,
            wide,
        })
}

fn team() -> impl Strategy<Value = Team> {
    (1..4_u32, 0..3_u64).prop_map(|(weight, guarantee)| Team {
        weight,
        guarantee: guarantee * 300,
    })
}

impl Asks {
    fn terms(&self, app: &str) -> Terms {
        let path = TENANTS[self.tenant];
        let top = path.split('/').next().unwrap();
        Terms {
            tenant: path.parse().unwrap(),
            priority: Priority {
                value: self.priority,
                scope: self.wide.then(|| top.parse().unwrap()),
            },
            ..terms(app, self.cpu_millis, self.memory_mib)
        }
    }
}

/// One node that somebody holds as a whole, and all of these waiting.
fn waiting(teams: &[Team], all: &[Asks]) -> (World, Vec<TaskId>) {
    let mut world = World::new();
    world.attach(facts("n1", 100_000, 100_000));
    world.claim("web", terms("all", 100_000, 100_000), seats("web", "all", 0..1));
    for (path, team) in TENANTS.iter().zip(teams) {
        // Of memory nothing is guaranteed: nobody is stopped for it, and it is only about turns.
        let guarantee = Amounts {
            cpu_millis: team.guarantee,
            ..Amounts::default()
        };
        let tenant = Tenant {
            weight: team.weight,
            guarantee,
            ..Tenant::new(path.parse().unwrap())
        };
        world.step(Input::SetTenant(tenant, "alice".into()));
    }
    let mut ids = Vec::new();
    for (n, asks) in all.iter().enumerate() {
        let app = format!("app-{n}");
        let seats = seats("web", &app, 0..asks.count);
        ids.extend(seats.iter().map(|seat| seat.id));
        assert!(world.claim("web", asks.terms(&app), seats).refused().is_empty());
    }
    (world, ids)
}

/// The tasks that a step placed, in their order.
fn placed(changes: &[Change]) -> Vec<TaskId> {
    let each = changes.iter().filter_map(|change| match change {
        Change::Happened(happened) => match &happened.what {
            What::Task(TaskEvent::Placed, task, _) => Some(task.id()),
            _ => None,
        },
        _ => None,
    });
    each.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn who_is_said_to_go_first_does(
        teams in prop::collection::vec(team(), TENANTS.len()),
        all in prop::collection::vec(asks(), 1..8),
    ) {
        let (mut world, ids) = waiting(&teams, &all);
        let mut said: Vec<(u32, TaskId, Option<TaskId>)> = Vec::new();
        for id in &ids {
            let ahead = world.view.explain(*id, false).unwrap().ahead;
            prop_assert_eq!(ahead.because.is_some(), ahead.tasks > 0);
            said.push((ahead.tasks, *id, ahead.first.first().map(|first| first.task)));
        }
        let (node, whole) = (node_id("n1"), task_id("web", "all", 0, 1));
        let freed = world.observe(&node, whole, 0, Phase::Finished);
        let order = placed(&freed.changes);
        prop_assert_eq!(order.len(), ids.len(), "there is room for all of them");
        for (ahead, id, first) in said {
            prop_assert_eq!(order[ahead as usize], id);
            prop_assert_eq!(first, (ahead > 0).then(|| order[0]));
        }
    }
}

#[test]
fn what_is_guaranteed_comes_before_priorities_shares_and_ages_and_it_is_said_so() {
    let team = |guarantee| Team { weight: 1, guarantee };
    let one = |tenant, priority| Asks {
        tenant,
        cpu_millis: 100,
        memory_mib: 100,
        count: 1,
        priority,
        wide: false,
    };
    let teams = [team(0), team(0), team(0), team(900), team(0), team(0)];
    let (world, ids) = waiting(&teams, &[one(0, 0), one(0, 1), one(5, 0), one(3, 0)]);
    let because = |at: usize| world.view.explain(ids[at], false).unwrap().ahead.because;
    assert_eq!(because(3), None);
    assert_eq!(because(0), Some(Because::Guarantee));
    assert_eq!(because(2), Some(Because::Guarantee));
}
