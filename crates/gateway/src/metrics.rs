//! `/metrics`: what the pool holds, read at every scrape from the same view as the API, and how requests were
//! answered. What other parts count comes in the registry that the composition root hands over.

use crate::problem::Problem;
use http::{Method, StatusCode};
use plenum_contract::pool::Pool;
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::code;
use plenum_model::node::Liveness;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The content type of the exposition.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

/// What is counted between scrapes.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answer, Counter>,
    latency: Family<Route, Histogram>,
}

impl Metrics {
    /// Counts beside what `registry` holds already.
    pub(crate) fn new(mut registry: Registry) -> Self {
        let requests = Family::<Answer, Counter>::default();
        // 1 ms to 8 s: from a read of the view to a change that waits for the disk.
        let latency = Family::<Route, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 14))
        });
        registry.register("plenum_api_requests", "Requests answered", requests.clone());
        registry.register(
            "plenum_api_latency_seconds",
            "Time until an answer began",
            latency.clone(),
        );
        Self {
            registry,
            requests,
            latency,
        }
    }

    /// Counts one answer. Routes are patterns, so that what users name cannot make series.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: Option<String>,
        status: StatusCode,
        took: Duration,
    ) {
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE") => known,
            _ => "other",
        };
        let (method, route) = (method.to_owned(), route.unwrap_or_else(|| "none".to_owned()));
        let labels = Answer {
            method: method.clone(),
            route: route.clone(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.latency
            .get_or_create(&Route { method, route })
            .observe(took.as_secs_f64());
    }

    /// The whole exposition.
    pub(crate) async fn expose(&self, pool: &dyn Pool) -> Result<String, Problem> {
        let gauges = Gauges::read(pool).await?.into_registry();
        let mut text = String::new();
        encode_registry(&mut text, &gauges)
            .and_then(|()| encode_registry(&mut text, &self.registry))
            .and_then(|()| encode_eof(&mut text))
            .map_err(|e| Problem::new(code::INTERNAL, format!("cannot write metrics: {e}")))?;
        Ok(text)
    }
}

type Labels = Vec<(&'static str, String)>;
type Values = Family<Labels, Gauge<f64, AtomicU64>>;

/// The pool's gauges at one moment, by name.
#[derive(Default)]
struct Gauges(BTreeMap<&'static str, (&'static str, Values)>);

impl Gauges {
    async fn read(pool: &dyn Pool) -> Result<Self, Problem> {
        let mut gauges = Self::default();
        gauges.nodes(pool).await?;
        gauges.schedulers(pool).await?;
        gauges.tenants(pool).await?;
        Ok(gauges)
    }

    async fn nodes(&mut self, pool: &dyn Pool) -> Result<(), Problem> {
        for node in pool.nodes().await? {
            let name = || ("node", node.facts.id.to_string());
            let ready = f64::from(u8::from(node.liveness == Liveness::Ready));
            let open = f64::from(u8::from(node.scheduling.is_open()));
            self.set(
                "plenum_node_ready",
                "Whether the node is heard of",
                vec![name()],
                ready,
            );
            self.set(
                "plenum_node_open",
                "Whether new tasks may go there",
                vec![name()],
                open,
            );
            self.amounts(
                "plenum_node_capacity",
                "What the node offers",
                &[name()],
                &node.facts.capacity,
            );
            self.amounts(
                "plenum_node_free",
                "What nobody holds there",
                &[name()],
                &node.free(),
            );
            for (scheduler, held) in &node.held {
                let labels = [name(), ("scheduler", scheduler.clone())];
                self.amounts("plenum_node_held", "What is held there", &labels, held);
            }
            for (scheduler, tasks) in &node.tasks {
                let labels = vec![name(), ("scheduler", scheduler.clone())];
                self.set("plenum_node_tasks", "Tasks there", labels, f64::from(*tasks));
            }
        }
        Ok(())
    }

    async fn schedulers(&mut self, pool: &dyn Pool) -> Result<(), Problem> {
        for s in pool.schedulers().await? {
            let name = || ("scheduler", s.id.to_string());
            let ready = f64::from(u8::from(s.connected));
            self.set(
                "plenum_scheduler_ready",
                "Whether a session of it lives",
                vec![name()],
                ready,
            );
            self.set(
                "plenum_scheduler_tasks",
                "Its tasks that have not ended",
                vec![name()],
                f64::from(s.tasks),
            );
            self.set(
                "plenum_scheduler_pending",
                "Its tasks that wait",
                vec![name()],
                f64::from(s.pending),
            );
            self.amounts("plenum_scheduler_held", "What it holds", &[name()], &s.held);
            self.amounts(
                "plenum_scheduler_asked",
                "What its tasks ask",
                &[name()],
                &s.asked,
            );
        }
        Ok(())
    }

    async fn tenants(&mut self, pool: &dyn Pool) -> Result<(), Problem> {
        for t in pool.tenants().await? {
            let path = || ("tenant", t.tenant.path.to_string());
            self.set(
                "plenum_tenant_tasks",
                "Its tasks that hold room",
                vec![path()],
                f64::from(t.tasks),
            );
            self.amounts("plenum_tenant_used", "What its tasks hold", &[path()], &t.used);
            self.amounts(
                "plenum_tenant_pending",
                "What its waiting tasks ask",
                &[path()],
                &t.pending,
            );
            self.amounts(
                "plenum_tenant_guarantee",
                "What it can always have",
                &[path()],
                &t.tenant.guarantee,
            );
            self.amounts(
                "plenum_tenant_limit",
                "What it can never exceed",
                &[path()],
                &t.tenant.limit,
            );
        }
        Ok(())
    }

    fn set(&mut self, name: &'static str, help: &'static str, labels: Labels, value: f64) {
        let (_, values) = self.0.entry(name).or_insert_with(|| (help, Values::default()));
        values.get_or_create(&labels).set(value);
    }

    fn amounts(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, String)],
        amounts: &Amounts,
    ) {
        for (resource, value) in amounts.iter() {
            let (unit, value) = in_base_unit(&resource, value);
            let mut labels = labels.to_vec();
            labels.extend([("resource", resource.to_string()), ("unit", unit.to_owned())]);
            self.set(name, help, labels, value);
        }
    }

    fn into_registry(self) -> Registry {
        let mut registry = Registry::default();
        for (name, (help, values)) in self.0 {
            registry.register(name, help, values);
        }
        registry
    }
}

/// Cores, bytes, pieces: what dashboards expect.
#[allow(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; 2^53 bytes are 9 PB"
)]
fn in_base_unit(resource: &Resource, value: u64) -> (&'static str, f64) {
    match resource {
        Resource::Cpu => ("core", value as f64 / 1_000.0),
        Resource::Memory | Resource::Disk => ("byte", value as f64),
        Resource::Slot | Resource::Extended(_) => ("integer", value as f64),
    }
}
