//! What would happen if: the same core on a copy of the ledger. Two copies, in fact: one where nothing is supposed shows
//! what comes anyway (who was announced is stopped, who waits for that is placed), and only what differs is told.

use crate::config::CoreConfig;
use crate::decide::{Core, RestoreError};
use crate::fact::Fact;
use crate::input::{Answer, Caller, Denied, Effects, Held, Input, TaskNow};
use crate::view::View;
use plenum_contract::broker::Hello;
use plenum_contract::pool::{ShareChange, Simulation, Suppose};
use plenum_model::claim::{ClaimBatch, ClaimGroup, Seat, Terms};
use plenum_model::ids::{LeaderEpoch, SchedulerId, TaskId, TenantPath};
use plenum_model::spec::TaskSpec;
use plenum_model::task::ExitReason;
use plenum_model::why::Other;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks at what follows from what followed, at most: each is a round of notices, and few follow on one another.
const ROUNDS: usize = 64;
/// Who claims what is only supposed.
const SCHEDULER: &str = "simulation";

/// Why nothing could be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// The copy could not be made.
    #[error("the ledger could not be copied")]
    Copy(#[source] RestoreError),
    /// Something supposed makes no sense.
    #[error("what is supposed is refused")]
    Denied(Denied),
    /// A claim is refused.
    #[error("{why}")]
    Refused {
        /// At which field.
        field: String,
        /// Why.
        why: String,
    },
}

/// What would be different if all of this were so.
///
/// # Errors
/// See [`SimulateError`].
pub fn simulate(
    config: &CoreConfig,
    snapshot: &[u8],
    suppose: &[Suppose],
) -> Result<Simulation, SimulateError> {
    let mut anyway = Trial::new(config, snapshot)?;
    anyway.settle();
    let mut trial = Trial::new(config, snapshot)?;
    for (n, what) in suppose.iter().enumerate() {
        trial.suppose(what, n)?;
    }
    trial.settle();
    Ok(trial.beside(&anyway))
}

struct Trial {
    core: Core,
    view: View,
    now: u64,
    notice_ms: u64,
    caller: Option<Caller>,
}

impl Trial {
    fn new(config: &CoreConfig, snapshot: &[u8]) -> Result<Self, SimulateError> {
        let notice_ms = config.notice_ms;
        let config = CoreConfig {
            // Agents are not there to be heard; nobody is silent for that.
            lease_ms: u64::MAX,
            ..config.clone()
        };
        let mut view = View::new(0, 0);
        view.serve_first(config.system.clone());
        let core = Core::restore(config, Some(snapshot), &[], |change| view.apply(change));
        let core = core.map_err(SimulateError::Copy)?;
        let mut trial = Self {
            now: core.now(),
            core,
            view,
            notice_ms,
            caller: None,
        };
        let epoch = LeaderEpoch(trial.core.ledger().epoch.0 + 1);
        trial.step(Input::Lead(epoch));
        Ok(trial)
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut out = Effects::default();
        self.core.step(self.now, input, &mut out);
        self.show(&mut out);
        out
    }

    fn show(&mut self, out: &mut Effects) {
        out.changes.drain(..).for_each(|change| self.view.apply(change));
    }

    fn suppose(&mut self, what: &Suppose, n: usize) -> Result<(), SimulateError> {
        match what {
            Suppose::LoseNode(node) => {
                let mut out = Effects::default();
                let result = self.core.suppose(|core| core.suppose_lost(node), &mut out);
                self.show(&mut out);
                result.map_err(SimulateError::Denied)
            }
            Suppose::SetTenant(tenant) => {
                let input = Input::SetTenant(tenant.clone(), SCHEDULER.to_owned());
                match self.step(input).answer {
                    Some(Err(denied)) => Err(SimulateError::Denied(denied)),
                    Some(Ok(_)) | None => Ok(()),
                }
            }
            Suppose::Claim { terms, spec, count } => self.claim(n, terms, spec, *count),
        }
    }

