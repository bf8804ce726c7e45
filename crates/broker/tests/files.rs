//! Files and secrets: an agent gets what an assignment of its node names, as of the revision it names, and
//! nothing else; their bytes are no part of the log.

use crate::running::{Agent, session, soon};
use crate::world::{batch, node_id, seats, task_id, terms};
use bytes::Bytes;
use plenum_broker::{BrokerConfig, BrokerHandle, start};
use plenum_contract::dispatcher::{BrokerMessage, DispatchError, Dispatcher};
use plenum_contract::state_store::{StateStore, Write};
use plenum_model::claim::{FileRef, Terms};
use plenum_model::ids::Revision;
use plenum_store::{MemoryLog, MemoryState};
use std::sync::Arc;

const SECRET: &[u8] = b"correct horse battery staple";

async fn put(state: &MemoryState, key: &str, value: &'static [u8]) -> u64 {
    let write = Write::Put(key.into(), Bytes::from_static(value));
    let Revision(n) = state.txn(vec![], vec![write]).await.unwrap();
    n
}

fn naming(key: &str, revision: u64) -> Terms {
    let file = FileRef {
        key: key.into(),
        revision,
        target: "/run/secrets/db".into(),
        mode: 0o444,
        secret: false,
        volume: None,
    };
    Terms {
        files: vec![file],
        ..terms("a", 1, 1)
    }
}

/// A broker with one node, on which `web` has one task that names this file.
async fn with_task(
    log: &MemoryLog,
    state: &Arc<MemoryState>,
    key: &str,
    revision: u64,
) -> (BrokerHandle, Agent) {
    let broker = start(BrokerConfig::default(), Box::new(log.clone()), state.clone()).unwrap();
    let mut agent = Agent::attach(&broker, "n1").await;
    let web = session(&broker, "web").await;
    let claimed = web
        .claim(batch(naming(key, revision), seats("web", "a", 0..1)))
        .await
        .unwrap();
    assert!(claimed.refused.is_empty(), "{claimed:?}");
    let assigned = loop {
        match agent.next().await.unwrap() {
            BrokerMessage::Assignments(a) if !a.assign.is_empty() => break a,
            _ => {}
        }
    };
    assert_eq!(assigned.assign[0].terms.files[0].key, key);
    (broker, agent)
}

/// What is fetched, or what was not found.
async fn fetch(
    broker: &BrokerHandle,
    node: &str,
    slot: u64,
    key: &str,
    revision: u64,
) -> Result<Bytes, String> {
    let fetched = broker
        .fetch(node_id(node), task_id("web", "a", slot, 1), key.into(), revision)
        .await;
    fetched.map_err(|e| match e {
        DispatchError::NotFound { what } => what,
        other => panic!("{other}"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_an_assignment_of_the_node_names_is_given_out() {
    let (log, state) = (MemoryLog::new(), Arc::new(MemoryState::new()));
    put(&state, "schedulers/other/db", b"of somebody else").await;
    let revision = put(&state, "schedulers/web/db", SECRET).await;
    put(&state, "schedulers/web/db2", b"longer").await;
    put(&state, "schedulers/web/db", b"changed").await;
    let (broker, _agent) = with_task(&log, &state, "db", revision).await;
    let then = fetch(&broker, "n1", 0, "db", revision).await.unwrap();
    assert_eq!(then, SECRET, "as it was then");
    for (node, slot, key, revision) in [
        ("n2", 0, "db", revision),
        ("n1", 1, "db", revision),
        ("n1", 0, "db2", revision),
        ("n1", 0, "db", revision + 2),
        ("n1", 0, "../other/db", revision),
    ] {
        let what = fetch(&broker, node, slot, key, revision).await.unwrap_err();
        let words = format!("file {key}@{revision} in an assignment");
        assert!(what.starts_with(&words), "{what}");
    }
    soon(broker.stop()).await;
    let durable = log.durable();
    let all = durable.records.iter().chain(durable.snapshot.as_ref());
    for bytes in all {
        let found = bytes.windows(SECRET.len()).any(|w| w == SECRET);
        assert!(!found, "the bytes are in the log");
    }
    let again = start(BrokerConfig::default(), Box::new(log), state).unwrap();
    let then = fetch(&again, "n1", 0, "db", revision).await.unwrap();
    assert_eq!(then, SECRET, "after a restart");
    soon(again.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_past_that_is_not_kept_serves_if_the_key_has_not_changed_since() {
    let (log, state) = (MemoryLog::new(), Arc::new(MemoryState::with_history(2)));
    let revision = put(&state, "schedulers/web/db", SECRET).await;
    let (broker, _agent) = with_task(&log, &state, "db", revision).await;
    for _ in 0..20 {
        put(&state, "schedulers/web/noise", b"n").await;
    }
    let past = state
        .list("schedulers/web/db", Some(Revision(revision)), None, 1)
        .await;
    assert!(past.is_err(), "the past is compacted");
    assert_eq!(fetch(&broker, "n1", 0, "db", revision).await.unwrap(), SECRET);
    put(&state, "schedulers/web/db", b"changed").await;
    let what = fetch(&broker, "n1", 0, "db", revision).await.unwrap_err();
    assert_eq!(what, format!("value of `db` at revision {revision} of web"));
    soon(broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_never_was_or_is_still_to_come_is_not_found_by_name() {
    for revision in [1, 1_000] {
        let (log, state) = (MemoryLog::new(), Arc::new(MemoryState::new()));
        put(&state, "schedulers/web/dbx", b"of another key").await;
        let (broker, _agent) = with_task(&log, &state, "db", revision).await;
        let what = fetch(&broker, "n1", 0, "db", revision).await.unwrap_err();
        assert_eq!(what, format!("value of `db` at revision {revision} of web"));
        soon(broker.stop()).await;
    }
}
