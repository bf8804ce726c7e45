//! Points in time as Marathon writes them: ISO-8601, UTC, milliseconds. They are versions too, so equality
//! and order matter more than the clock they came from.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i64);

/// The year 1: older ones have no four-digit year.
const OLDEST_MS: i64 = -62_135_596_800_000;

impl Stamp {
    /// The point `ms` milliseconds after 1970, clamped to the years 1 to 9999.
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(OLDEST_MS, jiff::Timestamp::MAX.as_second() * 1000))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0
    }

    /// This point and `ms` milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(ms))
    }

    /// A version that is newer than `previous` even if the clock stood still or went back.
    #[must_use]
    pub fn after(self, previous: Self) -> Self {
        self.max(previous.plus_ms(1))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{}", t.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

impl FromStr for Stamp {
    type Err = jiff::Error;
    fn from_str(s: &str) -> Result<Self, jiff::Error> {
        s.parse::<jiff::Timestamp>()
            .map(|t| Self::from_ms(t.as_millisecond()))
    }
}

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_milliseconds_and_read_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_546_300_800_007, "2019-01-01T00:00:00.007Z"),
            (i64::MAX, "9999-12-30T22:00:00.000Z"),
        ] {
            assert_eq!(Stamp::from_ms(ms).to_string(), text);
            assert_eq!(text.parse::<Stamp>().unwrap(), Stamp::from_ms(ms));
        }
        assert!("yesterday".parse::<Stamp>().is_err());
    }

    #[test]
    fn a_version_is_newer_even_when_the_clock_is_not() {
        let old = Stamp::from_ms(1000);
        assert_eq!(Stamp::from_ms(900).after(old), Stamp::from_ms(1001));
        assert_eq!(Stamp::from_ms(2000).after(old), Stamp::from_ms(2000));
    }
}
