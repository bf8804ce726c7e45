//! The small reader that all request types are built from. It never stops at the first wrong field.

use crate::json::Json;
use crate::refusal::{Detail, Refusal, add_detail};
use crate::request::names::{Shape, UnknownFields, nearest};
use std::collections::BTreeMap;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct At<'a> {
    /// `/container/docker`; empty for the whole request.
    pub path: String,
    /// What was sent.
    pub json: &'a Json,
}

impl<'a> At<'a> {
    /// The whole request.
    #[must_use]
    pub fn root(json: &'a Json) -> Self {
        Self {
            path: String::new(),
            json,
        }
    }
}

/// An object and where it stands.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    at: At<'a>,
    entries: &'a [(String, Json)],
}

impl<'a> Object<'a> {
    /// The field of that name; `null` is the same as not there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<At<'a>> {
        self.entries
            .iter()
            .find(|(k, v)| k == name && *v != Json::Null)
            .map(|(_, json)| At {
                path: format!("{}/{name}", self.at.path),
                json,
            })
    }
}

/// Collects what is wrong with a request.
#[derive(Debug)]
pub struct Reader {
    wrong: Vec<Detail>,
    unserved: Vec<Detail>,
    unknown_fields: UnknownFields,
}

/// What a field that exists in Marathon and not here yet is answered with.
pub const NOT_SUPPORTED: &str = "is not supported by this version of Plenum";

impl Reader {
    /// A reader that treats names nobody knows as told.
    #[must_use]
    pub fn new(unknown_fields: UnknownFields) -> Self {
        Self {
            wrong: Vec::new(),
            unserved: Vec::new(),
            unknown_fields,
        }
    }

    /// What was read, if nothing was wrong with it.
    ///
    /// # Errors
    /// All wrong fields at once (`Fields`); only when there are none, what is not served (`Rules`).
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Refusal> {
        if !self.wrong.is_empty() {
            return Err(Refusal::Fields(self.wrong));
        }
        if !self.unserved.is_empty() {
            return Err(Refusal::Rules(self.unserved));
        }
        read.ok_or_else(|| Refusal::Fields(vec![Detail::new("", "error.expected.jsobject")]))
    }

    /// Reports an error at a place and reads as nothing.
    pub fn wrong<T>(&mut self, path: &str, error: impl Into<String>) -> Option<T> {
        add_detail(&mut self.wrong, path, error);
        None
    }

    /// Reports something that Marathon knows and this version does not serve.
    pub fn unserved<T>(&mut self, path: &str, error: impl Into<String>) -> Option<T> {
        add_detail(&mut self.unserved, path, error);
        None
    }

