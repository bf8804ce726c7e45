//! Whatever happens, the bounds hold and it converges. A small world: copies become ready, end and fail at
//! random, the goal changes at random; then it is left in peace and must come to rest.

use super::copies::{Copy, CopyState};
use super::engine::{Because, Goal, RolloutStatus, Step, next};
use super::policy::{FailureAction, Policy};
use crate::time::Moment;
use plenum_model::ids::{SchedulerId, TaskId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// What happens in a world at one moment.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// The n-th copy that can move does: coming to ready, leaving to ended.
    Move(usize),
    /// The n-th copy that stays fails.
    Fail(usize),
    /// So many seconds pass.
    Pass(u64),
    /// Another version is wanted.
    Update,
    /// Another count is wanted.
    Scale(u32),
}

#[derive(Debug)]
struct World {
    goal: Goal,
    policy: Policy,
    copies: Vec<(Copy, u32)>,
    version: u32,
    now: Moment,
    attempts: BTreeMap<u64, u32>,
}

impl World {
    fn new(policy: Policy, count: u32) -> Self {
        let goal = Goal {
            count,
            since: Moment(0),
            ..Goal::default()
        };
        Self {
            goal,
            policy,
            copies: Vec::new(),
            version: 0,
            now: Moment(1),
            attempts: BTreeMap::new(),
        }
    }

