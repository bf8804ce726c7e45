//! How many pods each replica set of a deployment shall have next: the sdk's rollout engine, asked with what the
//! sets say of their pods. Pure.
//!
//! The engine thinks in copies and slots, a deployment in counts: the new set's pods take the slots from below, the
//! old sets' from above, so that what the engine starts and stops comes to the same bounds.

use super::super::specs::of_deployment;
use super::sets::{self, Sets};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use plenum_model::ids::TaskId;
use plenum_sdk::rollout::copies::{Copy, CopyState};
use plenum_sdk::rollout::engine::{Goal, Step, next};
use plenum_sdk::rollout::policy::{Policy, Share};
use plenum_sdk::time::Moment;
use std::collections::BTreeMap;

/// Sizes that differ from what the sets have, by the set's name.
pub(super) type Sizes = BTreeMap<String, i32>;

/// How many copies of each set shall exist. `old_pods`: whether pods of old sets are still there, going ones too.
pub(super) fn sizes(deployment: &Deployment, sets: &Sets, old_pods: bool, now: Timestamp) -> Sizes {
    let count = wanted(deployment);
    let wanted = if of_deployment(deployment).paused == Some(true) {
        while_paused(sets, count)
    } else if is_recreate(deployment) {
        recreate(sets, count, old_pods)
    } else {
        rolling(deployment, sets, count, now)
    };
    let differs = |name: &String, size: &i32| {
        sets.all()
            .any(|set| set.name_any() == *name && sets::wanted(set) != *size)
    };
    wanted
        .into_iter()
        .filter(|(name, size)| differs(name, size))
        .collect()
}

/// How many pods the deployment shall have.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    of_deployment(deployment).replicas.unwrap_or(1).max(0)
}

/// The most pods that may exist while it rolls.
pub(super) fn most(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) {
        return wanted(deployment);
    }
    let count = u32::try_from(wanted(deployment)).unwrap_or(0);
    i32::try_from(policy(deployment, count).most(count)).unwrap_or(i32::MAX)
}

/// The most pods that may be missing while it rolls.
pub(super) fn most_unavailable(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) {
        return 0;
    }
    let count = u32::try_from(wanted(deployment)).unwrap_or(0);
    i32::try_from(policy(deployment, count).max_unavailable).unwrap_or(i32::MAX)
}

fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = of_deployment(deployment).strategy.as_ref();
    strategy.and_then(|s| s.type_.as_deref()) == Some("Recreate")
}

fn policy(deployment: &Deployment, count: u32) -> Policy {
    let rolling = of_deployment(deployment)
        .strategy
        .as_ref()
        .and_then(|s| s.rolling_update.as_ref());
    let surge = rolling.and_then(|r| r.max_surge.as_ref());
    let unavailable = rolling.and_then(|r| r.max_unavailable.as_ref());
    Policy::deployment(count, share(surge), share(unavailable), None)
}

/// A quarter where nothing is said.
fn share(given: Option<&IntOrString>) -> Share {
    match given {
        None => Share::Percent(25),
        Some(IntOrString::Int(n)) => Share::Count(u32::try_from(*n).unwrap_or(0)),
        Some(IntOrString::String(text)) => {
            let percent = text.strip_suffix('%').and_then(|n| n.parse().ok());
            Share::Percent(percent.unwrap_or(25))
        }
    }
}

/// Nothing moves; what is wanted more or less is given to or taken from the newest set that has pods.
fn while_paused(sets: &Sets, count: i32) -> Sizes {
    let total: i32 = sets.all().map(|set| sets::wanted(set)).sum();
    let mut active: Vec<_> = sets.all().filter(|set| sets::wanted(set) > 0).collect();
    if active.is_empty() {
        active.extend(sets.new.as_ref().or(sets.old.last()));
    }
    let mut missing = count - total;
    let mut out = Sizes::new();
    for set in active.into_iter().rev() {
        let size = (sets::wanted(set) + missing).max(0);
        missing -= size - sets::wanted(set);
        out.insert(set.name_any(), size);
    }
    out
}

fn recreate(sets: &Sets, count: i32, old_pods: bool) -> Sizes {
    let mut out: Sizes = sets.old.iter().map(|set| (set.name_any(), 0)).collect();
    if let Some(new) = sets.new.as_ref().filter(|_| !old_pods) {
        out.insert(new.name_any(), count);
    }
    out
}

