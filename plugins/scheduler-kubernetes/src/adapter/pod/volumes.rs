//! Volumes of a pod and where its containers see them. Config maps, secrets, projections and the downward API
//! become sets of files that the claim names; a path of the node stays one.

use super::Refused;
use super::env::{Vars, field_value, resource_value};
use super::lower::{Draft, FileDraft};
use super::sources::{Entries, Missing, NeededBy, Sources, TokenAsk};
use crate::object::quantity::Quantity;
use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, Pod, PodSpec,
    Volume as KubeVolume, VolumeProjection,
};
use plenum_model::spec::{Mount, MountSource, Volume, VolumeMount, VolumeSource};
use plenum_model::template::Part;

/// What Kubernetes gives files where nothing is said.
const DEFAULT_MODE: i32 = 0o644;

/// Lowers the volumes of a pod into its draft.
///
/// # Errors
/// A volume of a kind that is not served.
pub fn volumes(pod: &Pod, spec: &PodSpec, sources: &Sources, draft: &mut Draft) -> Result<(), Refused> {
    for (i, volume) in spec.volumes.iter().flatten().enumerate() {
        let field = format!("spec.volumes[{i}]");
        let source = if let Some(dir) = &volume.empty_dir {
            empty_dir(dir, &field)?
        } else if let Some(path) = &volume.host_path {
            check_host_path(path, &field)?;
            continue;
        } else {
            Files {
                pod,
                sources,
                draft: &mut *draft,
                volume: &volume.name,
            }
            .fill(volume, &field)?;
            VolumeSource::Files
        };
        let name = volume.name.clone();
        draft.spec.volumes.push(Volume { name, source });
    }
    Ok(())
}

fn empty_dir(dir: &EmptyDirVolumeSource, field: &str) -> Result<VolumeSource, Refused> {
    let limit = dir
        .size_limit
        .as_ref()
        .map(|text| Quantity::parse(&text.0))
        .transpose();
    let limit = limit.map_err(|e| Refused::new(format!("{field}.emptyDir.sizeLimit"), e.to_string()))?;
    let limit = limit
        .and_then(|q| u64::try_from(q.value()).ok())
        .filter(|n| *n > 0);
    match (dir.medium.as_deref().unwrap_or_default(), limit) {
        ("", None) => Ok(VolumeSource::Disk),
        ("Memory", limit) => Ok(VolumeSource::Memory(limit)),
        ("", Some(_)) => Err(Refused::unserved(format!("{field}.emptyDir.sizeLimit on disk"))),
        (other, _) => Err(Refused::unserved(format!("{field}.emptyDir.medium: {other}"))),
    }
}

fn check_host_path(path: &HostPathVolumeSource, field: &str) -> Result<(), Refused> {
    match path.type_.as_deref().unwrap_or_default() {
        "" | "Directory" | "File" | "Socket" | "CharDevice" | "BlockDevice" | "DirectoryOrCreate" => Ok(()),
        other => Err(Refused::unserved(format!("{field}.hostPath.type: {other}"))),
    }
}

/// Fills one volume with files.
struct Files<'a> {
    pod: &'a Pod,
    sources: &'a Sources,
    draft: &'a mut Draft,
    volume: &'a str,
}

/// What entries become files, and how.
struct Selection<'a> {
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    mode: i32,
    secret: bool,
    /// `configmap "x"`, as Kubernetes writes it.
    what: String,
}

