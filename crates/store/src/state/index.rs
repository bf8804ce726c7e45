//! The map with its revisions: every key with its kept versions, and the order in which they were written.
//! Pure; what a value is (bytes, or a place in a file) is the parameter `V`.

use plenum_contract::state_store::Compare;
use plenum_model::ids::Revision;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) revisions: usize,
    pub(crate) bytes: u64,
}

/// One write to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version<V> {
    pub(crate) created: Revision,
    pub(crate) modified: Revision,
    /// None: the key was deleted.
    pub(crate) value: Option<V>,
}

/// A write to apply: the key, its new value (none: delete) and how many bytes that is.
pub(crate) struct Put<V> {
    pub(crate) key: Arc<str>,
    pub(crate) value: Option<V>,
    pub(crate) bytes: u64,
}

/// A version with its key.
pub(crate) type Keyed<V> = (Arc<str>, Version<V>);

/// The revision asked for is older than the oldest that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOld {
    pub(crate) oldest: Revision,
}

/// What was written at one revision.
#[derive(Debug)]
struct Applied {
    revision: Revision,
    keys: Vec<Arc<str>>,
    bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Index<V> {
    keys: BTreeMap<Arc<str>, Vec<Version<V>>>,
    /// Everything written above `oldest`, in order.
    history: VecDeque<Applied>,
    history_bytes: u64,
    newest: Revision,
    oldest: Revision,
    limits: Limits,
}

impl<V: Clone> Index<V> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            keys: BTreeMap::new(),
            history: VecDeque::new(),
            history_bytes: 0,
            newest: Revision(0),
            oldest: Revision(0),
            limits,
        }
    }

    /// The revision of the last write.
    pub(crate) fn newest(&self) -> Revision {
        self.newest
    }

    /// The oldest revision that can be listed or watched from.
    pub(crate) fn oldest(&self) -> Revision {
        self.oldest
    }

    /// The key as it is now.
    pub(crate) fn get(&self, key: &str) -> Option<&Version<V>> {
        let newest = self.keys.get(key)?.last()?;
        newest.value.is_some().then_some(newest)
    }

    /// When the key was last written, if it is there.
    pub(crate) fn modified(&self, key: &str) -> Option<Revision> {
        self.get(key).map(|v| v.modified)
    }

    /// Keys that start with `prefix`, after `after`, as they were at `at`; and whether there are more.
    pub(crate) fn list(
        &self,
        prefix: &str,
        at: Revision,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Keyed<V>>, bool), TooOld> {
        if at < self.oldest {
            return Err(TooOld { oldest: self.oldest });
        }
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let mut found = Vec::new();
        for (key, versions) in self.keys.range::<str, _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            let seen = versions.partition_point(|v| v.modified <= at);
            let Some(version) = seen.checked_sub(1).map(|i| &versions[i]) else {
                continue;
            };
            if version.value.is_none() {
                continue;
            }
            if limit != 0 && found.len() == limit {
                return Ok((found, true));
            }
            found.push((key.clone(), version.clone()));
        }
        Ok((found, false))
    }

    /// What was written under `prefix` above `from`, in order, until `limit` writes were looked at; whole
    /// revisions. Also the revision up to which this is all.
    pub(crate) fn changes(
        &self,
        prefix: &str,
        from: Revision,
        limit: usize,
    ) -> Result<(Vec<Keyed<V>>, Revision), TooOld> {
        if from < self.oldest {
            return Err(TooOld { oldest: self.oldest });
        }
        let (mut found, mut upto, mut looked) = (Vec::new(), from, 0);
        let start = self.history.partition_point(|a| a.revision <= from);
        for applied in self.history.range(start..) {
            if looked >= limit {
                return Ok((found, upto));
            }
            looked += applied.keys.len();
            upto = applied.revision;
            for key in applied.keys.iter().filter(|k| k.starts_with(prefix)) {
                if let Some(version) = self.version(key, applied.revision) {
                    found.push((key.clone(), version.clone()));
                }
            }
        }
        Ok((found, upto.max(self.newest)))
    }

    fn version(&self, key: &str, modified: Revision) -> Option<&Version<V>> {
        let versions = self.keys.get(key)?;
        let at = versions.binary_search_by_key(&modified, |v| v.modified).ok()?;
        Some(&versions[at])
    }

    /// Writes `puts`, of different keys, at `revision`, which must be above the newest.
    pub(crate) fn apply(&mut self, revision: Revision, mut puts: Vec<Put<V>>) {
        // Within a revision the order is that of the keys: a snapshot keeps no other.
        puts.sort_by(|a, b| a.key.cmp(&b.key));
        let mut applied = Applied {
            revision,
            keys: Vec::with_capacity(puts.len()),
            bytes: 0,
        };
        for put in puts {
            let versions = self.keys.entry(put.key.clone()).or_default();
            let created = match versions.last() {
                Some(Version {
                    created,
                    value: Some(_),
                    ..
                }) => *created,
                Some(Version { value: None, .. }) | None => revision,
            };
            versions.push(Version {
                created,
                modified: revision,
                value: put.value,
            });
            applied.bytes += put.bytes;
            applied.keys.push(put.key);
        }
        self.remember(applied);
        self.trim();
    }

    /// Starts from a snapshot: `versions` of all keys, in any order, of which those above `oldest` are
    /// history.
    pub(crate) fn restore(&mut self, oldest: Revision, newest: Revision, versions: Vec<(Keyed<V>, u64)>) {
        let mut history: BTreeMap<Revision, Applied> = BTreeMap::new();
        for ((key, version), bytes) in versions {
            let revision = version.modified;
            if revision > oldest {
                let applied = history.entry(revision).or_insert_with(|| Applied {
                    revision,
                    keys: Vec::new(),
                    bytes: 0,
                });
                applied.keys.push(key.clone());
                applied.bytes += bytes;
            }
            self.keys.entry(key).or_default().push(version);
        }
        for versions in self.keys.values_mut() {
            versions.sort_by_key(|v| v.modified);
        }
        (self.oldest, self.newest) = (oldest, newest);
        for mut applied in history.into_values() {
            applied.keys.sort();
            self.remember(applied);
        }
        self.newest = self.newest.max(newest);
        self.trim();
    }

    fn remember(&mut self, applied: Applied) {
        self.newest = applied.revision;
        self.history_bytes += applied.bytes;
        self.history.push_back(applied);
    }

    /// Forgets the oldest revisions until the limits hold.
    fn trim(&mut self) {
        while self.history.len() > self.limits.revisions || self.history_bytes > self.limits.bytes {
            let Some(applied) = self.history.pop_front() else {
                return;
            };
            self.history_bytes -= applied.bytes;
            self.oldest = applied.revision;
            for key in &applied.keys {
                self.forget_superseded(key);
            }
        }
    }

    /// Of the versions no newer than the oldest revision, only the last can still be seen, and a deletion
    /// not even then.
    fn forget_superseded(&mut self, key: &str) {
        let Some(versions) = self.keys.get_mut(key) else {
            return;
        };
        let seen = versions.partition_point(|v| v.modified <= self.oldest);
        let gone = match seen.checked_sub(1).map(|i| &versions[i]) {
            Some(Version { value: None, .. }) => seen,
            Some(_) => seen - 1,
            None => 0,
        };
        versions.drain(..gone);
        if versions.is_empty() {
            self.keys.remove(key);
        }
    }

    /// Every kept version of every key.
    pub(crate) fn versions(&self) -> Vec<Keyed<V>> {
        let each = |(key, versions): (&Arc<str>, &Vec<Version<V>>)| {
            let key = key.clone();
            versions
                .clone()
                .into_iter()
                .map(move |version| (key.clone(), version))
        };
        self.keys.iter().flat_map(each).collect()
    }

    /// Puts `value` in place of the value of the version of `key` written at `modified`, if it is still kept.
    pub(crate) fn replace_value(&mut self, key: &str, modified: Revision, value: V) {
        if let Some(versions) = self.keys.get_mut(key)
            && let Ok(at) = versions.binary_search_by_key(&modified, |v| v.modified)
        {
            versions[at].value = Some(value);
        }
    }
}