fn rolling(deployment: &Deployment, sets: &Sets, count: i32, now: Timestamp) -> Sizes {
    let slots = u32::try_from(count).unwrap_or(0);
    let now = Moment(u64::try_from(now.as_millisecond()).unwrap_or(0));
    let mut cast = Cast::default();
    if let Some(new) = &sets.new {
        let size = u64::try_from(sets::wanted(new).max(0)).unwrap_or(0);
        cast.add(new, true, 0..size);
    }
    let old: i32 = sets.old.iter().map(|set| sets::wanted(set).max(0)).sum();
    let top = u64::try_from(old.max(count)).unwrap_or(0);
    let mut below = top;
    for set in &sets.old {
        let size = u64::try_from(sets::wanted(set).max(0)).unwrap_or(0);
        cast.add(set, false, below - size..below);
        below -= size;
    }
    let goal = Goal {
        count: slots,
        ..Goal::default()
    };
    let mut out: Sizes = sets
        .all()
        .map(|set| (set.name_any(), sets::wanted(set).max(0)))
        .collect();
    for step in next(&goal, &policy(deployment, slots), &cast.copies, now).steps {
        let (name, change) = match step {
            Step::Start { .. } => (sets.new.as_ref().map(|set| set.name_any()), 1),
            Step::Stop { id, .. } => (cast.set_of.get(&id).cloned(), -1),
        };
        if let Some(size) = name.and_then(|name| out.get_mut(&name)) {
            *size += change;
        }
    }
    out
}

/// The pods of all sets as copies.
#[derive(Default)]
struct Cast {
    copies: Vec<Copy>,
    set_of: BTreeMap<TaskId, String>,
}

impl Cast {
    fn add(&mut self, set: &ReplicaSet, current: bool, slots: std::ops::Range<u64>) {
        let status = set.status.as_ref();
        let available = status.and_then(|s| s.available_replicas).unwrap_or(0);
        let available = u64::try_from(available).unwrap_or(0);
        for (n, slot) in slots.enumerate() {
            let n = u64::try_from(n).unwrap_or(u64::MAX);
            let state = if n < available {
                CopyState::Ready { since: Moment(0) }
            } else {
                CopyState::Coming { ready_at: None }
            };
            let index = u64::try_from(self.copies.len()).unwrap_or(u64::MAX);
            let mut id = [0; 16];
            // of two copies in a slot the new set's is the newer one
            id[0] = u8::from(current);
            id[8..].copy_from_slice(&index.to_be_bytes());
            let id = TaskId(id);
            self.set_of.insert(id, set.name_any());
            self.copies.push(Copy {
                id,
                slot,
                current,
                state,
                drop_rank: u64::from(!state.is_ready()),
            });
        }
    }
}

