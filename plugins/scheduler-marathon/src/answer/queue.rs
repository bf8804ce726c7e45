//! The launch queue: what waits, for how long, and why, in the words of Marathon's offer funnel.

use crate::answer::app::AppAnswer;
use crate::app::App;
use crate::delay;
use crate::stamp::Stamp;
use plenum_model::amounts::Resource;
use plenum_model::why::{Cause, Why};
use serde::Serialize;
use std::collections::BTreeMap;

/// What waits of one app.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueItem {
    count: usize,
    delay: DelayAnswer,
    since: Stamp,
    processed_offers_summary: OffersSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offers: Option<Vec<UnusedOffer>>,
    app: AppAnswer,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DelayAnswer {
    time_left_seconds: i64,
    overdue: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct OffersSummary {
    processed_offers_count: u32,
    unused_offers_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offer_at: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_offer_at: Option<Stamp>,
    reject_summary_last_offers: Vec<Declined>,
    reject_summary_launch_attempt: Vec<Declined>,
}

/// One step of the funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declined {
    reason: Reason,
    declined: u32,
    processed: u32,
}

/// A node that could not take the task, in the form of an offer that was not used.
#[derive(Debug, Clone, Serialize)]
pub struct UnusedOffer {
    /// The node.
    pub offer: Offer,
    /// Why not.
    pub reason: Vec<Reason>,
    /// As of when.
    pub timestamp: Stamp,
}

/// A node in the form of an offer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// Of the offer; here the node's.
    pub id: String,
    /// Of the machine.
    pub hostname: String,
    /// The node.
    pub agent_id: String,
    /// What is free there.
    pub resources: Vec<OfferResource>,
    /// What it says of itself.
    pub attributes: Vec<OfferAttribute>,
}

/// An amount on offer.
#[derive(Debug, Clone, Serialize)]
pub struct OfferResource {
    /// Mesos' name of it.
    pub name: &'static str,
    /// Always `*`.
    pub role: &'static str,
    /// How much.
    #[serde(serialize_with = "crate::json::number")]
    pub scalar: f64,
}

/// An attribute on offer.
#[derive(Debug, Clone, Serialize)]
pub struct OfferAttribute {
    /// Its key.
    pub name: String,
    /// Its value.
    pub text: String,
}

/// Marathon's reasons to decline an offer, in the order of its funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)] // the names are the API's and say it all
pub enum Reason {
    UnfulfilledRole,
    UnfulfilledConstraint,
    NoCorrespondingReservationFound,
    AgentMaintenance,
    InsufficientCpus,
    InsufficientMemory,
    InsufficientDisk,
    InsufficientGpus,
    InsufficientPorts,
    DeclinedScarceResources,
}

const FUNNEL: [Reason; 10] = [
    Reason::UnfulfilledRole,
    Reason::UnfulfilledConstraint,
    Reason::NoCorrespondingReservationFound,
    Reason::AgentMaintenance,
    Reason::InsufficientCpus,
    Reason::InsufficientMemory,
    Reason::InsufficientDisk,
    Reason::InsufficientGpus,
    Reason::InsufficientPorts,
    Reason::DeclinedScarceResources,
];

impl Reason {
    /// The reason that comes closest to the pool's cause.
    #[must_use]
    pub fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Unreachable | Cause::Cordoned => Self::AgentMaintenance,
            Cause::NotPinned
            | Cause::Runtime(_)
            | Cause::Capability(_)
            | Cause::Attribute(_)
            | Cause::Taint(_)
            | Cause::LimitPerKey(_)
            | Cause::Spread(_)
            | Cause::Near(_)
            | Cause::Away(_)
            | Cause::KeptAway(_) => Self::UnfulfilledConstraint,
            Cause::Short(resource) => Self::short_of(resource),
            Cause::Device(name) if name == "gpu" => Self::InsufficientGpus,
            Cause::Device(_) => Self::DeclinedScarceResources,
            Cause::Port(_) | Cause::DynamicPorts => Self::InsufficientPorts,
        }
    }

    fn short_of(resource: &Resource) -> Self {
        match resource {
            Resource::Cpu => Self::InsufficientCpus,
            Resource::Memory => Self::InsufficientMemory,
            Resource::Disk => Self::InsufficientDisk,
            Resource::Slot | Resource::Extended(_) => Self::DeclinedScarceResources,
        }
    }
}

