//! One container of a pod.

use super::charge::{limit, request};
use super::env::{Vars, env};
use super::lower::{Draft, Settings};
use super::sources::Sources;
use super::volumes::mounts;
use super::{Refused, probe};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use plenum_model::spec::{Caps, Confinement, ContainerSpec, Image, LogLimits, PreStop, Pull, Restart, Role};
use plenum_model::template::{Part, Placeholder, Template};
use std::collections::{BTreeMap, BTreeSet};

/// Lowers one container. What is missing is noted in the draft.
///
/// # Errors
/// The first thing of it that is not served.
pub fn container(
    pod: &Pod,
    spec: &PodSpec,
    said: &Container,
    role: Role,
    sources: &Sources,
    settings: &Settings,
    draft: &mut Draft,
) -> Result<ContainerSpec, Refused> {
    let vars = env(pod, said, sources, draft)?;
    let list = |items: &Option<Vec<String>>| {
        let items = items.as_ref().filter(|i| !i.is_empty());
        items.map(|items| items.iter().map(|text| vars.expand(text)).collect::<Vec<_>>())
    };
    let (entrypoint, args) = (list(&said.command), list(&said.args));
    // only an environment is filled in where it is not seen
    let secret = |t: &Template| t.0.iter().any(|p| matches!(p, Part::Fill(Placeholder::File(_))));
    if [&entrypoint, &args].into_iter().flatten().flatten().any(secret) {
        let field = format!("command of container {}: the value of a secret", said.name);
        return Err(Refused::unserved(field));
    }
    let (volumes, of_node) = mounts(spec, said, &vars)?;
    let pre_stop = pre_stop(said, &vars);
    let policy = restart(spec, role);
    Ok(ContainerSpec {
        name: said.name.clone(),
        runtime: settings.runtime.clone(),
        image: said
            .image
            .as_deref()
            .map(|reference| image(reference, said.image_pull_policy.as_deref())),
        // a command replaces the image's own arguments, too
        args: args.or_else(|| entrypoint.as_ref().map(|_| Vec::new())),
        entrypoint,
        env: vars.into_list(),
        workdir: said.working_dir.clone().filter(|d| !d.is_empty()),
        user: user(spec, said),
        tty: said.tty == Some(true),
        stdin: said.stdin == Some(true),
        caps: caps(said)?,
        mounts: of_node,
        probes: probe::probes(said)?,
        restart: policy,
        stop_signal: said.lifecycle.as_ref().and_then(|l| l.stop_signal.clone()),
        stop_grace_ms: grace_ms(spec),
        logs: LogLimits::default(),
        privileged: said.security_context.as_ref().and_then(|s| s.privileged) == Some(true),
        labels: labels(pod, said),
        role,
        volumes,
        startup: probe::startup(said)?,
        pre_stop,
        confinement: confinement(said),
    })
}

/// What the security context takes from the container's processes, and gives them.
fn confinement(said: &Container) -> Confinement {
    let Some(said) = &said.security_context else {
        return Confinement::default();
    };
    let names = |list: Option<&Vec<String>>| -> BTreeSet<String> {
        let names = list.into_iter().flatten().map(|name| name.to_ascii_uppercase());
        names
            .map(|name| name.trim_start_matches("CAP_").to_owned())
            .collect()
    };
    let capabilities = said.capabilities.as_ref();
    Confinement {
        read_only_root: said.read_only_root_filesystem == Some(true),
        no_new_privileges: said.allow_privilege_escalation == Some(false),
        dropped: names(capabilities.and_then(|c| c.drop.as_ref())),
        added: names(capabilities.and_then(|c| c.add.as_ref())),
    }
}

/// How long a pod may take to stop, in milliseconds.
#[must_use]
pub fn grace_ms(spec: &PodSpec) -> u64 {
    let seconds = spec.termination_grace_period_seconds.unwrap_or(30);
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}

fn image(reference: &str, pull: Option<&str>) -> Image {
    let newest = !reference.contains('@')
        && reference
            .rsplit('/')
            .next()
            .is_none_or(|n| n.split_once(':').is_none_or(|(_, tag)| tag == "latest"));
    Image {
        reference: reference.to_owned(),
        pull: match pull {
            Some("Always") => Pull::Always,
            Some("Never") => Pull::Never,
            Some("IfNotPresent") => Pull::IfMissing,
            _ if newest => Pull::Always,
            _ => Pull::IfMissing,
        },
    }
}

fn restart(spec: &PodSpec, role: Role) -> Restart {
    match (role, spec.restart_policy.as_deref()) {
        (Role::Sidecar, _) | (Role::Main, None | Some("Always")) => Restart::Always,
        (Role::Init, None | Some("Always")) | (_, Some("OnFailure")) => Restart::OnFailure { max: 0 },
        (Role::Main | Role::Init, Some(_)) => Restart::Never,
    }
}

fn pre_stop(said: &Container, vars: &Vars) -> Option<PreStop> {
    let handler = said.lifecycle.as_ref()?.pre_stop.as_ref()?;
    if let Some(exec) = &handler.exec {
        let command: Vec<Template> = exec.command.iter().flatten().map(|c| vars.expand(c)).collect();
        return Some(PreStop::Exec(command));
    }
    let seconds = handler.sleep.as_ref()?.seconds;
    Some(PreStop::SleepMs(
        u64::try_from(seconds).unwrap_or(0).saturating_mul(1000),
    ))
}

/// `uid[:gid]`: the container's own word wins.
fn user(spec: &PodSpec, said: &Container) -> Option<String> {
    let own = said.security_context.as_ref();
    let all = spec.security_context.as_ref();
    let user = own
        .and_then(|s| s.run_as_user)
        .or_else(|| all.and_then(|s| s.run_as_user));
    let group = own
        .and_then(|s| s.run_as_group)
        .or_else(|| all.and_then(|s| s.run_as_group));
    // a group alone is refused: the image's user is not known here
    user.map(|user| match group {
        Some(group) => format!("{user}:{group}"),
        None => user.to_string(),
    })
}

fn caps(said: &Container) -> Result<Caps, Refused> {
    Ok(Caps {
        // a container that requests nothing still gets the least
        cpu_weight_millis: request(said, "cpu")?.filter(|n| *n > 0),
        cpu_limit_millis: limit(said, "cpu")?.filter(|n| *n > 0),
        memory_limit_bytes: limit(said, "memory")?.filter(|n| *n > 0),
        pids: None,
    })
}

/// What tools on the node look for.
fn labels(pod: &Pod, said: &Container) -> BTreeMap<String, String> {
    [
        ("io.kubernetes.pod.namespace", super::namespace(pod)),
        ("io.kubernetes.pod.name", super::name(pod)),
        ("io.kubernetes.pod.uid", super::uid(pod)),
        ("io.kubernetes.container.name", &said.name),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into()
}
