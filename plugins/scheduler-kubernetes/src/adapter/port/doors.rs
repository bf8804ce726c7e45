//! Where the nodes' port listens: one listener for all nodes where the configuration names an address, else one
//! on each node's own address. Nodes that share a machine have addresses of their own there.

use super::routes::{Shared, router};
use axum::Router;
use axum::serve::Listener;
use parking_lot::Mutex;
use plenum_model::ids::NodeId;
use plenum_sdk::door::path::PathRules;
use plenum_sdk::door::serve::{ServeOptions, Served, serve};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A peer has so long for its part of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What the name of a peer ends with that has shown a certificate of the API server's.
pub const VERIFIED: &str = " verified";

/// How the port is secured.
#[derive(Debug, Clone)]
pub struct Security {
    /// Its certificate, with those between it and its authority, in PEM.
    pub certificate_pem: String,
    /// The private key, in PEM.
    pub key_pem: String,
    /// The authority whose certificates open the port, in PEM.
    pub client_ca_pem: Option<String>,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct BadCertificate {
    what: &'static str,
    why: String,
}

impl Security {
    /// For a listener.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn acceptor(&self) -> Result<TlsAcceptor, BadCertificate> {
        let bad = |what: &'static str| move |why: String| BadCertificate { what, why };
        let certificates = |pem: &str, what| {
            CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| bad(what)(e.to_string()))
        };
        let own = certificates(&self.certificate_pem, "the certificate of the nodes' port")?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|e| bad("the key of the nodes' port")(e.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| bad("TLS")(e.to_string()))?;
        let builder = match &self.client_ca_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let what = "the authority of the API server";
                let mut roots = RootCertStore::empty();
                for ca in certificates(pem, what)? {
                    roots.add(ca).map_err(|e| bad(what)(e.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|e| bad(what)(e.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(own, key)
            .map_err(|e| bad("the certificate of the nodes' port")(e.to_string()))?;
        // connections are taken over by other protocols, which HTTP/2 does not have
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The listeners of all nodes.
#[derive(Clone)]
pub struct Doors {
    inner: Arc<Inner>,
}

struct Inner {
    acceptor: TlsAcceptor,
    router: Router,
    /// One for all.
    shared: Option<u16>,
    open: Mutex<BTreeMap<NodeId, (u16, Served)>>,
    /// The shared one.
    served: Mutex<Option<Served>>,
}

impl Doors {
    /// Opens the listener for all nodes, if there is to be one.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn open(
        acceptor: TlsAcceptor,
        state: Arc<Shared>,
        listen: Option<SocketAddr>,
    ) -> Result<Self, std::io::Error> {
        let router = router(state);
        let (mut shared, mut served) = (None, None);
        if let Some(listen) = listen {
            let listener = TcpListener::bind(listen).await?;
            shared = Some(listener.local_addr()?.port());
            served = Some(start(listener, &acceptor, &router));
        }
        let inner = Inner {
            acceptor,
            router,
            shared,
            open: Mutex::default(),
            served: Mutex::new(served),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The port under which this node is reached; none: nothing can listen on its address here.
    pub async fn ensure(&self, node: &NodeId, address: &str) -> Option<u16> {
        if self.inner.shared.is_some() {
            return self.inner.shared;
        }
        if let Some((port, _)) = self.inner.open.lock().get(node) {
            return Some(*port);
        }
        let listener = match TcpListener::bind((address, 0)).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::debug!(%node, address, %error, "the node's port cannot listen on its own address");
                return None;
            }
        };
        let port = listener.local_addr().ok()?.port();
        let served = start(listener, &self.inner.acceptor, &self.inner.router);
        self.inner.open.lock().insert(node.clone(), (port, served));
        Some(port)
    }

    /// Closes all of them.
    pub async fn close(self) {
        let open = std::mem::take(&mut *self.inner.open.lock());
        let shared = self.inner.served.lock().take();
        let all = open.into_values().map(|(_, served)| served).chain(shared);
        futures::future::join_all(all.map(Served::stop)).await;
    }
}

fn start(listener: TcpListener, acceptor: &TlsAcceptor, router: &Router) -> Served {
    let listener = Secured {
        listener,
        acceptor: acceptor.clone(),
        handshakes: JoinSet::new(),
    };
    let options = ServeOptions {
        paths: PathRules::EXACT,
        drain: Duration::from_millis(500),
        ..ServeOptions::default()
    };
    serve(listener, router.clone(), options)
}

/// A listener whose connections have shaken hands. A peer that is slow at it holds up nobody else.
struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, Client)>>,
}

/// Who has connected.
pub struct Client {
    address: SocketAddr,
    verified: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.address, if self.verified { VERIFIED } else { "" })
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = Client;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(ready)) = done {
                        return ready;
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, address)) => {
                        let acceptor = self.acceptor.clone();
                        self.handshakes.spawn(shake(acceptor, tcp, address));
                    }
                    Err(error) => {
                        // out of files, most likely: others must end first
                        tracing::debug!(%error, "a connection to a node's port is not taken");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        let address = self.listener.local_addr()?;
        Ok(Client {
            address,
            verified: false,
        })
    }
}

async fn shake(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    address: SocketAddr,
) -> Option<(TlsStream<TcpStream>, Client)> {
    // small pieces of a terminal must not wait for each other
    let _ = tcp.set_nodelay(true);
    let tls = tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp))
        .await
        .ok()?
        .ok()?;
    let verified = tls.get_ref().1.peer_certificates().is_some_and(|c| !c.is_empty());
    Some((tls, Client { address, verified }))
}
