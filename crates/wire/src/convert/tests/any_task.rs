//! Generators of what is known of tasks and nodes, and of what goes through streams.

use super::any::{amounts, desired, labels, node, resource, scheduler, seat, task_id, tenant, terms, text};
use bytes::Bytes;
use plenum_contract::streams::{
    CheckResult, ExecRequest, Health, LogLine, LogQuery, LogSource, Output, ProcessTable, Stats, StreamError,
    StreamInput, StreamRequest, WindowSize,
};
use plenum_model::event::Event;
use plenum_model::ids::{Cursor, Generation, Incarnation, Seq};
use plenum_model::node::{Liveness, Node, NodeFacts, PortRange, RuntimeFacts, Scheduling};
use plenum_model::phase::{Phase, Progress};
use plenum_model::taint::{Effect, Taint};
use plenum_model::task::{
    CheckStatus, ContainerEnd, ContainerState, ContainerStatus, Exit, ExitReason, Observation, Preempting,
    Status, Task, WaitReason,
};
use plenum_model::tenant::{Tenant, TenantUsage};
use plenum_model::why::{Cause, GangShort, LimitReached, NodeVerdict, Why};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

pub(super) fn cause() -> impl Strategy<Value = Cause> {
    let plain = vec![
        Cause::Unreachable,
        Cause::Cordoned,
        Cause::NotPinned,
        Cause::DynamicPorts,
    ];
    prop_oneof![
        select(plain),
        text().prop_map(Cause::Runtime),
        text().prop_map(Cause::Capability),
        text().prop_map(Cause::Attribute),
        text().prop_map(Cause::Taint),
        text().prop_map(Cause::LimitPerKey),
        text().prop_map(Cause::Spread),
        text().prop_map(Cause::Near),
        text().prop_map(Cause::Away),
        text().prop_map(Cause::KeptAway),
        text().prop_map(Cause::Device),
        resource().prop_map(Cause::Short),
        any::<u16>().prop_map(Cause::Port),
    ]
}

pub(super) fn why() -> impl Strategy<Value = Why> {
    let limit = (tenant(), resource(), any::<[u64; 2]>()).prop_map(|(tenant, resource, [limit, used])| {
        LimitReached {
            tenant,
            resource,
            limit,
            used,
        }
    });
    let gang = (any::<u32>(), any::<u32>()).prop_map(|(of, fit)| GangShort { of, fit });
    let by = vec((cause(), any::<u32>()), 0..3);
    (any::<u32>(), by, of(limit), of(node()), of(gang)).prop_map(|(nodes, by, limit, kept, gang)| Why {
        nodes,
        by,
        limit,
        kept,
        gang,
    })
}

pub(super) fn verdict() -> impl Strategy<Value = NodeVerdict> {
    (node(), of(cause()), text()).prop_map(|(node, cause, detail)| NodeVerdict { node, cause, detail })
}

fn progress() -> impl Strategy<Value = Progress> {
    (any::<u32>(), select(Phase::ALL.to_vec())).prop_map(|(n, phase)| Progress {
        incarnation: Incarnation(n),
        phase,
    })
}

fn exit() -> impl Strategy<Value = Exit> {
    let reasons = vec![
        ExitReason::Exited,
        ExitReason::Asked,
        ExitReason::OutOfMemory,
        ExitReason::Image,
        ExitReason::Command,
        ExitReason::Port,
        ExitReason::Setup,
        ExitReason::Runtime,
        ExitReason::Unhealthy,
        ExitReason::Gone,
        ExitReason::NodeLost,
        ExitReason::HeldTooLong,
        ExitReason::Preempted,
    ];
    (of(any::<i32>()), of(any::<i32>()), select(reasons), text()).prop_map(
        |(code, signal, reason, message)| Exit {
            code,
            signal,
            reason,
            message,
        },
    )
}

fn end() -> impl Strategy<Value = ContainerEnd> {
    (exit(), of(any::<u64>()), any::<u64>(), of(text())).prop_map(|(exit, started_at, ended_at, id)| {
        ContainerEnd {
            exit,
            started_at,
            ended_at,
            id,
        }
    })
}

fn container_status() -> impl Strategy<Value = ContainerStatus> {
    let reasons = vec![
        WaitReason::Turn,
        WaitReason::Creating,
        WaitReason::Held,
        WaitReason::BackOff,
        WaitReason::Image,
        WaitReason::Setup,
    ];
    let state = prop_oneof![
        (select(reasons), text()).prop_map(|(reason, message)| ContainerState::Waiting { reason, message }),
        any::<u64>().prop_map(|started_at| ContainerState::Running { started_at }),
        end().prop_map(ContainerState::Ended),
    ];
    let ids = (of(text()), of(text()));
    (text(), state, any::<u32>(), of(end()), any::<[bool; 2]>(), ids).prop_map(
        |(name, state, restarts, last, [ready, started], (id, image_id))| ContainerStatus {
            name,
            state,
            restarts,
            last,
            ready,
            started,
            id,
            image_id,
        },
    )
}

