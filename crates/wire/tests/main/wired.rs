//! The fakes, the server in front of them, and a proxy in between that can be cut.

use crate::fake_broker::FakeBroker;
use crate::fake_dispatcher::FakeDispatcher;
use crate::fake_pool::FakePool;
use crate::fake_streams::FakeStreams;
use plenum_contract::state_store::StateStore;
use plenum_store::MemoryState;
use plenum_wire::{Channel, connect, routes};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;

/// Far more than anything takes; what has not happened then never will.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that shall happen.
pub(crate) async fn soon<T>(what: &str, happening: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, happening).await;
    waited.unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// All the contracts, faked.
#[derive(Clone, Default)]
pub(crate) struct Fakes {
    pub(crate) broker: Arc<FakeBroker>,
    pub(crate) dispatcher: Arc<FakeDispatcher>,
    pub(crate) pool: Arc<FakePool>,
    pub(crate) streams: Arc<FakeStreams>,
    pub(crate) state: MemoryState,
}

/// Serves routes on a port of its own, as a composition root would.
pub(crate) fn serve(on: &mut JoinSet<()>, routes: Routes) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    on.spawn(async move {
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(5)))
            .http2_keepalive_timeout(Some(Duration::from_secs(5)))
            .add_routes(routes)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
    address
}

/// A server in front of fakes, reached through a proxy.
pub(crate) struct Wired {
    pub(crate) fakes: Fakes,
    pub(crate) channel: Channel,
    pub(crate) proxy: Proxy,
    _server: JoinSet<()>,
}

impl Wired {
    pub(crate) async fn start() -> Self {
        let fakes = Fakes::default();
        let state = fakes.state.clone();
        Self::with(fakes, Arc::new(state)).await
    }

    /// With another state store than the fakes' own.
    pub(crate) async fn with_state(state: impl StateStore + 'static) -> Self {
        Self::with(Fakes::default(), Arc::new(state)).await
    }

    async fn with(fakes: Fakes, state: Arc<dyn StateStore>) -> Self {
        let all = fakes.clone();
        let routes = routes(all.broker, all.pool, state, all.streams, all.dispatcher);
        let mut server = JoinSet::new();
        let address = serve(&mut server, routes);
        let proxy = Proxy::start(address).await;
        let channel = connect(&format!("http://{}", proxy.address)).unwrap();
        Self {
            fakes,
            channel,
            proxy,
            _server: server,
        }
    }
}

/// Passes connections on until it is cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    silent: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Proxy {
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        let hush = Arc::clone(&silent);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(to).await.unwrap();
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                connections.spawn(pass(near_read, far_write, Arc::clone(&hush)));
                connections.spawn(pass(far_read, near_write, Arc::clone(&hush)));
            }
        });
        Self {
            address,
            silent,
            tasks,
        }
    }

    /// Closes every connection, and takes no more.
    pub(crate) async fn cut(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Swallows everything from now on and closes nothing, as a network does that is cut.
    pub(crate) fn swallow(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: Arc<AtomicBool>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        if silent.load(Ordering::SeqCst) {
            // Neither bytes nor the end of them arrive.
            std::future::pending::<()>().await;
        }
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
