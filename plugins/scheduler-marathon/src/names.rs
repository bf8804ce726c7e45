//! Names of tasks: `<path>.instance-<uuid>._app.1`. The uuid is a function of Plenum's task id, so a
//! scheduler that crashed names the same task the same again.

use crate::path::AppId;
use plenum_model::ids::TaskId;
use uuid::Uuid;

/// Namespace of instance uuids: made once, random, never to change.
const INSTANCES: Uuid = Uuid::from_u128(0x7c1b_8d1e_54f0_4a6b_9a0c_3f1d_2e77_50aa);

/// `shop_web.instance-<uuid>`: the instance of a task.
#[must_use]
pub fn instance(app: &AppId, task: TaskId) -> String {
    format!("{}.instance-{}", app.safe(), Uuid::new_v5(&INSTANCES, &task.0))
}

/// `shop_web.instance-<uuid>._app.1`: the task. Each attempt is an instance of its own, so its one
/// incarnation is always the first.
#[must_use]
pub fn task(app: &AppId, task: TaskId) -> String {
    format!("{}._app.1", instance(app, task))
}

/// What the text of a task id says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Whose task it is.
    pub app: AppId,
    /// Everything before `._app`: what all incarnations share.
    pub instance: String,
}

/// Reads a task id of any form that Marathon accepts; `None` is answered with 400.
#[must_use]
pub fn parse(id: &str) -> Option<Parsed> {
    of_instance(id).or_else(|| of_old_forms(id))
}

/// `<path>.(instance-|marathon-)<uuid>[._]<container>[.<incarnation>]`
fn of_instance(id: &str) -> Option<Parsed> {
    let (at, prefix) = ["instance-", "marathon-"]
        .iter()
        .filter_map(|p| id.rfind(&format!(".{p}")).map(|at| (at, *p)))
        .max()?;
    let (path, rest) = (&id[..at], &id[at + 1 + prefix.len()..]);
    let end = rest.find(['.', '_'])?;
    let (uuid, container) = (&rest[..end], &rest[end + 1..]);
    let name = container.split_once('.').map_or(container, |(name, _)| name);
    let incarnation = container.split_once('.').map(|(_, n)| n);
    let counted = incarnation.is_none_or(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if path.is_empty() || uuid.is_empty() || name.is_empty() || !counted {
        return None;
    }
    Some(Parsed {
        app: AppId::from_safe(path),
        instance: format!("{path}.{prefix}{uuid}"),
    })
}

/// `<path>.<uuid>` and `<path>_<uuid>`, with or without `.<incarnation>`: before instances had names.
fn of_old_forms(id: &str) -> Option<Parsed> {
    let base = match id.rsplit_once('.') {
        Some((base, n))
            if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && base.contains(['.', '_']) =>
        {
            base
        }
        _ => id,
    };
    let at = base.rfind(['.', '_'])?;
    let (path, uuid) = (&base[..at], &base[at + 1..]);
    (!path.is_empty() && !uuid.is_empty()).then(|| Parsed {
        app: AppId::from_safe(path),
        instance: base.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::SchedulerId;

    #[test]
    fn a_name_is_a_function_of_the_task_id_and_reads_back() {
        let app = AppId::from_root("/shop/web");
        let scheduler = SchedulerId::new("marathon").unwrap();
        let first = TaskId::derive(&scheduler, "u", 0, 1);
        let name = task(&app, first);
        assert_eq!(name, task(&app, first));
        assert_ne!(name, task(&app, TaskId::derive(&scheduler, "u", 0, 2)));
        assert!(
            name.starts_with("shop_web.instance-") && name.ends_with("._app.1"),
            "{name}"
        );
        assert_eq!(
            parse(&name),
            Some(Parsed {
                app: app.clone(),
                instance: instance(&app, first)
            })
        );
    }

    #[test]
    fn older_forms_are_understood_and_nonsense_is_not() {
        for (id, app) in [
            ("a_b.instance-0b1c._app.3", "/a/b"),
            ("a.instance-0b1c._app", "/a"),
            ("a.marathon-0b1c._app.1", "/a"),
            ("a_b.0b1c-77", "/a/b"),
            ("a_b_0b1c.4", "/a/b"),
        ] {
            assert_eq!(parse(id).map(|p| p.app.to_string()).as_deref(), Some(app), "{id}");
        }
        for bad in ["", "web", ".x", "x.", "_", "bad task id"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
