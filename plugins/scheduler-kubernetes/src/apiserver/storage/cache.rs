//! The objects of one resource as of the newest revision seen, and its recent changes. A watch reads changes from
//! here by revision: the ring of recent changes is the bound on what a slow reader may leave unread.

use super::{Key, Object};
use parking_lot::RwLock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// Most bytes of changes kept, whatever their number.
const KEPT_BYTES: usize = 64 << 20;
/// Most changes handed out at once.
const BATCH: usize = 256;

/// One change of one object.
#[derive(Debug)]
pub struct Change {
    /// Which object.
    pub key: Key,
    /// When.
    pub revision: u64,
    /// What it was; none when it was created.
    pub old: Option<Arc<Object>>,
    /// What it is; none when it was deleted.
    pub new: Option<Arc<Object>>,
    /// What it was, at this change's revision: how watches show what is gone.
    gone: OnceLock<Arc<Object>>,
}

impl Change {
    pub(super) fn new(key: Key, revision: u64, old: Option<Arc<Object>>, new: Option<Arc<Object>>) -> Self {
        let gone = OnceLock::new();
        Self {
            key,
            revision,
            old,
            new,
            gone,
        }
    }

    /// What it was, at this change's revision.
    #[must_use]
    pub fn gone(&self) -> Option<&Arc<Object>> {
        let old = self.old.as_ref()?;
        Some(self.gone.get_or_init(|| Arc::new(old.at(self.revision))))
    }

    fn bytes(&self) -> usize {
        self.new.as_ref().map_or(256, |new| new.size())
    }
}

/// What became of an object.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is this now.
    Put(Object),
    /// It is gone; this is what it was last, where that is more than what is known of it.
    Gone(Option<Object>),
}

/// Objects of one resource at one revision.
#[derive(Debug, Clone)]
pub struct Listing {
    /// In the order of their keys.
    pub objects: Vec<(Key, Arc<Object>)>,
    /// The revision of the listing.
    pub revision: u64,
}

/// Changes after a revision.
#[derive(Debug)]
pub struct Recent {
    /// In order; may be empty.
    pub changes: Vec<Arc<Change>>,
    /// Nothing up to this revision is left to be told.
    pub upto: u64,
}

/// The changes asked for are no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The oldest revision after which changes are known.
    pub oldest: u64,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<Key, Arc<Object>>,
    recent: VecDeque<Arc<Change>>,
    recent_bytes: usize,
    /// Changes after this revision are all in `recent`.
    floor: u64,
    revision: u64,
}

/// The objects and recent changes of one resource.
#[derive(Debug)]
pub struct Cache {
    inner: RwLock<Inner>,
    kept: usize,
    /// Raised when something of this resource changed.
    changed: watch::Sender<u64>,
}

impl Cache {
    /// A cache that keeps so many recent changes.
    pub(super) fn new(kept: usize) -> Self {
        let inner = RwLock::default();
        let changed = watch::Sender::new(0);
        Self { inner, kept, changed }
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.inner.read().objects.get(key).cloned()
    }

    /// The objects of a namespace (empty: all).
    #[must_use]
    pub fn list(&self, namespace: &str) -> Listing {
        let inner = self.inner.read();
        let pair = |(key, object): (&Key, &Arc<Object>)| (key.clone(), Arc::clone(object));
        let objects = if namespace.is_empty() {
            inner.objects.iter().map(pair).collect()
        } else {
            let start = Key::from_text(&format!("{namespace}/"));
            let within = inner.objects.range(start..);
            within
                .take_while(|(key, _)| key.is_in(namespace))
                .map(pair)
                .collect()
        };
        Listing {
            objects,
            revision: inner.revision,
        }
    }

    /// Changes after `from`, a batch of whole revisions at a time.
    ///
    /// # Errors
    /// `Missed` when they are no longer all kept.
    pub fn after(&self, from: u64) -> Result<Recent, Missed> {
        let inner = self.inner.read();
        if from < inner.floor {
            return Err(Missed { oldest: inner.floor });
        }
        let start = inner.recent.partition_point(|change| change.revision <= from);
        let mut changes: Vec<Arc<Change>> = Vec::new();
        for change in inner.recent.range(start..) {
            let full = changes.len() >= BATCH;
            if full
                && changes
                    .last()
                    .is_some_and(|last| last.revision != change.revision)
            {
                let upto = changes.last().map_or(from, |last| last.revision);
                return Ok(Recent { changes, upto });
            }
            changes.push(Arc::clone(change));
        }
        let upto = inner.revision.max(from);
        Ok(Recent { changes, upto })
    }

