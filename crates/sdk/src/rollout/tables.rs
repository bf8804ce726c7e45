//! One line per situation: policy and copies as text, the steps as text.

use super::copies::{Copy, CopyState};
use super::engine::{Because, Goal, Next, RolloutStatus, Step, next};
use super::policy::{FailureAction, Order, Policy, Share, SwarmUpdate};
use crate::time::Moment;
use plenum_model::ids::{SchedulerId, TaskId};
use std::time::Duration;

const NOW: Moment = Moment(1_000_000);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn id(slot: u64, attempt: u32) -> TaskId {
    TaskId::derive(&SchedulerId::new("s").unwrap(), "w", slot, attempt)
}

/// Reads copies: `slot:old|new:state`, with `r` ready long since, `r5` ready 5 s ago, `c` coming, `l` leaving,
/// `e5` ended as asked 5 s ago, `f5` failed 5 s ago after a second's run. Attempts count within a slot.
fn read(text: &str) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    for word in text.split_whitespace() {
        let parts: Vec<&str> = word.split(':').collect();
        let slot: u64 = parts[0].parse().unwrap();
        let (kind, age) = parts[2].split_at(1);
        let age = if age.is_empty() { 500 } else { age.parse().unwrap() };
        let at = Moment(NOW.0 - age * 1000);
        let state = match kind {
            "r" => CopyState::Ready { since: at },
            "c" => CopyState::Coming { ready_at: None },
            "l" => CopyState::Leaving,
            "e" => CopyState::Ended {
                at,
                failed: false,
                ran: Some(secs(9)),
            },
            "f" => CopyState::Ended {
                at,
                failed: true,
                ran: Some(secs(1)),
            },
            other => panic!("{other}"),
        };
        let attempt = copies.iter().filter(|c| c.slot == slot).count();
        let current = match parts[1] {
            "old" => false,
            "new" => true,
            other => panic!("{other}"),
        };
        copies.push(Copy {
            id: id(slot, u32::try_from(attempt).unwrap()),
            slot,
            current,
            state,
            drop_rank: u64::from(!state.is_ready()),
        });
    }
    copies
}

/// `+slot` starts, `+slot<attempt` starts in the place of, `-slot.attempt` stops and a letter why.
fn show(steps: &[Step], copies: &[Copy]) -> String {
    let words: Vec<String> = steps
        .iter()
        .map(|s| match s {
            Step::Start { slot, replaces: None } => format!("+{slot}"),
            Step::Start {
                slot,
                replaces: Some(old),
            } => format!("+{slot}<{}", old.attempt()),
            Step::Stop { id, because } => {
                let slot = copies.iter().find(|c| c.id == *id).unwrap().slot;
                let why = match because {
                    Because::TooMany => "t",
                    Because::Replaced => "r",
                    Because::MakesRoom => "m",
                };
                format!("-{slot}.{}{why}", id.attempt())
            }
        })
        .collect();
    words.join(" ")
}

fn goal(count: u32) -> Goal {
    Goal {
        count,
        since: Moment(NOW.0 - 100_000),
        ..Goal::default()
    }
}

fn run(count: u32, policy: &Policy, text: &str) -> (String, Next) {
    let copies = read(text);
    let policy = Policy {
        keep_seats: true,
        ..*policy
    };
    let out = next(&goal(count), &policy, &copies, NOW);
    (show(&out.steps, &copies), out)
}

fn swarm(count: u32, parallelism: u32, order: Order) -> Policy {
    Policy::swarm(
        count,
        SwarmUpdate {
            parallelism,
            delay: secs(10),
            monitor: secs(5),
            on_failure: FailureAction::Pause,
            max_failure_ratio: 0.0,
            order,
        },
    )
}

fn check(count: u32, policy: Policy, table: &[(&str, &str)]) {
    for (copies, steps) in table {
        assert_eq!(run(count, &policy, copies).0, *steps, "{copies}");
    }
}

#[test]
fn scaling_needs_no_policy() {
    check(
        3,
        Policy::at_once(3),
        &[
            ("", "+0 +1 +2"),
            ("0:new:r 1:new:c", "+2"),
            ("0:new:r 2:new:r", "+1"),
            ("0:new:r 1:new:r 2:new:r", ""),
            ("0:new:r 1:new:r 2:new:r 3:new:r 4:new:r", "-3.0t -4.0t"),
            ("0:new:c 1:new:r 2:new:r 3:new:r", "-0.0t"),
            ("0:new:f5 1:new:r 2:new:r", "+0"),
            ("0:new:r 1:new:r 2:new:r 3:new:l", ""),
            ("0:new:r 0:new:c 1:new:r 2:new:r", "-0.1t"),
        ],
    );
    check(
        0,
        Policy::at_once(0),
        &[("0:new:r 1:old:c 2:new:l", "-0.0t -1.0t")],
    );
}

