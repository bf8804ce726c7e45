//! One app: how it stands, what moves of it, and the claims of what starts.

use super::MarathonPlanner;
use super::launches::Waiting;
use super::replace::{Moves, must_move, replace};
use crate::app::App;
use crate::config::MarathonConfig;
use crate::constraints::{Constraint, Operator};
use crate::desired::{AppRecord, Desired};
use crate::instance::{Condition, Instance, stamp};
use crate::lower;
use crate::names;
use crate::plan::Mode;
use crate::scale::{self, Steps};
use plenum_model::claim::{Seat, Terms};
use plenum_model::ids::TaskId;
use plenum_model::spec::TaskSpec;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan};
use plenum_sdk::time::Moment;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl MarathonPlanner {
    fn lowered(&mut self, record: &AppRecord) -> (Arc<Terms>, Arc<TaskSpec>) {
        let key = (record.uid.clone(), record.app.config_version());
        let config = &self.config;
        let lowered = self.lowered.entry(key).or_insert_with(|| {
            let spec = lower::spec(&record.app, config.cpu_cap);
            let tenant = config.tenant.tenant(&record.app.id);
            let terms = lower::terms(&record.app, &record.uid, tenant, &spec, config.node_timeout_ms());
            (Arc::new(terms), Arc::new(spec))
        });
        lowered.clone()
    }

    fn instances(
        &mut self,
        now: Moment,
        record: &AppRecord,
        observed: &Observed,
        plan: &mut Plan,
    ) -> Vec<Instance> {
        let after = inactive_after(record, &self.config);
        let look = |task: &Arc<Task>| {
            let inactive = match (after, task.status.unreachable) {
                (Some(after), true) => {
                    let due = self.silent_since.entry(task.id()).or_insert(now).plus(after);
                    if due > now {
                        plan.wake_by(due);
                    }
                    due <= now
                }
                (_, false) => {
                    self.silent_since.remove(&task.id());
                    false
                }
                (None, true) => false,
            };
            Instance::of(task, inactive, groups(&record.app, observed, task))
        };
        observed.workload(&record.uid).map(look).collect()
    }

    /// Plans one app and says whether the deployment's action on it is done.
    pub(super) fn app(
        &mut self,
        now: Moment,
        record: &AppRecord,
        desired: &Desired,
        observed: &Observed,
        plan: &mut Plan,
    ) -> bool {
        let app = &record.app;
        let instances = self.instances(now, record, observed, plan);
        let mode = desired.mode(&app.id);
        let key = (app.id.clone(), app.config_version());
        let launch_from = self.launches.with(|l| l.delays.until(&key)).unwrap_or_default();
        let Moves {
            start,
            held_back,
            done,
        } = match mode {
            Mode::Hold => Moves {
                done: true,
                ..Moves::default()
            },
            Mode::Keep if must_move(record, observed) => {
                replace(now, record, &instances, observed, launch_from, plan)
            }
            Mode::Keep => self.scale(now, record, &instances, &BTreeSet::new(), launch_from, plan),
            Mode::Scale => {
                let difference = desired
                    .deployments_of(&app.id)
                    .find_map(|d| d.plan.apps.get(&app.id));
                let victims = difference.map(|d| d.victims.clone()).unwrap_or_default();
                self.scale(now, record, &instances, &victims, launch_from, plan)
            }
            Mode::Restart => replace(now, record, &instances, observed, launch_from, plan),
        };
        self.launch(record, start, observed, plan);
        let scheduled = instances
            .iter()
            .any(|i| i.condition == Condition::Scheduled && i.counts());
        self.launches.with(|l| {
            if held_back > 0 || scheduled {
                let since = l.waiting.get(&app.id).map_or_else(|| stamp(now.0), |w| w.since);
                l.waiting.insert(app.id.clone(), Waiting { since, held_back });
            } else {
                l.waiting.remove(&app.id);
            }
        });
        done
    }

    fn scale(
        &self,
        now: Moment,
        record: &AppRecord,
        instances: &[Instance],
        victims: &BTreeSet<TaskId>,
        launch_from: Moment,
        plan: &mut Plan,
    ) -> Moves {
        let Steps { start, stop, done } = scale::scale(&record.app, instances, victims);
        stop.into_iter().for_each(|id| plan.release(id));
        if start > 0 && launch_from > now {
            plan.wake_by(launch_from);
            return Moves {
                held_back: start,
                ..Moves::default()
            };
        }
        let slots = scale::free_slots(instances, start);
        Moves {
            start: slots,
            held_back: 0,
            done,
        }
    }

    /// Claims an instance in each of these slots.
    fn launch(&mut self, record: &AppRecord, slots: Vec<u64>, observed: &Observed, plan: &mut Plan) {
        if slots.is_empty() {
            return;
        }
        let app = &record.app;
        let (terms, spec) = self.lowered(record);
        for slot in slots {
            let id = observed.next_id(&record.uid, slot);
            let name = names::task(&app.id, id);
            self.claimed.insert(id, (app.id.clone(), name.clone()));
            let seat = Seat::new(id, name, slot);
            plan.claims.push(Claim {
                terms: Arc::clone(&terms),
                spec: Arc::clone(&spec),
                seat,
            });
        }
    }
}

/// The value that the node of a task has of each `GROUP_BY` field of its app.
fn groups(app: &App, observed: &Observed, task: &Task) -> Vec<Option<String>> {
    let node = task.status.node.as_ref().and_then(|id| observed.node(id));
    let grouped = |c: &&Constraint| c.operator == Operator::GroupBy;
    let value = |c: &Constraint| c.value_of(&node?.facts).map(str::to_owned);
    let constraints = app.config.constraints.iter().filter(grouped);
    constraints.map(value).collect()
}

/// How long a node must be silent before its tasks get replacements while they themselves are kept; none if
/// they are given up no later than that.
fn inactive_after(record: &AppRecord, config: &MarathonConfig) -> Option<Duration> {
    match record.app.config.unreachable {
        crate::app::Unreachable::After {
            inactive_seconds,
            expunge_seconds,
        } if inactive_seconds < expunge_seconds => {
            let node = Duration::from_millis(config.node_timeout_ms());
            Some(node + Duration::from_secs(u64::from(inactive_seconds)))
        }
        crate::app::Unreachable::After { .. } | crate::app::Unreachable::Disabled => None,
    }
}
