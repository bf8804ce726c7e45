//! The options in a request's query.

use crate::object::problem::Problem;
use crate::object::schema;
use crate::object::selector::{Fields, Labels};
use crate::object::validate::FieldError;

/// The pairs of a query, in order.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query; what is not understood is kept as it is.
    #[must_use]
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (unescaped(key), unescaped(value))
                })
                .collect(),
        )
    }

    /// The first value of a key; empty if there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map_or("", |(_, value)| value)
    }

    /// Every value of a key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// Every pair, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether a flag is set, as [`sets`] says.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        let given = self.0.iter().find(|(k, _)| k == key);
        given.is_some_and(|(_, value)| sets(value))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 when it is not one.
    pub fn number(&self, key: &str) -> Result<Option<i64>, Problem> {
        match self.get(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Problem::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        }
    }
}

/// `%XX` and `+` read back.
#[must_use]
pub fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let escaped = (byte == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        let code = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(code) = code {
            out.push(code);
            i += 3;
        } else {
            out.push(if byte == b'+' { b' ' } else { byte });
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How a list's resource version is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Not said.
    Unset,
    /// That revision and no other.
    Exact,
    /// That revision or a newer one.
    NotOlderThan,
}

/// What a list or watch asks for.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// Which labels.
    pub labels: Labels,
    /// Which fields.
    pub fields: Fields,
    /// As of which revision; none: the newest.
    pub revision: Option<u64>,
    /// How the revision is meant.
    pub matching: Match,
    /// Items per page; 0: all.
    pub limit: usize,
    /// Where the page before ended.
    pub token: String,
    /// Whether to watch.
    pub watch: bool,
    /// Whether bookmarks are welcome.
    pub bookmarks: bool,
    /// After how many seconds the watch shall end.
    pub timeout_seconds: Option<u64>,
    /// Whether the watch shall begin with what there is.
    pub initial_events: Option<bool>,
}

impl ListOptions {
    /// Reads the options.
    ///
    /// # Errors
    /// 400 for what is no option's value.
    pub fn parse(query: &Query, kind: &schema::Kind) -> Result<Self, Problem> {
        let watch = query.flag("watch");
        let limit = query.number("limit")?.unwrap_or(0);
        let timeout = query.number("timeoutSeconds")?;
        let matching = match query.get("resourceVersionMatch") {
            "" => Match::Unset,
            "Exact" => Match::Exact,
            "NotOlderThan" => Match::NotOlderThan,
            other => {
                let known = ["Exact", "NotOlderThan", ""];
                let error = FieldError::not_supported("resourceVersionMatch", other, &known);
                return Err(wrong_options("ListOptions", error));
            }
        };
        let initial = query.get("sendInitialEvents");
        let options = Self {
            labels: Labels::parse(query.get("labelSelector"))?,
            fields: Fields::parse(query.get("fieldSelector"), kind)?,
            revision: revision(query.get("resourceVersion"), watch)?,
            matching,
            limit: usize::try_from(limit).unwrap_or(0),
            token: query.get("continue").to_owned(),
            watch,
            bookmarks: query.flag("allowWatchBookmarks"),
            timeout_seconds: timeout.and_then(|t| u64::try_from(t).ok()).filter(|t| *t > 0),
            initial_events: (!initial.is_empty()).then(|| query.flag("sendInitialEvents")),
        };
        options.check(query)?;
        Ok(options)
    }

    fn check(&self, query: &Query) -> Result<(), Problem> {
        let forbidden =
            |field: &str, why: &str| Err(wrong_options("ListOptions", FieldError::forbidden(field, why)));
        if self.initial_events == Some(true) && !self.watch {
            return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if self.watch {
            return self.check_watch();
        }
        if self.matching != Match::Unset {
            if !self.token.is_empty() {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden when continue is provided",
                );
            }
            if query.get("resourceVersion").is_empty() {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                );
            }
            if self.matching == Match::Exact && self.revision == Some(0) {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
                );
            }
        }
        Ok(())
    }

    fn check_watch(&self) -> Result<(), Problem> {
        let forbidden =
            |field: &str, why: &str| Err(wrong_options("ListOptions", FieldError::forbidden(field, why)));
        if self.initial_events.is_some() && self.matching != Match::NotOlderThan {
            return forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
        }
        if self.initial_events.is_none() && self.matching != Match::Unset {
            return forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
        Ok(())
    }
}

/// Options of a request that are not what they should be.
#[must_use]
pub fn wrong_options(options: &str, error: FieldError) -> Problem {
    Problem::invalid("meta.k8s.io", options, "", &[error])
}

fn revision(text: &str, watch: bool) -> Result<Option<u64>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        if watch {
            // The real server does not take this for the client's fault.
            let mut problem = Problem::internal(&why);
            problem.message = format!("resourceVersion: Invalid value: {text:?}: {why}");
            return problem;
        }
        Problem::bad_request(format!("Invalid value: {text:?}: {why}"))
    })
}

/// Whether a write is only tried.
///
/// # Errors
/// 422 for a value that is not `All`.
pub fn dry_run(query: &Query, options: &str) -> Result<bool, Problem> {
    let given: Vec<&str> = query.all("dryRun").filter(|v| !v.is_empty()).collect();
    if given.iter().any(|value| *value != "All") {
        let error = FieldError::not_supported("dryRun", given, &["All"]);
        return Err(wrong_options(options, error));
    }
    Ok(!given.is_empty())
}

/// Whether this value sets a flag. As the real server reads them: anything but `false`, however it is written, and
/// `0` sets it.
#[must_use]
pub fn sets(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_back_from_its_escapes() {
        let query = Query::parse(Some(
            "labelSelector=a%3Db%2Cc+in+%28d%29&watch=1&command=ls&command=-l&x",
        ));
        assert_eq!(query.get("labelSelector"), "a=b,c in (d)");
        assert!(query.flag("watch") && !query.flag("follow"));
        for unset in ["watch=false", "watch=False", "watch=0"] {
            assert!(!Query::parse(Some(unset)).flag("watch"), "{unset}");
        }
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["ls", "-l"]);
        assert_eq!(unescaped("%zz%4"), "%zz%4");
    }

    #[test]
    fn options_that_exclude_each_other_are_refused() {
        let kind = schema::lookup("", "v1", "Pod").unwrap();
        let table = [
            ("resourceVersion=abc", 400),
            ("resourceVersion=abc&watch=1", 500),
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersionMatch=Exact&resourceVersion=0", 422),
            ("resourceVersionMatch=Some&resourceVersion=4", 422),
            ("watch=1&sendInitialEvents=true", 422),
            ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 422),
            ("labelSelector=a%3D%3D%3D", 400),
            ("limit=x", 400),
        ];
        for (text, code) in table {
            let problem = ListOptions::parse(&Query::parse(Some(text)), kind).unwrap_err();
            assert_eq!(problem.code, code, "{text}: {problem}");
        }
        let fine =
            "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        assert!(ListOptions::parse(&Query::parse(Some(fine)), kind).is_ok());
    }
}