#[test]
fn marathon_default_starts_all_new_ones_and_then_stops_the_old() {
    // 1.0/1.0: double capacity, none missing.
    let policy = Policy::marathon(3, 1.0, 1.0, false);
    assert_eq!((policy.max_surge, policy.max_unavailable), (3, 0));
    check(
        3,
        policy,
        &[
            ("0:old:r 1:old:r 2:old:r", "+0<0 +1<0 +2<0"),
            ("0:old:r 1:old:r 2:old:r 0:new:r 1:new:c 2:new:c", "-0.0r"),
            ("0:old:c 1:old:c 2:old:r", "-0.0m -1.0m +0<0 +1<0 +2<0"),
        ],
    );
}

#[test]
fn marathon_half_health_without_surge_kills_half_first() {
    let policy = Policy::marathon(5, 0.5, 0.0, false);
    assert_eq!((policy.max_surge, policy.max_unavailable), (0, 2));
    check(
        5,
        policy,
        &[
            ("0:old:r 1:old:r 2:old:r 3:old:r 4:old:r", "-0.0m -1.0m"),
            ("0:old:l 1:old:l 2:old:r 3:old:r 4:old:r", ""),
            ("0:old:e1 1:old:l 2:old:r 3:old:r 4:old:r", "+0<0"),
            (
                "0:old:e1 1:old:e1 0:new:r 1:new:c 2:old:r 3:old:r 4:old:r",
                "-2.0m",
            ),
        ],
    );
}

#[test]
fn marathon_without_room_to_move_takes_one_more_or_one_less() {
    let plain = Policy::marathon(2, 1.0, 0.0, false);
    assert_eq!((plain.max_surge, plain.max_unavailable), (1, 0));
    check(
        2,
        plain,
        &[("0:old:r 1:old:r", "+0<0"), ("0:old:r 0:new:r 1:old:r", "-0.0r")],
    );
    let resident = Policy::marathon(2, 1.0, 0.0, true);
    assert_eq!((resident.max_surge, resident.max_unavailable), (0, 1));
    check(
        2,
        resident,
        &[
            ("0:old:r 1:old:r", "-0.0m"),
            ("0:old:l 1:old:r", ""),
            ("0:old:e1 1:old:r", "+0<0"),
        ],
    );
}

#[test]
fn swarm_stop_first_goes_slot_by_slot_and_waits_the_delay() {
    check(
        3,
        swarm(3, 1, Order::StopFirst),
        &[
            ("0:old:r 1:old:r 2:old:r", "-0.0m"),
            ("0:old:l 1:old:r 2:old:r", ""),
            ("0:old:e1 1:old:r 2:old:r", "+0<0"),
            ("0:old:e1 0:new:c 1:old:r 2:old:r", ""),
            ("0:old:e9 0:new:r9 1:old:r 2:old:r", ""),
            ("0:old:e20 0:new:r10 1:old:r 2:old:r", "-1.0m"),
            // Not even the unready go faster than the parallelism.
            ("0:old:c 1:old:c 2:old:c", "-0.0m"),
        ],
    );
}

#[test]
fn swarm_start_first_has_one_more_and_then_stops_the_old() {
    check(
        3,
        swarm(3, 1, Order::StartFirst),
        &[
            ("0:old:r 1:old:r 2:old:r", "+0<0"),
            ("0:old:r 0:new:c 1:old:r 2:old:r", ""),
            ("0:old:r 0:new:r1 1:old:r 2:old:r", "-0.0r"),
            ("0:old:e20 0:new:r20 1:old:r 2:old:r", "+1<0"),
        ],
    );
}

#[test]
fn without_surge_an_old_copy_is_gone_before_the_new_one_starts_even_when_scaling_up() {
    check(4, swarm(4, 1, Order::StopFirst), &[("0:old:l 1:old:r", "+2 +3")]);
}

