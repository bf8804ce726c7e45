//! One record: its text form, both ways.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

const NANOS: u64 = 1_000_000_000;
const TEXT: usize = "2026-01-31T12:00:00.000000000Z".len();

impl Timestamp {
    /// The wall clock.
    pub fn now() -> Self {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// RFC 3339 with nine digits of a second. Written by hand: a calendar library would be a fifth of the shim.
    pub fn to_text(self) -> String {
        let (seconds, nanos) = (self.0 / NANOS, self.0 % NANOS);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Days since 0000-03-01, so that a leap day ends its year (Hinnant, "chrono-compatible low-level
        // date algorithms").
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }

    /// Reads what [`Timestamp::to_text`] wrote; `None` for anything else.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() == TEXT && text.is_ascii())?;
        let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().ok();
        let marks = [
            (4, b'-'),
            (7, b'-'),
            (10, b'T'),
            (13, b':'),
            (16, b':'),
            (19, b'.'),
            (29, b'Z'),
        ];
        if marks.iter().any(|&(at, mark)| text.as_bytes()[at] != mark) {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year = if month <= 2 { year - 1 } else { year };
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
        let seconds = days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
        Some(Self(seconds.checked_mul(NANOS)?.checked_add(number(20..29)?)?))
    }
}

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output; with a terminal, all output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub position: u64,
    /// When the shim read its last byte.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: Stream,
    /// Whether a line ends here.
    pub ends_line: bool,
    /// The text without the line's end.
    pub text: Vec<u8>,
}

impl Record {
    /// Appends what the container wrote: the text, and the line's end if there is one.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text);
        if self.ends_line {
            out.push(b'\n');
        }
    }
}

/// Appends one record in its text form.
pub fn encode(at: &str, stream: Stream, ends_line: bool, text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(at.as_bytes());
    out.push(b' ');
    out.extend_from_slice(stream.name().as_bytes());
    out.extend_from_slice(if ends_line { b" F " } else { b" P " });
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Reads one line (without its end) that begins at `position`; `None` if it is no record.
pub fn decode(line: &[u8], position: u64) -> Option<Record> {
    let at = Timestamp::from_text(line.get(..TEXT)?)?;
    let rest = line.get(TEXT..)?.strip_prefix(b" ")?;
    let (stream, rest) = match (rest.strip_prefix(b"stdout "), rest.strip_prefix(b"stderr ")) {
        (Some(rest), _) => (Stream::Stdout, rest),
        (None, Some(rest)) => (Stream::Stderr, rest),
        (None, None) => return None,
    };
    let (ends_line, text) = match (rest.strip_prefix(b"F "), rest.strip_prefix(b"P ")) {
        (Some(text), _) => (true, text),
        (None, Some(text)) => (false, text),
        (None, None) => return None,
    };
    Some(Record {
        position,
        at,
        stream,
        ends_line,
        text: text.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_and_agree_with_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000000007Z"),
            (1_772_323_199, "2026-02-28T23:59:59.000000007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000007Z"),
        ] {
            let time = Timestamp(seconds * NANOS + 7);
            assert_eq!(time.to_text(), text);
            assert_eq!(Timestamp::from_text(text.as_bytes()), Some(time));
        }
        for wrong in [
            "",
            "1970-13-01T00:00:00.000000007Z",
            "1970-01-01 00:00:00.000000007Z",
        ] {
            assert_eq!(Timestamp::from_text(wrong.as_bytes()), None);
        }
    }

    #[test]
    fn records_keep_every_byte_but_the_line_end() {
        let mut line = Vec::new();
        encode(
            &Timestamp(5).to_text(),
            Stream::Stderr,
            false,
            b"a \0\xff\r b",
            &mut line,
        );
        assert_eq!(line.pop(), Some(b'\n'));
        let record = decode(&line, 9).unwrap();
        assert_eq!(
            (record.position, record.at, record.stream),
            (9, Timestamp(5), Stream::Stderr)
        );
        assert_eq!(
            (record.ends_line, record.text.as_slice()),
            (false, b"a \0\xff\r b".as_slice())
        );
        assert_eq!(decode(&line[1..], 0), None);
    }
}