/// Old sets that are no longer needed for an undo, oldest first.
pub(super) fn forgotten(deployment: &Deployment, sets: &Sets) -> Vec<String> {
    let keep = of_deployment(deployment).revision_history_limit.unwrap_or(10);
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let mut empty: Vec<_> = sets
        .old
        .iter()
        .filter(|set| {
            let there = set.status.as_ref().map_or(0, |s| s.replicas);
            sets::wanted(set) == 0 && there == 0 && set.metadata.deletion_timestamp.is_none()
        })
        .collect();
    empty.sort_by_key(|set| sets::revision(set));
    let too_many = empty.len().saturating_sub(keep);
    empty
        .into_iter()
        .take(too_many)
        .map(|set| set.name_any())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn deployment(count: i32, strategy: Value) -> Deployment {
        let text = json!({
            "metadata": {"name": "d"},
            "spec": {"replicas": count, "selector": {}, "template": {}, "strategy": strategy},
        });
        serde_json::from_value(text).expect("a deployment")
    }

    fn set(name: &str, size: i32, available: i32) -> Arc<ReplicaSet> {
        let text = json!({
            "metadata": {"name": name},
            "spec": {"replicas": size, "selector": {}},
            "status": {"replicas": size, "availableReplicas": available},
        });
        Arc::new(serde_json::from_value(text).expect("a replica set"))
    }

    fn sets(new: Arc<ReplicaSet>, old: Vec<Arc<ReplicaSet>>) -> Sets {
        Sets { new: Some(new), old }
    }

    /// Rolls until nothing moves, every pod becoming available between two looks; the sizes after each look.
    fn roll(deployment: &Deployment, mut now: Sets) -> Vec<(i32, i32)> {
        let mut seen = Vec::new();
        for _ in 0..100 {
            let sizes = sizes(deployment, &now, false, Timestamp::UNIX_EPOCH);
            if sizes.is_empty() {
                return seen;
            }
            let after = |set: &Arc<ReplicaSet>| {
                let size = sizes.get(&set.name_any()).copied().unwrap_or(sets::wanted(set));
                super::tests::set(&set.name_any(), size, size)
            };
            now = sets(
                after(now.new.as_ref().expect("there")),
                now.old.iter().map(after).collect(),
            );
            let old = now.old.iter().map(|s| sets::wanted(s)).sum();
            seen.push((now.new.as_deref().map_or(0, sets::wanted), old));
        }
        panic!("it never ends: {seen:?}");
    }

    #[test]
    fn surge_and_unavailable_bound_every_step() {
        for (count, surge, unavailable) in [(3, 1, 0), (3, 0, 1), (10, 3, 2), (4, 4, 0), (5, 0, 5)] {
            let strategy = json!({"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
            let wanted = deployment(count, strategy);
            let steps = roll(&wanted, sets(set("n", 0, 0), vec![set("o", count, count)]));
            assert_eq!(steps.last(), Some(&(count, 0)), "{steps:?}");
            assert!(
                steps.iter().all(|(new, old)| new + old <= count + surge),
                "{steps:?}"
            );
            assert!(
                steps.iter().all(|(new, old)| new + old >= count - unavailable),
                "{steps:?}"
            );
        }
    }

    #[test]
    fn a_new_set_that_never_becomes_available_leaves_the_old_one_serving() {
        let wanted = deployment(
            4,
            json!({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
        );
        let first = sizes(
            &wanted,
            &sets(set("n", 0, 0), vec![set("o", 4, 4)]),
            false,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(first.get("n"), Some(&1), "one beyond the count");
        assert_eq!(first.get("o"), Some(&3), "one may be missing");
        let stuck = sets(set("n", 2, 0), vec![set("o", 3, 3)]);
        assert!(sizes(&wanted, &stuck, false, Timestamp::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn broken_pods_of_the_old_set_go_first() {
        let wanted = deployment(3, json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}));
        let now = sets(set("n", 1, 0), vec![set("o", 3, 0)]);
        let next = sizes(&wanted, &now, false, Timestamp::UNIX_EPOCH);
        assert!(next.get("o").is_some_and(|size| *size < 3), "{next:?}");
    }

    #[test]
    fn recreate_waits_for_the_last_old_pod() {
        let wanted = deployment(2, json!({"type": "Recreate"}));
        let before = sets(set("n", 0, 0), vec![set("o", 2, 2)]);
        let first = sizes(&wanted, &before, true, Timestamp::UNIX_EPOCH);
        assert_eq!(first, Sizes::from([("o".to_owned(), 0)]));
        let going = sets(set("n", 0, 0), vec![set("o", 0, 0)]);
        assert!(sizes(&wanted, &going, true, Timestamp::UNIX_EPOCH).is_empty());
        let gone = sizes(&wanted, &going, false, Timestamp::UNIX_EPOCH);
        assert_eq!(gone, Sizes::from([("n".to_owned(), 2)]));
    }

    #[test]
    fn a_paused_deployment_is_scaled_and_not_rolled() {
        let mut wanted = deployment(5, json!({}));
        wanted.spec.as_mut().expect("there").paused = Some(true);
        let now = sets(set("n", 1, 1), vec![set("o", 2, 2)]);
        assert_eq!(
            sizes(&wanted, &now, false, Timestamp::UNIX_EPOCH),
            Sizes::from([("n".to_owned(), 3)])
        );
        wanted.spec.as_mut().expect("there").replicas = Some(1);
        assert_eq!(
            sizes(&wanted, &now, false, Timestamp::UNIX_EPOCH),
            Sizes::from([("n".to_owned(), 0), ("o".to_owned(), 1)])
        );
    }
}