    /// An object whose names are checked against `shape`.
    pub fn object<'a>(&mut self, at: At<'a>, shape: &Shape) -> Option<Object<'a>> {
        let Json::Object(entries) = at.json else {
            return self.wrong(&at.path, "error.expected.jsobject");
        };
        for (name, value) in entries {
            let path = format!("{}/{name}", at.path);
            if shape.served.contains(&name.as_str()) || shape.output.contains(&name.as_str()) {
                continue;
            }
            if let Some((_, default)) = shape.unserved.iter().find(|(n, _)| n == name) {
                if !default.is(value) {
                    self.unserved::<()>(&path, NOT_SUPPORTED);
                }
                continue;
            }
            if self.unknown_fields == UnknownFields::Refuse {
                let hint = nearest(name, shape).map_or(String::new(), |n| format!(", did you mean '{n}'?"));
                self.wrong::<()>(&path, format!("'{name}' is not a known field{hint}"));
            }
        }
        Some(Object { at, entries })
    }

    /// An optional field.
    pub fn optional<'a, T>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        read: impl FnOnce(&mut Self, At<'a>) -> Option<T>,
    ) -> Option<T> {
        object.get(name).and_then(|at| read(self, at))
    }

    /// A field that must be there.
    pub fn required<'a, T>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        read: impl FnOnce(&mut Self, At<'a>) -> Option<T>,
    ) -> Option<T> {
        match object.get(name) {
            Some(at) => read(self, at),
            None => {
                let path = format!("{}/{name}", object.at.path);
                let error = format!("'{name}' is undefined on object: {}", object.at.json);
                self.wrong(&path, error)
            }
        }
    }

    /// A string.
    pub fn text(&mut self, at: At<'_>) -> Option<String> {
        match at.json {
            Json::Text(text) => Some(text.clone()),
            _ => self.wrong(&at.path, "error.expected.jsstring"),
        }
    }

    /// A string of at least one character.
    pub fn filled(&mut self, at: At<'_>) -> Option<String> {
        let path = at.path.clone();
        match self.text(at)? {
            text if text.is_empty() => self.wrong(&path, "error.minLength"),
            text => Some(text),
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, at: At<'_>) -> Option<bool> {
        match at.json {
            Json::Bool(b) => Some(*b),
            _ => self.wrong(&at.path, "error.expected.jsboolean"),
        }
    }

    /// A double within bounds, both included.
    pub fn double(&mut self, at: At<'_>, min: f64, max: f64) -> Option<f64> {
        let Json::Number(number) = at.json else {
            return self.wrong(&at.path, "error.expected.jsnumber");
        };
        match number.as_f64() {
            Some(v) if v < min => self.wrong(&at.path, "error.min"),
            Some(v) if v > max => self.wrong(&at.path, "error.max"),
            Some(v) => Some(v),
            None => self.wrong(&at.path, "error.expected.jsnumber"),
        }
    }

    /// A whole number within bounds, both included; `bits` names the type in the error (`int`, `long`).
    pub fn whole(&mut self, at: At<'_>, kind: Whole, min: i64, max: i64) -> Option<i64> {
        let Json::Number(number) = at.json else {
            return self.wrong(&at.path, "error.expected.jsnumber");
        };
        let value = number.as_i64().or_else(|| {
            let v = number.as_f64()?;
            #[allow(clippy::cast_possible_truncation)] // whole and far below 2^53
            (v.fract() == 0.0 && v.abs() < 9e15).then_some(v as i64)
        });
        match value {
            Some(v) if kind == Whole::Int && i32::try_from(v).is_err() => {
                self.wrong(&at.path, "error.expected.int")
            }
            Some(v) if v < min => self.wrong(&at.path, "error.min"),
            Some(v) if v > max => self.wrong(&at.path, "error.max"),
            Some(v) => Some(v),
            None => self.wrong(&at.path, kind.error()),
        }
    }

    /// A whole number from 0 up that a Java `int` can hold.
    pub fn count(&mut self, at: At<'_>) -> Option<u32> {
        self.whole(at, Whole::Int, 0, i64::from(i32::MAX))
            .and_then(|v| u32::try_from(v).ok())
    }

    /// A port, 0 for "any".
    pub fn port(&mut self, at: At<'_>) -> Option<u16> {
        self.whole(at, Whole::Int, 0, 65_535)
            .and_then(|v| u16::try_from(v).ok())
    }

    /// One of a closed set of words.
    pub fn choice<T: Copy>(&mut self, at: At<'_>, words: &[(&str, T)]) -> Option<T> {
        let found = match at.json {
            Json::Text(text) => words
                .iter()
                .find(|(word, _)| word == text)
                .map(|(_, value)| *value),
            _ => None,
        };
        found.or_else(|| self.wrong(&at.path, "error.unknown.enum.literal"))
    }

    /// An array; items that are wrong are reported each at its index.
    pub fn list<'a, T>(
        &mut self,
        at: At<'a>,
        mut item: impl FnMut(&mut Self, At<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Json::List(items) = at.json else {
            return self.wrong(&at.path, "error.expected.jsarray");
        };
        Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(i, json)| {
                    item(
                        self,
                        At {
                            path: format!("{}({i})", at.path),
                            json,
                        },
                    )
                })
                .collect(),
        )
    }

    /// An object whose keys are the user's own.
    pub fn map<'a, T>(
        &mut self,
        at: At<'a>,
        mut value: impl FnMut(&mut Self, At<'a>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let Json::Object(entries) = at.json else {
            return self.wrong(&at.path, "error.expected.jsobject");
        };
        Some(
            entries
                .iter()
                .filter_map(|(k, json)| {
                    let at = At {
                        path: format!("{}/{k}", at.path),
                        json,
                    };
                    value(self, at).map(|v| (k.clone(), v))
                })
                .collect(),
        )
    }

    /// An object of strings.
    pub fn text_map(&mut self, at: At<'_>) -> Option<BTreeMap<String, String>> {
        self.map(at, |r, at| r.text(at))
    }
}

/// Which of Java's whole numbers a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
}

impl Whole {
    fn error(self) -> &'static str {
        match self {
            Self::Int => "error.expected.int",
            Self::Long => "error.expected.long",
        }
    }
}
