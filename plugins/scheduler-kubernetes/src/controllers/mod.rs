//! Controllers of the embedded API server's kinds: deployments, replica sets, jobs, namespaces on their way out, nodes
//! that bear some pods no longer, and the collector of what has lost its owner. They speak to a server over HTTP only and keep nothing but what they
//! watch: a controller that died goes on from what it finds.
//!
//! Each is a pure `plan` from objects to steps with a thin part that does them; `watched` has the objects and says
//! whom a change concerns; `owned` the rules of ownership; `pods` reads pods.

mod collector;
mod deployment;
mod job;
mod keeper;
mod namespace;
mod owned;
mod owners;
mod pods;
mod replica_set;
mod specs;
mod taint;
mod tell;
mod watched;

use kube::Client;
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use watched::{Queues, Shelf};

/// The field manager of everything the controllers write.
const MANAGER: &str = "plenum-controllers";

/// The controllers, running. Dropping it ends them without waiting.
#[derive(Debug)]
pub struct Running {
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Running {
    /// Ends them, and waits for what is under way.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What every controller holds.
#[derive(Clone)]
struct Context {
    client: Client,
    shelf: Shelf,
    teller: tell::Teller,
}

/// Starts all of them; they end when `cancel` does. The server may come and go.
#[must_use]
pub fn start(client: Client, cancel: &CancellationToken) -> Running {
    let stop = cancel.child_token();
    let tasks = TaskTracker::new();
    let (shelf, queues) = watched::watch(&client, &tasks, &stop);
    let teller = tell::start(client.clone(), &tasks, &stop);
    let context = Arc::new(Context {
        client: client.clone(),
        shelf,
        teller,
    });
    tasks.spawn(work(context, queues, stop.clone()));
    collector::start(&client, &tasks, &stop);
    Running {
        tasks,
        stop: stop.drop_guard(),
    }
}

async fn work(context: Arc<Context>, queues: Queues, stop: CancellationToken) {
    let ready = stop.run_until_cancelled(context.shelf.ready());
    if ready.await != Some(true) {
        return;
    }
    futures::join!(
        deployment::run(Arc::clone(&context), queues.deployments, stop.clone()),
        replica_set::run(Arc::clone(&context), queues.replica_sets, stop.clone()),
        job::run(Arc::clone(&context), queues.jobs, stop.clone()),
        namespace::run(Arc::clone(&context), queues.namespaces, stop.clone()),
        taint::run(context, queues.nodes, stop),
    );
}
