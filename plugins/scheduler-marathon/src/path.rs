//! Ids of apps and groups: paths of segments, absolute or relative in requests, always absolute here.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The pattern of one segment, as Marathon prints it in its refusals.
pub const SEGMENT_PATTERN: &str =
    "^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|\\.\\.)$";

/// Last segments that would be taken for a part of the API's own path.
pub const RESERVED: [&str; 3] = ["restart", "tasks", "versions"];

/// What is said of an id that ends with one of them.
pub const ENDS_RESERVED: &str =
    "must not end with any of the following reserved keywords: restart, tasks, versions";

/// An absolute path with `.` and `..` resolved: `/shop/web`. May be the root, `/`, which no app can be.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Vec<String>);

impl AppId {
    /// The path that `given` means from the root: empty segments vanish, `..` at the root stays there.
    #[must_use]
    pub fn from_root(given: &str) -> Self {
        Self::default().join(given)
    }

    /// The path that `given` means from here; an absolute one means itself.
    #[must_use]
    pub fn join(&self, given: &str) -> Self {
        let mut path = if given.starts_with('/') {
            Vec::new()
        } else {
            self.0.clone()
        };
        for segment in given.split('/').filter(|s| !s.is_empty() && *s != ".") {
            if segment == ".." {
                path.pop();
            } else {
                path.push(segment.to_owned());
            }
        }
        Self(path)
    }

    /// Whether this is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The segments, outermost first.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// The group this app is in; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    /// The groups above, outermost first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        (1..self.0.len()).map(|end| Self(self.0[..end].to_vec()))
    }

    /// Whether this lies under `group` (or is it).
    #[must_use]
    pub fn is_within(&self, group: &Self) -> bool {
        self.0.starts_with(&group.0)
    }

    /// `shop_web`: the form that task ids start with.
    #[must_use]
    pub fn safe(&self) -> String {
        self.0.join("_")
    }

    /// The app that a task id's first part names.
    #[must_use]
    pub fn from_safe(safe: &str) -> Self {
        Self(
            safe.split('_')
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// `web.shop`: the name of its tasks in service discovery.
    #[must_use]
    pub fn reversed(&self) -> String {
        self.0
            .iter()
            .rev()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(".")
    }

    /// Whether the last segment is one of [`RESERVED`].
    #[must_use]
    pub fn ends_reserved(&self) -> bool {
        self.0
            .last()
            .is_some_and(|last| RESERVED.contains(&last.as_str()))
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for AppId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::from_root(&String::deserialize(d)?))
    }
}

/// Whether `given` is an id as requests may write it: segments of a-z 0-9 - and dots, absolute or relative,
/// `..` allowed, at least one character.
#[must_use]
pub fn is_path(given: &str) -> bool {
    let inner = given.strip_prefix('/').unwrap_or(given);
    !given.is_empty()
        && inner
            .split('/')
            .all(|s| s.is_empty() || matches!(s, "." | "..") || is_segment(s))
}

/// Whether `s` is one segment: labels of a-z 0-9 and inner dashes, joined by dots.
#[must_use]
pub fn is_segment(s: &str) -> bool {
    s.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_path_means_one_absolute_path() {
        for (given, absolute) in [
            ("web", "/web"),
            ("/web", "/web"),
            ("//web/", "/web"),
            ("shop/web", "/shop/web"),
            ("/shop/./web", "/shop/web"),
            ("/shop/../web", "/web"),
            ("../../web", "/web"),
            ("/", "/"),
            ("", "/"),
        ] {
            assert_eq!(AppId::from_root(given).to_string(), absolute, "{given}");
        }
    }

    #[test]
    fn a_relative_path_is_meant_from_where_it_is_written() {
        let group = AppId::from_root("/shop/web");
        for (given, absolute) in [
            ("db", "/shop/web/db"),
            ("../db", "/shop/db"),
            ("/db", "/db"),
            ("", "/shop/web"),
        ] {
            assert_eq!(group.join(given).to_string(), absolute, "{given}");
        }
        let above: Vec<_> = AppId::from_root("/a/b/c")
            .ancestors()
            .map(|a| a.to_string())
            .collect();
        assert_eq!(above, ["/a", "/a/b"]);
    }

    #[test]
    fn the_pattern_takes_and_refuses_what_marathons_does() {
        for good in ["a", "/a/b", "../a", "a-b.c0", "/a/", "0"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a b", "a.", ".a", "/a/B", "ü", "a/-"] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn parents_names_and_reserved_words() {
        let id = AppId::from_root("/shop/web");
        assert_eq!(id.parent().to_string(), "/shop");
        assert_eq!(
            (id.safe().as_str(), id.reversed().as_str()),
            ("shop_web", "web.shop")
        );
        assert_eq!(AppId::from_safe("shop_web"), id);
        assert!(id.is_within(&id.parent()) && !id.parent().is_within(&id));
        assert!(AppId::from_root("/x/tasks").ends_reserved() && !id.ends_reserved());
    }
}
