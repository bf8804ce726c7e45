//! What of a pod's spec is not served, by name. At its default value everything is accepted: the API server sends
//! back what it filled in.

use super::{Refused, all_containers, is_sidecar};
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, PodSecurityContext, PodSpec, SecurityContext};

/// Checks a spec.
///
/// # Errors
/// The first field that is not served.
pub fn check(spec: &PodSpec) -> Result<(), Refused> {
    let filled = |list: Option<usize>| list.is_some_and(|n| n > 0);
    let len = |n: usize| Some(n);
    let table = [
        (
            spec.active_deadline_seconds.is_some(),
            "spec.activeDeadlineSeconds",
        ),
        (spec.dns_config.is_some(), "spec.dnsConfig"),
        (spec.dns_policy.as_deref() == Some("None"), "spec.dnsPolicy: None"),
        (
            filled(spec.ephemeral_containers.as_ref().and_then(|l| len(l.len()))),
            "spec.ephemeralContainers",
        ),
        (
            filled(spec.host_aliases.as_ref().and_then(|l| len(l.len()))),
            "spec.hostAliases",
        ),
        (spec.host_ipc == Some(true), "spec.hostIPC"),
        (spec.host_pid == Some(true), "spec.hostPID"),
        (spec.host_users == Some(false), "spec.hostUsers"),
        (
            filled(spec.image_pull_secrets.as_ref().and_then(|l| len(l.len()))),
            "spec.imagePullSecrets",
        ),
        (spec.os.as_ref().is_some_and(|os| os.name != "linux"), "spec.os"),
        (
            filled(spec.resource_claims.as_ref().and_then(|l| len(l.len()))),
            "spec.resourceClaims",
        ),
        (spec.resources.is_some(), "spec.resources"),
        (
            spec.runtime_class_name.as_deref().is_some_and(|n| !n.is_empty()),
            "spec.runtimeClassName",
        ),
        (spec.set_hostname_as_fqdn == Some(true), "spec.setHostnameAsFQDN"),
        (
            spec.share_process_namespace == Some(true),
            "spec.shareProcessNamespace",
        ),
        (
            spec.subdomain.as_deref().is_some_and(|n| !n.is_empty()),
            "spec.subdomain",
        ),
    ];
    first(&table)?;
    pod_security(spec.security_context.as_ref())?;
    for (path, container) in all_containers(spec) {
        of_container(spec, &path, container)?;
    }
    Ok(())
}

fn first(table: &[(bool, &str)]) -> Result<(), Refused> {
    match table.iter().find(|(said, _)| *said) {
        None => Ok(()),
        Some((_, field)) => Err(Refused::unserved(*field)),
    }
}

fn pod_security(said: Option<&PodSecurityContext>) -> Result<(), Refused> {
    let Some(said) = said else { return Ok(()) };
    first(&[
        (
            said.app_armor_profile.is_some(),
            "spec.securityContext.appArmorProfile",
        ),
        (said.fs_group.is_some(), "spec.securityContext.fsGroup"),
        (
            said.se_linux_options.is_some(),
            "spec.securityContext.seLinuxOptions",
        ),
        (
            said.seccomp_profile
                .as_ref()
                .is_some_and(|p| p.type_ != "RuntimeDefault"),
            "spec.securityContext.seccompProfile",
        ),
        (
            said.supplemental_groups.is_some(),
            "spec.securityContext.supplementalGroups",
        ),
        (
            said.sysctls.as_ref().is_some_and(|s| !s.is_empty()),
            "spec.securityContext.sysctls",
        ),
        (
            said.windows_options.is_some(),
            "spec.securityContext.windowsOptions",
        ),
    ])
}

fn of_container(spec: &PodSpec, path: &str, container: &Container) -> Result<(), Refused> {
    let at = |what: &str| Refused::unserved(format!("{path}.{what}"));
    if container.restart_policy.is_some() && !is_sidecar(container) {
        return Err(at("restartPolicy"));
    }
    if container.stdin_once == Some(true) && container.stdin != Some(true) {
        return Err(at("stdinOnce"));
    }
    if let Some(lifecycle) = &container.lifecycle {
        let by = |h: &LifecycleHandler| h.http_get.is_some() || h.tcp_socket.is_some();
        if lifecycle.post_start.is_some() {
            return Err(at("lifecycle.postStart"));
        }
        if lifecycle.pre_stop.as_ref().is_some_and(by) {
            return Err(at("lifecycle.preStop.httpGet"));
        }
    }
    security(spec, container).map_err(|what| at(&format!("securityContext.{what}")))
}

fn security(spec: &PodSpec, container: &Container) -> Result<(), &'static str> {
    let empty = SecurityContext::default();
    let said = container.security_context.as_ref().unwrap_or(&empty);
    let all = spec.security_context.as_ref();
    let user = said.run_as_user.or_else(|| all.and_then(|s| s.run_as_user));
    let group = said.run_as_group.or_else(|| all.and_then(|s| s.run_as_group));
    let not_root = said
        .run_as_non_root
        .or_else(|| all.and_then(|s| s.run_as_non_root))
        == Some(true);
    let table = [
        (said.app_armor_profile.is_some(), "appArmorProfile"),
        (
            said.proc_mount.as_deref().is_some_and(|p| p != "Default"),
            "procMount",
        ),
        (said.se_linux_options.is_some(), "seLinuxOptions"),
        (
            said.seccomp_profile
                .as_ref()
                .is_some_and(|p| p.type_ != "RuntimeDefault"),
            "seccompProfile",
        ),
        (said.windows_options.is_some(), "windowsOptions"),
        (user.is_none() && group.is_some(), "runAsGroup without runAsUser"),
        (
            not_root && user.is_none_or(|u| u == 0),
            "runAsNonRoot without a runAsUser other than 0",
        ),
    ];
    match table.into_iter().find(|(said, _)| *said) {
        None => Ok(()),
        Some((_, field)) => Err(field),
    }
}
