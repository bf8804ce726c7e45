//! Health of instances: who is killed for it, and what is told of it. The results come from the node, the
//! decision is made here, anew from what is observed.

use super::MarathonPlanner;
use crate::answer::checks::HealthCheckAnswer;
use crate::app::App;
use crate::checks::HealthCheck;
use crate::desired::AppRecord;
use crate::events::{Body, UnhealthyKill};
use crate::instance::stamp;
use crate::names;
use crate::probes;
use crate::stamp::Stamp;
use plenum_model::phase::Phase;
use plenum_model::task::{CheckStatus, Task};
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::Plan;
use plenum_sdk::time::Moment;
use std::sync::Arc;

/// Instances that failed a check too often, while their node is heard of.
pub(super) fn unhealthy(record: &AppRecord, observed: &Observed, plan: &mut Plan) {
    let failed = |t: &&Arc<Task>| {
        may_be_killed(t)
            && !t.status.checks.is_empty()
            && !t.released
            && probes::deadly(record.app_of(t), t).is_some()
    };
    observed
        .workload(&record.uid)
        .filter(failed)
        .for_each(|t| plan.release(t.id()));
}

fn may_be_killed(task: &Task) -> bool {
    task.status.phase() == Phase::Running && !task.status.unreachable
}

impl MarathonPlanner {
    /// Tells what is new of the health checks of a task.
    pub(super) fn health_changed(&self, now: Moment, before: &Task, after: &Task, app: &App) {
        let checks = app.config.health_checks.iter().enumerate();
        for (i, check) in checks {
            let told = |task: &Task| task.status.checks.get(i).cloned();
            let was = told(before).filter(|_| before.restarts() == after.restarts());
            if let Some(is) = told(after) {
                self.check_changed(stamp(now.0), check, &was.unwrap_or_default(), &is, after, app);
            }
        }
    }

    fn check_changed(
        &self,
        now: Stamp,
        check: &HealthCheck,
        was: &CheckStatus,
        is: &CheckStatus,
        task: &Task,
        app: &App,
    ) {
        let instance_id = || names::instance(&app.id, task.id());
        let version = || task.terms.workload.version.clone();
        if is.last_failure != was.last_failure {
            self.hub.publish(now, || Body::FailedHealthCheck {
                app_id: app.id.clone(),
                task_id: instance_id(),
                health_check: HealthCheckAnswer::from(check.clone()),
            });
            let fatal = check.kills_at().is_some_and(|most| is.failures >= most);
            if fatal && may_be_killed(task) {
                self.hub.publish(now, || {
                    Body::UnhealthyInstanceKill(self.unhealthy_kill(is, task, app))
                });
            }
        }
        let alive = |c: &CheckStatus| c.passes == Some(true);
        if alive(was) != alive(is) {
            self.hub.publish(now, || Body::HealthStatusChanged {
                app_id: app.id.clone(),
                instance_id: instance_id(),
                version: version(),
                alive: alive(is),
            });
        }
        if check.protocol.is_of_node() && was.passes != is.passes {
            self.hub.publish(now, || Body::InstanceHealthChanged {
                instance_id: instance_id(),
                run_spec_id: app.id.clone(),
                healthy: alive(is),
                run_spec_version: version(),
            });
        }
    }

    fn unhealthy_kill(&self, is: &CheckStatus, task: &Task, app: &App) -> UnhealthyKill {
        let node = task.status.node.as_ref();
        UnhealthyKill {
            app_id: app.id.clone(),
            task_id: task.seat.name.clone(),
            instance_id: names::instance(&app.id, task.id()),
            version: task.terms.workload.version.clone(),
            reason: is.cause.clone(),
            host: self.host(task),
            slave_id: node.map(ToString::to_string).unwrap_or_default(),
        }
    }
}