/// The key of the first compare that does not hold, where `modified` says when a key was last written.
pub(crate) fn first_broken(
    compares: &[Compare],
    modified: impl Fn(&str) -> Option<Revision>,
) -> Option<&str> {
    compares.iter().find_map(|compare| match compare {
        Compare::Absent(key) => modified(key).is_some().then_some(key.as_str()),
        Compare::ModifiedAt(key, at) => (modified(key) != Some(*at)).then_some(key.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(revisions: usize) -> Index<&'static str> {
        Index::new(Limits {
            revisions,
            bytes: u64::MAX,
        })
    }

    fn write(index: &mut Index<&'static str>, key: &str, value: Option<&'static str>) -> Revision {
        let revision = index.newest().next();
        let put = Put {
            key: key.into(),
            value,
            bytes: value.map_or(0, str::len) as u64,
        };
        index.apply(revision, vec![put]);
        revision
    }

    fn shown(listed: &[Keyed<&'static str>]) -> Vec<(String, &'static str)> {
        listed
            .iter()
            .map(|(key, v)| (key.to_string(), v.value.unwrap()))
            .collect()
    }

    #[test]
    fn the_past_is_listed_as_it_was_until_it_is_forgotten() {
        let mut index = index(3);
        let first = write(&mut index, "a", Some("1"));
        let second = write(&mut index, "a", Some("2"));
        write(&mut index, "a", None);
        let at_second = index.list("", second, None, 0).unwrap().0;
        assert_eq!(shown(&at_second), [("a".to_owned(), "2")]);
        write(&mut index, "b", Some("3"));
        assert_eq!(index.oldest(), first);
        assert!(index.list("", first, None, 0).is_ok());
        write(&mut index, "b", Some("4"));
        assert_eq!(
            index.list("", first, None, 0).unwrap_err(),
            TooOld { oldest: second }
        );
    }

    #[test]
    fn a_deleted_key_is_forgotten_whole_with_its_deletion() {
        let mut index = index(1);
        write(&mut index, "a", Some("1"));
        write(&mut index, "a", None);
        write(&mut index, "b", Some("2"));
        assert_eq!(index.versions().len(), 1);
    }

    #[test]
    fn a_key_made_again_is_created_anew() {
        let mut index = index(10);
        let first = write(&mut index, "a", Some("1"));
        write(&mut index, "a", Some("2"));
        assert_eq!(index.get("a").unwrap().created, first);
        write(&mut index, "a", None);
        assert!(index.get("a").is_none());
        let again = write(&mut index, "a", Some("3"));
        assert_eq!(index.get("a").unwrap().created, again);
    }

    #[test]
    fn a_restored_index_answers_as_the_one_it_was_taken_from() {
        let mut index = index(4);
        for (key, value) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("a", Some("3")),
            ("b", None),
            ("c", Some("4")),
        ] {
            write(&mut index, key, value);
        }
        let mut again = self::index(4);
        let versions = index.versions().into_iter().map(|v| (v, 1)).collect();
        again.restore(index.oldest(), index.newest(), versions);
        for at in index.oldest().0..=index.newest().0 {
            let at = Revision(at);
            assert_eq!(
                index.list("", at, None, 0).unwrap(),
                again.list("", at, None, 0).unwrap()
            );
            assert_eq!(
                index.changes("", at, 100).unwrap(),
                again.changes("", at, 100).unwrap()
            );
        }
    }

    #[test]
    fn a_page_ends_at_its_limit_and_says_whether_keys_follow() {
        let mut index = index(10);
        for key in ["a/1", "a/2", "a/3", "b"] {
            write(&mut index, key, Some("v"));
        }
        let now = index.newest();
        let (page, more) = index.list("a/", now, None, 2).unwrap();
        assert_eq!((page.len(), more), (2, true));
        let (page, more) = index.list("a/", now, Some("a/2"), 2).unwrap();
        assert_eq!((page.len(), more), (1, false));
    }
}
