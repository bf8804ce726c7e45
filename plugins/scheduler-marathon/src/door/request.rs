//! Reading requests: the path behind a prefix, flags in any spelling, ids that no URI can hold.

use crate::change::Force;
use crate::path::AppId;
use crate::refusal::Refusal;
use axum::extract::{FromRequestParts, OriginalUri};
use http::request::Parts;
use plenum_sdk::door::lenient::Pairs;
use plenum_sdk::door::serve::Peer;
use std::convert::Infallible;

/// The query string.
pub(crate) struct Query(pub(crate) Pairs);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Pairs::parse(parts.uri.query())))
    }
}

impl Query {
    /// A flag, or `default` where it is not given.
    pub(super) fn flag_or(&self, key: &str, default: bool) -> bool {
        if self.0.get(key).is_some() {
            self.0.flag(key)
        } else {
            default
        }
    }

    /// Whether the change may cancel others; not unless it says so.
    pub(super) fn force(&self) -> Force {
        self.force_or(Force::No)
    }

    /// Whether the change may cancel others.
    pub(super) fn force_or(&self, default: Force) -> Force {
        if self.flag_or("force", default == Force::Yes) {
            Force::Yes
        } else {
            Force::No
        }
    }
}

/// Who asks, and for what; for events.
pub(super) struct Caller {
    /// Address without port.
    pub(super) ip: String,
    /// Address with port.
    pub(super) address: String,
    /// The path asked for.
    pub(super) uri: String,
}

impl<S: Sync + Send> FromRequestParts<S> for Caller {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let address = parts
            .extensions
            .get::<Peer>()
            .map_or(String::new(), |p| p.0.to_string());
        let ip = address
            .rsplit_once(':')
            .map_or("", |(ip, _)| ip)
            .trim_matches(['[', ']'])
            .to_owned();
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        Ok(Self {
            ip,
            address,
            uri: uri.path().to_owned(),
        })
    }
}

/// What a path under `/v2/apps/` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AppPath {
    /// `ID`
    App(AppId),
    /// `GROUP/*`
    AppsOf(AppId),
    /// `ID/restart`
    Restart(AppId),
    /// `ID/tasks`
    Tasks(AppId),
    /// `GROUP/*/tasks`
    TasksOf(AppId),
    /// `ID/tasks/TASK`
    Task(AppId, String),
    /// `ID/versions`
    Versions(AppId),
    /// `ID/versions/VERSION`
    Version(AppId, String),
}

impl AppPath {
    /// Reads the unescaped path behind `/v2/apps/`.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        checked(path)?;
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let id = |end: usize| AppId::from_root(&segments[..end].join("/"));
        Ok(match segments.as_slice() {
            [.., "*", "tasks"] => Self::TasksOf(id(segments.len() - 2)),
            [_, .., "tasks"] => Self::Tasks(id(segments.len() - 1)),
            [_, .., "tasks", task] => Self::Task(id(segments.len() - 2), (*task).to_owned()),
            [_, .., "versions"] => Self::Versions(id(segments.len() - 1)),
            [_, .., "versions", version] => Self::Version(id(segments.len() - 2), (*version).to_owned()),
            [_, .., "restart"] => Self::Restart(id(segments.len() - 1)),
            [.., "*"] => Self::AppsOf(id(segments.len() - 1)),
            all => Self::App(id(all.len())),
        })
    }
}

/// Refuses what a URI cannot hold, as Marathon does when it makes one of the id.
pub(super) fn checked(path: &str) -> Result<(), Refusal> {
    let illegal = |c: char| c.is_control() || " \"<>\\^`{|}%".contains(c);
    if path.contains(illegal) {
        Err(Refusal::BadUri)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_asked_of_which_app() {
        let id = AppId::from_root;
        for (path, means) in [
            ("web", AppPath::App(id("web"))),
            ("shop/web", AppPath::App(id("shop/web"))),
            ("shop/*", AppPath::AppsOf(id("shop"))),
            ("*", AppPath::AppsOf(id("/"))),
            ("shop/web/restart", AppPath::Restart(id("shop/web"))),
            ("shop/web/tasks", AppPath::Tasks(id("shop/web"))),
            ("shop/*/tasks", AppPath::TasksOf(id("shop"))),
            ("web/tasks/web.1-2", AppPath::Task(id("web"), "web.1-2".into())),
            ("web/versions", AppPath::Versions(id("web"))),
            ("web/versions/v", AppPath::Version(id("web"), "v".into())),
            ("tasks", AppPath::App(id("tasks"))),
        ] {
            assert_eq!(AppPath::parse(path), Ok(means), "{path}");
        }
        assert_eq!(AppPath::parse("{"), Err(Refusal::BadUri));
    }
}
