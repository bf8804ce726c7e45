//! The life of a task through a running agent.

use crate::fake_runtime::key;
use crate::{Machine, assignment, assignment_of, id, probed_spec, until};
use plenum_agent::StartError;
use plenum_contract::runtime::FoundState;
use plenum_model::claim::Desired;
use plenum_model::phase::Phase;
use plenum_model::task::ExitReason;

#[tokio::test]
async fn a_task_runs_stops_and_leaves_nothing() {
    let m = Machine::new();
    let agent = m.agent().await;
    assert!(agent.facts().runtimes.contains_key("fake"));
    m.broker.want(assignment(1, 1, Desired::Running, vec![]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;
    assert!(m.sandbox(1));
    m.broker.want(assignment(1, 2, Desired::Stopped, vec![]));
    until("stopped", || m.broker.phase(id(1)) == Phase::Stopped).await;
    assert_eq!(m.broker.status(id(1)).exit.unwrap().code, Some(143));
    assert!(
        m.runtime.state(1).is_some(),
        "the ended container stays with its log"
    );
    m.broker.remove(id(1));
    until("nothing left", || m.runtime.state(1).is_none() && !m.sandbox(1)).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_hundred_tasks_at_once_all_run() {
    let m = Machine::new();
    let agent = m.agent().await;
    for slot in 0..100 {
        m.broker.want(assignment(slot, 1, Desired::Running, vec![]));
    }
    until("all running", || {
        (0..100).all(|s| m.broker.phase(id(s)) == Phase::Running)
    })
    .await;
    assert_eq!(m.runtime.started(), 100);
    agent.stop().await;
}

#[tokio::test]
async fn a_taken_port_fails_the_task_by_name() {
    let m = Machine::new();
    let agent = m.agent().await;
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    m.broker.want(assignment(1, 1, Desired::Running, vec![port]));
    until("failed", || m.broker.phase(id(1)) == Phase::Failed).await;
    let exit = m.broker.status(id(1)).exit.unwrap();
    assert_eq!(exit.reason, ExitReason::Port);
    assert!(
        exit.message
            .starts_with(&format!("port {port} is taken on 127.0.0.1 by ")),
        "{}",
        exit.message
    );
    assert_eq!(m.runtime.started(), 0);
    agent.stop().await;
}

#[tokio::test]
async fn the_lease_is_kept_and_a_lost_broker_is_found_again() {
    let m = Machine::new();
    let agent = m.agent().await;
    until("heartbeats", || m.broker.heartbeats() >= 3).await;
    m.broker.want(assignment(1, 1, Desired::Running, vec![]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;
    m.broker.hang_up();
    m.runtime.end(&key(1), 4);
    until("attached again", || m.broker.attached() >= 2).await;
    until("the end is known", || m.broker.phase(id(1)) == Phase::Failed).await;
    agent.stop().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_on_every_attachment() {
    let m = Machine::new();
    m.broker.be_deaf(true);
    let agent = m.agent().await;
    m.broker.want(assignment(1, 1, Desired::Running, vec![]));
    until("running", || m.broker.phase(id(1)) == Phase::Running).await;
    m.runtime.end(&key(1), 4);
    let ends = || m.broker.seen().iter().filter(|o| o.exit.is_some()).count();
    until("end sent", || ends() == 1).await;
    m.broker.hang_up();
    until("end sent again", || ends() == 2).await;
    agent.stop().await;
}

#[tokio::test]
async fn one_agent_per_data_directory_and_the_holder_is_named() {
    let m = Machine::new();
    let agent = m.agent().await;
    match m.try_agent().await {
        Err(StartError::Locked { holder, .. }) => {
            assert_eq!(holder, format!("agent n1, pid {}", std::process::id()));
        }
        other => panic!("{other:?}"),
    }
    agent.stop().await;
    m.agent().await.stop().await;
}

#[tokio::test]
async fn a_container_that_nobody_assigned_is_destroyed() {
    let m = Machine::new();
    m.runtime
        .containers
        .lock()
        .unwrap()
        .insert(key(7), FoundState::Running);
    let agent = m.agent().await;
    until("destroyed", || m.runtime.state(7).is_none()).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_task_whose_probe_fails_is_stopped_and_told_unhealthy() {
    let m = Machine::new();
    let agent = m.agent().await;
    m.broker
        .want(assignment_of(&probed_spec(), 1, 1, Desired::Running, vec![]));
    until("failed", || m.broker.phase(id(1)) == Phase::Failed).await;
    let exit = m.broker.status(id(1)).exit.unwrap();
    assert_eq!((exit.reason, exit.code), (ExitReason::Unhealthy, Some(143)));
    assert_eq!(exit.message, "unhealthy: check exited with code 7");
    agent.stop().await;
}