/// The funnel: all reasons in order, how many nodes each turned away, how many came so far.
#[must_use]
pub fn funnel(why: Option<&Why>) -> Vec<Declined> {
    let mut counts: BTreeMap<Reason, u32> = BTreeMap::new();
    let nodes = why.map_or(0, |w| w.nodes);
    match why {
        // a tenant's limit is what a role's quota is to Mesos: no node is even asked
        Some(Why { limit: Some(_), .. }) => {
            counts.insert(Reason::UnfulfilledRole, nodes);
        }
        Some(why) => {
            for (cause, count) in &why.by {
                *counts.entry(Reason::of(cause)).or_default() += count;
            }
        }
        None => {}
    }
    let mut processed = nodes;
    FUNNEL
        .iter()
        .map(|reason| {
            let declined = counts.get(reason).copied().unwrap_or(0);
            let step = Declined {
                reason: *reason,
                declined,
                processed,
            };
            processed = processed.saturating_sub(declined);
            step
        })
        .collect()
}

/// What is known of an app that waits.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// The app.
    pub app: &'a App,
    /// How many instances wait.
    pub count: usize,
    /// Until when launches are held back.
    pub until: Option<Stamp>,
    /// Since when something waits.
    pub since: Stamp,
    /// When an instance of the app got its node last.
    pub placed: Option<Stamp>,
    /// Why the first of them waits.
    pub why: Option<&'a Why>,
    /// The nodes that could not take it; none unless asked for.
    pub unused: Option<Vec<UnusedOffer>>,
}

impl QueueItem {
    /// The item for what waits.
    #[must_use]
    pub fn of(waiting: Waiting<'_>, now: Stamp) -> Self {
        let (time_left_seconds, overdue) = delay::shown(waiting.until, now);
        let nodes = waiting.why.map_or(0, |w| w.nodes);
        Self {
            count: waiting.count,
            delay: DelayAnswer {
                time_left_seconds,
                overdue,
            },
            since: waiting.since,
            processed_offers_summary: OffersSummary {
                processed_offers_count: nodes,
                unused_offers_count: nodes,
                last_unused_offer_at: (nodes > 0).then_some(now),
                last_used_offer_at: waiting.placed,
                reject_summary_last_offers: funnel(waiting.why),
                reject_summary_launch_attempt: funnel(waiting.why),
            },
            last_unused_offers: waiting.unused,
            app: AppAnswer::of(waiting.app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;
    use plenum_model::ids::TenantPath;
    use plenum_model::why::LimitReached;

    #[test]
    fn the_funnel_lists_every_reason_in_order_and_what_is_left() {
        let why = Why {
            nodes: 10,
            by: vec![
                (Cause::Cordoned, 1),
                (Cause::Attribute("rack".into()), 2),
                (Cause::Short(Resource::Cpu), 3),
                (Cause::Short(Resource::Memory), 4),
            ],
            limit: None,
            ..Why::default()
        };
        let steps: Vec<_> = funnel(Some(&why))
            .into_iter()
            .map(|d| (d.reason, d.declined, d.processed))
            .collect();
        assert_eq!(
            steps,
            [
                (Reason::UnfulfilledRole, 0, 10),
                (Reason::UnfulfilledConstraint, 2, 10),
                (Reason::NoCorrespondingReservationFound, 0, 8),
                (Reason::AgentMaintenance, 1, 8),
                (Reason::InsufficientCpus, 3, 7),
                (Reason::InsufficientMemory, 4, 4),
                (Reason::InsufficientDisk, 0, 0),
                (Reason::InsufficientGpus, 0, 0),
                (Reason::InsufficientPorts, 0, 0),
                (Reason::DeclinedScarceResources, 0, 0),
            ]
        );
    }

    #[test]
    fn a_tenants_limit_is_shown_as_its_roles() {
        let tenant = TenantPath::new("web").unwrap();
        let limit = Some(LimitReached {
            tenant,
            resource: Resource::Cpu,
            limit: 1,
            used: 1,
        });
        let why = Why {
            nodes: 3,
            by: vec![],
            limit,
            ..Why::default()
        };
        assert_eq!(
            funnel(Some(&why))[0],
            Declined {
                reason: Reason::UnfulfilledRole,
                declined: 3,
                processed: 3
            }
        );
    }

    #[test]
    fn an_item_has_the_keys_that_typed_clients_know() {
        let app = app_at(r#"{"id":"/a","cmd":"xx"}"#, 0);
        let now = Stamp::from_ms(0);
        let waiting = Waiting {
            placed: None,
            app: &app,
            count: 2,
            until: None,
            since: now,
            why: None,
            unused: None,
        };
        let json = serde_json::to_value(QueueItem::of(waiting, now)).unwrap();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["app", "count", "delay", "processedOffersSummary", "since"]);
        assert_eq!(
            json["delay"],
            serde_json::json!({"timeLeftSeconds": 0, "overdue": true})
        );
    }
}