    fn view(&self) -> Vec<Copy> {
        let view = self.copies.iter();
        view.map(|(c, v)| Copy {
            current: *v == self.version,
            ..*c
        })
        .collect()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Pass(secs) => self.now = self.now.plus(Duration::from_secs(secs)),
            Happening::Update => {
                self.version += 1;
                self.goal.since = self.now;
            }
            Happening::Scale(count) => self.goal.count = count,
            Happening::Move(n) => {
                let now = self.now;
                if let Some(c) = self.pick(n, |s| matches!(s, CopyState::Coming { .. } | CopyState::Leaving))
                {
                    c.state = match c.state {
                        CopyState::Coming { .. } => CopyState::Ready { since: now },
                        _ => CopyState::Ended {
                            at: now,
                            failed: false,
                            ran: Some(Duration::ZERO),
                        },
                    };
                }
            }
            Happening::Fail(n) => {
                let now = self.now;
                if let Some(c) = self.pick(n, CopyState::is_staying) {
                    c.state = CopyState::Ended {
                        at: now,
                        failed: true,
                        ran: None,
                    };
                }
            }
        }
        for (c, _) in &mut self.copies {
            c.drop_rank = u64::from(!c.state.is_ready());
        }
    }

    fn pick(&mut self, n: usize, can: impl Fn(&CopyState) -> bool) -> Option<&mut Copy> {
        let able: Vec<usize> = (0..self.copies.len())
            .filter(|i| can(&self.copies[*i].0.state))
            .collect();
        let at = *able.get(n % able.len().max(1))?;
        Some(&mut self.copies[at].0)
    }

    /// Plans, checks the bounds, and does the steps. Says how it stands and whether anything was done.
    fn plan(&mut self) -> Result<(RolloutStatus, bool, Option<Moment>), TestCaseError> {
        let view = self.view();
        let out = next(&self.goal, &self.policy, &view, self.now);
        let again = next(&self.goal, &self.policy, &view, self.now);
        prop_assert_eq!(&out, &again, "the same world gives the same plan");
        self.check(&view, &out.steps)?;
        for step in &out.steps {
            match step {
                Step::Start { slot, .. } => self.start(*slot),
                Step::Stop { id, .. } => {
                    for (c, _) in self.copies.iter_mut().filter(|(c, _)| c.id == *id) {
                        c.state = CopyState::Leaving;
                    }
                }
            }
        }
        Ok((out.status, !out.steps.is_empty(), out.wake_at))
    }

    fn check(&self, view: &[Copy], steps: &[Step]) -> Result<(), TestCaseError> {
        let live = view.iter().filter(|c| c.state.is_live()).count();
        let ready = view.iter().filter(|c| c.state.is_ready()).count();
        let starts = steps.iter().filter(|s| matches!(s, Step::Start { .. })).count();
        let most = self.policy.most(self.goal.count) as usize;
        prop_assert!(
            starts == 0 || live + starts <= most,
            "{} live and {} more, {} allowed",
            live,
            starts,
            most
        );
        let stops: Vec<(&Copy, Because)> = steps
            .iter()
            .filter_map(|s| match s {
                Step::Stop { id, because } => view.iter().find(|c| c.id == *id).map(|c| (c, *because)),
                Step::Start { .. } => None,
            })
            .collect();
        let moved = |b: &Because| *b != Because::TooMany;
        let bound = |b: &Because| moved(b) && !(self.policy.by_slot && *b == Because::Replaced);
        let lost = stops.iter().filter(|(c, _)| c.state.is_ready()).count();
        let least = self.policy.least_ready(self.goal.count) as usize;
        if stops.iter().any(|(c, b)| c.state.is_ready() && bound(b)) {
            prop_assert!(
                ready - lost >= least,
                "{} of {} ready go, {} must stay",
                lost,
                ready,
                least
            );
        }
        for (copy, because) in &stops {
            prop_assert!(copy.state.is_staying(), "nothing is stopped twice");
            prop_assert!(
                !moved(because) || !copy.current,
                "a rollout moves old copies only"
            );
        }
        Ok(())
    }

    fn start(&mut self, slot: u64) {
        let attempt = self.attempts.entry(slot).or_default();
        let id = TaskId::derive(&SchedulerId::new("s").unwrap(), "w", slot, *attempt);
        *attempt += 1;
        let state = CopyState::Coming { ready_at: None };
        let copy = Copy {
            id,
            slot,
            current: true,
            state,
            drop_rank: 1,
        };
        self.copies.push((copy, self.version));
    }

    /// In peace everything that can move does, and time passes when the engine waits for it.
    fn rest(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..10_000 {
            let (status, did, wake_at) = self.plan()?;
            if status == RolloutStatus::Done {
                return Ok(());
            }
            let moving = self
                .copies
                .iter()
                .filter(|(c, _)| matches!(c.state, CopyState::Coming { .. } | CopyState::Leaving));
            if moving.count() > 0 {
                self.happen(Happening::Move(0));
            } else if !did {
                prop_assert!(
                    wake_at.is_some_and(|at| at > self.now),
                    "stuck: {:?} {:#?}",
                    status,
                    self
                );
                self.now = wake_at.unwrap_or_default();
            }
        }
        prop_assert!(false, "it never came to rest: {:#?}", self);
        Ok(())
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (0_usize..8).prop_map(Happening::Move),
        2 => (0_usize..8).prop_map(Happening::Fail),
        2 => (1_u64..20).prop_map(Happening::Pass),
        1 => Just(Happening::Update),
        1 => (0_u32..8).prop_map(Happening::Scale),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (
        0_u32..4,
        0_u32..4,
        any::<bool>(),
        proptest::option::of(1_u32..3),
        0_u64..10,
        0_u64..10,
    )
        .prop_map(
            |(max_surge, max_unavailable, by_slot, parallelism, delay, monitor)| Policy {
                max_surge,
                max_unavailable,
                by_slot,
                keep_seats: true,
                parallelism,
                delay: Duration::from_secs(delay),
                monitor: Duration::from_secs(monitor),
                on_failure: FailureAction::Continue,
                max_failure_ratio: 0.0,
                progress_deadline: None,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bounds_hold_through_anything_and_it_comes_to_rest(
        policy in any_policy(),
        count in 0_u32..8,
        happenings in proptest::collection::vec(any_happening(), 0..60),
    ) {
        let mut world = World::new(policy, count);
        for what in happenings {
            world.plan()?;
            world.happen(what);
        }
        world.rest()?;
        let view = world.view();
        let staying: Vec<&Copy> = view.iter().filter(|c| c.state.is_live()).collect();
        prop_assert_eq!(staying.len(), world.goal.count as usize);
        prop_assert!(staying.iter().all(|c| c.current && c.state.is_ready()));
        let slots: std::collections::BTreeSet<u64> = staying.iter().map(|c| c.slot).collect();
        prop_assert_eq!(slots.len(), staying.len(), "one copy a slot");
    }

    #[test]
    fn no_more_slots_are_under_way_than_the_parallelism_allows(
        parallelism in 1_u32..3,
        count in 1_u32..8,
        start_first in any::<bool>(),
        happenings in proptest::collection::vec((0_usize..8).prop_map(Happening::Move), 0..60),
    ) {
        let (max_surge, max_unavailable) = if start_first { (parallelism, 0) } else { (0, parallelism) };
        let policy = Policy { parallelism: Some(parallelism), max_surge, max_unavailable, ..Policy::at_once(count) };
        let mut world = World::new(policy, count);
        world.rest()?;
        world.happen(Happening::Pass(1));
        world.happen(Happening::Update);
        for what in happenings {
            world.plan()?;
            let moving = world.view().iter().filter(|c| {
                matches!(c.state, CopyState::Leaving) && !c.current
                    || matches!(c.state, CopyState::Coming { .. }) && c.current
            }).map(|c| c.slot).collect::<std::collections::BTreeSet<_>>();
            // A slot whose new copy is ready is done although its old one is still leaving.
            let done = world.view().iter().filter(|c| c.current && c.state.is_ready()).map(|c| c.slot).collect();
            let open = moving.difference(&done).count();
            prop_assert!(open <= parallelism as usize, "{} slots under way", open);
            world.happen(what);
        }
        world.rest()?;
    }
}
