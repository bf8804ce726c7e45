//! What a change makes of an app: a partial update, a replacement, a restart, a version of before; and which
//! times of change the new version carries.

use crate::app::{App, VersionInfo};
use crate::canonical::{Canonical, canonical, migrate};
use crate::path::AppId;
use crate::refusal::{Detail, Refusal};
use crate::request::fields::AppFields;
use crate::stamp::Stamp;

/// What a request asks of an app that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Become this.
    To(Box<Canonical>),
    /// Become the version of before that is called so.
    Back(Stamp),
}

/// Lays the sent fields over `current`.
///
/// # Errors
/// As [`canonical`]; `Rules` if a version stands beside other fields.
pub fn partial(fields: AppFields, current: &App) -> Result<Change, Refusal> {
    let fields = migrate::translate(fields)?;
    if let Some(version) = rollback_version(&fields)? {
        return Ok(Change::Back(version));
    }
    let whole = canonical(fields.over(AppFields::of(current)))?;
    Ok(Change::To(Box::new(whole)))
}

/// Takes the sent fields as the whole app `id`; a version in them is thrown away.
///
/// # Errors
/// As [`canonical`].
pub fn replacement(mut fields: AppFields, id: &AppId) -> Result<Canonical, Refusal> {
    fields.id = Some(id.to_string());
    fields.version = None;
    canonical(fields)
}

fn rollback_version(fields: &AppFields) -> Result<Option<Stamp>, Refusal> {
    let Some(version) = &fields.version else {
        return Ok(None);
    };
    if !fields.is_rollback_only() {
        let error = "The 'version' field may only be combined with the 'id' field.";
        return Err(Refusal::Rules(vec![Detail::new("/", error)]));
    }
    let bad = |e| Refusal::Argument(format!("'{version}' is not a version: {e}"));
    version.parse().map(Some).map_err(bad)
}

/// The first version of an app.
#[must_use]
pub fn created(new: Canonical, version: Stamp) -> App {
    App {
        id: new.id,
        config: new.config,
        instances: new.instances,
        version,
        version_info: VersionInfo::both(version),
    }
}

/// The version after `old`, or none if nothing changed. A new configuration sets all times, a new count the
/// version and the time of scaling.
#[must_use]
pub fn changed(old: &App, new: Canonical, version: Stamp) -> Option<App> {
    let config = new.config != old.config;
    let count = new.instances != old.instances;
    if !config && !count {
        return None;
    }
    let version_info = if config {
        VersionInfo::both(version)
    } else {
        VersionInfo {
            last_scaling_at: version,
            ..old.version_info
        }
    };
    Some(App {
        id: old.id.clone(),
        config: new.config,
        instances: new.instances,
        version,
        version_info,
    })
}

/// The version after `old` that makes all tasks be replaced: the time of scaling stays.
#[must_use]
pub fn restarted(old: &App, version: Stamp) -> App {
    let version_info = VersionInfo {
        last_config_change_at: version,
        ..old.version_info
    };
    App {
        version,
        version_info,
        ..old.clone()
    }
}

/// What a request takes from an older version of an app.
#[must_use]
pub fn of_version(old: &App) -> Canonical {
    Canonical {
        id: old.id.clone(),
        config: old.config.clone(),
        instances: old.instances,
    }
}
