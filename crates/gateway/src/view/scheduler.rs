//! Schedulers.

use plenum_client::v1::scheduler::Scheduler as Shown;
use plenum_contract::pool::SchedulerView;
use plenum_model::amounts::Amounts;
use plenum_model::node::Node;
use std::sync::Arc;

/// What tasks can have of all nodes together.
pub(crate) fn pool_size(nodes: &[Arc<Node>]) -> Amounts {
    let all = nodes.iter().map(|n| n.facts.allocatable());
    all.fold(Amounts::default(), |sum, a| sum.checked_add(&a).unwrap_or(sum))
}

pub(crate) fn scheduler(s: &SchedulerView, pool: &Amounts) -> Shown {
    Shown {
        name: s.id.to_string(),
        kind: s.kind.clone(),
        state: if s.connected { "ready" } else { "away" }.to_owned(),
        tasks: s.tasks,
        pending: s.pending,
        held: (&s.held).into(),
        asked: (&s.asked).into(),
        share: share(&s.held, pool),
    }
}

/// The largest part of any of the four resources that every node has, to a hundredth of a percent.
#[allow(clippy::cast_precision_loss, reason = "a part for people, cut to four digits")]
fn share(held: &Amounts, pool: &Amounts) -> f64 {
    let part = |held: u64, all: u64| if all == 0 { 0.0 } else { held as f64 / all as f64 };
    let parts = [
        part(held.cpu_millis, pool.cpu_millis),
        part(held.memory_bytes, pool.memory_bytes),
        part(held.disk_bytes, pool.disk_bytes),
        part(held.slots, pool.slots),
    ];
    (parts.into_iter().fold(0.0, f64::max) * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_the_largest_part() {
        let pool = Amounts::task(9_000, 18 << 30, 0);
        assert!(
            (share(&Amounts::task(3_000, 12 << 30, 0), &pool) - 1.0).abs() < 1e-9,
            "its only slot"
        );
        let held = Amounts {
            slots: 0,
            ..Amounts::task(3_000, 12 << 30, 0)
        };
        assert!((share(&held, &pool) - 0.6667).abs() < 1e-9);
        assert!(share(&held, &Amounts::default()).abs() < 1e-9, "an empty pool");
    }
}
