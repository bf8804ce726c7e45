//! Generators of what a claim and a spec may say.

use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::{
    Amendment, Budget, Desired, FileRef, HostPort, LostAfter, Pin, PortAsk, Priority, Protocol, Seat, Terms,
    Workload,
};
use plenum_model::ids::{NodeId, SchedulerId, SpecId, TaskId, TenantPath};
use plenum_model::rules::{
    Affinity, Domains, Expr, LimitPerKey, Op, Preference, Rules, Spread, Strategy as Choice, Toleration,
};
use plenum_model::spec::{
    Backoff, Caps, Check, Confinement, ContainerSpec, Image, LogLimits, Mount, MountSource, Network,
    OnFailure, PreStop, Probe, ProbePort, Pull, Restart, RestartUnit, Role, TaskSpec, Volume, VolumeMount,
    VolumeSource,
};
use plenum_model::taint::Effect;
use plenum_model::tally::{Among, Scope, Tally};
use plenum_model::template::{Part, Placeholder, Template};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,6}", any::<String>()]
}

pub(super) fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

pub(super) fn node() -> impl Strategy<Value = NodeId> {
    "[a-zA-Z0-9_.-]{1,8}".prop_map(|name| NodeId::new(name).unwrap())
}

pub(super) fn scheduler() -> impl Strategy<Value = SchedulerId> {
    "[a-z0-9-]{1,8}".prop_map(|name| SchedulerId::new(name).unwrap())
}

pub(super) fn tenant() -> impl Strategy<Value = TenantPath> {
    "[a-zA-Z0-9_./-]{1,8}".prop_map(|path| TenantPath::new(path).unwrap())
}

pub(super) fn task_id() -> impl Strategy<Value = TaskId> {
    any::<[u8; 16]>().prop_map(TaskId)
}

pub(super) fn amounts() -> impl Strategy<Value = Amounts> {
    let extended = btree_map(text(), 1..u64::MAX, 0..3);
    (any::<[u64; 4]>(), extended).prop_map(|([cpu_millis, memory_bytes, disk_bytes, slots], extended)| {
        Amounts {
            cpu_millis,
            memory_bytes,
            disk_bytes,
            slots,
            extended,
        }
    })
}

pub(super) fn resource() -> impl Strategy<Value = Resource> {
    let fixed = vec![Resource::Cpu, Resource::Memory, Resource::Disk, Resource::Slot];
    prop_oneof![select(fixed), text().prop_map(Resource::Extended)]
}

fn placeholder() -> impl Strategy<Value = Placeholder> {
    let plain = vec![
        Placeholder::TaskId,
        Placeholder::TaskName,
        Placeholder::Slot,
        Placeholder::NodeName,
        Placeholder::NodeHostname,
        Placeholder::NodeAddress,
        Placeholder::TaskAddress,
        Placeholder::Sandbox,
    ];
    prop_oneof![
        select(plain),
        any::<u16>().prop_map(Placeholder::HostPort),
        any::<u16>().prop_map(Placeholder::ContainerPort),
        any::<u16>().prop_map(Placeholder::File),
    ]
}

fn template() -> impl Strategy<Value = Template> {
    let part = prop_oneof![text().prop_map(Part::Text), placeholder().prop_map(Part::Fill)];
    vec(part, 0..3).prop_map(Template)
}

fn words() -> impl Strategy<Value = Vec<Template>> {
    vec(template(), 0..3)
}

fn caps() -> impl Strategy<Value = Caps> {
    (
        of(any::<u64>()),
        of(any::<u64>()),
        of(any::<u64>()),
        of(any::<u64>()),
    )
        .prop_map(
            |(cpu_weight_millis, cpu_limit_millis, memory_limit_bytes, pids)| Caps {
                cpu_weight_millis,
                cpu_limit_millis,
                memory_limit_bytes,
                pids,
            },
        )
}

fn mount() -> impl Strategy<Value = Mount> {
    let source = prop_oneof![
        text().prop_map(MountSource::Host),
        text().prop_map(MountSource::Volume),
        of(any::<u64>()).prop_map(MountSource::Tmpfs),
    ];
    (text(), source, any::<bool>()).prop_map(|(target, source, read_only)| Mount {
        target,
        source,
        read_only,
    })
}

fn probe_port() -> impl Strategy<Value = ProbePort> {
    prop_oneof![
        any::<u16>().prop_map(ProbePort::Claim),
        any::<u16>().prop_map(|inside| ProbePort::Inside { inside }),
    ]
}

fn volume() -> impl Strategy<Value = Volume> {
    let source = prop_oneof![
        Just(VolumeSource::Disk),
        of(any::<u64>()).prop_map(VolumeSource::Memory),
        Just(VolumeSource::Files),
    ];
    (text(), source).prop_map(|(name, source)| Volume { name, source })
}

fn volume_mount() -> impl Strategy<Value = VolumeMount> {
    (text(), text(), of(text()), any::<bool>()).prop_map(|(volume, target, sub_path, read_only)| {
        VolumeMount {
            volume,
            target,
            sub_path,
            read_only,
        }
    })
}

