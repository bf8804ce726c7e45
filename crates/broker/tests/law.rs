//! What holds of one task whatever happens, for every account of what the core said.

use plenum_broker::input::TaskNow;
use plenum_model::ids::TaskId;
use std::collections::BTreeMap;

/// A task goes forward only.
pub(crate) fn goes_on(old: &TaskNow, now: &TaskNow) {
    let id = now.task.id();
    let (was, is) = (old.task.status.progress, now.task.status.progress);
    assert!(
        was == is || was.next(is) == Some(is),
        "{id} went from {was:?} to {is:?}"
    );
    assert!(
        now.task.generation >= old.task.generation,
        "{id}: its generation went back"
    );
    assert!(
        now.task.released || !old.task.released,
        "{id} was taken back from its release"
    );
}

/// What is kept for a task is kept exactly as long as it waits; whoever is announced is so for one of those.
pub(crate) fn is_kept_while_it_waits(now: &TaskNow, all: &BTreeMap<TaskId, TaskNow>) {
    let (id, status) = (now.task.id(), &now.task.status);
    let node = now.kept.as_ref().map(|kept| &kept.node);
    assert_eq!(
        status.nominated.as_ref(),
        node,
        "{id}: what it is told of its room"
    );
    if let Some(kept) = &now.kept {
        assert!(now.waits, "{id} waits no longer, and room is kept for it");
        assert!(
            kept.amounts.fits(&now.task.terms.charge),
            "{id} is kept more than it asks"
        );
        assert_eq!(kept.ports.len(), now.task.terms.ports.len());
    }
    if let Some(announced) = status.preempting {
        let by = all.get(&announced.by);
        let theirs = by.and_then(|by| by.kept.as_ref()).map(|kept| &kept.node);
        assert_eq!(theirs, now.on.as_ref(), "{id} is announced for nobody");
    }
}
