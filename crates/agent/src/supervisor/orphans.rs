//! Containers that belong to no living incarnation: found on the node without a task, or left behind by a
//! restart in place. They are destroyed, however often that takes.

use super::io::{Effect, Now, Verb, Work};
use super::live::Retry;
use super::turn::Turn;
use plenum_contract::runtime::ContainerKey;
use std::collections::BTreeMap;

/// A container that is to be destroyed.
#[derive(Debug, Clone)]
pub(super) struct Orphan {
    runtime: String,
    under_way: bool,
    retry: Retry,
}

impl Orphan {
    pub(super) fn new(runtime: String) -> Self {
        Self {
            runtime,
            under_way: false,
            retry: Retry::default(),
        }
    }
}

/// Takes an orphan in and begins at once.
pub(super) fn take(turn: &mut Turn<'_>, key: ContainerKey, orphan: Orphan) {
    turn.orphans.entry(key).or_insert(orphan);
    press_on(turn.orphans, turn.now, turn.effects);
}

/// Asks for the removal of every orphan that is due.
pub(super) fn press_on(orphans: &mut BTreeMap<ContainerKey, Orphan>, now: Now, effects: &mut Vec<Effect>) {
    for (key, orphan) in orphans.iter_mut() {
        if orphan.under_way || !orphan.retry.due(now) {
            continue;
        }
        orphan.under_way = true;
        let (key, runtime) = (key.clone(), orphan.runtime.clone());
        effects.push(Effect::Do(Work {
            key,
            runtime,
            verb: Verb::Remove { kill: true },
        }));
    }
}

/// The removal of an orphan ended. Returns whether it is gone.
pub(super) fn done(
    orphans: &mut BTreeMap<ContainerKey, Orphan>,
    key: &ContainerKey,
    ok: bool,
    now: Now,
) -> bool {
    if ok {
        orphans.remove(key);
    } else if let Some(orphan) = orphans.get_mut(key) {
        orphan.under_way = false;
        orphan.retry.failed(now);
    }
    ok
}

/// When the next attempt is due.
pub(super) fn wake(orphans: &BTreeMap<ContainerKey, Orphan>) -> Option<u64> {
    orphans
        .values()
        .filter(|o| !o.under_way)
        .map(|o| o.retry.at())
        .min()
}
