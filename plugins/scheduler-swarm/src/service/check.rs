//! What of a service is not acceptable, or not served: refused by name, with the form that works where there is
//! one. Docker's own defaults are accepted: tools send back what they were given.

use super::blob::BlobRecord;
use super::place::Constraint;
use super::record::ServiceRecord;
use super::spec::{
    Amounts, ContainerSpec, FileTarget, Mode, Mount, Port, Replicated, ServiceSpec, TaskTemplate,
    UpdateConfig,
};
use super::template::Context;
use crate::error::ApiError;
use crate::store::{Desired, Table};
use serde_json::Value;

type Checked = Result<(), ApiError>;

fn no(text: impl Into<String>) -> Checked {
    Err(ApiError::bad(text))
}

fn not_served(asked: bool, what: &str) -> Checked {
    if asked {
        return no(format!("{what} is not served by Plenum yet"));
    }
    Ok(())
}

/// Fills in what a server stores and checks the whole.
///
/// # Errors
/// 400 with the first thing that stands in the way.
pub fn service(mut spec: ServiceSpec, desired: &Desired) -> Result<ServiceSpec, ApiError> {
    name(spec.name())?;
    mode(&mut spec)?;
    if let Some(task) = &mut spec.task {
        template(task, desired)?;
    } else {
        return Err(ApiError::bad("TaskTemplate: missing container or plugin spec"));
    }
    update(spec.update.as_ref(), "UpdateConfig")?;
    update(spec.rollback.as_ref(), "RollbackConfig")?;
    networks(spec.networks.as_deref())?;
    let mode = spec.endpoint.as_ref().and_then(|e| e.mode.as_deref());
    if !matches!(mode, None | Some("" | "vip" | "dnsrr")) {
        no(format!("invalid endpoint mode '{}'", mode.unwrap_or_default()))?;
    }
    spec.ports().iter().try_for_each(port)?;
    // templates read the service's own name, so they are checked with it
    let probe = ServiceRecord::new(String::new(), spec, 0);
    let context = Context::of(&probe);
    let container = probe.spec.container();
    for text in container.into_iter().flat_map(|c| c.env.iter().flatten()) {
        context.expand(text).map_err(ApiError::bad)?;
    }
    Ok(probe.spec)
}

fn name(name: &str) -> Checked {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let good = edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(ok);
    if !good || name.len() > 63 {
        return no("name must be valid as a DNS name component");
    }
    Ok(())
}

fn mode(spec: &mut ServiceSpec) -> Checked {
    let mode = spec.mode.get_or_insert_default();
    let job = mode.replicated_job.is_some() || mode.global_job.is_some();
    not_served(job, "job mode (`--mode replicated-job` and `global-job`)")?;
    match mode {
        Mode {
            replicated: Some(_),
            global: Some(_),
            ..
        } => no("must specify only one service mode"),
        Mode { global: Some(_), .. } => Ok(()),
        Mode { replicated, .. } => {
            let replicas = replicated.get_or_insert(Replicated { replicas: Some(1) });
            let n = *replicas.replicas.get_or_insert(1);
            if n > 100_000 {
                return no(format!(
                    "{n} replicas are more than the 100000 that a service can have"
                ));
            }
            Ok(())
        }
    }
}

fn template(task: &mut TaskTemplate, desired: &Desired) -> Checked {
    not_served(task.plugin.is_some(), "a plugin service")?;
    not_served(task.attachment.is_some(), "a network attachment")?;
    not_served(
        !matches!(task.runtime.as_deref(), None | Some("" | "container")),
        "this Runtime",
    )?;
    not_served(
        task.log_driver.as_ref().is_some_and(|d| {
            !matches!(d.name.as_deref(), None | Some("" | "json-file" | "none"))
                || d.options.as_ref().is_some_and(|o| !o.is_empty())
        }),
        "a log driver (`--log-driver`, `--log-opt`)",
    )?;
    networks(task.networks.as_deref())?;
    if let Some(r) = &task.resources {
        [(&r.limits, "Limits"), (&r.reservations, "Reservations")]
            .into_iter()
            .try_for_each(|(a, what)| a.as_ref().map_or(Ok(()), |a| amounts(a, what)))?;
    }
    if let Some(p) = &task.placement {
        for text in p.constraints.iter().flatten() {
            Constraint::parse(text).map_err(ApiError::bad)?;
        }
    }
    if let Some(condition) = task.restart.as_ref().and_then(|r| r.condition.as_deref())
        && !matches!(condition, "" | "none" | "on-failure" | "any")
    {
        return no(format!("invalid RestartCondition: '{condition}'"));
    }
    match &mut task.container {
        None => no("TaskTemplate: missing container spec"),
        Some(c) => {
            if c.isolation.is_none() {
                c.isolation = Some("default".to_owned());
            }
            container(c, desired)
        }
    }
}

