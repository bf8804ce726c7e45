//! Times as Docker writes them.

use jiff::Timestamp;

/// RFC 3339 with nanoseconds, UTC. Times outside jiff's range are the epoch: no clock of a machine gives one.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    nanos(u128::from(ms) * 1_000_000)
}

/// The same from Unix nanoseconds.
#[must_use]
pub fn nanos(nanos: u128) -> String {
    let at = i128::try_from(nanos)
        .ok()
        .and_then(|n| Timestamp::from_nanosecond(n).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.9}")
}

/// What a client means by `since` or `until`: seconds with a fraction, an RFC 3339 time, or a duration ago
/// (`10m`, `1h30m`); in Unix milliseconds.
#[must_use]
pub fn moment(text: &str, now_ms: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0) as u64);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return u64::try_from(at.as_millisecond()).ok();
    }
    duration_ms(text).map(|ago| now_ms.saturating_sub(ago))
}

/// A Go duration (`1h30m`, `1.5s`, `100ms`) in milliseconds.
fn duration_ms(text: &str) -> Option<u64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += number
            * match &rest[..end] {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_three_spellings() {
        assert_eq!(moment("1.5", 0), Some(1500));
        assert_eq!(moment("1970-01-01T00:00:02Z", 0), Some(2000));
        assert_eq!(moment("1m30s", 100_000), Some(10_000));
        assert_eq!(moment("", 5), None);
        assert_eq!(moment("soon", 5), None);
        assert_eq!(rfc3339(1500), "1970-01-01T00:00:01.500000000Z");
    }
}
