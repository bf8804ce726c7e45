//! What the mirror shows when acknowledgements and the watch cross each other.

use super::*;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, LostAfter, Priority, Seat, Terms, Workload};
use plenum_model::ids::TenantPath;
use plenum_model::phase::Phase;
use plenum_model::rules::Rules;
use plenum_model::spec::TaskSpec;

fn observed() -> Observed {
    Observed::new(SchedulerId::new("s").unwrap())
}

fn claim(id: TaskId, slot: u64) -> Claim {
    let spec = Arc::new(TaskSpec::default());
    let terms = Arc::new(Terms {
        workload: Workload {
            uid: "w".into(),
            ..Workload::default()
        },
        tenant: TenantPath::new("default").unwrap(),
        charge: Amounts::task(1, 1, 0),
        devices: BTreeMap::new(),
        ports: Vec::new(),
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: Rules::default(),
        lost_after: LostAfter::Never,
        priority: Priority::default(),
        may_preempt: false,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    });
    Claim {
        terms,
        spec,
        seat: Seat::new(id, "w", slot),
    }
}

fn task(o: &Observed, attempt: u32, phase: Phase) -> Arc<Task> {
    let c = claim(TaskId::derive(o.scheduler(), "w", 0, attempt), 0);
    let mut status = Status::pending(1);
    status.progress.phase = phase;
    Arc::new(Task {
        scheduler: o.scheduler().clone(),
        seat: c.seat,
        terms: c.terms,
        generation: Generation(1),
        desired: Desired::Running,
        released: false,
        status,
    })
}

fn batch(part: WatchPart, events: Vec<WatchEvent>) -> WatchBatch {
    WatchBatch {
        cursor: Cursor(1),
        part,
        events,
    }
}

fn delta(o: &mut Observed, event: WatchEvent) -> Vec<Change> {
    o.apply(Moment(5), batch(WatchPart::Delta, vec![event]))
}

#[test]
fn a_claim_shows_at_once_and_its_id_is_not_given_again() {
    let mut o = observed();
    let id = o.next_id("w", 0);
    assert_eq!(id, o.next_id("w", 0), "the same until something changes");
    o.claimed(Moment(1), &claim(id, 0));
    assert_eq!(o.slot("w", 0).count(), 1);
    assert_eq!(o.next_id("w", 0).attempt(), 1);
    let changes = delta(&mut o, WatchEvent::Task(task(&observed(), 0, Phase::Pending)));
    assert!(
        matches!(&changes[..], [Change::Task { before: None, .. }]),
        "new to whoever follows: {changes:?}"
    );
}

#[test]
fn a_snapshot_in_the_middle_keeps_what_was_acknowledged_and_drops_what_is_gone() {
    let mut o = observed();
    delta(&mut o, WatchEvent::Task(task(&observed(), 0, Phase::Running)));
    let id = o.next_id("w", 0);
    o.claimed(Moment(1), &claim(id, 0));
    let changes = o.apply(Moment(2), batch(WatchPart::SnapshotEnd, vec![]));
    assert!(
        matches!(&changes[..], [Change::Forgotten(t)] if t.id().attempt() == 0),
        "{changes:?}"
    );
    assert!(o.is_synced() && o.task(id).is_some());
    o.begin_session();
    o.apply(Moment(3), batch(WatchPart::SnapshotEnd, vec![]));
    assert_eq!(
        o.tasks().count(),
        0,
        "the snapshot of a new session has all there is"
    );
    assert_eq!(o.workloads().count(), 0);
}

#[test]
fn a_release_and_a_forgetting_are_not_undone_by_older_news() {
    let mut o = observed();
    let old = task(&o, 0, Phase::Running);
    delta(&mut o, WatchEvent::Task(Arc::clone(&old)));
    o.released(Moment(1), old.id());
    delta(&mut o, WatchEvent::Task(Arc::clone(&old)));
    assert!(o.task(old.id()).unwrap().released);
    o.forgot(old.id());
    assert!(delta(&mut o, WatchEvent::Task(Arc::clone(&old))).is_empty());
    assert!(o.task(old.id()).is_none());
    assert!(delta(&mut o, WatchEvent::Forgotten(old.id())).is_empty());
    assert_eq!(o.next_id("w", 0).attempt(), 1, "what was forgotten is used up");
}

#[test]
fn readiness_counts_from_when_it_was_seen_and_anew_after_a_restart() {
    let mut o = observed();
    let running = task(&o, 0, Phase::Running);
    o.apply(
        Moment(5),
        batch(WatchPart::Delta, vec![WatchEvent::Task(Arc::clone(&running))]),
    );
    o.apply(
        Moment(9),
        batch(WatchPart::Delta, vec![WatchEvent::Task(Arc::clone(&running))]),
    );
    assert_eq!(o.ready_since(running.id()), Some(Moment(5)));
    let mut again = Task::clone(&running);
    again.status.progress.incarnation = again.status.progress.incarnation.next();
    o.apply(
        Moment(12),
        batch(WatchPart::Delta, vec![WatchEvent::Task(Arc::new(again.clone()))]),
    );
    assert_eq!(o.ready_since(running.id()), Some(Moment(12)));
    again.status.unreachable = true;
    o.apply(
        Moment(13),
        batch(WatchPart::Delta, vec![WatchEvent::Task(Arc::new(again))]),
    );
    assert_eq!(o.ready_since(running.id()), None);
}
