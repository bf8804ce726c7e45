//! The plugin as the catalog knows it: starts the parts that are asked for, each as if the other were elsewhere,
//! and stops them in order.

use crate::adapter::charter::Charter;
use crate::adapter::port::doors::Security;
use crate::adapter::{self, KIND};
use crate::apiserver;
use crate::config::{EMBEDDED, KubernetesConfig, Part};
use crate::controllers;
use crate::node_key::NodeKey;
use async_trait::async_trait;
use kube::config::{KubeConfigOptions, Kubeconfig};
use plenum_contract::scheduler::{RunningScheduler, Scheduler, SchedulerContext, SchedulerError};
use plenum_contract::state_store::StateError;
use plenum_sdk::backoff::Backoff;
use plenum_sdk::door::listen;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the start waits for a state store that does not answer yet.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Backoff = Backoff::new(Duration::from_millis(50), 2.0, Duration::from_secs(2));

/// Makes Kubernetes schedulers.
#[derive(Debug, Clone, Copy, Default)]
pub struct KubernetesScheduler;

#[async_trait]
impl Scheduler for KubernetesScheduler {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn default_config(&self) -> serde_json::Value {
        serde_json::to_value(KubernetesConfig::default())
            .expect("plain data with text keys always serialises")
    }

    async fn start(&self, context: SchedulerContext) -> Result<Box<dyn RunningScheduler>, SchedulerError> {
        let config = read_config(&context)?;
        let mut running = Running::default();
        match running.bring_up(&context, &config).await {
            Ok(()) => Ok(Box::new(running)),
            Err(e) => {
                running.end().await;
                Err(e)
            }
        }
    }
}

fn read_config(context: &SchedulerContext) -> Result<KubernetesConfig, SchedulerError> {
    let bad = |key: &str, why: String| SchedulerError::Config {
        scheduler: context.id.to_string(),
        key: key.to_owned(),
        why,
    };
    let value = match &context.config {
        serde_json::Value::Null => serde_json::json!({}),
        value => value.clone(),
    };
    let config: KubernetesConfig = serde_json::from_value(value).map_err(|e| bad("", e.to_string()))?;
    match config.fault() {
        None => Ok(config),
        Some((key, why)) => Err(bad(key, why)),
    }
}

/// A scheduler that runs.
#[derive(Default)]
struct Running {
    server: Option<apiserver::Running>,
    controllers: Option<controllers::Running>,
    adapter: Option<adapter::Running>,
    url: String,
}

impl Running {
    async fn bring_up(
        &mut self,
        context: &SchedulerContext,
        config: &KubernetesConfig,
    ) -> Result<(), SchedulerError> {
        let cannot = |why: String| SchedulerError::Start {
            scheduler: context.id.to_string(),
            why,
        };
        answering(context).await.map_err(|e| cannot(in_full(&e)))?;
        if config.runs(Part::Apiserver) {
            let (listener, address) =
                listen::tcp(&context.id, &config.listen, &config.insecure_listen).await?;
            let hosts = config.allowed_hosts.clone();
            let hosts = hosts.into_iter().chain([address.ip().to_string()]).collect();
            let state = Arc::clone(&context.state);
            let started = apiserver::serve(listener, hosts, state, CancellationToken::new()).await;
            let server = started.map_err(|e| cannot(in_full(&e)))?;
            self.url = server.url();
            self.controllers = Some(controllers::start(server.client(), &CancellationToken::new()));
            self.server = Some(server);
        }
        if config.runs(Part::Adapter) {
            let client = match &self.server {
                Some(own) if config.api_server == EMBEDDED => own.client(),
                Some(_) | None => client(context, config).await?,
            };
            let settings = adapter_config(context, config).await?;
            let started = adapter::start(settings, context, client).await;
            self.adapter = Some(started.map_err(|e| cannot(in_full(&e)))?);
        }
        tracing::info!(scheduler = %context.id, url = self.url, "up");
        Ok(())
    }

