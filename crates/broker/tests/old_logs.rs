//! What earlier versions wrote is read as it was meant: a log of each version, in the bytes that its own encoder gave,
//! stands in `logs/`, and every fact of it is what it was. Such a file is never written again. For a version that has
//! none yet `UPDATE=1` writes it.

use crate::world::{facts, node_id, spec, task_id, terms};
use plenum_broker::fact::{Fact, NodeIx, Order, Room, TermsIx};
use plenum_broker::ledger::Ledger;
use plenum_broker::{CoreConfig, codec};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::{
    Budget, Desired, FileRef, HostPort, LostAfter, Pin, PortAsk, Priority, Protocol, Seat, Terms,
};
use plenum_model::ids::{Incarnation, LeaderEpoch, SchedulerId, Seq, SessionEpoch, TaskId};
use plenum_model::node::{Liveness, Scheduling};
use plenum_model::phase::{Phase, Progress};
use plenum_model::rules::{Affinity, Domains, Expr, LimitPerKey, Preference, Spread, Strategy, Toleration};
use plenum_model::taint::{Effect, Taint};
use plenum_model::tally::Tally;
use plenum_model::task::{CheckStatus, Exit, ExitReason, Observation};
use plenum_model::tenant::Tenant;
use plenum_model::why::{Cause, LimitReached, Why};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const AT: u64 = 1_700_000_000_000;

fn id(slot: u64) -> TaskId {
    task_id("web", "shop", slot, 1)
}

fn scheduler() -> SchedulerId {
    "web".parse().unwrap()
}

/// Terms with all that terms may have.
fn all_terms() -> Terms {
    let mut t = terms("shop", 250, 64);
    t.tenant = "team/shop".parse().unwrap();
    t.charge.disk_bytes = 7 << 20;
    t.charge.extended = BTreeMap::from([("fpga".into(), 2)]);
    let ask = |host, protocol| PortAsk {
        name: "http".into(),
        protocol,
        host,
        container: Some(8080),
    };
    t.ports = vec![
        ask(HostPort::Fixed(80), Protocol::Tcp),
        ask(HostPort::Dynamic, Protocol::Both),
        ask(HostPort::Dynamic, Protocol::Udp),
    ];
    t.labels = BTreeMap::from([("app".into(), "shop".into())]);
    t.desired = Desired::Held { deadline_ms: 5_000 };
    t.lost_after = LostAfter::Millis(60_000);
    t.priority = Priority {
        value: -3,
        scope: Some("team".parse().unwrap()),
    };
    t.files = vec![FileRef {
        key: "conf".into(),
        revision: 12,
        target: "/etc/shop".into(),
        mode: 0o400,
        secret: true,
        volume: Some("files".into()),
    }];
    t.keep_ended = 3;
    t.rules.required = vec![vec![Expr::equals("rack", "a")], vec![Expr::equals("zone", "x")]];
    t.rules.preferred = vec![Preference {
        weight: -2,
        all: vec![Expr::equals("disk", "slow")],
    }];
    t.rules.strategy = Strategy::Pack;
    t.rules.spread = vec![Spread {
        tally: Tally::of_workload("rack"),
        max_skew: 2,
        min_domains: 3,
        over: Domains::Eligible,
        hard: true,
    }];
    t.rules.limits = vec![LimitPerKey::of_workload("@node", 4)];
    t.rules.affinity = vec![Affinity {
        tally: Tally::of_workload("zone"),
        away: true,
        hard: false,
    }];
    t.rules.tolerations = vec![Toleration {
        key: Some("old".into()),
        value: None,
        effect: Some(Effect::NoSchedule),
    }];
    t
}

fn exit(reason: ExitReason) -> Exit {
    Exit {
        code: Some(137),
        signal: Some(9),
        reason,
        message: "it was killed".into(),
    }
}

fn seen(slot: u64, seq: u64, phase: Phase) -> Fact {
    let seen = Observation {
        task: id(slot),
        seq: Seq(seq),
        progress: Progress {
            incarnation: Incarnation(u32::from(phase == Phase::Running)),
            phase,
        },
        ready: Some(phase == Phase::Running),
        address: Some("10.0.0.7".into()),
        exit: phase.is_terminal().then(|| exit(ExitReason::Exited)),
        message: format!("{phase}"),
        at: AT + seq,
        containers: Vec::new(),
        checks: vec![CheckStatus {
            passes: Some(true),
            failures: 1,
            first_success: Some(AT),
            last_success: None,
            last_failure: Some(AT + 1),
            cause: "no answer".into(),
        }],
    };
    Fact::Seen { seen }
}

fn ordered(slot: u64, desired: Desired, readmit: bool) -> Fact {
    let order = Order {
        desired,
        release: desired == Desired::Stopped && !readmit,
        grace_ms: Some(1_500),
        readmit,
        cause: (!readmit).then_some(ExitReason::HeldTooLong),
        actor: "alice".into(),
    };
    Fact::Ordered {
        task: id(slot),
        order,
    }
}