impl Files<'_> {
    fn fill(&mut self, volume: &KubeVolume, field: &str) -> Result<(), Refused> {
        if let Some(map) = &volume.config_map {
            let entries = self.sources.config_maps.get(&map.name);
            let selection = Selection {
                items: map.items.as_deref(),
                optional: map.optional == Some(true),
                mode: map.default_mode.unwrap_or(DEFAULT_MODE),
                secret: false,
                what: format!("configmap \"{}\"", map.name),
            };
            self.entries(entries, &selection);
        } else if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let entries = self.sources.secrets.get(name);
            let selection = Selection {
                items: secret.items.as_deref(),
                optional: secret.optional == Some(true),
                mode: secret.default_mode.unwrap_or(DEFAULT_MODE),
                secret: true,
                what: format!("secret \"{name}\""),
            };
            self.entries(entries, &selection);
        } else if let Some(api) = &volume.downward_api {
            let mode = api.default_mode.unwrap_or(DEFAULT_MODE);
            for item in api.items.iter().flatten() {
                self.field(item, mode, field)?;
            }
        } else if let Some(projected) = &volume.projected {
            let mode = projected.default_mode.unwrap_or(DEFAULT_MODE);
            for source in projected.sources.iter().flatten() {
                self.project(source, mode, field)?;
            }
        } else {
            return Err(Refused::unserved(format!("{field} ({})", kind(volume))));
        }
        Ok(())
    }

    fn project(&mut self, source: &VolumeProjection, mode: i32, field: &str) -> Result<(), Refused> {
        if source.cluster_trust_bundle.is_some() {
            return Err(Refused::unserved(format!(
                "{field}.projected.sources: clusterTrustBundle"
            )));
        }
        if let Some(map) = &source.config_map {
            let entries = self.sources.config_maps.get(&map.name);
            let selection = Selection {
                items: map.items.as_deref(),
                optional: map.optional == Some(true),
                mode,
                secret: false,
                what: format!("configmap \"{}\"", map.name),
            };
            self.entries(entries, &selection);
        }
        if let Some(secret) = &source.secret {
            let entries = self.sources.secrets.get(&secret.name);
            let selection = Selection {
                items: secret.items.as_deref(),
                optional: secret.optional == Some(true),
                mode,
                secret: true,
                what: format!("secret \"{}\"", secret.name),
            };
            self.entries(entries, &selection);
        }
        for item in source.downward_api.iter().flat_map(|d| d.items.iter().flatten()) {
            self.field(item, mode, field)?;
        }
        if let Some(token) = &source.service_account_token {
            let ask = TokenAsk {
                audience: token.audience.clone().unwrap_or_default(),
                expiration_seconds: token.expiration_seconds.unwrap_or(3600),
            };
            match self.sources.tokens.get(&ask) {
                Some(text) => self.file(&token.path, text.clone().into_bytes(), mode, true),
                None => self.missing("failed to fetch token: it was not given".to_owned()),
            }
        }
        Ok(())
    }

    fn entries(&mut self, entries: Option<&Entries>, selection: &Selection<'_>) {
        let Some(entries) = entries else {
            if !selection.optional {
                self.missing(format!("{} not found", selection.what));
            }
            return;
        };
        let Some(items) = selection.items else {
            for (key, value) in entries {
                self.file(key, value.clone(), selection.mode, selection.secret);
            }
            return;
        };
        for item in items {
            match entries.get(&item.key) {
                Some(value) => {
                    let mode = item.mode.unwrap_or(selection.mode);
                    self.file(&item.path, value.clone(), mode, selection.secret);
                }
                None if selection.optional => {}
                None => self.missing(format!(
                    "references non-existent {} key: {}",
                    selection.what, item.key
                )),
            }
        }
    }

    fn field(&mut self, item: &DownwardAPIVolumeFile, mode: i32, at: &str) -> Result<(), Refused> {
        let bytes = if let Some(field) = &item.field_ref {
            let value = field_value(self.pod, &field.field_path);
            plain(value.as_ref().map(|v| v.0.as_slice()))
                .ok_or_else(|| Refused::unserved(format!("{at}: fieldRef {}", field.field_path)))?
        } else if let Some(field) = &item.resource_field_ref {
            let named = |name: &str| {
                let mut all = self.pod.spec.iter().flat_map(super::all_containers);
                all.find_map(|(_, c)| (c.name == name).then_some(c))
            };
            let own = field.container_name.as_deref().and_then(named);
            let own = own.ok_or_else(|| Refused::new(at, "resourceFieldRef names no container"))?;
            resource_value(self.pod, own, field)?
        } else {
            String::new()
        };
        self.file(&item.path, bytes.into_bytes(), item.mode.unwrap_or(mode), false);
        Ok(())
    }

    /// Later ones of the same path replace earlier ones, as in Kubernetes.
    fn file(&mut self, path: &str, bytes: Vec<u8>, mode: i32, secret: bool) {
        self.draft
            .files
            .retain(|f| f.volume != self.volume || f.target != path);
        self.draft.files.push(FileDraft {
            bytes,
            target: path.to_owned(),
            volume: self.volume.to_owned(),
            mode: u32::try_from(mode).unwrap_or(0o644) & 0o777,
            secret,
        });
    }

    fn missing(&mut self, message: String) {
        let needed_by = NeededBy::Volume(self.volume.to_owned());
        self.draft.missing.push(Missing { needed_by, message });
    }
}

