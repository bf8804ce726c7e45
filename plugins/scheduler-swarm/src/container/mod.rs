//! Single containers on any node of the pool: `docker run` and its kin.
//!
//! A container is one workload of one task, whose uid is the container's id. What is wanted of it is a
//! [`record::Record`] on the [`shelf`]; [`planner`] makes the pool match; what it does is read from the mirror
//! ([`view`]). It is claimed *held*: placed and prepared, so that a client attaches before it starts and no
//! output is lost. Each start after the first makes it anew, in its place: what it wrote outside its volumes is
//! gone then, and its log is that of its newest run, which in Docker both stay. [`lower`] says what a request means; `door` answers requests; `attach` and `pump` carry bytes.

mod attach;
mod door;
mod exec;
mod fields;
mod filter;
mod frame;
mod life;
mod logs;
pub(crate) mod lower;
mod mounts;
pub(crate) mod names;
pub mod planner;
mod ports;
mod pump;
mod record;
mod shelf;
mod stats;
pub mod stored;
mod tasks;
mod tell;
mod view;
mod wait;

pub use door::routes;

use crate::desk::Desk;
use crate::error::{ApiError, ApiResult};
use crate::ids::{Found, resolve};
use crate::state::Shared;
use exec::Execs;
use parking_lot::Mutex;
use plenum_contract::broker::{Refusal, RefusalReason};
use plenum_contract::streams::{StreamInput, WindowSize};
use plenum_model::ids::{TaskId, TenantPath};
use plenum_model::node::Node;
use plenum_model::task::Task;
use record::Container;
use serde_json::Value;
use shelf::{Kept, Shelf};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

/// What planner and routes share: what is wanted, who is attached, what the broker refused.
#[derive(Clone)]
pub struct Plans {
    shelf: Shelf,
    refused: Arc<watch::Sender<BTreeMap<TaskId, String>>>,
    sessions: Arc<Mutex<Sessions>>,
}

/// Who is attached to what.
#[derive(Default)]
struct Sessions {
    next: u64,
    open: BTreeMap<String, BTreeMap<u64, Option<mpsc::Sender<StreamInput>>>>,
    /// The size that a terminal shall have, for those who attach later.
    sizes: BTreeMap<String, WindowSize>,
}

impl Plans {
    /// Nobody is attached yet.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        Self {
            shelf: Shelf::new(desk),
            refused: Arc::new(watch::Sender::default()),
            sessions: Arc::default(),
        }
    }

    /// Takes note of claims that were refused for good.
    fn refused(&self, refusals: &[Refusal]) {
        let lasting = refusals.iter().filter(|r| match r.reason {
            RefusalReason::NotSupported | RefusalReason::Invalid => true,
            RefusalReason::Conflict
            | RefusalReason::State
            | RefusalReason::Stale
            | RefusalReason::Unknown => false,
        });
        let new: Vec<_> = lasting
            .map(|r| (r.task, format!("{}: {}", r.field, r.why)))
            .collect();
        if !new.is_empty() {
            self.refused.send_modify(|all| all.extend(new));
        }
    }
}

/// Everything the routes work with.
struct Containers {
    parts: Shared,
    plans: Plans,
    execs: Execs,
    tracker: TaskTracker,
}

impl Containers {
    fn new(parts: Shared) -> Self {
        Self {
            plans: parts.containers.clone(),
            parts,
            execs: Execs::default(),
            tracker: TaskTracker::new(),
        }
    }

    fn tell(&self, container: &Container, action: &str, more: &[(&str, String)]) {
        let now = self.parts.now_ms();
        tell::tell(&self.parts.events, now, container, action, more);
    }

    fn task(&self, container: &Container) -> Option<Arc<Task>> {
        self.parts
            .mirror
            .read(|observed| planner::seen(observed, container).cloned())
    }

    fn node(&self, task: &Task) -> Option<Arc<Node>> {
        let name = task.status.node.as_ref()?;
        self.parts.mirror.read(|observed| observed.node(name).cloned())
    }

    fn tenant(&self, body: &Value) -> TenantPath {
        let labels = lower::asked(body, "").object("Labels").ok();
        let label = |key: &str| labels.as_ref().and_then(|l| l.get(key)).and_then(Value::as_str);
        self.parts.config.tenant_of(label)
    }

    fn find(&self, reference: &str) -> ApiResult<Kept> {
        let book = self.plans.shelf.book();
        let reference = reference.strip_prefix('/').unwrap_or(reference);
        let all = book.containers.iter();
        let all = all.map(|c| (c.own.id.clone(), c.own.name.clone(), Arc::clone(c)));
        match resolve(reference, all) {
            Found::One(container) => Ok(container),
            Found::None => self.of_service(reference),
            Found::Ambiguous(_) => Err(ambiguous(reference)),
        }
    }

    /// The container of a service's task.
    fn of_service(&self, reference: &str) -> ApiResult<Kept> {
        let desired = self.plans.shelf.book();
        let found = self.parts.mirror.read(|o| tasks::find(&desired, o, reference));
        match found {
            Found::One(container) => Ok(container),
            Found::None => Err(ApiError::missing(format!("No such container: {reference}"))),
            Found::Ambiguous(_) => Err(ambiguous(reference)),
        }
    }

    /// The same, where only a single container will do.
    fn find_single(&self, reference: &str) -> ApiResult<Kept> {
        let container = self.find(reference)?;
        if container.of_service.is_none() {
            return Ok(container);
        }
        let service = &container.lowered.terms.workload.name;
        Err(ApiError::conflict(format!(
            "container {} is of a task of service {service}; use `docker service update`, `scale` or `rm` instead",
            container.own.name
        )))
    }
}

fn ambiguous(reference: &str) -> ApiError {
    ApiError::bad(format!("Multiple IDs found with provided prefix: {reference}"))
}
