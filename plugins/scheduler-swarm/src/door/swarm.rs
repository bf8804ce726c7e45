//! `/swarm`: the cluster, which is there from the start.

use super::look::{flag, query, version};
use super::reply::{empty, ok};
use crate::error::{ApiError, ApiResult};
use crate::go_json::Names;
use crate::ids;
use crate::service::cluster::{self, ClusterRecord};
use crate::state::{DoorState, Shared};
use crate::store::Edits;
use crate::time::rfc3339;
use axum::extract::State;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Clients print `docker swarm join --token TOKEN ADDR`, where ADDR is that of the broker. No daemon can join the
/// pool, so what stands for the token ends that line and begins the one that works.
const JOIN_AGENT: &str =
    "is not how a machine joins this pool. Run its agent there in place of it:\n\n    plenum agent --broker";
/// The same for managers: who manages is no node here.
const JOIN_BROKER: &str = "is not how this pool is managed: its broker does that, no node. \
    A machine joins by running the agent:\n\n    plenum agent --broker";

/// The cluster as clients read it; `tokens`: with how to join.
pub(super) fn object(state: &DoorState, tokens: bool) -> Value {
    let desired = state.desk.desired();
    let Some(stored) = desired.cluster.get(cluster::KEY) else {
        return Value::Null;
    };
    let mut out = json!({
        "ID": stored.id,
        "Version": {"Index": stored.index},
        "CreatedAt": rfc3339(stored.created_at),
        "UpdatedAt": rfc3339(stored.updated_at),
        "Spec": {
            "Name": "default", "Labels": stored.labels,
            "Orchestration": {"TaskHistoryRetentionLimit": stored.task_history},
            "Raft": {"SnapshotInterval": 10000, "KeepOldSnapshots": 0, "LogEntriesForSlowFollowers": 500,
                     "ElectionTick": 10, "HeartbeatTick": 1},
            "Dispatcher": {"HeartbeatPeriod": 5_000_000_000_i64},
            "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000_i64},
            "TaskDefaults": {},
            "EncryptionConfig": {"AutoLockManagers": false},
        },
        "TLSInfo": {}, "RootRotationInProgress": false, "DefaultAddrPool": [], "SubnetSize": 24,
        "DataPathPort": 4789,
    });
    if tokens && let Some(fields) = out.as_object_mut() {
        fields.insert(
            "JoinTokens".to_owned(),
            json!({"Worker": JOIN_AGENT, "Manager": JOIN_BROKER}),
        );
    }
    out
}

/// Makes the cluster's record at the first start.
pub(crate) async fn ensure(state: &DoorState) -> Result<(), ApiError> {
    if super::system::has_cluster(state) {
        return Ok(());
    }
    let now = state.now_ms();
    let task_history = i64::from(state.config.task_history_limit);
    let record = ClusterRecord {
        id: ids::random(),
        task_history,
        labels: BTreeMap::new(),
        created_at: now,
        updated_at: now,
    };
    let make = move |desired: &crate::store::Desired| {
        let mut edits = Edits::new();
        if desired.cluster.is_empty() {
            edits.create(record);
        }
        Ok(edits)
    };
    state.desk.change(make).await.map(|_| ())
}

pub(super) async fn inspect(State(state): State<Shared>) -> ApiResult {
    ensure(&state).await?;
    ok(&object(&state, true))
}

pub(super) async fn init() -> ApiError {
    ApiError::unavailable(
        "This node is already part of a swarm. Use \"docker swarm leave\" to leave this swarm and join another one.",
    )
}

pub(super) async fn join(State(state): State<Shared>) -> ApiError {
    let broker = match state.config.broker_address.as_str() {
        "" => "ADDRESS:PORT",
        known => known,
    };
    ApiError::unavailable(format!(
        "This node is already part of a swarm. Another machine joins it by running `plenum agent --broker {broker}`, not through this door."
    ))
}

pub(super) async fn leave() -> ApiError {
    ApiError::unavailable(
        "The pool cannot be left through this door: a machine leaves when its agent is stopped and `plenum node remove` removes it.",
    )
}

pub(super) async fn no_lock() -> ApiError {
    ApiError::bad("swarm is not locked")
}

pub(super) async fn unlock_key() -> ApiResult {
    ok(&json!({"UnlockKey": ""}))
}

pub(super) async fn update(State(state): State<Shared>, uri: Uri, body: Bytes) -> ApiResult {
    ensure(&state).await?;
    let query = query(&uri);
    let version = version(&query, "swarm")?;
    for key in [
        "rotateWorkerToken",
        "rotateManagerToken",
        "rotateManagerUnlockKey",
    ] {
        if flag(&query, key) {
            return Err(ApiError::not_served(format!(
                "{key} is not served: machines join by running `plenum agent`, without a token"
            )));
        }
    }
    let names = Names::new(
        &[
            "Orchestration",
            "TaskHistoryRetentionLimit",
            "EncryptionConfig",
            "AutoLockManagers",
        ],
        &["Labels"],
    );
    let spec: Value = names.read(&body)?;
    if spec["EncryptionConfig"]["AutoLockManagers"] == json!(true) {
        return Err(ApiError::not_served("autolock is not served by Plenum"));
    }
    let history = spec["Orchestration"]["TaskHistoryRetentionLimit"].as_i64();
    let labels: BTreeMap<String, String> = serde_json::from_value(spec["Labels"].clone()).unwrap_or_default();
    let now = state.now_ms();
    state
        .desk
        .change(move |desired| {
            let mut edits = Edits::new();
            let stored = desired.cluster.get(cluster::KEY);
            let stored = stored
                .filter(|s| s.index == version)
                .ok_or_else(ApiError::out_of_sequence)?;
            let mut record = stored.record.clone();
            record.task_history = history.unwrap_or(record.task_history);
            record.labels = labels;
            record.updated_at = now;
            edits.replace(stored, record);
            Ok(edits)
        })
        .await?;
    Ok(empty(StatusCode::OK))
}
