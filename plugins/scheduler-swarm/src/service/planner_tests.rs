use super::*;
use crate::desk::desk;
use crate::service::world::{desired, node, observed, replicated, service, task};
use plenum_model::node::Scheduling;
use plenum_model::phase::Phase;
use plenum_store::MemoryState;
use serde_json::{Value, json};

/// What one call of a fresh planner says at this moment.
fn plan(
    now: u64,
    record: &ServiceRecord,
    tasks: Vec<Task>,
    nodes: Vec<plenum_model::node::Node>,
    change: impl Fn(&mut Desired),
) -> Plan {
    let (desk, ..) = desk(Arc::new(MemoryState::new()));
    let mut planner = ServicePlanner::new(desk, SwarmConfig::default(), Events::default());
    let mut wanted = desired(record.clone());
    change(&mut wanted);
    planner.plan(Moment(now), &wanted, &observed(tasks, nodes))
}

fn slots(plan: &Plan) -> Vec<u64> {
    plan.claims.iter().map(|c| c.seat.slot).collect()
}

fn closed(name: &str) -> plenum_model::node::Node {
    let mut node = node(name);
    node.scheduling = Scheduling::Cordoned;
    node
}

fn drains(desired: &mut Desired) {
    let record = crate::service::node::NodeRecord {
        node: NodeId::new("n1").unwrap(),
        name: String::new(),
        labels: BTreeMap::new(),
        availability: Availability::Drain,
        updated_at: 0,
    };
    desired.nodes.insert_for_test(record);
}

#[test]
fn what_is_missing_is_claimed_and_what_is_too_much_goes_from_the_fullest_node() {
    let web = service(&replicated(3), &json!({}));
    assert_eq!(slots(&plan(1, &web, vec![], vec![node("n1")], |_| {})), [1, 2, 3]);
    let mut tasks: Vec<Task> = (1..=3)
        .map(|slot| task(&web, slot, 0, Phase::Running, 0))
        .collect();
    tasks[1].status.node = Some(NodeId::new("n2").unwrap());
    let two = service(&replicated(2), &json!({}));
    let less = plan(1, &two, tasks.clone(), vec![node("n1"), node("n2")], |_| {});
    assert_eq!(
        less.releases.iter().map(|r| r.id).collect::<Vec<_>>(),
        [tasks[2].id()]
    );
}

#[test]
fn a_task_of_a_drained_node_goes_and_its_successor_starts_when_it_has_gone() {
    let web = service(&replicated(1), &json!({}));
    let runs = task(&web, 1, 0, Phase::Running, 0);
    let nodes = || vec![closed("n1"), node("n2")];
    let paused = plan(1, &web, vec![runs.clone()], nodes(), |_| {});
    assert!(paused.is_empty(), "a paused node keeps what it has");
    let first = plan(1, &web, vec![runs.clone()], nodes(), drains);
    assert_eq!(
        (first.releases.len(), first.claims.len(), first.amends.len()),
        (1, 0, 0)
    );
    let mut leaving = runs.clone();
    leaving.released = true;
    assert!(plan(1, &web, vec![leaving.clone()], nodes(), drains).is_empty());
    leaving.status.progress.phase = Phase::Stopped;
    leaving.status.ended_at = Some(1);
    assert_eq!(
        slots(&plan(1, &web, vec![leaving], nodes(), drains)),
        [1],
        "without a delay"
    );
}

#[test]
fn a_task_whose_node_is_no_longer_allowed_is_marked_and_replaced_after_the_delay() {
    let only = json!({"Placement": {"Constraints": ["node.labels.zone==a"]}});
    let web = service(&replicated(1), &only);
    let runs = task(&web, 1, 0, Phase::Running, 0);
    let first = plan(1, &web, vec![runs.clone()], vec![node("n1")], |_| {});
    let [amend] = &first.amends[..] else {
        panic!("{first:?}")
    };
    let Amendment::Labels(labels) = &amend.change else {
        panic!("{amend:?}")
    };
    assert!(labels.contains_key(EVICTED) && first.releases.len() == 1 && first.claims.is_empty());
    let mut gone = task(&web, 1, 0, Phase::Stopped, 1_000);
    Arc::make_mut(&mut gone.terms).labels.clone_from(labels);
    gone.released = true;
    let waits = plan(2_000, &web, vec![gone.clone()], vec![node("n1")], |_| {});
    assert_eq!((waits.claims.len(), waits.wake_at), (0, Some(Moment(6_000))));
    assert_eq!(
        slots(&plan(6_000, &web, vec![gone], vec![node("n1")], |_| {})),
        [1]
    );
}

#[test]
fn a_global_service_has_one_task_on_each_open_node() {
    let all = service(&json!({"Mode": {"Global": {}}}), &json!({}));
    let nodes = || vec![node("n1"), node("n2"), closed("n3")];
    let runs = task(&all, slot_of(&NodeId::new("n1").unwrap()), 0, Phase::Running, 0);
    let next = plan(1, &all, vec![runs.clone()], nodes(), |_| {});
    assert_eq!(slots(&next), [slot_of(&NodeId::new("n2").unwrap())]);
    let name = &next.claims[0].seat.name;
    assert!(
        name.starts_with(&format!("web.{}.", ids::node(&NodeId::new("n2").unwrap()))),
        "{name}"
    );
    let none = plan(
        1,
        &service(&json!({"Name": "other"}), &json!({})),
        vec![],
        vec![],
        |d| {
            d.services = crate::store::Table::default();
        },
    );
    assert_eq!(none, Plan::default());
    let removed = plan(1, &all, vec![runs], nodes(), |d| {
        d.services = crate::store::Table::default()
    });
    assert_eq!(
        (removed.releases.len(), removed.claims.len()),
        (1, 0),
        "nobody wants it any more"
    );
}

#[test]
fn the_history_of_a_slot_is_as_long_as_it_shall_be() {
    let limit = |n: i64| {
        move |d: &mut Desired| {
            d.cluster.insert_for_test(cluster::ClusterRecord {
                id: "c".to_owned(),
                task_history: n,
                labels: BTreeMap::new(),
                created_at: 0,
                updated_at: 0,
            });
        }
    };
    let table: [(i64, Value, usize); 4] = [
        (5, json!({}), 4),
        (0, json!({}), 8),
        (-1, json!({}), 0),
        (2, json!({"RestartPolicy": {"MaxAttempts": 5}}), 3),
    ];
    for (kept, more, forgotten) in table {
        let web = service(&replicated(1), &more);
        let mut tasks: Vec<Task> = (0..8).map(|n| task(&web, 1, n, Phase::Failed, 1)).collect();
        tasks.push(task(&web, 1, 8, Phase::Running, 0));
        let plan = plan(1, &web, tasks.clone(), vec![node("n1")], limit(kept));
        let oldest: Vec<TaskId> = tasks.iter().take(forgotten).map(Task::id).collect();
        assert_eq!(plan.forgets, oldest, "a limit of {kept}");
    }
}
