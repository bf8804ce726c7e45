//! What asks for room: many workloads of a mix that real pools see. Of their tasks 60 % ask nothing but room, 20 % an
//! attribute that most nodes have, 3 % one that few have, 1 % a gpu, 10 % an even spread over racks and 6 % a node
//! of their own; 30 % hold a port besides.

use super::world::{MIB, spec};
use crate::report::Failed;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{
    ClaimGroup, Desired, HostPort, LostAfter, PortAsk, Priority, Seat, Terms, Workload,
};
use plenum_model::ids::{SchedulerId, TaskId, TenantPath};
use plenum_model::rules::{Domains, Expr, LimitPerKey, Rules, Spread, Strategy};
use plenum_model::tally::Tally;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a task asks of cpu on average, in millis: a node holds some twenty.
pub(super) const USUAL: u64 = 1_375;

/// What rules the workloads of a run bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mix {
    /// None.
    Plain,
    /// Those of the module's header.
    Mixed,
    /// All are spread over racks.
    Racks,
}

/// A workload, and how many attempts of its slots there were.
pub(super) struct Asked {
    pub(super) terms: Arc<Terms>,
    /// By slot.
    attempts: Vec<u32>,
}

impl Asked {
    /// Number `n` of those of a mix, charged to one of so many tenants.
    pub(super) fn new(n: u32, mix: Mix, strategy: Strategy, tenants: u32) -> Result<Self, Failed> {
        let tenant: TenantPath = format!("t{}", n % tenants)
            .parse()
            .map_err(Failed::in_("a tenant's path"))?;
        let name = format!("w{n}");
        let mut charge = Amounts::task(
            USUAL + 250 * u64::from(n % 8) - 875,
            (1_024 + 1_024 * u64::from(n % 7)) * MIB,
            0,
        );
        let mut rules = Rules {
            strategy,
            ..Rules::default()
        };
        let percent = n.wrapping_mul(37) % 100;
        match mix {
            Mix::Plain => {}
            Mix::Racks => rules.spread.push(over_racks()),
            Mix::Mixed => match percent {
                0..60 => {}
                60..80 => rules.required = vec![vec![Expr::equals("arch", "amd64")]],
                80..83 => rules.required = vec![vec![Expr::equals("licence", "oracle")]],
                83 => {
                    charge.extended.insert("gpu".to_owned(), 1);
                }
                84..94 => rules.spread.push(over_racks()),
                _ => rules.limits.push(LimitPerKey::of_workload("@node", 1)),
            },
        }
        let port = PortAsk {
            host: HostPort::Dynamic,
            ..PortAsk::default()
        };
        let ported = mix == Mix::Mixed && n % 10 < 3;
        Ok(Self {
            terms: Arc::new(Terms {
                workload: Workload {
                    uid: name.clone(),
                    name,
                    kind: "app".to_owned(),
                    version: "1".to_owned(),
                },
                tenant,
                charge,
                devices: BTreeMap::new(),
                ports: if ported { vec![port] } else { Vec::new() },
                spec: spec().id(),
                labels: BTreeMap::new(),
                desired: Desired::Running,
                rules,
                lost_after: LostAfter::default(),
                priority: Priority::default(),
                may_preempt: false,
                budget: None,
                files: Vec::new(),
                keep_ended: 0,
            }),
            attempts: Vec::new(),
        })
    }

    /// The seat of a slot that is new.
    pub(super) fn more(&mut self, scheduler: &SchedulerId) -> Seat {
        let slot = self.attempts.len() as u64;
        self.again(scheduler, slot)
    }

    /// A claim of so many that are new.
    pub(super) fn claim(&mut self, scheduler: &SchedulerId, count: usize) -> ClaimGroup {
        ClaimGroup {
            terms: Arc::clone(&self.terms),
            seats: (0..count).map(|_| self.more(scheduler)).collect(),
        }
    }

    /// The next attempt of a slot.
    pub(super) fn again(&mut self, scheduler: &SchedulerId, slot: u64) -> Seat {
        let at = usize::try_from(slot).unwrap_or(0);
        if at >= self.attempts.len() {
            self.attempts.resize(at + 1, 0);
        }
        let attempt = &mut self.attempts[at];
        *attempt += 1;
        let uid = &self.terms.workload.uid;
        let id = TaskId::derive(scheduler, uid, slot, *attempt);
        Seat::new(id, format!("{uid}.{slot}"), slot)
    }
}

fn over_racks() -> Spread {
    Spread {
        tally: Tally::of_workload("rack"),
        max_skew: 1,
        min_domains: 0,
        over: Domains::All,
        hard: false,
    }
}
