use super::*;
use crate::container::record::Record;
use crate::store::Record as _;
use plenum_contract::broker::{WatchBatch, WatchEvent, WatchPart};
use plenum_model::ids::{Cursor, Generation, NodeId, SchedulerId, TenantPath};
use plenum_model::phase::Progress;
use plenum_model::task::{Exit, ExitReason, Status};
use serde_json::json;

const NOW: Moment = Moment(1_000);

fn scheduler() -> SchedulerId {
    SchedulerId::new("swarm").unwrap()
}

fn container(wanted: Wanted, auto_remove: bool, removing: bool) -> Container {
    let record = Record {
        id: "c".repeat(64),
        name: "web".to_owned(),
        created_nanos: 1,
        tenant: TenantPath::new("default").unwrap(),
        body: json!({ "Image": "busybox", "HostConfig": { "AutoRemove": auto_remove } }),
        wanted,
        removing,
    };
    Container::try_from(record).unwrap()
}

fn book(container: &Container) -> Book {
    let mut book = Book::default();
    Container::table(&mut book).insert_for_test(container.clone());
    book
}

fn seen(container: &Container, phase: Phase, incarnation: u32, desired: Desired) -> Observed {
    let mut observed = Observed::new(scheduler());
    let id = TaskId::derive(&scheduler(), &container.own.id, SLOT, 0);
    let mut status = Status::pending(1);
    status.progress = Progress {
        incarnation: Incarnation(incarnation),
        phase,
    };
    status.node = (phase != Phase::Pending).then(|| NodeId::new("n1").unwrap());
    status.exit = phase.is_terminal().then(|| Exit {
        code: Some(0),
        signal: None,
        reason: ExitReason::Exited,
        message: String::new(),
    });
    let task = Task {
        scheduler: scheduler(),
        seat: Seat::new(id, "web", SLOT),
        terms: Arc::clone(&container.lowered.terms),
        generation: Generation(3),
        desired,
        released: false,
        status,
    };
    let batch = WatchBatch {
        cursor: Cursor(1),
        part: WatchPart::SnapshotEnd,
        events: vec![WatchEvent::Task(Arc::new(task))],
    };
    observed.apply(NOW, batch);
    observed
}

fn run(incarnation: u32) -> Wanted {
    Wanted::Running(Run {
        attempt: 0,
        incarnation,
    })
}

fn decide(container: &Container, observed: &Observed) -> (Plan, Vec<Note>) {
    plan(&book(container), observed, &Watched::new(), |_| false)
}

const HELD: Desired = Desired::Held { deadline_ms: 600_000 };

#[test]
fn what_came_and_went_unseen_is_told_in_order() {
    let of = |phase, incarnation, started: Option<u64>| {
        let container = container(Wanted::Created, false, false);
        let observed = seen(&container, phase, incarnation, Desired::Running);
        let mut task = (**task_of(&observed, &container.own.id).unwrap()).clone();
        task.status.started_at = started;
        task
    };
    let told = |before: &Task, after: &Task| happened(before, after).collect::<Vec<_>>();
    let (new, made) = (of(Phase::Pending, 0, None), of(Phase::Prepared, 0, None));
    let (runs, ended) = (of(Phase::Running, 0, Some(1)), of(Phase::Finished, 0, Some(1)));
    assert_eq!(told(&new, &ended), ["create", "start", "die"]);
    assert_eq!(told(&made, &runs), ["start"]);
    assert_eq!(told(&made, &ended), ["start", "die"]);
    assert_eq!(told(&runs, &ended), ["die"]);
    assert_eq!(told(&new, &of(Phase::Failed, 0, None)), [""; 0]);
    assert_eq!(told(&ended, &of(Phase::Running, 1, Some(2))), ["start"]);
}

#[test]
fn a_new_container_is_claimed_held_and_started_when_that_is_wanted() {
    let new = container(Wanted::Created, false, false);
    let (plan, _) = decide(&new, &Observed::new(scheduler()));
    assert_eq!(plan.claims.len(), 1);
    assert!(matches!(plan.claims[0].terms.desired, Desired::Held { .. }));

    let (plan, _) = decide(&new, &seen(&new, Phase::Prepared, 0, HELD));
    assert!(plan.is_empty(), "it is held until somebody starts it");

    let started = container(run(0), false, false);
    let (plan, _) = decide(&started, &seen(&started, Phase::Prepared, 0, HELD));
    assert_eq!(plan.amends[0].change, Amendment::Desired(Desired::Running));
    assert_eq!(plan.amends[0].generation, Generation(3));
}

#[test]
fn what_ended_by_itself_stays_so_until_another_run_is_wanted() {
    for (wanted, amends) in [(run(0), 0), (run(1), 1), (Wanted::Stopped, 0)] {
        let it = container(wanted, false, false);
        let (plan, notes) = decide(&it, &seen(&it, Phase::Finished, 0, Desired::Running));
        assert_eq!((plan.amends.len(), notes.len()), (amends, 0), "{wanted:?}");
        assert!(plan.claims.is_empty() && plan.forgets.is_empty(), "{wanted:?}");
    }
}

#[test]
fn what_runs_is_stopped_when_that_is_wanted_and_started_again_only_when_it_has_ended() {
    let it = container(Wanted::Stopped, false, false);
    let (plan, _) = decide(&it, &seen(&it, Phase::Running, 0, Desired::Running));
    assert_eq!(plan.amends[0].change, Amendment::Desired(Desired::Stopped));
    let again = container(run(1), false, false);
    let (plan, _) = decide(&again, &seen(&again, Phase::Stopping, 0, Desired::Stopped));
    assert!(plan.is_empty(), "it is still stopping");
}

#[test]
fn removal_ends_then_forgets_and_then_takes_the_record_away() {
    let it = container(run(0), false, true);
    let (plan, _) = decide(&it, &seen(&it, Phase::Running, 0, Desired::Running));
    assert_eq!(plan.releases.len(), 1);
    let (plan, _) = decide(&it, &seen(&it, Phase::Stopped, 0, Desired::Stopped));
    assert_eq!(plan.forgets.len(), 1);
    let (plan, notes) = decide(&it, &Observed::new(scheduler()));
    assert!(plan.is_empty());
    assert_eq!(notes, [Note::Gone(it.own.id.clone())]);
}

#[test]
fn one_that_removes_itself_goes_after_its_run_and_not_under_its_readers() {
    let it = container(run(0), true, false);
    let ended = seen(&it, Phase::Finished, 0, Desired::Running);
    assert_eq!(decide(&it, &ended).1, [Note::Expired(it.own.id.clone())]);
    let watched = Watched::from([it.own.id.clone()]);
    let (plan, notes) = plan(&book(&it), &ended, &watched, |_| false);
    assert!(plan.is_empty() && notes.is_empty());
    let never_ran = container(Wanted::Created, true, false);
    let held_too_long = seen(&never_ran, Phase::Stopped, 0, Desired::Stopped);
    assert!(
        decide(&never_ran, &held_too_long).1.is_empty(),
        "it has not run yet"
    );
}

#[test]
fn a_task_that_no_record_wants_is_ended() {
    let it = container(run(0), false, false);
    let observed = seen(&it, Phase::Running, 0, Desired::Running);
    let (plan, _) = plan(&Book::default(), &observed, &Watched::new(), |_| false);
    assert_eq!(plan.releases.len(), 1);
}
