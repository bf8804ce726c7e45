//! A broker and its log. What a step decides is first decided only, then durable, then told, each at a moment of its
//! own, and the broker dies in between. A second ledger reads every durable record, as another broker would: whatever
//! the first one says it must say, too.

use plenum_broker::codec;
use plenum_broker::input::{Answer, Change, Denied, Effects, Input};
use plenum_broker::ledger::Ledger;
use plenum_broker::{Core, CoreConfig};
use plenum_model::ids::LeaderEpoch;
use std::collections::VecDeque;

/// What was asked in a step, for whoever judges the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing that is judged.
    Else,
    /// The claim of this number.
    Claim(usize),
    /// A session, of the scheduler of this number.
    Session(usize),
    /// Something by a session that was taken over from.
    Fenced,
}

/// A step, as it is told.
pub(crate) struct Told {
    pub(crate) asked: Asked,
    pub(crate) answer: Option<Result<Answer, Denied>>,
    pub(crate) changes: Vec<Change>,
}

/// What a log gave back.
pub(crate) struct Rebuilt {
    /// What was durable and not told.
    pub(crate) untold: Vec<Told>,
    /// What readers are told from the beginning of the log on.
    pub(crate) changes: Vec<Change>,
    /// All there is.
    pub(crate) there: Vec<Change>,
}

struct Step {
    record: Option<Vec<u8>>,
    told: Told,
}

pub(crate) struct Line {
    pub(crate) core: Core,
    pub(crate) now: u64,
    pub(crate) steps: u64,
    config: CoreConfig,
    epoch: LeaderEpoch,
    snapshot: Option<Vec<u8>>,
    records: Vec<Vec<u8>>,
    decided: VecDeque<Step>,
    durable: VecDeque<Step>,
    follower: Ledger,
}

impl Line {
    pub(crate) fn new(config: CoreConfig, now: u64) -> Self {
        let mut line = Self {
            core: Core::new(config.clone()),
            now,
            steps: 0,
            epoch: LeaderEpoch(0),
            snapshot: None,
            records: Vec::new(),
            decided: VecDeque::new(),
            durable: VecDeque::new(),
            follower: Ledger::new(&config),
            config,
        };
        line.lead();
        line
    }

    fn lead(&mut self) {
        self.epoch = self.epoch.next();
        self.step(Asked::Else, Input::Lead(self.epoch));
    }

    pub(crate) fn step(&mut self, asked: Asked, input: Input) {
        let mut effects = Effects::default();
        self.core.step(self.now, input, &mut effects);
        self.steps += 1;
        let record = (!effects.facts.is_empty()).then(|| self.core.record(&effects.facts));
        assert!(
            record.is_some() || effects.changes.is_empty(),
            "something is to be told that no fact says"
        );
        let told = Told {
            asked,
            answer: effects.answer,
            changes: effects.changes,
        };
        self.decided.push_back(Step { record, told });
    }

    /// Makes so many steps durable.
    pub(crate) fn persist(&mut self, steps: usize) {
        for _ in 0..steps.min(self.decided.len()) {
            let Some(mut step) = self.decided.pop_front() else {
                return;
            };
            if let Some(record) = step.record.take() {
                self.follow(&record, &step.told.changes);
                self.records.push(record);
            }
            self.durable.push_back(step);
        }
    }

    fn follow(&mut self, record: &[u8], expected: &[Change]) {
        let (at, facts) = codec::decode(record).expect("a record is read as it was written");
        for fact in &facts {
            self.follower
                .apply(at, fact)
                .expect("a record follows from those before it");
        }
        let mut changes = Vec::new();
        self.follower.flush(&mut changes);
        assert_eq!(
            changes, expected,
            "a record says something else than its step did"
        );
    }

    /// The next so many of the durable steps are to be told.
    pub(crate) fn tell(&mut self, steps: usize) -> Vec<Told> {
        let steps = steps.min(self.durable.len());
        self.durable.drain(..steps).map(|step| step.told).collect()
    }

    /// The log is replaced by a snapshot, once all is durable.
    pub(crate) fn compact(&mut self) {
        self.persist(usize::MAX);
        self.snapshot = Some(self.core.snapshot());
        self.records.clear();
    }

    /// The core is built anew from what is durable; what was only decided is lost.
    fn rebuild(&mut self) -> Rebuilt {
        self.decided.clear();
        let untold = self.tell(usize::MAX);
        let (mut changes, mut there) = (Vec::new(), Vec::new());
        let (config, snapshot) = (self.config.clone(), self.snapshot.as_deref());
        self.core = Core::restore(config, snapshot, &self.records, |change| changes.push(change))
            .expect("what was logged is a ledger");
        self.core.ledger().export(|change| there.push(change));
        Rebuilt {
            untold,
            changes,
            there,
        }
    }

    /// The broker dies and comes back; agents and schedulers have to come again.
    pub(crate) fn crash(&mut self) -> Rebuilt {
        let rebuilt = self.rebuild();
        self.lead();
        rebuilt
    }

    /// The log has refused what was decided. Sessions live on, agents have to come again.
    pub(crate) fn refuse(&mut self) -> Rebuilt {
        let sessions = self.core.take_sessions();
        let rebuilt = self.rebuild();
        self.core.adopt_sessions(sessions);
        self.step(Asked::Else, Input::Lead(self.epoch));
        rebuilt
    }

    /// What the log gives back is what is there, to the byte. All must be durable.
    pub(crate) fn check(&self) {
        let here = self.core.snapshot();
        assert_eq!(self.follower.snapshot(), here, "the records give another ledger");
        let again = Ledger::from_snapshot(&here, &self.config).expect("a snapshot is a ledger");
        assert_eq!(again.snapshot(), here, "a snapshot gives another ledger");
    }

    /// The whole log in bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let snapshot = self.snapshot.iter().flatten();
        snapshot.chain(self.records.iter().flatten()).copied().collect()
    }
}