fn seat(slot: u64) -> Seat {
    Seat::new(id(slot), format!("shop.{slot}"), slot)
}

/// One record for each thing that happens, with every fact that the first version had.
fn first() -> Vec<Vec<Fact>> {
    let mut all = vec![vec![Fact::Led {
        epoch: LeaderEpoch(7),
    }]];
    all.push(nodes());
    all.push(tenants());
    all.push(vec![Fact::SessionOpened {
        scheduler: scheduler(),
        kind: "marathon".into(),
        epoch: SessionEpoch(1),
    }]);
    all.push(claims());
    all.extend(lives());
    all.push(vec![Fact::SessionClosed {
        scheduler: scheduler(),
        epoch: SessionEpoch(1),
    }]);
    all
}

const N0: NodeIx = NodeIx(0);
const N1: NodeIx = NodeIx(1);

fn nodes() -> Vec<Fact> {
    let node = |name: &str| {
        let mut f = facts(name, 4_000, 4_000);
        f.attributes = BTreeMap::from([("rack".into(), "a".into()), ("zone".into(), "x".into())]);
        f.capacity.extended = BTreeMap::from([("fpga".into(), 8)]);
        f
    };
    let joined = |ix, name| Fact::NodeJoined {
        ix,
        facts: Arc::new(node(name)),
    };
    let scheduling = |to, actor: &str| Fact::NodeScheduling {
        ix: N0,
        to,
        actor: actor.into(),
    };
    let mut newer = node("n0");
    newer.agent_version = "2".into();
    vec![
        joined(N0, "n0"),
        joined(N1, "n1"),
        scheduling(Scheduling::Cordoned, "bob"),
        scheduling(Scheduling::Draining, "bob"),
        scheduling(Scheduling::Open, ""),
        Fact::NodeChanged {
            ix: N0,
            facts: Arc::new(newer),
        },
    ]
}

fn tenants() -> Vec<Fact> {
    let team = Tenant {
        weight: 3,
        guarantee: Amounts::task(1_000, 1 << 30, 0),
        limit: Amounts::task(9_000, 0, 0),
        ..Tenant::new("team".parse().unwrap())
    };
    let others = ["team/shop", "default"].map(|path| Tenant::new(path.parse().unwrap()));
    let set = |tenant| Fact::TenantSet {
        tenant,
        actor: "bob".into(),
    };
    std::iter::once(team).chain(others).map(set).collect()
}

fn claims() -> Vec<Fact> {
    let pinned = Seat {
        pin: Some(Pin {
            node: node_id("n0"),
            past_cordon: true,
        }),
        ..seat(3)
    };
    let why = Why {
        nodes: 2,
        by: vec![(Cause::Short(Resource::Cpu), 1), (Cause::Port(80), 1)],
        limit: Some(LimitReached {
            tenant: "team".parse().unwrap(),
            resource: Resource::Memory,
            limit: 5,
            used: 4,
        }),
        ..Why::default()
    };
    let with = |ix, terms| Fact::Terms {
        ix: TermsIx(ix),
        scheduler: scheduler(),
        terms: Arc::new(terms),
    };
    let placed = |slot, node, ports: &[u16]| Fact::Placed {
        task: id(slot),
        node,
        ports: ports.to_vec(),
    };
    vec![
        Fact::Spec {
            id: spec("process").id(),
            spec: spec("process"),
        },
        with(0, all_terms()),
        with(1, terms("shop", 100, 10)),
        claimed(TermsIx(0), vec![seat(0), seat(1), seat(2)], None),
        claimed(TermsIx(1), vec![pinned, seat(4), seat(5)], None),
        placed(0, N0, &[80, 31_000, 31_001]),
        placed(3, N0, &[]),
        placed(4, N1, &[]),
        placed(5, N1, &[]),
        Fact::Waiting {
            tasks: vec![id(1), id(2)],
            why: Arc::new(why),
        },
    ]
}

fn lives() -> Vec<Vec<Fact>> {
    let n1 = |liveness| Fact::NodeLiveness { ix: N1, liveness };
    let ended = |slot, phase, reason| Fact::Ended {
        task: id(slot),
        phase,
        exit: exit(reason),
    };
    let reworded = Fact::Reworded {
        task: id(2),
        terms: TermsIx(1),
    };
    vec![
        vec![
            seen(0, 1, Phase::Prepared),
            seen(3, 2, Phase::Running),
            seen(4, 3, Phase::Finished),
        ],
        vec![
            ordered(0, Desired::Running, false),
            ordered(4, Desired::Running, true),
        ],
        vec![
            ordered(1, Desired::Stopped, false),
            ended(1, Phase::Stopped, ExitReason::Asked),
        ],
        vec![reworded],
        vec![n1(Liveness::Unreachable)],
        vec![n1(Liveness::Ready), n1(Liveness::Unreachable)],
        vec![ended(5, Phase::Lost, ExitReason::NodeLost)],
        vec![Fact::Forgotten {
            tasks: vec![id(1), id(5)],
        }],
    ]
}

