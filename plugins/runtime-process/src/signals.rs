//! Signals by name and number, the real-time ones included.

use nix::libc;
use nix::sys::signal::Signal;

/// The number of `SIGTERM`, `TERM`, `term`, `15`, `RTMIN+3`; none if there is no such signal.
pub(crate) fn number(name: &str) -> Option<i32> {
    let upper = name.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |number: i32| Some(number).filter(|n| (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(n));
    if let Some(offset) = bare.strip_prefix("RTMIN") {
        let offset: i32 = if offset.is_empty() {
            0
        } else {
            offset.strip_prefix('+')?.parse().ok()?
        };
        return real_time(libc::SIGRTMIN().checked_add(offset)?);
    }
    if let Some(offset) = bare.strip_prefix("RTMAX") {
        let offset: i32 = if offset.is_empty() {
            0
        } else {
            offset.strip_prefix('-')?.parse().ok()?
        };
        return real_time(libc::SIGRTMAX().checked_sub(offset)?);
    }
    match bare.parse::<i32>() {
        Ok(number) => Some(number).filter(|n| (1..=libc::SIGRTMAX()).contains(n)),
        Err(_) => format!("SIG{bare}")
            .parse::<Signal>()
            .ok()
            .map(|signal| signal as i32),
    }
}

/// What to call a signal.
pub(crate) fn name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) if number >= libc::SIGRTMIN() => format!("SIGRTMIN+{}", number - libc::SIGRTMIN()),
        Err(_) => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_in_every_usual_spelling() {
        for (spelling, expected) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX", 64),
        ] {
            assert_eq!(number(spelling), Some(expected), "{spelling}");
        }
        for wrong in [
            "",
            "SIG",
            "TERMINATE",
            "0",
            "65",
            "-1",
            "RTMIN+99",
            "RTMAX+1",
            "RTMIN+2147483647",
        ] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        assert_eq!((name(15).as_str(), name(37).as_str()), ("SIGTERM", "SIGRTMIN+3"));
    }
}