    fn claim(&mut self, n: usize, terms: &Terms, spec: &TaskSpec, count: u32) -> Result<(), SimulateError> {
        let caller = self.caller();
        let name = terms.workload.name.clone();
        let mut terms = terms.clone();
        // Its own, whatever else is supposed under the same name.
        terms.workload.uid = format!("{n}/{name}");
        terms.spec = spec.id();
        let seats = (0..u64::from(count)).map(|slot| {
            let id = TaskId::derive(&caller.scheduler, &terms.workload.uid, slot, 1);
            Seat::new(id, format!("{name}.{slot}"), slot)
        });
        let seats = seats.collect();
        let batch = ClaimBatch {
            specs: vec![Arc::new(spec.clone())],
            groups: vec![ClaimGroup {
                terms: Arc::new(terms),
                seats,
            }],
            all_or_nothing: false,
        };
        match self.step(Input::Claim(caller, batch)).answer {
            Some(Ok(Answer::Claimed(claimed))) => match claimed.refused.into_iter().next() {
                Some(refused) => Err(SimulateError::Refused {
                    field: refused.field,
                    why: refused.why,
                }),
                None => Ok(()),
            },
            Some(Err(denied)) => Err(SimulateError::Denied(denied)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn caller(&mut self) -> Caller {
        if let Some(caller) = &self.caller {
            return caller.clone();
        }
        let scheduler = SchedulerId::new(SCHEDULER).expect("a name of letters is one");
        let hello = Hello {
            scheduler: scheduler.clone(),
            kind: SCHEDULER.to_owned(),
            api: (1, 1),
            watch_nodes: false,
        };
        self.step(Input::Open(hello));
        let row = self.core.ledger().schedulers.get(&scheduler);
        let epoch = row.map(|row| row.epoch).unwrap_or_default();
        let caller = Caller { scheduler, epoch };
        self.caller = Some(caller.clone());
        caller
    }

    /// Lets everything happen that follows: notices end, who is to stop stops, who waits for that is placed.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            self.now = self.now.saturating_add(self.notice_ms).saturating_add(1);
            let ticked = self.step(Input::Tick);
            let mut stopped = Effects::default();
            let stop = |core: &mut Core| {
                core.suppose_stopped();
                Ok(())
            };
            // Nothing stands in the way of that.
            let _ = self.core.suppose(stop, &mut stopped);
            self.show(&mut stopped);
            let news = |fact: &Fact| !matches!(fact, Fact::Waiting { .. });
            if !ticked.facts.iter().chain(&stopped.facts).any(news) {
                return;
            }
        }
    }

    /// What is different from another.
    fn beside(&self, other: &Self) -> Simulation {
        let mut simulation = Simulation {
            waiting: u32::try_from(self.view.waiting().count()).unwrap_or(u32::MAX),
            ..Simulation::default()
        };
        let runs = |now: Option<&TaskNow>| {
            now.filter(|now| now.held == Held::Full)
                .and_then(|now| now.on.clone())
        };
        let named = |now: &TaskNow| Other {
            task: now.task.id(),
            name: now.task.seat.name.clone(),
            tenant: now.task.terms.tenant.clone(),
        };
        for now in self.view.all() {
            let before = other.view.task(now.task.id());
            match (runs(before), runs(Some(now))) {
                (None, Some(node)) => simulation.placed.push((named(now), node)),
                (Some(node), None) => {
                    let reason = now.task.status.exit.as_ref().map(|exit| exit.reason);
                    let reason = reason.unwrap_or(ExitReason::NodeLost);
                    simulation.ended.push((named(now), node, reason));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
            if now.waits && !before.is_some_and(|before| before.waits) {
                let why = now.task.status.why.as_ref();
                simulation
                    .waits
                    .push((named(now), why.and_then(|why| why.block())));
            }
        }
        simulation.placed.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        simulation.waits.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        simulation.ended.sort_by(|(a, ..), (b, ..)| a.name.cmp(&b.name));
        simulation.shares = shares(&other.core, &self.core);
        simulation
    }
}

/// The shares that are others than before.
fn shares(before: &Core, after: &Core) -> Vec<ShareChange> {
    let of = |core: &Core| -> BTreeMap<TenantPath, u64> {
        let ledger = core.ledger();
        let rows = ledger.tenants.iter();
        rows.map(|row| {
            (
                row.tenant.path.clone(),
                row.share(&ledger.nodes.total).per_mille(),
            )
        })
        .collect()
    };
    let before = of(before);
    let change = |(tenant, after): (TenantPath, u64)| {
        let before = before.get(&tenant).copied().unwrap_or(0);
        (before != after).then_some(ShareChange {
            tenant,
            before,
            after,
        })
    };
    of(after).into_iter().filter_map(change).collect()
}
