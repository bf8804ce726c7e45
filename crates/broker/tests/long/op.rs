//! What may be done in a history, and the chance by which it is. Numbers in it are taken modulo what there is, so
//! every part of a history is a history, too.

/// A small generator (SplitMix64): its state is one number.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.any() % n
    }

    fn byte(&mut self, n: u8) -> u8 {
        u8::try_from(self.below(u64::from(n))).unwrap_or(0)
    }

    fn number(&mut self) -> u16 {
        u16::try_from(self.any() & 0xFFFF).unwrap_or(0)
    }
}

/// What somebody does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// A node comes, or comes again as another.
    Attach {
        node: u8,
        variant: u8,
    },
    /// A node gives no sign of life any more.
    Silence(u8),
    /// So many quarters of a second pass.
    Pass(u8),
    /// Some tasks of a workload, and some of another in the same call.
    Claim {
        app: u8,
        slot: u8,
        count: u8,
        with: u8,
    },
    /// One task for an exact node.
    Pin {
        app: u8,
        slot: u8,
        node: u8,
        past_cordon: bool,
    },
    /// All or nothing, of one workload or of two.
    Gang {
        app: u8,
        count: u8,
        with: u8,
    },
    /// The next attempt of a slot takes the seat of the one before it.
    Replace {
        app: u8,
        slot: u8,
    },
    /// A call from before is made again.
    Retry(u8),
    Release(u16, Option<u16>),
    Forget(u16),
    /// A scheduler forgets all that has ended.
    Clean(u8),
    /// An agent sees something, plausible or not.
    See {
        task: u16,
        phase: u8,
        later: u8,
    },
    /// An agent does all as it is told.
    Obey(u8),
    Amend(u16, u8),
    Scheduling(u8, u8),
    Remove(u8),
    Stop(u16),
    Limit(u8, u8),
    Guarantee {
        tenant: u8,
        cpu: u8,
        weight: u8,
    },
    /// A stand-by takes over from the live session of a scheduler, if there is one.
    Open(u8),
    Close(u8),
    /// A session that was taken over from goes on calling.
    Fenced(u8, u16),
    Ack(u8),
    /// The log is replaced by a snapshot.
    Compact,
    /// The broker dies once so many more steps are durable, and comes back from its log.
    Crash(u8),
    /// The log refuses what comes after so many more steps: the core is built anew, the sessions live on.
    Refuse(u8),
}

/// What is done, and what becomes durable and is told afterwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) op: Op,
    /// Steps, of those that are not durable yet.
    pub(crate) persist: u8,
    /// Steps, of those that are durable and not told yet.
    pub(crate) tell: u8,
}

pub(crate) const NODES: u8 = 7;
pub(crate) const APPS: u8 = 14;
pub(crate) const SLOTS: u8 = 6;

/// How often each happens, in so many turns.
const WEIGHTS: [u64; 26] = [
    50, 4, 90, 70, 14, 20, 44, 14, 40, 30, 30, 90, 90, 36, 16, 8, 14, 14, 20, 8, 4, 6, 14, 5, 6, 4,
];

pub(crate) fn turn(rng: &mut Rng) -> Turn {
    let op = op(rng);
    // Mostly all is durable and told before the next thing happens.
    let (persist, tell) = match rng.below(10) {
        0 => (rng.byte(3), rng.byte(3)),
        1 => (rng.byte(6), u8::MAX),
        2 => (u8::MAX, rng.byte(4)),
        _ => (u8::MAX, u8::MAX),
    };
    Turn { op, persist, tell }
}

fn op(rng: &mut Rng) -> Op {
    let mut at = rng.below(WEIGHTS.iter().sum());
    let mut which = 0;
    while at >= WEIGHTS[which] {
        at -= WEIGHTS[which];
        which += 1;
    }
    let (node, app, slot) = (rng.byte(NODES), rng.byte(APPS), rng.byte(SLOTS));
    let (task, scheduler, small) = (rng.number(), rng.byte(3), rng.byte(8));
    match which {
        0 => Op::Attach { node, variant: small },
        1 => Op::Silence(node),
        2 => Op::Pass(1 + rng.byte(if small == 0 { 200 } else { 12 })),
        3 => Op::Claim {
            app,
            slot,
            count: 1 + rng.byte(4),
            with: small,
        },
        4 => Op::Pin {
            app,
            slot,
            node,
            past_cordon: small % 2 == 0,
        },
        5 => Op::Gang {
            app,
            count: 2 + rng.byte(3),
            with: small,
        },
        6 => Op::Replace { app, slot },
        7 => Op::Retry(small),
        8 => Op::Release(task, (small < 3).then(|| rng.number())),
        9 => Op::Forget(task),
        10 => Op::Clean(scheduler),
        11 => Op::See {
            task,
            phase: rng.byte(12),
            later: rng.byte(5) / 4 * rng.byte(3),
        },
        12 => Op::Obey(node),
        13 => Op::Amend(task, small),
        14 => Op::Scheduling(node, rng.byte(5)),
        15 => Op::Remove(node),
        16 => Op::Stop(task),
        17 => Op::Limit(rng.byte(6), small),
        18 => Op::Guarantee {
            tenant: rng.byte(6),
            cpu: small,
            weight: 1 + rng.byte(3),
        },
        19 => Op::Open(scheduler),
        20 => Op::Close(scheduler),
        21 => Op::Fenced(scheduler, task),
        22 => Op::Ack(scheduler),
        23 => Op::Compact,
        24 => Op::Crash(rng.byte(4)),
        _ => Op::Refuse(rng.byte(4)),
    }
}
