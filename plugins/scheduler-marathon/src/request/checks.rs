//! Reading health and readiness checks.

use crate::checks::{CheckProtocol, HealthCheck, HttpScheme, ReadinessCheck};
use crate::request::names::{COMMAND, HEALTH_CHECK, READINESS_CHECK};
use crate::request::ports::port_name;
use crate::request::reader::{At, NOT_SUPPORTED, Reader, Whole};
use std::collections::BTreeSet;

/// The longest path of a readiness check, in characters.
const LONGEST_PATH: usize = 1024;

/// An element of `healthChecks`.
pub fn health(r: &mut Reader, at: At<'_>) -> Option<HealthCheck> {
    let o = r.object(at, &HEALTH_CHECK)?;
    let mut seconds = |name, default| r.optional(&o, name, Reader::count).unwrap_or(default);
    let grace_seconds = seconds("gracePeriodSeconds", 300);
    let interval_seconds = seconds("intervalSeconds", 60);
    let timeout_seconds = seconds("timeoutSeconds", 20);
    let max_failures = seconds("maxConsecutiveFailures", 3);
    let delay_seconds = seconds("delaySeconds", HealthCheck::DEFAULT_DELAY);
    let protocol = r.optional(&o, "protocol", |r, at| r.choice(at, &CheckProtocol::WORDS));
    r.optional(&o, "ipProtocol", |r, at| {
        let path = at.path.clone();
        match r.choice(at, &[("IPv4", true), ("IPv6", false)])? {
            true => Some(()),
            false => r.unserved(&path, NOT_SUPPORTED),
        }
    });
    Some(HealthCheck {
        protocol: protocol.unwrap_or_default(),
        command: r.optional(&o, "command", command),
        path: r.optional(&o, "path", Reader::text),
        port: r.optional(&o, "port", Reader::port),
        port_index: r.optional(&o, "portIndex", Reader::port),
        grace_seconds,
        interval_seconds,
        timeout_seconds,
        max_failures,
        delay_seconds,
    })
}

fn command(r: &mut Reader, at: At<'_>) -> Option<String> {
    let o = r.object(at, &COMMAND)?;
    r.required(&o, "value", Reader::text)
}

/// An element of `readinessChecks`.
pub fn readiness(r: &mut Reader, at: At<'_>) -> Option<ReadinessCheck> {
    let o = r.object(at, &READINESS_CHECK)?;
    let protocol = r.optional(&o, "protocol", |r, at| r.choice(at, &HttpScheme::WORDS));
    Some(ReadinessCheck {
        name: r
            .optional(&o, "name", Reader::filled)
            .unwrap_or_else(|| "readinessCheck".to_owned()),
        protocol: protocol.unwrap_or_default(),
        path: r.optional(&o, "path", path).unwrap_or_else(|| "/".to_owned()),
        port_name: r
            .optional(&o, "portName", port_name)
            .unwrap_or_else(|| "http-api".to_owned()),
        interval_seconds: r.optional(&o, "intervalSeconds", Reader::count).unwrap_or(30),
        timeout_seconds: r.optional(&o, "timeoutSeconds", at_least_one).unwrap_or(10),
        statuses: r
            .optional(&o, "httpStatusCodesForReady", statuses)
            .unwrap_or_else(|| vec![200]),
    })
}

fn path(r: &mut Reader, at: At<'_>) -> Option<String> {
    let place = at.path.clone();
    let text = r.filled(at)?;
    if text.chars().count() > LONGEST_PATH {
        return r.wrong(&place, "error.maxLength");
    }
    Some(text)
}

fn at_least_one(r: &mut Reader, at: At<'_>) -> Option<u32> {
    let seconds = r.whole(at, Whole::Int, 1, i64::from(i32::MAX))?;
    u32::try_from(seconds).ok()
}

fn statuses(r: &mut Reader, at: At<'_>) -> Option<Vec<u16>> {
    let place = at.path.clone();
    let code = |r: &mut Reader, at: At<'_>| {
        let code = r.whole(at, Whole::Int, 100, 999)?;
        u16::try_from(code).ok()
    };
    let codes = r.list(at, code)?;
    if codes.is_empty() {
        return r.wrong(&place, "error.minLength");
    }
    let mut seen = BTreeSet::new();
    Some(codes.into_iter().filter(|code| seen.insert(*code)).collect())
}