#[test]
fn swarm_pauses_or_rolls_back_after_too_many_failures() {
    let text = "0:old:e9 0:new:f5 1:old:r 2:old:r";
    let mut policy = swarm(3, 1, Order::StopFirst);
    let (steps, out) = run(3, &policy, text);
    assert_eq!((steps.as_str(), out.status), ("+0<0", RolloutStatus::Paused));
    policy.on_failure = FailureAction::Rollback;
    assert_eq!(run(3, &policy, text).1.status, RolloutStatus::RollBack);
    policy.max_failure_ratio = 0.5;
    let (steps, out) = run(3, &policy, text);
    assert_eq!(
        (steps.as_str(), out.status),
        ("+0<0", RolloutStatus::Rolling),
        "one of three is allowed"
    );
    policy.max_failure_ratio = 0.0;
    policy.on_failure = FailureAction::Continue;
    assert_eq!(run(3, &policy, text).1.status, RolloutStatus::Rolling);
    // Before this rollout, or after it had run for longer than the monitor: no failure of the rollout.
    policy.on_failure = FailureAction::Pause;
    assert_eq!(
        run(3, &policy, "0:new:f200 1:old:r 2:old:r").1.status,
        RolloutStatus::Rolling
    );
    policy.monitor = Duration::ZERO;
    assert_eq!(run(3, &policy, text).1.status, RolloutStatus::Rolling);
}

#[test]
fn a_deployment_surges_and_lets_go_at_once_and_reports_a_stall() {
    let policy = Policy::deployment(4, Share::Percent(25), Share::Percent(25), Some(secs(60)));
    assert_eq!((policy.max_surge, policy.max_unavailable), (1, 1));
    let (steps, out) = run(4, &policy, "0:old:r 1:old:r 2:old:r 3:old:r");
    assert_eq!(steps, "-0.0m +0<0");
    assert!(out.progress.stalled, "it began 100 s ago and nothing has moved");
    let (steps, out) = run(4, &policy, "0:old:r 0:new:r9 1:old:r 2:old:r 3:old:l");
    assert_eq!(steps, "-0.0r");
    assert!(!out.progress.stalled);
    assert_eq!(out.wake_at, Some(NOW.plus(secs(51))));
    let rounded = Policy::deployment(3, Share::Percent(0), Share::Percent(25), None);
    assert_eq!((rounded.max_surge, rounded.max_unavailable), (0, 1));
}

#[test]
fn a_launch_delay_holds_starts_and_its_room_is_not_given_to_others() {
    let copies = read("0:new:f1 1:old:r 2:old:r");
    let mut policy = Policy::marathon(3, 1.0, 0.0, false);
    policy.keep_seats = true;
    let mut goal = goal(3);
    goal.launch_from = NOW.plus(secs(7));
    let out = next(&goal, &policy, &copies, NOW);
    assert_eq!(
        (out.steps.as_slice(), out.wake_at),
        (&[][..], Some(goal.launch_from))
    );
    goal.launch_from = Moment(0);
    goal.slot_launch_from.insert(0, NOW.plus(secs(3)));
    let out = next(&goal, &policy, &copies, NOW);
    assert_eq!(
        show(&out.steps, &copies),
        "+1<0",
        "the one above the count, slot 0 keeps its room"
    );
    assert_eq!(out.wake_at, Some(NOW.plus(secs(3))));
}

#[test]
fn a_paused_rollout_begins_nothing_and_finishes_what_it_began() {
    let policy = swarm(3, 2, Order::StartFirst);
    let mut goal = goal(3);
    goal.paused = true;
    let copies = read("0:old:r 0:new:r 1:old:r 2:new:f50");
    let out = next(&goal, &policy, &copies, NOW);
    assert_eq!(show(&out.steps, &copies), "-0.0r +2");
    assert_eq!(out.status, RolloutStatus::Paused);
}

#[test]
fn it_is_done_when_all_is_as_wanted_and_the_monitor_has_seen_enough() {
    let policy = swarm(2, 1, Order::StopFirst);
    let (_, out) = run(2, &policy, "0:new:r 1:new:r3");
    assert_eq!(
        (out.status, out.wake_at),
        (RolloutStatus::Monitoring, Some(NOW.plus(secs(2))))
    );
    assert_eq!(run(2, &policy, "0:new:r 1:new:r5").1.status, RolloutStatus::Done);
    assert_eq!(
        run(2, &policy, "0:new:r 1:new:r5 2:new:l").1.status,
        RolloutStatus::Rolling
    );
    assert_eq!(run(0, &policy, "0:old:e5").1.status, RolloutStatus::Done);
}

#[test]
fn a_seat_is_asked_for_only_where_it_is_kept() {
    let copies = read("0:old:r 1:old:r");
    let out = next(&goal(2), &Policy::marathon(2, 1.0, 0.5, false), &copies, NOW);
    assert_eq!(show(&out.steps, &copies), "+0");
}