    /// Hears of every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins anew with these objects.
    pub(super) fn load(&self, objects: BTreeMap<Key, Arc<Object>>, revision: u64) {
        let mut inner = self.inner.write();
        *inner = Inner {
            objects,
            floor: revision,
            revision,
            ..Inner::default()
        };
    }

    /// Takes in changes of one or more revisions, all of this resource, in order.
    pub(super) fn apply(&self, changes: Vec<(Key, u64, Fate)>) {
        let mut newest = 0;
        {
            let mut inner = self.inner.write();
            for (key, revision, fate) in changes {
                inner.apply(key, revision, fate, self.kept);
                newest = revision;
            }
        }
        self.changed.send_replace(newest);
    }

    /// Nothing of this resource changed up to `revision`.
    pub(super) fn advance(&self, revision: u64) {
        let mut inner = self.inner.write();
        inner.revision = inner.revision.max(revision);
    }
}

impl Inner {
    fn apply(&mut self, key: Key, revision: u64, fate: Fate, kept: usize) {
        self.revision = self.revision.max(revision);
        let change = match fate {
            Fate::Put(new) => {
                let new = Arc::new(new);
                let old = self.objects.insert(key.clone(), Arc::clone(&new));
                Change::new(key, revision, old, Some(new))
            }
            Fate::Gone(last) => {
                let Some(old) = self.objects.remove(&key) else {
                    return;
                };
                let change = Change::new(key, revision, Some(old), None);
                if let Some(last) = last {
                    change.gone.get_or_init(|| Arc::new(last));
                }
                change
            }
        };
        self.recent_bytes += change.bytes();
        self.recent.push_back(Arc::new(change));
        while self.recent.len() > kept || self.recent_bytes > KEPT_BYTES {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            self.recent_bytes -= oldest.bytes();
            self.floor = oldest.revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;
    use serde_json::json;

    const SHAPE: Shape = Shape {
        api_version: "v1",
        kind: "ConfigMap",
        selectable: &[],
    };

    const KEPT: usize = 600;

    fn object(name: &str, revision: u64) -> Object {
        Object::new(SHAPE, &json!({"metadata": {"name": name}}), revision)
    }

    #[test]
    fn a_watch_reads_on_from_any_revision_kept_and_misses_what_is_not() {
        let cache = Cache::new(KEPT);
        cache.load(BTreeMap::new(), 10);
        assert_eq!(cache.after(9).unwrap_err(), Missed { oldest: 10 });
        for revision in 11..=u64::try_from(KEPT).unwrap() + 20 {
            cache.apply(vec![(
                Key::new("ns", "a"),
                revision,
                Fate::Put(object("a", revision)),
            )]);
        }
        assert_eq!(cache.after(19).unwrap_err(), Missed { oldest: 20 });
        let mut from = 20;
        let mut seen = 0;
        loop {
            let recent = cache.after(from).unwrap();
            if recent.changes.is_empty() {
                break;
            }
            seen += recent.changes.len();
            from = recent.upto;
        }
        assert_eq!(seen, KEPT);
        cache.advance(9000);
        assert_eq!(cache.after(from).unwrap().upto, 9000);
    }

    #[test]
    fn a_namespace_is_listed_without_its_neighbours() {
        let cache = Cache::new(KEPT);
        for (i, key) in ["a-b/x", "a/x", "a/y", "ab/x", "b/x"].iter().enumerate() {
            let revision = u64::try_from(i).unwrap() + 1;
            cache.apply(vec![(
                Key::from_text(key),
                revision,
                Fate::Put(object("x", revision)),
            )]);
        }
        let names: Vec<String> = cache
            .list("a")
            .objects
            .iter()
            .map(|(k, _)| k.as_str().to_owned())
            .collect();
        assert_eq!(names, ["a/x", "a/y"]);
        assert_eq!(cache.list("").objects.len(), 5);
    }
}