    async fn end(self) {
        if let Some(adapter) = self.adapter {
            adapter.stop().await;
        }
        if let Some(controllers) = self.controllers {
            controllers.stop().await;
        }
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

/// Waits for a state store that is being started at the same time.
async fn answering(context: &SchedulerContext) -> Result<(), StateError> {
    let mut failures = 0;
    let first = tokio::time::Instant::now();
    loop {
        match context.state.list("", None, None, 1).await {
            Err(error @ StateError::Unavailable { .. }) if first.elapsed() < PATIENCE => {
                failures += 1;
                tracing::warn!(scheduler = %context.id, %error, "waiting for the state store");
                tokio::time::sleep(RETRY.delay(failures)).await;
            }
            answer => return answer.map(drop),
        }
    }
}

/// An error with all that caused it.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A client of the API server elsewhere that the configuration names.
async fn client(
    context: &SchedulerContext,
    config: &KubernetesConfig,
) -> Result<kube::Client, SchedulerError> {
    let bad = |why: String| SchedulerError::Config {
        scheduler: context.id.to_string(),
        key: "api_server".to_owned(),
        why,
    };
    let url = &config.api_server;
    let mut settings = if url.contains("://") {
        let uri = url.parse().map_err(|e| bad(format!("`{url}` is no URL: {e}")))?;
        kube::Config::new(uri)
    } else {
        let file = Kubeconfig::read_from(url).map_err(|e| bad(in_full(&e)))?;
        let options = KubeConfigOptions {
            context: Some(config.context.clone()).filter(|c| !c.is_empty()),
            ..KubeConfigOptions::default()
        };
        let read = kube::Config::from_custom_kubeconfig(file, &options).await;
        read.map_err(|e| bad(in_full(&e)))?
    };
    // a watch is quiet for as long as nothing happens; its server ends it within ten minutes
    settings.read_timeout = Some(Duration::from_secs(600));
    kube::Client::try_from(settings).map_err(|e| bad(in_full(&e)))
}

async fn adapter_config(
    context: &SchedulerContext,
    config: &KubernetesConfig,
) -> Result<adapter::Config, SchedulerError> {
    let bad = |key: &str, why: String| SchedulerError::Config {
        scheduler: context.id.to_string(),
        key: key.to_owned(),
        why,
    };
    let file = |key: &'static str, path: &str| {
        std::fs::read_to_string(path).map_err(|e| bad(key, format!("{path}: {e}")))
    };
    let given = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    let own = NodeKey::of(&*context.state)
        .await
        .map_err(|e| SchedulerError::Start {
            scheduler: context.id.to_string(),
            why: in_full(&e),
        })?;
    let (certificate_pem, key_pem) = if config.node_certificate.is_empty() {
        (own.certificate_pem, own.key_pem)
    } else {
        (
            file("node_certificate", &config.node_certificate)?,
            file("node_key", &config.node_key)?,
        )
    };
    let client_ca = given(&config.node_client_ca).map(|path| file("node_client_ca", &path));
    let listen = given(&config.node_listen).map(|text| {
        let parsed = text.parse::<SocketAddr>();
        parsed.map_err(|e| bad("node_listen", format!("`{text}`: {e}")))
    });
    Ok(adapter::Config {
        charter: Charter {
            scheduler_names: config.scheduler_names.iter().cloned().collect(),
            tenant: config.tenant.clone(),
            namespace_is_tenant: config.namespace_is_tenant,
        },
        runtime: config.runtime.clone(),
        node_listen: listen.transpose()?,
        node_address: given(&config.node_address),
        node_taint: given(&config.node_taint),
        security: Security {
            certificate_pem,
            key_pem,
            client_ca_pem: client_ca.transpose()?,
        },
        salt: own.token.clone(),
        token: own.token,
    })
}

#[async_trait]
impl RunningScheduler for Running {
    fn endpoints(&self) -> BTreeMap<String, String> {
        let url = Some(self.url.clone()).filter(|u| !u.is_empty());
        url.map(|url| ("kubernetes".to_owned(), url))
            .into_iter()
            .collect()
    }

    fn client_files(&self) -> BTreeMap<String, String> {
        let url = Some(&self.url).filter(|u| !u.is_empty());
        url.map(|url| ("kubeconfig".to_owned(), apiserver::kubeconfig(url)))
            .into_iter()
            .collect()
    }

    async fn stop(self: Box<Self>) {
        self.end().await;
    }
}