fn pre_stop() -> impl Strategy<Value = PreStop> {
    prop_oneof![
        words().prop_map(PreStop::Exec),
        any::<u64>().prop_map(PreStop::SleepMs)
    ]
}

fn probe() -> impl Strategy<Value = Probe> {
    let check = prop_oneof![
        words().prop_map(Check::Exec),
        (
            probe_port(),
            text(),
            any::<bool>(),
            vec((text(), text()), 0..2),
            vec(any::<u16>(), 0..2)
        )
            .prop_map(|(port, path, tls, headers, statuses)| Check::Http {
                port,
                path,
                tls,
                headers,
                statuses,
            }),
        probe_port().prop_map(|port| Check::Tcp { port }),
        Just(Check::Image),
    ];
    let on_failure = select(vec![OnFailure::Report, OnFailure::Restart, OnFailure::Fail]);
    let how = (any::<[u64; 4]>(), any::<[u32; 2]>(), any::<[bool; 2]>());
    (check, on_failure, how).prop_map(|(check, on_failure, (times, counts, [told, once]))| {
        let ([delay_ms, period_ms, timeout_ms, grace_ms], [failures, successes]) = (times, counts);
        Probe {
            check,
            on_failure,
            delay_ms,
            period_ms,
            timeout_ms,
            failures,
            successes,
            grace_ms,
            told,
            once,
        }
    })
}

fn restart() -> impl Strategy<Value = Restart> {
    prop_oneof![
        Just(Restart::Never),
        Just(Restart::Always),
        any::<u32>().prop_map(|max| Restart::OnFailure { max }),
    ]
}

fn image() -> impl Strategy<Value = Image> {
    (text(), select(vec![Pull::IfMissing, Pull::Always, Pull::Never]))
        .prop_map(|(reference, pull)| Image { reference, pull })
}

fn container() -> impl Strategy<Value = ContainerSpec> {
    let what = (
        text(),
        text(),
        of(image()),
        of(words()),
        of(words()),
        vec((text(), template()), 0..3),
    );
    let how = (
        of(text()),
        of(text()),
        any::<[bool; 3]>(),
        caps(),
        vec(mount(), 0..2),
        vec(probe(), 0..2),
    );
    let end = (restart(), of(text()), any::<u64>(), any::<(u64, u32)>(), labels());
    let among = (
        select(vec![Role::Main, Role::Init, Role::Sidecar]),
        vec(volume_mount(), 0..2),
        of(probe()),
        of(pre_stop()),
        confinement(),
    );
    (what, how, end, among).prop_map(
        |(what, how, end, (role, volumes, startup, pre_stop, confinement))| {
            let (name, runtime, image, entrypoint, args, env) = what;
            let (workdir, user, [tty, stdin, privileged], caps, mounts, probes) = how;
            let (restart, stop_signal, stop_grace_ms, (max_bytes, files), labels) = end;
            let logs = LogLimits { max_bytes, files };
            ContainerSpec {
                name,
                runtime,
                image,
                entrypoint,
                args,
                env,
                workdir,
                user,
                tty,
                stdin,
                caps,
                mounts,
                probes,
                restart,
                stop_signal,
                stop_grace_ms,
                logs,
                privileged,
                labels,
                role,
                volumes,
                startup,
                pre_stop,
                confinement,
            }
        },
    )
}

fn confinement() -> impl Strategy<Value = Confinement> {
    let names = || btree_set(text(), 0..3);
    (any::<[bool; 2]>(), names(), names()).prop_map(
        |([read_only_root, no_new_privileges], dropped, added)| Confinement {
            read_only_root,
            no_new_privileges,
            dropped,
            added,
        },
    )
}

pub(super) fn spec() -> impl Strategy<Value = TaskSpec> {
    let network = select(vec![Network::Host, Network::Bridge]);
    let together = (
        select(vec![RestartUnit::Task, RestartUnit::Container]),
        any::<([u64; 3], u32)>(),
        vec(volume(), 0..2),
    );
    (vec(container(), 0..3), network, of(text()), together).prop_map(
        |(
            containers,
            network,
            hostname,
            (restart_unit, ([base_ms, cap_ms, good_run_ms], immediate), volumes),
        )| TaskSpec {
            containers,
            network,
            hostname,
            restart_unit,
            backoff: Backoff {
                base_ms,
                cap_ms,
                good_run_ms,
                immediate,
            },
            volumes,
        },
    )
}

fn expr() -> impl Strategy<Value = Expr> {
    let ops = vec![
        Op::In,
        Op::NotIn,
        Op::Regex,
        Op::NotRegex,
        Op::Less,
        Op::Greater,
        Op::Exists,
        Op::NotExists,
    ];
    (text(), select(ops), vec(text(), 0..3), any::<[bool; 2]>()).prop_map(
        |(key, op, values, [absent_matches, fold_case])| Expr {
            key,
            op,
            values,
            absent_matches,
            fold_case,
        },
    )
}

