//! `-v`, `--mount` and `--tmpfs`.

use super::fields::{Fields, is_default};
use crate::error::{ApiError, ApiResult};
use plenum_model::spec::{Mount, MountSource};

/// All mounts of a container.
pub(super) fn mounts(host: &Fields<'_>) -> ApiResult<Vec<Mount>> {
    let mut all = Vec::new();
    for text in host.list("Binds")?.unwrap_or_default() {
        all.push(bind(&text)?);
    }
    for item in host.items("Mounts")? {
        all.push(mount(&Fields::of(Some(item), "Mounts")?)?);
    }
    for (target, options) in host.map("Tmpfs")? {
        all.push(tmpfs(&target, &options)?);
    }
    for (i, one) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.target == one.target) {
            return Err(ApiError::bad(format!("Duplicate mount point: {}", one.target)));
        }
    }
    Ok(all)
}

fn source(text: &str) -> MountSource {
    if text.starts_with('/') {
        MountSource::Host(text.to_owned())
    } else {
        MountSource::Volume(text.to_owned())
    }
}

fn bind(text: &str) -> ApiResult<Mount> {
    let invalid = || ApiError::bad(format!("invalid volume specification: '{text}'"));
    let mut parts = text.splitn(3, ':');
    let (Some(from), Some(target)) = (parts.next(), parts.next()) else {
        return Err(ApiError::not_served(format!(
            "-v {text}: anonymous volumes; name one with -v NAME:PATH"
        )));
    };
    if from.is_empty() || !target.starts_with('/') || target == "/" {
        return Err(invalid());
    }
    let mut read_only = false;
    for option in parts.next().unwrap_or_default().split(',') {
        match option {
            "" | "rw" => {}
            "ro" => read_only = true,
            // Labels for a security module that no node reports.
            other => return Err(ApiError::not_served(format!("option {other} of -v {text}"))),
        }
    }
    Ok(Mount {
        target: target.to_owned(),
        source: source(from),
        read_only,
    })
}

fn mount(fields: &Fields<'_>) -> ApiResult<Mount> {
    let (kind, from, target) = (
        fields.text("Type")?,
        fields.text("Source")?,
        fields.text("Target")?,
    );
    if !target.starts_with('/') {
        return Err(ApiError::bad(format!(
            "invalid mount config for type \"{kind}\": invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    for options in ["BindOptions", "VolumeOptions"] {
        if fields.get(options).is_some_and(|v| !is_default(v)) {
            return Err(ApiError::not_served(format!(
                "{options} of the mount at {target}"
            )));
        }
    }
    let tmpfs = fields.object("TmpfsOptions")?;
    if tmpfs.number("Mode")? != 0 {
        return Err(ApiError::not_served(format!(
            "tmpfs-mode of the mount at {target}"
        )));
    }
    let source = match (kind, from) {
        ("bind", path) if path.starts_with('/') => MountSource::Host(path.to_owned()),
        ("bind", _) => {
            return Err(ApiError::bad(format!(
                "invalid mount config for type \"bind\": invalid mount path: '{from}' mount path must be absolute"
            )));
        }
        ("volume", "") => return Err(ApiError::not_served("an anonymous volume; give it a source")),
        ("volume", name) => MountSource::Volume(name.to_owned()),
        ("tmpfs", _) => MountSource::Tmpfs(Some(tmpfs.amount("SizeBytes")?).filter(|n| *n > 0)),
        ("cluster" | "image" | "npipe", _) => {
            return Err(ApiError::not_served(format!("mounts of type {kind}")));
        }
        (other, _) => {
            return Err(ApiError::bad(format!(
                "invalid mount config for type \"{other}\": mount type unknown"
            )));
        }
    };
    Ok(Mount {
        target: target.to_owned(),
        source,
        read_only: fields.flag("ReadOnly")?,
    })
}

fn tmpfs(target: &str, options: &str) -> ApiResult<Mount> {
    let (mut bytes, mut read_only) = (None, false);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            None if option == "rw" => {}
            None if option == "ro" => read_only = true,
            Some(("size", text)) => {
                bytes = Some(size(text).ok_or_else(|| ApiError::bad(format!("invalid tmpfs size {text}")))?);
            }
            _ => {
                return Err(ApiError::not_served(format!(
                    "option {option} of --tmpfs {target}"
                )));
            }
        }
    }
    Ok(Mount {
        target: target.to_owned(),
        source: MountSource::Tmpfs(bytes),
        read_only,
    })
}

/// Bytes, with `k`, `m` or `g` for the powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (number, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'm' => (&text[..text.len() - 1], 1 << 20),
        b'g' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
