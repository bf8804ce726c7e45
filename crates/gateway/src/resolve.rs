//! Which task a user means: a full id, a name, or the start of either, with the scheduler in front or not, and with the
//! folder (a namespace, say) or not. Pure over a list of tasks.

use crate::problem::Problem;
use plenum_model::code;
use plenum_model::phase::Phase;
use plenum_model::task::Task;
use std::sync::Arc;

/// The task that `reference` means. In this order: the orchestrator's own name of the task; its workload and slot
/// (`web.2`); the start of an id or name. Where one that runs and one that ended both fit, the one that runs is
/// meant; of several attempts under one name that ended, the newest.
pub(crate) fn task(tasks: &[Arc<Task>], reference: &str) -> Result<Arc<Task>, Problem> {
    exact(tasks, reference)
        .or_else(|| starts(tasks, reference))
        .unwrap_or_else(|| Err(not_found("task", reference)))
}

/// The task that `reference` means, or, where it is the name of a workload, the task of it that most needs to be
/// explained: one that waits, else one with a problem, else the first.
pub(crate) fn task_or_workload(tasks: &[Arc<Task>], reference: &str) -> Result<Arc<Task>, Problem> {
    exact(tasks, reference)
        .or_else(|| of_workload(tasks, reference))
        .or_else(|| starts(tasks, reference))
        .unwrap_or_else(|| Err(not_found("task or workload", reference)))
}

type Found = Option<Result<Arc<Task>, Problem>>;

fn exact(tasks: &[Arc<Task>], reference: &str) -> Found {
    let named = fitting(tasks, reference, |t, name| {
        t.seat.name == name || in_folder(t, name) == Some(t.seat.name.as_str())
    });
    let named = if named.is_empty() {
        fitting(tasks, reference, is_slot)
    } else {
        named
    };
    one_of(&named, reference, Ended::Newest)
}

fn starts(tasks: &[Arc<Task>], reference: &str) -> Found {
    let fit = |t: &Task, start: &str| {
        let named = t.seat.name.starts_with(start)
            || in_folder(t, start).is_some_and(|rest| !rest.is_empty() && t.seat.name.starts_with(rest));
        !start.is_empty() && (named || t.id().to_string().starts_with(&start.to_ascii_lowercase()))
    };
    one_of(&fitting(tasks, reference, fit), reference, Ended::OnlyOne)
}

fn of_workload(tasks: &[Arc<Task>], reference: &str) -> Found {
    let of = fitting(tasks, reference, same_workload);
    let live: Vec<&Arc<Task>> = of
        .iter()
        .copied()
        .filter(|t| !t.status.phase().is_terminal())
        .collect();
    let of = if live.is_empty() { of } else { live };
    let first = *of.first()?;
    if let Some(other) = of.iter().find(|t| t.scheduler != first.scheduler) {
        return Some(Err(ambiguous(reference, &[first, other])));
    }
    let worst = of.iter().min_by_key(|t| {
        let waits = t.status.phase() == Phase::Pending;
        (
            !waits,
            crate::view::problem::of(t).is_none(),
            std::cmp::Reverse(t.status.claimed_at),
        )
    });
    worst.map(|t| Ok(Arc::clone(t)))
}

/// Tasks that fit the reference, or what follows the name of their scheduler in it.
fn fitting<'a>(
    tasks: &'a [Arc<Task>],
    reference: &str,
    fits: impl Fn(&Task, &str) -> bool,
) -> Vec<&'a Arc<Task>> {
    let with_scheduler = |t: &Task| {
        let rest = reference
            .strip_prefix(t.scheduler.as_str())
            .and_then(|r| r.strip_prefix('/'));
        rest.is_some_and(|rest| fits(t, rest))
    };
    tasks
        .iter()
        .filter(|t| fits(t, reference) || with_scheduler(t))
        .collect()
}

fn is_slot(t: &Task, name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(workload, slot)| slot.parse() == Ok(t.seat.slot) && same_workload(t, workload))
}

/// What follows the folder of a task's workload, if the text begins with it: names of pods repeat in namespaces.
fn in_folder<'a>(t: &Task, name: &'a str) -> Option<&'a str> {
    let (folder, _) = t.terms.workload.name.rsplit_once('/')?;
    let folder = folder.trim_start_matches('/');
    name.strip_prefix(folder)?
        .strip_prefix('/')
        .filter(|_| !folder.is_empty())
}

fn same_workload(t: &Task, name: &str) -> bool {
    t.terms.workload.name.trim_start_matches('/') == name.trim_start_matches('/')
}

enum Ended {
    Newest,
    OnlyOne,
}

fn one_of(found: &[&Arc<Task>], reference: &str, ended: Ended) -> Found {
    let live: Vec<&Arc<Task>> = found
        .iter()
        .copied()
        .filter(|t| !t.status.phase().is_terminal())
        .collect();
    let among = if live.is_empty() { found } else { &live };
    match (among, ended) {
        ([], _) => None,
        ([one], _) => Some(Ok(Arc::clone(one))),
        (many, Ended::Newest) if live.is_empty() && one_scheduler(many) => many
            .iter()
            .max_by_key(|t| (t.status.claimed_at, t.id()))
            .map(|t| Ok(Arc::clone(t))),
        (many, Ended::Newest | Ended::OnlyOne) => Some(Err(ambiguous(reference, many))),
    }
}

fn one_scheduler(tasks: &[&Arc<Task>]) -> bool {
    tasks.windows(2).all(|w| w[0].scheduler == w[1].scheduler)
}

fn not_found(kind: &str, reference: &str) -> Problem {
    Problem::new(code::NOT_FOUND, format!("there is no {kind} `{reference}`"))
        .at("task")
        .hint("`plenum task list --ended` shows all that are remembered")
}

fn ambiguous(reference: &str, fits: &[&Arc<Task>]) -> Problem {
    const SHOWN: usize = 3;
    let names: Vec<String> = fits
        .iter()
        .take(SHOWN)
        .map(|t| format!("{}/{} ({})", t.scheduler, t.seat.name, t.id()))
        .collect();
    let more = match fits.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Problem::new(
        code::AMBIGUOUS,
        format!("`{reference}` fits {}{more}", names.join(", ")),
    )
    .at("task")
    .hint("give more of the id, or the scheduler and `/` in front of the name")
}
