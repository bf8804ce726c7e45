//! The adapter: nodes, scheduling and pods for an API server, through the `kube` crate. It works with any: the
//! embedded one and a real kube-apiserver look the same from here.
//!
//! - [`book`] holds what the API has told ([`follow`] listens), the sdk's mirror what the pool has told
//! - [`planner`] decides what is asked of the broker (`step` for one pod, `choice` which nodes it may go to),
//!   [`decide`] what is done at the API; all pure
//! - [`desk`] does the latter over [`api`], keeps files on the [`shelf`] and tells [`events`]
//! - [`pod`] lowers pods, [`status`] says what becomes of them, [`why`] why they wait
//! - [`node`] keeps the nodes' objects, [`port`] serves their port

pub mod api;
pub mod book;
pub mod charter;
mod choice;
pub mod decide;
pub mod desk;
pub mod events;
pub mod follow;
pub mod names;
pub mod node;
pub mod planner;
pub mod pod;
pub mod port;
pub mod shelf;
pub mod status;
mod step;
#[cfg(test)]
mod testing;
pub mod why;

use api::PodApi;
use book::Book;
use charter::Charter;
use desk::Desk;
use node::keeper::Keeper;
use planner::PodPlanner;
use plenum_contract::scheduler::SchedulerContext;
use plenum_sdk::driver::{Driver, DriverConfig};
use plenum_sdk::time::Clock;
use pod::lower::Settings;
use port::doors::{BadCertificate, Doors, Security};
use port::routes::Shared;
use shelf::Shelf;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How the adapter behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose pods are scheduled, and who is charged.
    pub charter: Charter,
    /// The runtime that runs pods.
    pub runtime: String,
    /// Where the port of all nodes listens; none: each on its node's own address.
    pub node_listen: Option<SocketAddr>,
    /// The address all nodes are reached under; none: each under its own.
    pub node_address: Option<String>,
    /// A taint for new nodes.
    pub node_taint: Option<String>,
    /// How the port is secured.
    pub security: Security,
    /// What opens the port.
    pub token: String,
    /// What keeps the hashes of secrets from being tried out.
    pub salt: String,
}

/// Why the adapter did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port's certificates cannot be used.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// The port cannot listen.
    #[error("the nodes' port cannot listen")]
    Listen(#[from] std::io::Error),
}

/// An adapter that runs.
pub struct Running {
    cancel: CancellationToken,
    tasks: TaskTracker,
    taken: TaskTracker,
    doors: Doors,
    driver: Driver,
}

/// The kind that the broker is told.
pub const KIND: &str = "kubernetes";

/// Starts the adapter.
///
/// # Errors
/// See [`StartError`].
pub async fn start(
    config: Config,
    context: &SchedulerContext,
    client: kube::Client,
) -> Result<Running, StartError> {
    let book = Arc::new(Book::default());
    let (tell, told) = mpsc::channel(events::QUEUE);
    let planner = PodPlanner::new(Arc::clone(&book), config.charter.clone(), tell.clone());
    let acceptor = config.security.acceptor()?;
    let driver_config = DriverConfig::new(context.id.clone(), KIND).with_nodes();
    let driver = Driver::start(Arc::clone(&context.broker), driver_config, planner);
    let taken = TaskTracker::new();
    let shared = Shared {
        book: Arc::clone(&book),
        mirror: driver.mirror(),
        streams: Arc::clone(&context.streams),
        token: config.token,
        taken: taken.clone(),
    };
    let doors = Doors::open(acceptor, Arc::new(shared), config.node_listen).await?;
    let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
    let clock = Clock::default();
    let desk = Desk {
        book: Arc::clone(&book),
        mirror: driver.mirror(),
        waker: driver.waker(),
        api: PodApi::new(client.clone()),
        shelf: Arc::new(Shelf::new(Arc::clone(&context.state), &config.salt)),
        settings: Settings {
            runtime: config.runtime.clone(),
        },
        charter: config.charter,
        tell,
        clock: clock.clone(),
        root_cas: parking_lot::Mutex::default(),
    };
    let keeper = Keeper {
        client: client.clone(),
        book: Arc::clone(&book),
        mirror: driver.mirror(),
        pool: Arc::clone(&context.pool),
        doors: doors.clone(),
        scheduler: context.id.clone(),
        runtime: config.runtime,
        address: config.node_address,
        taint: config.node_taint,
        clock: clock.clone(),
    };
    tasks.spawn(Arc::new(desk).run(cancel.clone()));
    tasks.spawn(keeper.run(cancel.clone()));
    tasks.spawn(follow::pods(
        client.clone(),
        Arc::clone(&book),
        driver.waker(),
        cancel.clone(),
    ));
    tasks.spawn(follow::nodes(
        client.clone(),
        Arc::clone(&book),
        context.id.clone(),
        cancel.clone(),
    ));
    tasks.spawn(events::tell(PodApi::new(client), told, clock, cancel.clone()));
    Ok(Running {
        cancel,
        tasks,
        taken,
        doors,
        driver,
    })
}

impl Running {
    /// Stops in order: what was under way ends, then the port, then the session. The pods run on.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.doors.close().await;
        // connections that were taken over end with the streams they carry
        self.taken.close();
        self.driver.stop().await;
    }
}
