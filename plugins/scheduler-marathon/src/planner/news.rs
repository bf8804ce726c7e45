//! What the pool says that happened to tasks: launch delays that follow from it, and events.

use super::MarathonPlanner;
use crate::answer::task::host_of;
use crate::desired::AppRecord;
use crate::events::{Body, EventAddress, StatusUpdate};
use crate::instance::{Condition, State, condition, stamp};
use crate::path::AppId;
use crate::stamp::Stamp;
use plenum_model::task::Task;
use plenum_sdk::time::Moment;
use std::sync::Arc;

impl MarathonPlanner {
    pub(super) fn task_changed(&self, now: Moment, before: Option<&Task>, after: &Task) {
        let record = self.record_of(after);
        if let (Some(record), Some(before)) = (&record, before) {
            self.health_changed(now, before, after, record.app_of(after));
        }
        let is = condition(after);
        let news = before.is_some() || after.status.claimed_at >= self.began.0;
        if before.map(condition) == Some(is) || !news {
            return;
        }
        if let Some(record) = record {
            self.note_launch(now, &record, is, after);
        }
        // the tasks of an app that is gone already still end
        if let Condition::Active(state) | Condition::Ended(state) = is {
            self.hub.publish(stamp(now.0), || {
                let id = AppId::from_root(&after.terms.workload.name);
                Body::StatusUpdate(self.status_update(id, state, after))
            });
        }
    }

    /// What the launch delay of an app learns from a task.
    fn note_launch(&self, now: Moment, record: &AppRecord, is: Condition, task: &Task) {
        let version: Option<Stamp> = task.terms.workload.version.parse().ok();
        let Some(version) = version else { return };
        let key = (record.app.id.clone(), version);
        self.launches.with(|l| match is {
            Condition::Ended(state) if state.delays_launch() && !task.released => {
                l.delays.failed(key, record.app.config.backoff, now);
            }
            Condition::Active(State::TaskRunning) => l.delays.started(&key, now),
            Condition::Ended(_) | Condition::Active(_) | Condition::Scheduled => {}
        });
    }

    fn status_update(&self, app_id: AppId, state: State, task: &Task) -> StatusUpdate {
        let address = task.status.address.clone();
        StatusUpdate {
            slave_id: host_of(task, None),
            task_id: task.seat.name.clone(),
            task_status: state,
            message: task
                .status
                .exit
                .as_ref()
                .map_or_else(|| task.status.message.clone(), |e| e.message.clone()),
            app_id,
            host: self.host(task),
            ip_addresses: address
                .into_iter()
                .map(|ip_address| EventAddress {
                    protocol: if ip_address.contains(':') { "IPv6" } else { "IPv4" },
                    ip_address,
                })
                .collect(),
            ports: task.status.ports.clone(),
            version: task.terms.workload.version.clone(),
        }
    }

    /// The address of a task's node, or the node's name.
    pub(super) fn host(&self, task: &Task) -> String {
        let node = task.status.node.as_ref();
        node.and_then(|n| self.addresses.get(n))
            .cloned()
            .unwrap_or_else(|| host_of(task, None))
    }

    fn record_of(&self, task: &Task) -> Option<Arc<AppRecord>> {
        let id = AppId::from_root(&task.terms.workload.name);
        let desired = self.desk.desired();
        let record = desired.app(&id)?;
        (record.uid == task.terms.workload.uid).then(|| Arc::clone(record))
    }
}
