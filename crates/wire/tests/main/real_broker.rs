//! The suite of the `Broker` contract, with the real broker at the other end of the wire.

use crate::wired::serve;
use plenum_broker::{BrokerConfig, BrokerHandle};
use plenum_contract::suite::broker::{Parts, broker_suite};
use plenum_store::{MemoryLog, MemoryState};
use plenum_wire::{RemoteBroker, RemoteDispatcher, RemotePool, connect, routes};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

fn broker() -> BrokerHandle {
    let (log, state) = (MemoryLog::default(), MemoryState::new());
    plenum_broker::start(BrokerConfig::default(), Box::new(log), Arc::new(state)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_keeps_its_contract_in_process() {
    let make = || async {
        let handle = Arc::new(broker());
        Parts {
            broker: handle.clone(),
            dispatcher: handle.clone(),
            pool: handle,
        }
    };
    broker_suite(make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_keeps_its_contract_over_the_wire() {
    let servers = Mutex::new(JoinSet::new());
    let make = || async {
        let handle = Arc::new(broker());
        let state = Arc::new(MemoryState::new());
        let routes = routes(handle.clone(), handle.clone(), state, handle.clone(), handle);
        let address = serve(&mut servers.lock().unwrap(), routes);
        let channel = connect(&format!("http://{address}")).unwrap();
        Parts {
            broker: Arc::new(RemoteBroker::new(channel.clone())),
            dispatcher: Arc::new(RemoteDispatcher::new(channel.clone())),
            pool: Arc::new(RemotePool::new(channel)),
        }
    };
    broker_suite(make).await;
}