fn networks(asked: Option<&[Value]>) -> Checked {
    let Some(first) = asked.and_then(<[Value]>::first) else {
        return Ok(());
    };
    let name = first.get("Target").and_then(Value::as_str).unwrap_or_default();
    Err(ApiError::missing(format!("network {name} not found")))
}

fn amounts(a: &Amounts, what: &str) -> Checked {
    if a.nano_cpus.is_some_and(|n| n != 0 && n < 1_000_000) {
        return no(format!(
            "invalid cpu value {}: Must be at least 0.001",
            a.nano_cpus.unwrap_or(0) as f64 / 1e9
        ));
    }
    if a.memory.is_some_and(|n| n != 0 && n < 4 << 20) {
        return no(format!(
            "invalid memory value {}: Must be at least 4MiB",
            a.memory.unwrap_or(0)
        ));
    }
    let generic = a.generic.as_ref().is_some_and(|g| !g.is_empty());
    not_served(generic, &format!("{what}.GenericResources"))
}

fn container(c: &ContainerSpec, desired: &Desired) -> Checked {
    if c.image.as_deref().unwrap_or_default().is_empty() {
        return no("ContainerSpec: image reference must be provided");
    }
    let image = c.image.as_deref().unwrap_or_default();
    if crate::container::lower::reference(image).is_err() {
        return no(format!(
            "ContainerSpec: \"{image}\" is not a valid repository/tag"
        ));
    }
    let some = |v: &Option<Vec<String>>| v.as_ref().is_some_and(|v| !v.is_empty());
    let privileges = c.privileges.as_ref().is_some_and(|p| !is_blank(p));
    let dns = c
        .dns
        .as_ref()
        .is_some_and(|d| some(&d.servers) || some(&d.search) || some(&d.options));
    let table = [
        (some(&c.groups), "Groups (`--group`)"),
        (privileges, "Privileges"),
        (c.init == Some(true), "Init (`--init`)"),
        (c.read_only == Some(true), "ReadOnly (`--read-only`)"),
        (some(&c.hosts), "Hosts (`--host`)"),
        (dns, "DNSConfig (`--dns`, `--dns-search`, `--dns-option`)"),
        (
            !matches!(c.isolation.as_deref(), None | Some("" | "default")),
            "Isolation",
        ),
        (
            c.sysctls.as_ref().is_some_and(|s| !s.is_empty()),
            "Sysctls (`--sysctl`)",
        ),
        (some(&c.cap_add), "CapabilityAdd (`--cap-add`)"),
        (some(&c.cap_drop), "CapabilityDrop (`--cap-drop`)"),
        (
            c.ulimits.as_ref().is_some_and(|u| !u.is_empty()),
            "Ulimits (`--ulimit`)",
        ),
        (c.oom_score.unwrap_or(0) != 0, "OomScoreAdj"),
        (
            c.hostname.as_deref().is_some_and(|h| h.contains("{{")),
            "a template in Hostname (`--hostname`)",
        ),
        (
            c.health
                .as_ref()
                .is_some_and(|h| h.start_interval.unwrap_or(0) != 0),
            "Healthcheck.StartInterval (`--health-start-interval`)",
        ),
    ];
    table
        .into_iter()
        .try_for_each(|(asked, what)| not_served(asked, what))?;
    for pair in c.env.iter().flatten() {
        if pair.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return no(format!("invalid environment variable: {pair}"));
        }
    }
    c.mounts.iter().flatten().try_for_each(mount)?;
    references(
        c.secrets
            .iter()
            .flatten()
            .map(|r| (&r.id, &r.name, r.file.as_ref())),
        &desired.secrets,
    )?;
    not_served(
        c.configs.iter().flatten().any(|r| r.runtime.is_some()),
        "a config at run time (credential spec)",
    )?;
    references(
        c.configs
            .iter()
            .flatten()
            .map(|r| (&r.id, &r.name, r.file.as_ref())),
        &desired.configs,
    )
}

/// Whether a value says nothing but defaults.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.iter().all(is_blank),
        Value::Object(fields) => fields.values().all(is_blank),
    }
}

