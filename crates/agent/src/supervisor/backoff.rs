//! How long to wait before trying again. Pure numbers; the runner adds jitter where many agents would meet.

use plenum_model::spec::Backoff;

/// Delays between attempts of a verb that failed for a reason that may pass, in milliseconds.
const RETRY: (u64, u64) = (250, 10_000);

/// After so many failed attempts a task that could not be prepared or started fails. With the delays above
/// that is half a minute: a restart of dockerd takes less.
pub(super) const ATTEMPTS: u32 = 8;

/// Milliseconds before restart number `streak` (the first is 1) in a row.
pub(super) fn restart_delay(backoff: Backoff, streak: u32) -> u64 {
    doubled(
        (backoff.base_ms, backoff.cap_ms),
        streak.saturating_sub(backoff.immediate),
    )
}

/// Milliseconds before the attempt after `failed` failed ones.
pub(super) fn retry_delay(failed: u32) -> u64 {
    doubled(RETRY, failed)
}

fn doubled((first, cap): (u64, u64), nth: u32) -> u64 {
    match nth {
        0 => 0,
        n => first.saturating_mul(1_u64 << (n - 1).min(32)).min(cap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_never_overflows() {
        let docker = Backoff::default();
        assert_eq!([0, 1, 2, 3].map(|n| restart_delay(docker, n)), [0, 100, 200, 400]);
        assert_eq!(restart_delay(docker, u32::MAX), 60_000);
        let once_free = Backoff {
            immediate: 1,
            ..docker
        };
        assert_eq!(
            [0, 1, 2, 3].map(|n| restart_delay(once_free, n)),
            [0, 0, 100, 200]
        );
        let whole: u64 = (1..ATTEMPTS).map(retry_delay).sum();
        assert!((20_000..40_000).contains(&whole), "{whole}");
    }
}
