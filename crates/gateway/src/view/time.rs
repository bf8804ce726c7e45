//! Times.

use jiff::Timestamp;

/// Unix milliseconds as a time; what no calendar holds becomes its last moment.
pub(crate) fn millis(ms: u64) -> Timestamp {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Unix nanoseconds as a time; what no calendar holds becomes its last moment.
pub(crate) fn nanos(ns: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::MAX)
}
