//! A cell of a table: worked out once for an object as it is, with the time left open where it tells how long ago
//! something was.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(Box<str>),
    /// A number.
    Number(i64),
    /// How long ago a moment was, between these words.
    Ago(Box<str>, Timestamp, &'static str),
}

impl Cell {
    /// How long ago a moment was.
    #[must_use]
    pub fn since(moment: Timestamp) -> Self {
        Self::Ago(Box::default(), moment, "")
    }

    /// What it says at a time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Value {
        match self {
            Self::Text(text) => Value::from(&**text),
            Self::Number(number) => Value::from(*number),
            Self::Ago(before, since, after) => {
                Value::from(format!("{before}{}{after}", human(now.duration_since(*since))))
            }
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// A duration as people read it, with two units at most.
#[must_use]
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        252_288_000.. => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_units_that_people_know_from_kubectl() {
        let table = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (3600, "60m"),
            (10_799, "179m"),
            (10_860, "3h1m"),
            (30_000, "8h"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (70_000_000, "2y80d"),
            (400_000_000, "12y"),
        ];
        for (seconds, shown) in table {
            assert_eq!(human(SignedDuration::from_secs(seconds)), shown, "{seconds}");
        }
    }

    #[test]
    fn what_was_some_time_ago_goes_on_with_time() {
        let moment: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let restarts = Cell::Ago("2 (".into(), moment, " ago)");
        let after = |seconds| moment + SignedDuration::from_secs(seconds);
        assert_eq!(restarts.at(after(30)), "2 (30s ago)");
        assert_eq!(restarts.at(after(7200)), "2 (120m ago)");
        assert_eq!(Cell::from(3).at(moment), 3);
        assert_eq!(Cell::from("a").at(moment), "a");
    }
}