fn mount(m: &Mount) -> Checked {
    let kind = m.kind.as_deref().unwrap_or("volume");
    let source = m.source.as_deref().unwrap_or_default();
    let target = m.target.as_deref().unwrap_or_default();
    if target.is_empty() {
        return no("mount target must not be empty");
    }
    if target.contains("{{") || source.contains("{{") {
        return not_served(true, "a template in a mount");
    }
    match kind {
        "bind" if source.is_empty() => no("invalid bind mount, source must not be empty"),
        "bind" if !source.starts_with('/') => no(format!(
            "invalid bind mount source, must be an absolute path: {source}"
        )),
        "volume" | "" if source.is_empty() => {
            not_served(true, "an anonymous volume (give the mount a `source`)")
        }
        "tmpfs" if !source.is_empty() => no("invalid tmpfs source, source must be empty"),
        "bind" | "volume" | "" | "tmpfs" => Ok(()),
        other => not_served(true, &format!("mount type `{other}`")),
    }?;
    if let Some(b) = &m.bind {
        let plain = matches!(b.propagation.as_deref(), None | Some("" | "rprivate"));
        not_served(
            !plain || b.non_recursive == Some(true) || b.create == Some(true),
            "BindOptions",
        )?;
        not_served(
            b.read_only_non_recursive == Some(true) || b.read_only_force_recursive == Some(true),
            "BindOptions",
        )?;
    }
    if let Some(v) = &m.volume {
        let driver = v.driver.as_ref().is_some_and(|d| {
            !matches!(d.name.as_deref(), None | Some("" | "local"))
                || d.options.as_ref().is_some_and(|o| !o.is_empty())
        });
        let labels = v.labels.as_ref().is_some_and(|l| !l.is_empty());
        let subpath = v.subpath.as_deref().is_some_and(|s| !s.is_empty());
        not_served(
            driver || labels || subpath || v.no_copy == Some(true),
            "VolumeOptions",
        )?;
    }
    not_served(
        m.tmpfs.as_ref().is_some_and(|t| t.mode.unwrap_or(0) != 0),
        "TmpfsOptions.Mode (`tmpfs-mode`)",
    )
}

fn references<'a, R: BlobRecord>(
    asked: impl Iterator<Item = (&'a Option<String>, &'a Option<String>, Option<&'a FileTarget>)>,
    there: &Table<R>,
) -> Checked {
    let mut targets = std::collections::BTreeSet::new();
    for (id, name, file) in asked {
        let id = id.as_deref().unwrap_or_default();
        if there.get(id).is_none() {
            let name = name.as_deref().unwrap_or(id);
            return no(format!("{} not found: {name}", R::NOUN));
        }
        let owner = |o: &Option<String>| !matches!(o.as_deref(), None | Some("" | "0"));
        let file = file.cloned().unwrap_or_default();
        not_served(
            owner(&file.uid) || owner(&file.gid),
            &format!("the owner of a {} (`uid`, `gid`)", R::NOUN),
        )?;
        let target = file.name.or_else(|| name.clone()).unwrap_or_default();
        if !targets.insert(target.clone()) {
            return no(format!(
                "{} references '{id}' and another have a conflicting target: '{target}'",
                R::NOUN
            ));
        }
    }
    Ok(())
}

fn port(p: &Port) -> Checked {
    let target = p.target.unwrap_or(0);
    if target == 0 {
        return no("invalid TargetPort: 0");
    }
    if !matches!(p.protocol.as_deref(), None | Some("" | "tcp" | "udp")) {
        return not_served(
            true,
            &format!("protocol {}", p.protocol.as_deref().unwrap_or_default()),
        );
    }
    if p.mode.as_deref() == Some("host") {
        return Ok(());
    }
    let published = match p.published {
        Some(n) if n > 0 => format!("published={n},"),
        Some(_) | None => String::new(),
    };
    no(format!(
        "ingress ports are not served by Plenum yet; use `--publish mode=host,{published}target={target}`"
    ))
}

fn update(c: Option<&UpdateConfig>, what: &str) -> Checked {
    let Some(c) = c else {
        return Ok(());
    };
    if !matches!(
        c.failure_action.as_deref(),
        None | Some("" | "pause" | "continue" | "rollback")
    ) {
        return no(format!(
            "unrecognized update failure action {}",
            c.failure_action.as_deref().unwrap_or_default()
        ));
    }
    if what == "RollbackConfig" && c.failure_action.as_deref() == Some("rollback") {
        return no("unrecognized rollback failure action rollback");
    }
    if !matches!(c.order.as_deref(), None | Some("" | "stop-first" | "start-first")) {
        return no(format!(
            "unrecognized update order {}",
            c.order.as_deref().unwrap_or_default()
        ));
    }
    if c.delay.is_some_and(|d| d < 0) || c.monitor.is_some_and(|d| d < 0) {
        return no(format!("TaskTemplate: {what} durations must not be negative"));
    }
    if c.max_failure_ratio.is_some_and(|r| !(0.0..=1.0).contains(&r)) {
        return no("TaskTemplate: update-maxfailureratio cannot be less than 0 or bigger than 1");
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