fn check_status() -> impl Strategy<Value = CheckStatus> {
    let times = [of(any::<u64>()), of(any::<u64>()), of(any::<u64>())];
    (of(any::<bool>()), any::<u32>(), times, text()).prop_map(
        |(passes, failures, [first_success, last_success, last_failure], cause)| CheckStatus {
            passes,
            failures,
            first_success,
            last_success,
            last_failure,
            cause,
        },
    )
}

pub(super) fn observation() -> impl Strategy<Value = Observation> {
    let seen = (task_id(), any::<u64>(), progress(), of(any::<bool>()));
    let parts = (vec(container_status(), 0..3), vec(check_status(), 0..3));
    (seen, of(text()), of(exit()), text(), any::<u64>(), parts).prop_map(
        |((task, seq, progress, ready), address, exit, message, at, (containers, checks))| Observation {
            task,
            seq: Seq(seq),
            progress,
            ready,
            address,
            exit,
            message,
            at,
            containers,
            checks,
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    let place = (progress(), any::<u64>(), of(node()), vec(any::<u16>(), 0..3));
    let seen = (
        of(any::<bool>()),
        of(text()),
        any::<bool>(),
        of(why()),
        of(exit()),
        text(),
    );
    let announced = (any::<u64>(), task_id()).prop_map(|(deadline, by)| Preempting { deadline, by });
    let room = (of(node()), of(announced));
    let times = (any::<u64>(), of(any::<u64>()), of(any::<u64>()), of(any::<u64>()));
    let parts = (vec(container_status(), 0..3), vec(check_status(), 0..3));
    (place, seen, times, parts, room).prop_map(|(place, seen, times, (containers, checks), room)| {
        let (nominated, preempting) = room;
        let (progress, seq, node, ports) = place;
        let (ready, address, unreachable, why, exit, message) = seen;
        let (claimed_at, placed_at, started_at, ended_at) = times;
        Status {
            progress,
            seq: Seq(seq),
            node,
            ports,
            ready,
            address,
            unreachable,
            why,
            nominated,
            preempting,
            exit,
            message,
            claimed_at,
            placed_at,
            started_at,
            ended_at,
            containers,
            checks,
        }
    })
}

pub(super) fn task() -> impl Strategy<Value = Task> {
    (
        scheduler(),
        seat(),
        terms(),
        any::<u64>(),
        desired(),
        any::<bool>(),
        status(),
    )
        .prop_map(
            |(scheduler, seat, terms, generation, desired, released, status)| Task {
                scheduler,
                seat,
                terms,
                generation: Generation(generation),
                desired,
                released,
                status,
            },
        )
}

pub(super) fn facts() -> impl Strategy<Value = NodeFacts> {
    let runtime = (text(), btree_set(text(), 0..3)).prop_map(|(version, capabilities)| RuntimeFacts {
        version,
        capabilities,
    });
    let who = (node(), text(), text(), amounts(), amounts());
    let what = (
        btree_map(text(), btree_set(text(), 0..3), 0..2),
        labels(),
        btree_map(text(), runtime, 0..2),
    );
    (who, what, any::<(u16, u16)>(), text(), taints()).prop_map(
        |(who, what, (low, high), agent_version, taints)| {
            let (id, hostname, address, capacity, system) = who;
            let (devices, attributes, runtimes) = what;
            let ports = PortRange { low, high };
            NodeFacts {
                id,
                hostname,
                address,
                capacity,
                system,
                devices,
                attributes,
                runtimes,
                ports,
                agent_version,
                taints,
            }
        },
    )
}

pub(super) fn taint() -> impl Strategy<Value = Taint> {
    let parts = (
        "[a-z][a-z./-]{0,9}[0-9]",
        "[0-9]{0,3}",
        select(Effect::ALL.to_vec()),
    );
    parts.prop_map(|(key, value, effect)| Taint::new(&key, &value, effect).unwrap())
}

fn taints() -> impl Strategy<Value = Vec<Taint>> {
    vec(taint(), 0..3)
}

pub(super) fn whole_node() -> impl Strategy<Value = Node> {
    let state = (
        select(vec![Liveness::Ready, Liveness::Unreachable]),
        select(vec![Scheduling::Open, Scheduling::Cordoned, Scheduling::Draining]),
    );
    let held = btree_map(text(), amounts(), 0..2);
    (
        facts(),
        state,
        held,
        btree_map(text(), any::<u32>(), 0..2),
        any::<[u64; 2]>(),
        taints(),
    )
        .prop_map(
            |(facts, (liveness, scheduling), held, tasks, [joined_at, since], taints)| Node {
                facts,
                liveness,
                scheduling,
                held,
                tasks,
                joined_at,
                since,
                taints,
            },
        )
}

pub(super) fn usage() -> impl Strategy<Value = TenantUsage> {
    let team =
        (tenant(), 1..u32::MAX, amounts(), amounts()).prop_map(|(path, weight, guarantee, limit)| Tenant {
            path,
            weight,
            guarantee,
            limit,
        });
    (team, amounts(), amounts(), any::<u32>()).prop_map(|(tenant, used, pending, tasks)| TenantUsage {
        tenant,
        used,
        pending,
        tasks,
    })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let texts = (text(), text(), text(), text());
    (any::<[u64; 2]>(), texts, of(task_id()), of(node())).prop_map(
        |([cursor, at], (kind, object, actor, message), task, node)| Event {
            cursor: Cursor(cursor),
            at,
            kind,
            object,
            task,
            node,
            actor,
            message,
        },
    )
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn size() -> impl Strategy<Value = WindowSize> {
    any::<(u16, u16)>().prop_map(|(rows, cols)| WindowSize { rows, cols })
}

pub(super) fn request() -> impl Strategy<Value = StreamRequest> {
    let logs = (of(text()), of(any::<u64>()), of(any::<u64>()), any::<[bool; 4]>()).prop_map(
        |(container, tail, since, [follow, stdout, stderr, previous])| LogQuery {
            container,
            follow,
            tail,
            since,
            stdout,
            stderr,
            previous,
        },
    );
    let exec = (
        of(text()),
        vec(text(), 0..3),
        vec((text(), text()), 0..3),
        of(text()),
        of(text()),
        of(size()),
        any::<bool>(),
    )
        .prop_map(|(container, argv, env, user, workdir, tty, stdin)| ExecRequest {
            container,
            argv,
            env,
            user,
            workdir,
            tty,
            stdin,
        });
    prop_oneof![
        logs.prop_map(StreamRequest::Logs),
        exec.prop_map(StreamRequest::Exec),
        of(text()).prop_map(|container| StreamRequest::Attach { container }),
        any::<u16>().prop_map(|port| StreamRequest::PortForward { port }),
        of(text()).prop_map(|container| StreamRequest::Stats { container }),
        (of(text()), text()).prop_map(|(container, arguments)| StreamRequest::Top { container, arguments }),
        of(text()).prop_map(|container| StreamRequest::Health { container }),
        (of(text()), text()).prop_map(|(container, name)| StreamRequest::Signal { container, name }),
    ]
}

pub(super) fn input() -> impl Strategy<Value = StreamInput> {
    prop_oneof![
        bytes().prop_map(StreamInput::Data),
        size().prop_map(StreamInput::Resize),
        Just(StreamInput::Eof),
    ]
}

pub(super) fn output() -> impl Strategy<Value = Output> {
    let line = (
        any::<u64>(),
        select(vec![LogSource::Stdout, LogSource::Stderr]),
        bytes(),
    )
        .prop_map(|(at_nanos, source, bytes)| LogLine {
            at_nanos,
            source,
            bytes,
        });
    let stats = (any::<[u64; 8]>(), of(any::<u64>())).prop_map(
        |(
            [
                cpu_nanos,
                memory_bytes,
                pids,
                at_nanos,
                received,
                sent,
                read,
                written,
            ],
            memory_limit_bytes,
        )| Stats {
            cpu_nanos,
            memory_bytes,
            memory_limit_bytes,
            pids,
            at_nanos,
            received_bytes: received,
            sent_bytes: sent,
            read_bytes: read,
            written_bytes: written,
        },
    );
    let processes = (vec(text(), 0..3), vec(vec(text(), 0..3), 0..3))
        .prop_map(|(titles, processes)| ProcessTable { titles, processes });
    let result =
        (any::<[u64; 2]>(), any::<i32>(), text()).prop_map(|([began, ended], code, output)| CheckResult {
            began,
            ended,
            code,
            output,
        });
    let health = (any::<u32>(), vec(result, 0..3)).prop_map(|(failing, results)| Health { failing, results });
    prop_oneof![
        line.prop_map(Output::Log),
        bytes().prop_map(Output::Stdout),
        bytes().prop_map(Output::Stderr),
        any::<i32>().prop_map(|code| Output::Exit { code }),
        stats.prop_map(Output::Stats),
        processes.prop_map(Output::Processes),
        health.prop_map(Output::Health),
    ]
}

pub(super) fn stream_error() -> impl Strategy<Value = StreamError> {
    prop_oneof![
        text().prop_map(|what| StreamError::NotFound { what }),
        text().prop_map(|why| StreamError::State { why }),
        (text(), text()).prop_map(|(what, runtime)| StreamError::NotSupported { what, runtime }),
        text().prop_map(|why| StreamError::Unavailable { why }),
        text().prop_map(|why| StreamError::Failed { why }),
    ]
}
