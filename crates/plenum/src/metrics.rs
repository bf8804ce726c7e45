//! What the broker counts, for `/metrics`: read when somebody asks, kept nowhere twice.

use plenum_broker::{BrokerHandle, BrokerStats};
use plenum_gateway::Registry;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// A registry that shows the counters of this broker.
#[must_use]
pub(crate) fn of(handle: &BrokerHandle) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Counters(handle.clone())));
    registry
}

struct Counters(BrokerHandle);

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

type Row = (&'static str, &'static str, fn(&BrokerStats) -> u64);

const RISING: [Row; 11] = [
    ("plenum_broker_steps", "Inputs the core has taken in", |s| s.steps),
    ("plenum_broker_claims", "Tasks claimed", |s| s.claims),
    ("plenum_broker_placements", "Tasks placed", |s| s.placements),
    (
        "plenum_broker_observations",
        "Observations of agents that were news",
        |s| s.observations,
    ),
    ("plenum_broker_commits", "Groups made durable", |s| s.commits),
    (
        "plenum_broker_commits_failed",
        "Groups that could not be made durable",
        |s| s.failed_commits,
    ),
    ("plenum_broker_records", "Records made durable", |s| s.records),
    (
        "plenum_broker_record_bytes",
        "Bytes of records made durable",
        |s| s.record_bytes,
    ),
    ("plenum_broker_snapshots", "Snapshots written", |s| s.snapshots),
    ("plenum_broker_core_microseconds", "Time spent deciding", |s| {
        s.core_micros
    }),
    (
        "plenum_broker_log_microseconds",
        "Time spent making durable",
        |s| s.log_micros,
    ),
];

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        for (name, help, value) in RISING {
            let counter = ConstCounter::new(value(&stats));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let depth = ConstGauge::new(i64::try_from(stats.queue_depth).unwrap_or(i64::MAX));
        let help = "Calls that wait for the core";
        depth.encode(encoder.encode_descriptor(
            "plenum_broker_queue_depth",
            help,
            None,
            depth.metric_type(),
        )?)
    }
}