fn claimed(terms: TermsIx, seats: Vec<Seat>, gang: Option<u64>) -> Fact {
    Fact::Claimed { terms, seats, gang }
}

/// What the second version had besides: seats that are inherited, nominations, gangs.
fn second() -> Vec<Vec<Fact>> {
    let heir = Seat {
        replaces: Some(id(3)),
        ..seat(6)
    };
    let mut terms = terms("gold", 500, 20);
    terms.may_preempt = true;
    terms.budget = Some(Budget {
        group: "gold".into(),
        min_healthy: 2,
    });
    let room = |victims, deadline| Room {
        node: NodeIx(0),
        ports: Vec::new(),
        victims,
        deadline,
    };
    let nominated = |slot, room| Fact::Nominated { task: id(slot), room };
    vec![
        vec![
            Fact::Terms {
                ix: TermsIx(2),
                scheduler: scheduler(),
                terms: Arc::new(terms),
            },
            claimed(TermsIx(2), vec![heir, seat(7)], None),
            claimed(TermsIx(2), vec![seat(8), seat(9)], Some(9)),
            nominated(6, room(Vec::new(), 0)),
            nominated(7, room(vec![id(0)], AT + 10_000)),
        ],
        vec![Fact::Passed { task: id(7) }],
        vec![nominated(7, room(vec![id(0)], AT + 20_000))],
    ]
}

/// What the third version had besides: taints.
fn third() -> Vec<Vec<Fact>> {
    let taint = |value: &str, effect| Taint {
        key: "team".into(),
        value: value.into(),
        effect,
    };
    let tainted = |taints: Vec<Taint>, actor: &str| Fact::NodeTainted {
        ix: N0,
        taints: taints.into(),
        actor: actor.into(),
    };
    let some = vec![
        taint("gold", Effect::NoSchedule),
        taint("", Effect::PreferNoSchedule),
    ];
    vec![vec![tainted(some, "carol")], vec![tainted(Vec::new(), "")]]
}

/// All that was told in logs of this version.
fn told(version: u32) -> Vec<Vec<Fact>> {
    let mut all = first();
    if version >= 2 {
        all.extend(second());
    }
    if version >= 3 {
        all.extend(third());
    }
    all
}

fn path(version: u32) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    dir.join(format!("v{version}.log"))
}

/// Each record behind its length in four bytes, the lowest first; the last one is a snapshot of what they give.
fn records(version: u32) -> Vec<Vec<u8>> {
    let path = path(version);
    if !path.exists() && version == codec::VERSION && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, written()).unwrap();
    }
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; UPDATE=1 writes that of a new version", path.display()));
    let (mut records, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        rest = after;
    }
    records
}

/// The log of the version that this build writes.
fn written() -> Vec<u8> {
    let mut ledger = Ledger::new(&CoreConfig::default());
    let mut bytes = Vec::new();
    let mut put = |record: &[u8]| {
        bytes.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
        bytes.extend(record);
    };
    for (n, facts) in (0..).zip(told(codec::VERSION)) {
        put(&codec::encode(AT + n, &facts));
        for fact in &facts {
            ledger.apply(AT + n, fact).unwrap();
        }
        ledger.flush(&mut Vec::new());
    }
    put(&ledger.snapshot());
    bytes
}

#[test]
fn every_version_that_was_ever_written_is_read_as_it_was_meant() {
    for version in 1..=codec::VERSION {
        let mut records = records(version);
        let snapshot = records.pop().unwrap();
        let expected = told(version);
        assert_eq!(records.len(), expected.len(), "version {version}");
        let mut ledger = Ledger::new(&CoreConfig::default());
        for (n, (record, expected)) in (0..).zip(records.iter().zip(expected)) {
            assert_eq!(u32::from(record[1]), version, "the first field is the version");
            let (at, facts) = codec::decode(record).unwrap();
            assert_eq!((at, facts), (AT + n, expected), "version {version}, record {n}");
            let (_, facts) = codec::decode(record).unwrap();
            for fact in &facts {
                ledger.apply(at, fact).unwrap();
            }
            ledger.flush(&mut Vec::new());
        }
        let kept = Ledger::from_snapshot(&snapshot, &CoreConfig::default()).unwrap();
        let (kept, read) = (kept.snapshot(), ledger.snapshot());
        assert!(
            kept == read,
            "version {version}: its snapshot and its records give two ledgers"
        );
    }
}
