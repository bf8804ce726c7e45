//! Reading what clients send as they send it: booleans in any case, keys that come more than once.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// What `true`, `True`, `TRUE`, `1`, `t` or `yes` mean, and their opposites.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "yes" | "y" | "on" => Some(true),
        "false" | "0" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// A boolean of a query string, for `#[serde(default)]` fields: any spelling, and a key without a value
/// (`?force`) is true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }
            fn visit_bool<E: Error>(self, v: bool) -> Result<Flag, E> {
                Ok(Flag(v))
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Flag, E> {
                Ok(Flag(v != 0))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Flag, E> {
                if v.is_empty() {
                    return Ok(Flag(true));
                }
                boolean(v)
                    .map(Flag)
                    .ok_or_else(|| E::custom(format!("`{v}` is neither true nor false")))
            }
        }
        d.deserialize_any(Reader)
    }
}

/// The pairs of a query string in their order, unescaped; a key may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Reads a query string; what is not UTF-8 after unescaping is replaced.
    #[must_use]
    pub fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|p| !p.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (unescape(key), unescape(value))
                })
                .collect(),
        )
    }

    /// The last value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// All values of a key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// Whether a flag is set: any spelling of true, or the key alone.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|v| v.is_empty() || boolean(v) == Some(true))
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// A part of a query string, unescaped (`+` is a space).
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match hex_pair(after) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let high = digit(*text.first()?)?;
    let low = digit(*text.get(1)?)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_in_any_case_and_nonsense_is_none() {
        for (text, value) in [
            ("True", Some(true)),
            ("FALSE", Some(false)),
            ("1", Some(true)),
            ("maybe", None),
            ("", None),
        ] {
            assert_eq!(boolean(text), value, "{text}");
        }
        assert_eq!(serde_json::from_str::<Flag>("\"True\"").unwrap(), Flag(true));
        assert_eq!(serde_json::from_str::<Flag>("false").unwrap(), Flag(false));
        assert!(serde_json::from_str::<Flag>("\"maybe\"").is_err());
    }

    #[test]
    fn pairs_keep_their_order_and_repetition() {
        let pairs = Pairs::parse(Some("embed=a&force&embed=b+c%2F%zz&scale=True"));
        assert_eq!(pairs.all("embed").collect::<Vec<_>>(), ["a", "b c/%zz"]);
        assert!(pairs.flag("force") && pairs.flag("scale") && !pairs.flag("wipe"));
        assert_eq!(pairs.get("embed"), Some("b c/%zz"));
    }
}
