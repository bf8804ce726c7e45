//! The check that an image names is done by the daemon, whoever wants to know of it; here is what it found.

use bollard::models::{ContainerInspectResponse, HealthStatusEnum, HealthcheckResult};
use jiff::Timestamp;
use plenum_contract::runtime::ImageHealth;
use plenum_contract::streams::{CheckResult, Health};

/// What the daemon found; none: the image names no check.
pub(crate) fn of(inspected: ContainerInspectResponse) -> Option<ImageHealth> {
    let test = inspected.config?.healthcheck?.test?;
    if test.first().is_none_or(|kind| kind.is_empty() || kind == "NONE") {
        return None;
    }
    let health = inspected.state.and_then(|s| s.health).unwrap_or_default();
    let passes = match health.status {
        Some(HealthStatusEnum::HEALTHY) => Some(true),
        Some(HealthStatusEnum::UNHEALTHY) => Some(false),
        None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE | HealthStatusEnum::STARTING) => None,
    };
    let failing = health.failing_streak.and_then(|n| u32::try_from(n).ok());
    Some(ImageHealth {
        passes,
        health: Health {
            failing: failing.unwrap_or(0),
            results: health.log.unwrap_or_default().into_iter().map(result).collect(),
        },
    })
}

fn result(of: HealthcheckResult) -> CheckResult {
    let ms = |at: Option<String>| {
        let at = at.and_then(|t| t.parse::<Timestamp>().ok());
        at.map_or(0, |t| u64::try_from(t.as_millisecond()).unwrap_or(0))
    };
    CheckResult {
        began: ms(of.start),
        ended: ms(of.end),
        code: of.exit_code.and_then(|c| i32::try_from(c).ok()).unwrap_or(-1),
        output: of.output.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ContainerConfig, ContainerState, HealthConfig};

    fn inspected(test: &[&str], status: HealthStatusEnum) -> ContainerInspectResponse {
        let check = HealthConfig {
            test: Some(test.iter().map(|t| (*t).to_owned()).collect()),
            ..HealthConfig::default()
        };
        ContainerInspectResponse {
            config: Some(ContainerConfig {
                healthcheck: Some(check),
                ..ContainerConfig::default()
            }),
            state: Some(ContainerState {
                health: Some(bollard::models::Health {
                    status: Some(status),
                    failing_streak: Some(2),
                    log: Some(vec![HealthcheckResult {
                        start: Some("2026-01-02T03:04:05.5+02:00".to_owned()),
                        exit_code: Some(1),
                        ..HealthcheckResult::default()
                    }]),
                }),
                ..ContainerState::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn what_the_daemon_found_is_told_and_an_image_without_check_has_none() {
        let sick = of(inspected(&["CMD", "false"], HealthStatusEnum::UNHEALTHY)).unwrap();
        assert_eq!((sick.passes, sick.health.failing), (Some(false), 2));
        assert_eq!(sick.health.results[0].began, 1_767_315_845_500);
        assert_eq!(
            of(inspected(&["CMD", "true"], HealthStatusEnum::STARTING))
                .unwrap()
                .passes,
            None
        );
        assert_eq!(of(inspected(&["NONE"], HealthStatusEnum::NONE)), None);
        assert_eq!(of(inspected(&[], HealthStatusEnum::NONE)), None);
    }
}