/// The text of a template that has nothing to be filled in.
fn plain(parts: Option<&[Part]>) -> Option<String> {
    parts?.iter().try_fold(String::new(), |text, part| match part {
        Part::Text(more) => Some(text + more),
        Part::Fill(_) => None,
    })
}

fn kind(volume: &KubeVolume) -> String {
    let value = serde_json::to_value(volume).unwrap_or_default();
    let mut kinds = value
        .as_object()
        .into_iter()
        .flat_map(|o| o.keys())
        .filter(|k| *k != "name");
    kinds.next().cloned().unwrap_or_else(|| "no source".to_owned())
}

/// What a container mounts: volumes of the task, and paths of the node.
///
/// # Errors
/// What of it is not served, and volumes that are not there.
pub fn mounts(
    spec: &PodSpec,
    container: &Container,
    vars: &Vars,
) -> Result<(Vec<VolumeMount>, Vec<Mount>), Refused> {
    let (mut of_task, mut of_node) = (Vec::new(), Vec::new());
    for mount in container.volume_mounts.iter().flatten() {
        let field = |what: &str| {
            format!(
                "volumeMounts of container {}: {}{what}",
                container.name, mount.name
            )
        };
        let propagation = mount.mount_propagation.as_deref();
        if !matches!(propagation, None | Some("" | "None")) {
            return Err(Refused::unserved(field(".mountPropagation")));
        }
        if !matches!(
            mount.recursive_read_only.as_deref(),
            None | Some("" | "Disabled" | "IfPossible")
        ) {
            return Err(Refused::unserved(field(".recursiveReadOnly")));
        }
        let sub_path = match mount.sub_path_expr.as_deref() {
            None | Some("") => mount.sub_path.clone().filter(|p| !p.is_empty()),
            Some(expression) => {
                let expanded = plain(Some(&vars.expand(expression).0));
                Some(expanded.ok_or_else(|| Refused::unserved(field(".subPathExpr of what is known late")))?)
            }
        };
        let mut volumes = spec.volumes.iter().flatten();
        let volume = volumes.find(|v| v.name == mount.name);
        let volume = volume.ok_or_else(|| Refused::new(field(""), "there is no such volume"))?;
        let target = absolute(&mount.mount_path);
        let read_only = mount.read_only == Some(true);
        if let Some(path) = &volume.host_path {
            let whole = match &sub_path {
                None => path.path.clone(),
                Some(sub) if sub.split('/').any(|p| p == "..") => {
                    return Err(Refused::new(field(".subPath"), "must not contain '..'"));
                }
                Some(sub) => format!("{}/{sub}", path.path.trim_end_matches('/')),
            };
            let source = MountSource::Host(whole);
            of_node.push(Mount {
                target,
                source,
                read_only,
            });
        } else {
            let volume = mount.name.clone();
            of_task.push(VolumeMount {
                volume,
                target,
                sub_path,
                read_only,
            });
        }
    }
    if container.volume_devices.as_ref().is_some_and(|d| !d.is_empty()) {
        return Err(Refused::unserved(format!(
            "volumeDevices of container {}",
            container.name
        )));
    }
    Ok((of_task, of_node))
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}
