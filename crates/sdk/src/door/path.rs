//! Paths as clients really send them: doubled slashes (`/v2/apps//id`) and slashes at the end.

use http::Uri;
use http::uri::PathAndQuery;
use std::borrow::Cow;

/// What is made equal before a request is routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathRules {
    /// `//` counts as `/`.
    pub collapse: bool,
    /// A slash at the end does not count.
    pub trim: bool,
}

impl PathRules {
    /// Paths stay as they are.
    pub const EXACT: Self = Self {
        collapse: false,
        trim: false,
    };
    /// Both rules.
    pub const LENIENT: Self = Self {
        collapse: true,
        trim: true,
    };

    /// The path that is routed. Escapes (`%2F`) are the client's own and stay.
    #[must_use]
    pub fn apply<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(path);
        if self.collapse && path.contains("//") {
            let mut one = String::with_capacity(path.len());
            for c in path.chars() {
                if !(c == '/' && one.ends_with('/')) {
                    one.push(c);
                }
            }
            out = Cow::Owned(one);
        }
        if self.trim && out.len() > 1 && out.ends_with('/') {
            let end = out.trim_end_matches('/').len().max(1);
            out = Cow::Owned(out[..end].to_owned());
        }
        out
    }

    /// The same for a whole request target; its query stays.
    #[must_use]
    pub fn apply_to(&self, uri: Uri) -> Uri {
        let Cow::Owned(path) = self.apply(uri.path()) else {
            return uri;
        };
        let target = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let Ok(target) = PathAndQuery::try_from(target) else {
            return uri;
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target);
        Uri::from_parts(parts).unwrap_or(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_made_equal_and_the_query_stays() {
        let table = [
            ("/", "/"),
            ("//", "/"),
            ("/v2/apps//a/b/", "/v2/apps/a/b"),
            ("/v2/apps///?x=//&y=1/", "/v2/apps?x=//&y=1/"),
            ("/a%2F%2Fb", "/a%2F%2Fb"),
        ];
        for (given, routed) in table {
            let uri = PathRules::LENIENT.apply_to(given.parse().unwrap());
            assert_eq!(uri.to_string(), routed, "{given}");
            assert_eq!(
                PathRules::EXACT.apply_to(given.parse().unwrap()).to_string(),
                given
            );
        }
    }
}
