//! Agents come and go; tasks run on.

use crate::fake_runtime::key;
use crate::{Machine, assignment, id, until};
use plenum_contract::runtime::FoundState;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use std::sync::atomic::Ordering;

async fn running(m: &Machine, slots: u64) {
    let agent = m.agent().await;
    for slot in 0..slots {
        m.broker.want(assignment(slot, 1, Desired::Running, vec![]));
    }
    until("running", || {
        (0..slots).all(|s| m.broker.phase(id(s)) == Phase::Running)
    })
    .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_new_agent_adopts_what_runs_and_reports_what_ended_meanwhile() {
    let m = Machine::new();
    running(&m, 3).await;
    assert_eq!(
        m.runtime.state(1),
        Some(FoundState::Running),
        "a stopping agent leaves its tasks running"
    );
    m.runtime.end(&key(1), 9);
    let agent = m.agent().await;
    until("the end is known", || m.broker.phase(id(1)) == Phase::Failed).await;
    assert_eq!(m.broker.status(id(1)).exit.unwrap().code, Some(9));
    m.runtime.end(&key(2), 0);
    until("adopted", || m.broker.phase(id(2)) == Phase::Finished).await;
    assert_eq!((m.runtime.started(), m.broker.phase(id(0))), (3, Phase::Running));
    agent.stop().await;
}

#[tokio::test]
async fn tasks_of_a_runtime_that_cannot_be_asked_wait_and_are_not_given_up() {
    let m = Machine::new();
    running(&m, 1).await;
    m.runtime.away.store(true, Ordering::SeqCst);
    let agent = m.agent().await;
    assert!(agent.facts().runtimes.is_empty(), "it is left out");
    let attached = m.broker.attached();
    m.broker.hang_up();
    until("attached again", || m.broker.attached() > attached).await;
    assert_eq!(m.broker.phase(id(0)), Phase::Running);
    m.runtime.away.store(false, Ordering::SeqCst);
    m.runtime.end(&key(0), 0);
    until("asked", || m.broker.phase(id(0)) == Phase::Finished).await;
    assert_eq!(m.runtime.started(), 1);
    agent.stop().await;
}

/// Cuts the journal after every byte count in steps, as a machine that lost power would leave it, with the
/// engine as it was at that time or later: the agent always comes up, nothing runs twice, and the broker's wish
/// comes true.
#[tokio::test]
async fn from_a_journal_cut_anywhere_the_agent_comes_up_and_nothing_runs_twice() {
    let m = Machine::new();
    running(&m, 1).await;
    let whole = std::fs::read(m.journal()).unwrap();
    let engine = m.runtime.containers.lock().unwrap().clone();
    let step = whole.len() / 40;
    for cut in (0..=whole.len()).step_by(step.max(1)) {
        std::fs::write(m.journal(), &whole[..cut]).unwrap();
        m.runtime.containers.lock().unwrap().clone_from(&engine);
        let (before, seen) = (m.runtime.started(), m.broker.seen().len());
        let agent = m.agent().await;
        until("running", || m.runtime.state(0) == Some(FoundState::Running)).await;
        m.runtime.end(&key(0), 1);
        until("told", || {
            m.broker.seen()[seen..].iter().any(|o| o.exit.is_some())
        })
        .await;
        assert!(
            m.runtime.started() <= before + 1,
            "cut at {cut}: started again at most where the journal knew nothing"
        );
        agent.stop().await;
    }
}
