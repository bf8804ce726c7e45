//! A node's port, as the API server reaches it: HTTPS with the certificate that both parts share, and the token
//! that opens it.

use super::super::kinds::cells;
use crate::node_key::{NodeKey, SERVER_NAME};
use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

/// A node that does not take a connection within this is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// Why a node's port cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NodePortError {
    /// The node does not say where its port is.
    #[error("no preferred addresses found; known addresses: []")]
    NoAddress,
    /// It cannot be reached.
    #[error("Get \"https://{address}\": dial tcp {address}: connect")]
    Connect {
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is kept of the key is none.
    #[error("the key of the nodes' port cannot be used: {0}")]
    Key(String),
    /// It broke off.
    #[error("the node at {address} broke off")]
    Http {
        /// Where.
        address: String,
        /// What was seen.
        source: hyper::Error,
    },
}

impl NodePortError {
    /// With its cause, for people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused => {
                format!("{self}: connection refused")
            }
            Self::Connect { source, .. } => format!("{self}: {source}"),
            Self::Http { source, .. } => format!("{self}: {source}"),
            Self::NoAddress | Self::Key(_) => self.to_string(),
        }
    }
}

/// A node's port.
#[derive(Debug)]
pub struct NodePort {
    address: String,
    tls: Arc<ClientConfig>,
    token: HeaderValue,
}

impl NodePort {
    /// The port that a node object names.
    ///
    /// # Errors
    /// When it names none, or the key is damaged.
    pub fn of(node: &Value, key: &NodeKey) -> Result<Self, NodePortError> {
        let mut addresses = ["InternalIP", "Hostname", "ExternalIP"]
            .into_iter()
            .filter_map(|kind| {
                let found = cells::items(node, "/status/addresses").find(|a| a["type"] == kind)?;
                found["address"].as_str()
            });
        let host = addresses.next().ok_or(NodePortError::NoAddress)?;
        let port = match cells::number(node, "/status/daemonEndpoints/kubeletEndpoint/Port") {
            0 => 10250,
            port => port,
        };
        let address = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let damaged = |why: String| NodePortError::Key(why);
        let certificate = CertificateDer::from_pem_slice(key.certificate_pem.as_bytes());
        let certificate = certificate.map_err(|e| damaged(e.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|e| damaged(e.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| damaged(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let token =
            HeaderValue::from_str(&format!("Bearer {}", key.token)).map_err(|e| damaged(e.to_string()))?;
        Ok(Self {
            address,
            tls: Arc::new(tls),
            token,
        })
    }

    /// For the `Host` header.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Sends one request on a connection of its own, which `tasks` owns until it ends.
    ///
    /// # Errors
    /// See [`NodePortError`].
    pub async fn ask(
        &self,
        tasks: &TaskTracker,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, NodePortError> {
        request.headers_mut().insert(AUTHORIZATION, self.token.clone());
        let failed = |source| NodePortError::Connect {
            address: self.address.clone(),
            source,
        };
        let connect = async {
            let tcp = TcpStream::connect(&self.address).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(SERVER_NAME).map_err(std::io::Error::other)?;
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await
        };
        let late = |_| failed(std::io::ErrorKind::TimedOut.into());
        let tls = tokio::time::timeout(CONNECT, connect)
            .await
            .map_err(late)?
            .map_err(failed)?;
        let broke = |source| NodePortError::Http {
            address: self.address.clone(),
            source,
        };
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await;
        let (mut sender, connection) = handshake.map_err(broke)?;
        tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to a node broke");
            }
        });
        sender.send_request(request).await.map_err(broke)
    }
}
