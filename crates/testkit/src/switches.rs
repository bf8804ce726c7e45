//! A second small scheduler for simulations: single tasks that users switch off and on again, as a Docker door
//! has them. The same task stops, keeps its record and its node, and is admitted again.

use crate::replicas::{Wish, spec_of, terms_of};
use parking_lot::Mutex;
use plenum_contract::broker::{Amend, Refusal};
use plenum_model::claim::{Amendment, Desired, Seat, Terms};
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::task::Task;
use plenum_sdk::observed::Observed;
use plenum_sdk::plan::{Claim, Plan};
use plenum_sdk::planner::{Change, Planner};
use plenum_sdk::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which switches there are, and whether they are on.
pub type Board = Arc<Mutex<BTreeMap<u64, bool>>>;

/// The workload of all switches.
pub const UID: &str = "switch";

/// See the module.
#[derive(Debug)]
pub struct Switches {
    board: Board,
    running: Arc<Terms>,
    /// As `docker create` does: made first, started by an amendment.
    held: Arc<Terms>,
    spec: Arc<TaskSpec>,
}

impl Switches {
    /// A planner of these switches, whose containers this runtime runs.
    #[must_use]
    pub fn new(board: Board, runtime: &str) -> Self {
        let wish = Wish::new(0);
        let spec = Arc::new(spec_of(runtime, &wish));
        let running = terms_of(UID, &wish, &spec);
        let held = Terms {
            desired: Desired::Held { deadline_ms: 20_000 },
            ..running.clone()
        };
        Self {
            board,
            running: Arc::new(running),
            held: Arc::new(held),
            spec,
        }
    }

    fn slot(&self, observed: &Observed, slot: u64, on: bool, plan: &mut Plan) {
        let mut tasks: Vec<&Arc<Task>> = observed.slot(UID, slot).collect();
        let newest = tasks.pop();
        plan.forgets.extend(
            tasks
                .iter()
                .filter(|t| t.status.phase().is_terminal())
                .map(|t| t.id()),
        );
        let Some(task) = newest.filter(|t| !t.status.phase().is_final()) else {
            let terms = if slot.is_multiple_of(2) {
                &self.running
            } else {
                &self.held
            };
            plan.claims.push(Claim {
                terms: Arc::clone(terms),
                spec: Arc::clone(&self.spec),
                seat: Seat::new(observed.next_id(UID, slot), format!("switch.{slot}"), slot),
            });
            return;
        };
        if let Some(to) = change(task, on) {
            plan.amends.push(Amend {
                task: task.id(),
                generation: task.generation,
                change: Amendment::Desired(to),
            });
        }
    }
}

/// What is to be amended, if anything can be now.
fn change(task: &Task, on: bool) -> Option<Desired> {
    let phase = task.status.phase();
    match (on, task.desired) {
        // What was admitted since its end is about to begin.
        (true, Desired::Running) if phase.is_terminal() => {
            let ended = task.status.ended_at.unwrap_or(0);
            let admitted = task.status.placed_at.is_some_and(|at| at > ended);
            (!admitted).then_some(Desired::Running)
        }
        (true, Desired::Stopped) if phase.is_terminal() => Some(Desired::Running),
        (true, Desired::Held { .. }) => Some(Desired::Running),
        // It is running, or still stopping.
        (true, Desired::Running | Desired::Stopped) => None,
        (false, Desired::Held { .. } | Desired::Running) if phase != Phase::Pending => Some(Desired::Stopped),
        (false, _) => None,
    }
}

impl Planner for Switches {
    fn plan(&mut self, _now: Moment, observed: &Observed) -> Plan {
        let board = self.board.lock().clone();
        let mut plan = Plan::default();
        for (slot, on) in board {
            self.slot(observed, slot, on, &mut plan);
        }
        plan
    }

    fn noticed(&mut self, _: Moment, _: &[Change]) {}

    fn refused(&mut self, _: Moment, _: &[Refusal]) {}
}
