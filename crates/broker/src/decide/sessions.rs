//! Sessions of schedulers: one lives per scheduler, the newest; calls of any other are fenced.

use super::{Core, Verdict};
use crate::fact::Fact;
use crate::input::{Answer, Caller, Denied};
use plenum_contract::broker::Hello;
use plenum_model::ids::{Cursor, SchedulerId, SessionEpoch, SpecId};
use plenum_model::spec::TaskSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of live sessions beside the facts.
#[derive(Debug, Default)]
pub struct Sessions(BTreeMap<SchedulerId, Live>);

#[derive(Debug)]
struct Live {
    epoch: SessionEpoch,
    /// Every spec it has sent; it may refer to them without sending them again.
    specs: BTreeMap<SpecId, Arc<TaskSpec>>,
    acked: Cursor,
}

impl Sessions {
    /// Keeps those for which this holds.
    pub(super) fn retain(&mut self, keep: impl Fn(&SchedulerId, SessionEpoch) -> bool) {
        self.0.retain(|id, live| keep(id, live.epoch));
    }

    /// A spec that the session has sent.
    pub(super) fn spec(&self, scheduler: &SchedulerId, id: &SpecId) -> Option<&Arc<TaskSpec>> {
        self.0.get(scheduler)?.specs.get(id)
    }

    /// Up to where the scheduler knows everything; none: it has no session, so nothing is kept for it.
    pub(super) fn acked(&self, scheduler: &SchedulerId) -> Option<Cursor> {
        self.0.get(scheduler).map(|live| live.acked)
    }

    /// The session has sent a spec.
    pub(super) fn learn(&mut self, scheduler: &SchedulerId, spec: Arc<TaskSpec>) {
        if let Some(live) = self.0.get_mut(scheduler) {
            live.specs.insert(spec.id(), spec);
        }
    }
}

impl Core {
    pub(super) fn open(&mut self, hello: Hello) -> Answer {
        let epoch = self
            .ledger
            .schedulers
            .get(&hello.scheduler)
            .map_or(SessionEpoch(0), |row| row.epoch);
        let epoch = epoch.next();
        let live = Live {
            epoch,
            specs: BTreeMap::new(),
            acked: Cursor(0),
        };
        self.sessions.0.insert(hello.scheduler.clone(), live);
        self.commit(Fact::SessionOpened {
            scheduler: hello.scheduler,
            kind: hello.kind,
            epoch,
        });
        Answer::Opened(epoch)
    }

    pub(super) fn close(&mut self, caller: &Caller) {
        if self.session(caller).is_ok() {
            self.sessions.0.remove(&caller.scheduler);
            let Caller { scheduler, epoch } = caller.clone();
            self.commit(Fact::SessionClosed { scheduler, epoch });
            self.forget_over_kept(&caller.scheduler);
        }
    }

    pub(super) fn ack(&mut self, caller: &Caller, cursor: Cursor) -> Verdict {
        self.session(caller)?;
        if let Some(live) = self.sessions.0.get_mut(&caller.scheduler) {
            live.acked = live.acked.max(cursor.min(self.ledger.cursor));
        }
        self.forget_over_kept(&caller.scheduler);
        Ok(Answer::Done)
    }

    /// Refuses a caller whose session is not the live one.
    pub(super) fn session(&self, caller: &Caller) -> Result<(), Denied> {
        let live = self.sessions.0.get(&caller.scheduler);
        if live.is_some_and(|live| live.epoch == caller.epoch) {
            return Ok(());
        }
        Err(Denied::Fenced(caller.clone()))
    }
}
