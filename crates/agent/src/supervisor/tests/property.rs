//! Whatever happens in whatever order, with the agent dying at any effect: never two live incarnations, nothing
//! started that is not assigned, no number used twice, nothing reported that is not on disk (all checked by the
//! world at every effect); and when things calm down, broker and engine agree on every task.

use super::world::*;
use plenum_contract::runtime::FoundState;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use plenum_model::spec::Restart;
use plenum_model::task::{ContainerState, ContainerStatus, ExitReason};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Want(u64, Restart, Desired),
    Remove(u64),
    Work(usize, u8),
    Exit(u64, i32),
    ExitAny(usize, i32),
    Pass(u64),
    Ack,
    Detach,
    Attach,
    DieAt(usize),
    Crash,
    Reboot,
}

fn op() -> impl Strategy<Value = Op> {
    let slot = prop_oneof![3 => 0..3_u64, 2 => Just(SEVERAL)];
    let restart = prop_oneof![
        Just(Restart::Never),
        Just(Restart::Always),
        Just(Restart::OnFailure { max: 1 }),
    ];
    let desired = prop_oneof![
        4 => Just(Desired::Running),
        2 => Just(Desired::Stopped),
        1 => Just(Desired::Held { deadline_ms: 1 }),
    ];
    prop_oneof![
        6 => (slot.clone(), restart, desired).prop_map(|(s, r, d)| Op::Want(s, r, d)),
        2 => slot.clone().prop_map(Op::Remove),
        20 => (any::<usize>(), 0..10_u8).prop_map(|(i, f)| Op::Work(i, f)),
        4 => (0..3_u64, 0..2).prop_map(|(s, c)| Op::Exit(s, c)),
        6 => (0..5_usize, 0..2).prop_map(|(n, c)| Op::ExitAny(n, c)),
        4 => prop_oneof![Just(50_u64), Just(300), Just(20_000)].prop_map(Op::Pass),
        2 => Just(Op::Ack),
        1 => Just(Op::Detach),
        2 => Just(Op::Attach),
        4 => (0..6_usize).prop_map(Op::DieAt),
        1 => Just(Op::Crash),
        1 => Just(Op::Reboot),
    ]
}

fn apply(w: &mut World, op: Op) {
    match op {
        // An id is never used again: a slot that was removed stays unused.
        Op::Want(s, _, _) if w.broker.contains_key(&task_id(s)) && !w.wanted.contains_key(&task_id(s)) => {}
        Op::Want(s, r, d) => w.want(s, r, d),
        Op::Remove(s) => w.remove(s),
        Op::Work(i, 0) => w.work(i, Fate::Fails { done_anyway: true }),
        Op::Work(i, 1) => w.work(i, Fate::Fails { done_anyway: false }),
        Op::Work(i, 2) => w.away(i),
        Op::Work(i, _) => w.work(i, Fate::Well),
        Op::Exit(s, code) => w.exit(s, code),
        Op::ExitAny(n, code) => w.exit_any(SEVERAL, n, code),
        Op::Pass(ms) => w.pass(ms),
        Op::Ack => w.ack(),
        Op::Detach => w.detach(),
        Op::Attach => w.attach(),
        Op::DieAt(i) => w.die_at = Some(i),
        Op::Crash => w.crash(),
        Op::Reboot => w.reboot(),
    }
}

/// What is told of each container of a task is what its engine has.
fn agree_on_several(w: &World, desired: Desired) {
    let status = w.status(SEVERAL);
    let runs = |name: &str| {
        let mut all = w.engine.iter();
        all.any(|(k, s)| k.task == task_id(SEVERAL) && k.container == name && *s == FoundState::Running)
    };
    let told = |c: &ContainerStatus| matches!(c.state, ContainerState::Running { .. });
    for c in &status.containers {
        assert!(!told(c) || c.id.is_some(), "runs without a name: {c:?}");
        assert_eq!(told(c), runs(&c.name), "{c:?} in {status:?}");
    }
    if status.phase().is_terminal() {
        assert_eq!(w.runs(SEVERAL), 0, "its sandbox goes before its end is told");
        return;
    }
    assert!(runs(""), "its sandbox is there: {status:?}");
    match desired {
        Desired::Stopped => panic!("it was to stop: {status:?}"),
        Desired::Held { .. } => {}
        // Its init container runs until somebody ends it.
        Desired::Running if status.phase() == Phase::Starting => assert!(runs("setup"), "{status:?}"),
        Desired::Running => assert_eq!(status.phase(), Phase::Running, "{status:?}"),
    }
}

fn agree(w: &World) {
    if let Some((assigned, _)) = w.wanted.get(&task_id(SEVERAL)) {
        agree_on_several(w, assigned.desired);
    }
    for (id, (assigned, _)) in w.wanted.iter().filter(|(id, _)| **id != task_id(SEVERAL)) {
        let status = &w.broker[id];
        let running = w
            .engine
            .iter()
            .any(|(k, s)| k.task == *id && *s == FoundState::Running);
        assert_eq!(running, status.phase() == Phase::Running, "{id}: {status:?}");
        let rests = status.phase().is_terminal() || status.phase() == Phase::Prepared;
        assert!(running || rests, "{id} neither runs nor rests: {status:?}");
        match assigned.desired {
            Desired::Stopped => assert!(status.phase().is_terminal(), "{id}: {status:?}"),
            Desired::Running => assert_ne!(status.phase(), Phase::Prepared, "{id}"),
            Desired::Held { .. } => {}
        }
        if let Some(exit) = &status.exit
            && matches!(exit.reason, ExitReason::Exited)
        {
            let key = w
                .engine
                .iter()
                .find(|(k, _)| k.task == *id && k.incarnation == status.progress.incarnation);
            assert_eq!(
                key.map(|(_, s)| s),
                Some(&FoundState::Ended(exit.clone())),
                "{id}: the very exit"
            );
        }
    }
    let stray = w.engine.keys().find(|k| !w.wanted.contains_key(&k.task));
    assert_eq!(stray, None, "removed tasks leave nothing");
    let remembered = w
        .supervisor
        .memory()
        .tasks
        .keys()
        .find(|id| !w.wanted.contains_key(id));
    assert_eq!(remembered, None);
    let ended = w
        .broker
        .get(&task_id(WITH_FILES))
        .is_none_or(|s| s.phase().is_terminal());
    let gone = !w.wanted.contains_key(&task_id(SEVERAL));
    if gone {
        assert!(
            w.volumes.is_empty(),
            "volumes outlive their task: {:?}",
            w.volumes
        );
    }
    if ended {
        assert!(w.files.is_empty(), "files outlive their task: {:?}", w.files);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_broker_and_engine_agree_in_the_end(ops in prop::collection::vec(op(), 1..100)) {
        let mut w = World::new();
        for op in ops {
            apply(&mut w, op);
        }
        w.die_at = None;
        w.detach();
        w.attach();
        w.settle();
        w.ack();
        agree(&w);
    }
}
