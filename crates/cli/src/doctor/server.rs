//! What the server says of itself and of the pool.

use super::Check;
use crate::session::Session;
use jiff::Timestamp;
use plenum_model::node::Liveness;
use std::time::Duration;

/// A clock that differs by more than this makes ages and timelines misleading.
const MAX_SKEW_SECONDS: i64 = 5;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Whether it answers.
pub(super) async fn reachable(session: &Session<'_>) -> (Check, bool) {
    let from = &session.target.source;
    match session.client.info().await {
        Ok(info) => {
            let found = format!(
                "{} answers, version {} (from {from})",
                session.client.address(),
                info.version
            );
            (Check::ok("server", found), true)
        }
        Err(e) => (
            Check::fail(
                "server",
                format!("{e} (from {from})"),
                "plenum up, or another -c CONTEXT",
            ),
            false,
        ),
    }
}

/// Whether all nodes are heard of.
pub(super) async fn nodes(session: &Session<'_>) -> Check {
    let nodes = match session.client.nodes().await {
        Ok(nodes) => nodes,
        Err(e) => return Check::fail("nodes", e.to_string(), "see the log of the server"),
    };
    let silent: Vec<&str> = nodes
        .iter()
        .filter(|n| n.state == Liveness::Unreachable)
        .map(|n| n.name.as_str())
        .collect();
    match (nodes.len(), silent.len()) {
        (0, _) => Check::fail(
            "nodes",
            "there are none",
            "start an agent: plenum agent --broker URL",
        ),
        (all, 0) => Check::ok("nodes", format!("{all} ready")),
        (all, n) if n == all => Check::fail(
            "nodes",
            format!("all {all} are unreachable"),
            "are the agents running?",
        ),
        (all, n) => Check::warn(
            "nodes",
            format!("{n} of {all} unreachable: {}", silent.join(", ")),
            "is the agent running there? plenum node remove NAME if it is gone for good",
        ),
    }
}

/// Whether all schedulers have a session.
pub(super) async fn schedulers(session: &Session<'_>) -> Check {
    let all = match session.client.schedulers().await {
        Ok(all) => all,
        Err(e) => return Check::fail("schedulers", e.to_string(), "see the log of the server"),
    };
    let away: Vec<&str> = all
        .iter()
        .filter(|s| s.state != "ready")
        .map(|s| s.name.as_str())
        .collect();
    match (all.len(), away.is_empty()) {
        (0, _) => Check::warn(
            "schedulers",
            "there are none",
            "start one: plenum scheduler marathon --broker URL",
        ),
        (n, true) => Check::ok("schedulers", format!("{n} ready")),
        (_, false) => Check::warn(
            "schedulers",
            format!("away: {}; their tasks run on", away.join(", ")),
            "start them again: plenum scheduler KIND --broker URL",
        ),
    }
}

/// Whether the server's clock and this one agree.
pub(super) async fn clock(session: &Session<'_>) -> Check {
    let url = format!("{}/healthz", session.client.address());
    let asked = async {
        let response = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()?
            .get(url)
            .send()
            .await?;
        Ok::<_, reqwest::Error>(
            response
                .headers()
                .get("date")
                .and_then(|d| d.to_str().ok())
                .map(str::to_owned),
        )
    };
    let Ok(Some(date)) = asked.await else {
        return Check::warn(
            "clock",
            "the server does not tell its time",
            "compare `date` on both machines",
        );
    };
    match jiff::fmt::rfc2822::parse(&date) {
        Ok(theirs) => {
            let skew = Timestamp::now().as_second() - theirs.timestamp().as_second();
            if skew.abs() <= MAX_SKEW_SECONDS {
                Check::ok("clock", "the server's and this one agree")
            } else {
                Check::warn(
                    "clock",
                    format!("{skew} s ahead of the server"),
                    "synchronise both clocks (NTP)",
                )
            }
        }
        Err(e) => Check::warn(
            "clock",
            format!("`{date}`: {e}"),
            "compare `date` on both machines",
        ),
    }
}