fn tally() -> impl Strategy<Value = Tally> {
    let scope = select(vec![Scope::Workload, Scope::Version, Scope::Scheduler]);
    let among = (scope, vec(expr(), 0..2)).prop_map(|(scope, labels)| Among { scope, labels });
    (text(), btree_map(node(), text(), 0..3), among).prop_map(|(key, nodes, among)| Tally {
        key,
        nodes,
        among,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let preference = (any::<i32>(), vec(expr(), 0..2)).prop_map(|(weight, all)| Preference { weight, all });
    let over = select(vec![Domains::Seen, Domains::Eligible, Domains::All]);
    let spread = (tally(), any::<[u32; 2]>(), over, any::<bool>()).prop_map(
        |(tally, [max_skew, min_domains], over, hard)| Spread {
            tally,
            max_skew,
            min_domains,
            over,
            hard,
        },
    );
    let limit = (tally(), any::<u32>()).prop_map(|(tally, max)| LimitPerKey { tally, max });
    let affinity =
        (tally(), any::<[bool; 2]>()).prop_map(|(tally, [away, hard])| Affinity { tally, away, hard });
    let effect = of(select(Effect::ALL.to_vec()));
    let toleration =
        (of(text()), of(text()), effect).prop_map(|(key, value, effect)| Toleration { key, value, effect });
    let strategy = select(vec![Choice::Pack, Choice::Spread, Choice::Random]);
    (
        vec(vec(expr(), 0..2), 0..2),
        vec(preference, 0..2),
        strategy,
        vec(spread, 0..2),
        vec(limit, 0..2),
        vec(affinity, 0..2),
        vec(toleration, 0..2),
    )
        .prop_map(
            |(required, preferred, strategy, spread, limits, affinity, tolerations)| Rules {
                required,
                preferred,
                strategy,
                spread,
                limits,
                affinity,
                tolerations,
            },
        )
}

pub(super) fn desired() -> impl Strategy<Value = Desired> {
    prop_oneof![
        any::<u64>().prop_map(|deadline_ms| Desired::Held { deadline_ms }),
        Just(Desired::Running),
        Just(Desired::Stopped),
    ]
}

fn port_ask() -> impl Strategy<Value = PortAsk> {
    let host = prop_oneof![Just(HostPort::Dynamic), any::<u16>().prop_map(HostPort::Fixed)];
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Both]);
    (text(), protocol, host, of(any::<u16>())).prop_map(|(name, protocol, host, container)| PortAsk {
        name,
        protocol,
        host,
        container,
    })
}

pub(super) fn seat() -> impl Strategy<Value = Seat> {
    let pin = (node(), any::<bool>()).prop_map(|(node, past_cordon)| Pin { node, past_cordon });
    (task_id(), text(), any::<u64>(), of(task_id()), of(pin)).prop_map(|(id, name, slot, replaces, pin)| {
        Seat {
            id,
            name,
            slot,
            replaces,
            pin,
        }
    })
}

fn files() -> impl Strategy<Value = Vec<FileRef>> {
    let place = (text(), of(text()));
    let file = (text(), any::<u64>(), place, any::<u32>(), any::<bool>()).prop_map(
        |(key, revision, (target, volume), mode, secret)| FileRef {
            key,
            revision,
            target,
            mode,
            secret,
            volume,
        },
    );
    vec(file, 0..2)
}

pub(super) fn terms() -> impl Strategy<Value = Arc<Terms>> {
    let workload = (text(), text(), text(), text()).prop_map(|(uid, name, kind, version)| Workload {
        uid,
        name,
        kind,
        version,
    });
    let devices = btree_map(text(), any::<u32>(), 0..2);
    let lost = prop_oneof![Just(LostAfter::Never), any::<u64>().prop_map(LostAfter::Millis)];
    let priority = (any::<i32>(), of(tenant())).prop_map(|(value, scope)| Priority { value, scope });
    let budget = (text(), any::<u32>()).prop_map(|(group, min_healthy)| Budget { group, min_healthy });
    let what = (
        workload,
        tenant(),
        amounts(),
        devices,
        vec(port_ask(), 0..3),
        any::<[u8; 32]>(),
        labels(),
    );
    let how = (
        desired(),
        rules(),
        lost,
        priority,
        any::<bool>(),
        of(budget),
        files(),
        any::<u32>(),
    );
    (what, how).prop_map(|(what, how)| {
        let (workload, tenant, charge, devices, ports, spec, labels) = what;
        let (desired, rules, lost_after, priority, may_preempt, budget, files, keep_ended) = how;
        let spec = SpecId(spec);
        Arc::new(Terms {
            workload,
            tenant,
            charge,
            devices,
            ports,
            spec,
            labels,
            desired,
            rules,
            lost_after,
            priority,
            may_preempt,
            budget,
            files,
            keep_ended,
        })
    })
}

pub(super) fn amendment() -> impl Strategy<Value = Amendment> {
    prop_oneof![
        desired().prop_map(Amendment::Desired),
        labels().prop_map(Amendment::Labels),
        amounts().prop_map(Amendment::Charge),
        files().prop_map(Amendment::Files),
        (text(), text()).prop_map(|(container, reference)| Amendment::Image { container, reference }),
    ]
}
