//! Claims of a history: what schedulers claim next, and how the answers are judged.

use super::history::History;
use super::line::Asked;
use super::op::{APPS, Op};
use super::pool::{self, SCHEDULERS};
use crate::world::{batch, gang, node_id, seats, task_id};
use plenum_broker::input::{Answer, Denied, Input};
use plenum_model::claim::{ClaimBatch, Pin, Terms};
use plenum_model::ids::TaskId;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

impl History {
    pub(super) fn act_on_claims(&mut self, op: Op) {
        match op {
            Op::Claim {
                app,
                slot,
                count,
                with,
            } => {
                let mut claim = self.some(app, slot, count, with == 7);
                if with == 6 {
                    claim.groups.extend(self.some(app + 2, slot, count, false).groups);
                }
                self.claim(app, claim);
            }
            Op::Pin {
                app,
                slot,
                node,
                past_cordon,
            } => {
                let mut claim = self.some(app, slot, 1, false);
                let node = node_id(&format!("n{node}"));
                claim.groups[0].seats[0].pin = Some(Pin { node, past_cordon });
                self.claim(app, claim);
            }
            Op::Gang { app, count, with } => {
                let mut claim = self.some(app, 0, count, false);
                if with > 4 {
                    claim.groups.extend(self.some(app, count, 2, with == 7).groups);
                }
                let groups = claim.groups.into_iter().map(|mut group| {
                    Arc::make_mut(&mut group.terms).may_preempt = false;
                    (Terms::clone(&group.terms), group.seats)
                });
                let mut groups = groups.map(|(terms, seats)| gang(terms, seats));
                let mut whole = groups.next().expect("a gang has a group");
                whole.groups.extend(groups.flat_map(|claim| claim.groups));
                self.claim(app, whole);
            }
            Op::Replace { app, slot } => {
                let mut claim = self.some(app, slot, 1, false);
                let seat = &mut claim.groups[0].seats[0];
                let older = (1..seat.id.attempt()).rev();
                let older = older.map(|n| task_id(pool::owner(app), &format!("app{app}"), seat.slot, n));
                seat.replaces = older.take(4).find(|id| self.account.tasks.contains_key(id));
                self.claim(app, claim);
            }
            _ => {
                let Op::Retry(n) = op else { return };
                let back = usize::from(n) % self.claims.len().max(1);
                let Some(number) = self.claims.len().checked_sub(back + 1) else {
                    return;
                };
                self.call(number);
            }
        }
    }

    /// The next attempts of some slots of a workload; or attempts that were used.
    fn some(&self, app: u8, slot: u8, count: u8, used: bool) -> ClaimBatch {
        let app = app % APPS;
        let (name, owner) = (format!("app{app}"), pool::owner(app));
        let mut all = seats(owner, &name, u64::from(slot)..u64::from(slot) + u64::from(count));
        let mut version = 0;
        for seat in &mut all {
            let told = self
                .account
                .attempts
                .get(&seat.id.slot_key())
                .copied()
                .unwrap_or(0);
            let attempt = if used { told.max(1) } else { told + 1 };
            seat.id = task_id(owner, &name, seat.slot, attempt);
            seat.name = format!("{name}.{}.{attempt}", seat.slot);
            version = attempt / 3;
        }
        batch(pool::workload(app, version), all)
    }

    fn claim(&mut self, app: u8, claim: ClaimBatch) {
        let owner = pool::owner(app % APPS);
        let at = SCHEDULERS.iter().position(|name| *name == owner).unwrap();
        self.claims.push((at, claim));
        self.call(self.claims.len() - 1);
    }

    fn call(&mut self, number: usize) {
        let (at, claim) = self.claims[number].clone();
        let caller = self.caller(at);
        self.line.step(Asked::Claim(number), Input::Claim(caller, claim));
    }

    /// Somebody has claimed too much: the newest of what waits is released, and all that has ended is forgotten.
    pub(super) fn make_way(&mut self) {
        for at in 0..SCHEDULERS.len() {
            let caller = self.caller(at);
            let mut theirs: Vec<_> = self.account.tasks.values().collect();
            theirs.retain(|now| now.task.scheduler == caller.scheduler && now.waits);
            theirs.sort_by_key(|now| Reverse(now.age));
            let ids = theirs
                .iter()
                .take(theirs.len() / 2)
                .map(|now| now.task.id())
                .collect();
            self.line.step(Asked::Else, Input::Release(caller, ids, None));
            self.tell_all();
            self.clean(at);
        }
    }

    /// What was acknowledged is there; what was taken before is known again.
    pub(super) fn claimed(&mut self, number: usize, answer: Result<Answer, Denied>, mine: &[TaskId]) {
        let (scheduler, batch) = &self.claims[number];
        let claimed = match answer {
            Ok(Answer::Claimed(claimed)) => claimed,
            Err(Denied::Fenced(_)) => {
                self.sessions[*scheduler] = None;
                return;
            }
            other => panic!("a claim is answered by {other:?}"),
        };
        let refused: BTreeSet<TaskId> = claimed.refused.iter().map(|r| r.task).collect();
        for id in mine {
            assert!(!refused.contains(id), "{id} was taken before, and is refused now");
        }
        if batch.all_or_nothing && !refused.is_empty() {
            let all = ids(batch).all(|id| refused.contains(&id) || claimed.known.contains(&id));
            assert!(all, "a part of a gang was taken");
        }
        self.seen.refused += u64::from(!refused.is_empty());
        for id in ids(batch).filter(|id| !refused.contains(id)) {
            assert!(
                self.account.tasks.contains_key(&id),
                "{id} is acknowledged and not there"
            );
            self.made_by.entry(id).or_insert(number);
        }
    }
}

pub(super) fn ids(batch: &ClaimBatch) -> impl Iterator<Item = TaskId> + '_ {
    batch
        .groups
        .iter()
        .flat_map(|group| group.seats.iter().map(|seat| seat.id))
}
