//! The calls.

use crate::error::ClientError;
use crate::exec::{self, ExecInput, ExecOutput};
use crate::sse::Parser;
use crate::v1::error::ErrorBody;
use crate::v1::event::Event;
use crate::v1::list::{Info, List};
use crate::v1::node::{Node, TaintRequest};
use crate::v1::scheduler::Scheduler;
use crate::v1::simulate::{SimulateRequest, Simulation};
use crate::v1::stream::{ExecStart, Stats};
use crate::v1::task::{StopRequest, Task};
use crate::v1::tenant::{Tenant, TenantSettings};
use crate::v1::why::{Explanation, NodeExplanation, TenantExplanation};
use crate::v1::workload::Workload;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take; streams are not bound by it.
const ANSWER: Duration = Duration::from_secs(60);
/// Tasks asked for at once; the server's own most.
const PAGE: usize = 5_000;

/// Events as they come.
pub type EventStream = BoxStream<'static, Result<Event, ClientError>>;

/// A client of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

/// Which tasks. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskQuery {
    /// Of this scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// Of the workload with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// On this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Charged to this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Those that ended, too.
    pub ended: bool,
    /// Those after this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; left out: the server's own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Which part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogQuery {
    /// Which container; none: the main one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Go on as more is written.
    pub follow: bool,
    /// Only the last so many lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// Only lines written at or after this: RFC 3339, or Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only this stream, `stdout` or `stderr`; none: both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `text` (default) or `ndjson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl Client {
    /// A client of the server at `address` (`http://HOST:PORT`, or `HOST:PORT`). Nothing is sent yet.
    ///
    /// # Errors
    /// `Address` when it makes no sense.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let bad = |why: String| ClientError::Address {
            given: address.to_owned(),
            why,
        };
        let full = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let base: Url = full.parse().map_err(|e| bad(format!("{e}")))?;
        if base.scheme() != "http" {
            return Err(bad(format!("{} is not served", base.scheme())));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .no_proxy()
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self { base, http })
    }

    /// The address, as it is asked.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// What answers.
    ///
    /// # Errors
    /// See [`ClientError`], here and below.
    pub async fn info(&self) -> Result<Info, ClientError> {
        self.get(&["v1", "info"]).await
    }

    /// All nodes, by name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn nodes(&self) -> Result<Vec<Node>, ClientError> {
        Ok(self.get::<List<Node>>(&["v1", "nodes"]).await?.items)
    }

    /// One node.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn node(&self, name: &str) -> Result<Node, ClientError> {
        self.get(&["v1", "nodes", name]).await
    }

    /// Closes a node for new tasks; what runs there stays.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cordon(&self, name: &str) -> Result<Node, ClientError> {
        self.json(self.request(Method::POST, &["v1", "nodes", name, "cordon"]))
            .await
    }

    /// Closes a node for new tasks, and has every scheduler move away what it runs there.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn drain(&self, name: &str) -> Result<Node, ClientError> {
        self.json(self.request(Method::POST, &["v1", "nodes", name, "drain"]))
            .await
    }

    /// Opens a node for new tasks.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn uncordon(&self, name: &str) -> Result<Node, ClientError> {
        self.json(self.request(Method::POST, &["v1", "nodes", name, "uncordon"]))
            .await
    }

    /// Gives a node taints, or takes away some that operators gave it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn taint(&self, name: &str, change: &TaintRequest) -> Result<Node, ClientError> {
        let request = self.request(Method::POST, &["v1", "nodes", name, "taints"]);
        self.json(request.json(change)).await
    }

    /// Removes a node that is gone for good; what was there is lost.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn remove_node(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["v1", "nodes", name]))
            .await
            .map(drop)
    }

    /// A page of tasks, in the order of their ids.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tasks_page(&self, query: &TaskQuery) -> Result<List<Task>, ClientError> {
        self.json(self.request(Method::GET, &["v1", "tasks"]).query(query))
            .await
    }

    /// All tasks, page by page; `after` and `limit` of the query are the start and the size of a page.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tasks(&self, query: &TaskQuery) -> Result<Vec<Task>, ClientError> {
        let mut query = TaskQuery {
            limit: query.limit.or(Some(PAGE)),
            ..query.clone()
        };
        let mut all = Vec::new();
        loop {
            let page = self.tasks_page(&query).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// One task, by id, unique prefix, or name, with its scheduler and `/` in front or not.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn task(&self, task: &str) -> Result<Task, ClientError> {
        self.get(&["v1", "tasks", task]).await
    }

    /// Asks a task to stop. Its scheduler sees it end, and decides what follows.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stop_task(&self, task: &str, grace_ms: Option<u64>) -> Result<Task, ClientError> {
        let body = StopRequest { grace_ms };
        self.json(
            self.request(Method::POST, &["v1", "tasks", task, "stop"])
                .json(&body),
        )
        .await
    }

    /// What a task wrote, as bytes.
    ///
    /// # Errors
    /// See [`ClientError`], also of each piece.
    pub async fn logs(
        &self,
        task: &str,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<Bytes, ClientError>>, ClientError> {
        let request = self
            .request(Method::GET, &["v1", "tasks", task, "logs"])
            .query(query);
        let response = self.stream(request).await?;
        let address = self.address().to_owned();
        Ok(response
            .bytes_stream()
            .map_err(move |e| unreachable(&address, &e))
            .boxed())
    }

    /// Another process in a task's container.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn exec(&self, task: &str, start: &ExecStart) -> Result<(ExecInput, ExecOutput), ClientError> {
        let url = self.url(&["v1", "tasks", task, "exec"]);
        exec::open(&url.as_str().replacen("http", "ws", 1), start).await
    }

    /// What a task uses.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stats(&self, task: &str, container: Option<&str>) -> Result<Stats, ClientError> {
        let request = self.request(Method::GET, &["v1", "tasks", task, "stats"]);
        self.json(request.query(&container.map(|c| [("container", c)])))
            .await
    }

    /// Why a task waits. A workload's name stands for the first of its tasks that has a problem.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn why(&self, task: &str) -> Result<Explanation, ClientError> {
        self.get(&["v1", "tasks", task, "why"]).await
    }

    /// What a node refuses, what is kept there, and who waits for it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn why_node(&self, name: &str) -> Result<NodeExplanation, ClientError> {
        self.get(&["v1", "why", "nodes", name]).await
    }

    /// Where a tenant stands, and what waits under it for what.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn why_tenant(&self, path: &str) -> Result<TenantExplanation, ClientError> {
        let parts = ["v1", "why", "tenants"].into_iter().chain(path.split('/'));
        self.get(&parts.collect::<Vec<_>>()).await
    }

    /// What would be different if all of this were so. Nothing is touched.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn simulate(&self, request: &SimulateRequest) -> Result<Simulation, ClientError> {
        self.json(self.request(Method::POST, &["v1", "simulate"]).json(request))
            .await
    }

    /// All workloads, by scheduler and name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn workloads(&self) -> Result<Vec<Workload>, ClientError> {
        Ok(self.get::<List<Workload>>(&["v1", "workloads"]).await?.items)
    }

    /// Every scheduler that ever opened a session, by name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn schedulers(&self) -> Result<Vec<Scheduler>, ClientError> {
        Ok(self.get::<List<Scheduler>>(&["v1", "schedulers"]).await?.items)
    }

    /// All tenants, by path.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tenants(&self) -> Result<Vec<Tenant>, ClientError> {
        Ok(self.get::<List<Tenant>>(&["v1", "tenants"]).await?.items)
    }

    /// One tenant.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tenant(&self, path: &str) -> Result<Tenant, ClientError> {
        self.get(&tenant_path(path)).await
    }

    /// Creates or replaces a tenant.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn set_tenant(&self, path: &str, to: &TenantSettings) -> Result<Tenant, ClientError> {
        self.json(self.request(Method::PUT, &tenant_path(path)).json(to))
            .await
    }

    /// What is kept of the timeline after `after` (none: all of it), newest last.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn past_events(&self, after: Option<u64>) -> Result<Vec<Event>, ClientError> {
        let request = self
            .request(Method::GET, &["v1", "events"])
            .query(&after.map(|a| [("after", a)]));
        Ok(self
            .json::<List<Event>>(request.header("accept", "application/json"))
            .await?
            .items)
    }

    /// The timeline as it grows, after `after` (none: from now on).
    ///
    /// # Errors
    /// See [`ClientError`], also of each event; the stream ends after one.
    pub async fn events(&self, after: Option<u64>) -> Result<EventStream, ClientError> {
        let request = self
            .request(Method::GET, &["v1", "events"])
            .query(&after.map(|a| [("after", a)]));
        let response = self.stream(request.header("accept", "text/event-stream")).await?;
        let address = self.address().to_owned();
        let mut parser = Parser::default();
        let batches = response.bytes_stream().map(move |bytes| {
            let bytes = bytes.map_err(|e| unreachable(&address, &e))?;
            let protocol = |why: String| ClientError::Protocol {
                address: address.clone(),
                why,
            };
            let messages = parser
                .push(&bytes)
                .map_err(|_| protocol("a message without end".into()))?;
            let events = messages.into_iter().map(|m| event(&m).map_err(&protocol));
            Ok(stream::iter(events.collect::<Vec<_>>()))
        });
        Ok(batches.try_flatten().boxed())
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.http.request(method, self.url(segments))
    }

    async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ClientError> {
        self.json(self.request(Method::GET, segments)).await
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let bytes = self.send(request).await?;
        serde_json::from_slice(&bytes).map_err(|e| ClientError::Protocol {
            address: self.address().to_owned(),
            why: e.to_string(),
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Bytes, ClientError> {
        let response = self.stream(request.timeout(ANSWER)).await?;
        response
            .bytes()
            .await
            .map_err(|e| unreachable(self.address(), &e))
    }

    /// Sends and gives the answer whose body is yet to be read, or the refusal.
    async fn stream(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|e| unreachable(self.address(), &e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response
            .bytes()
            .await
            .map_err(|e| unreachable(self.address(), &e))?;
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(body) => Err(ClientError::Refused {
                status: status.as_u16(),
                body,
            }),
            Err(_) => Err(ClientError::Protocol {
                address: self.address().to_owned(),
                why: format!("status {status}"),
            }),
        }
    }
}

/// The innermost cause: the outer ones repeat the address and say nothing.
fn unreachable(address: &str, e: &reqwest::Error) -> ClientError {
    let mut cause: &dyn Error = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    ClientError::Unreachable {
        address: address.to_owned(),
        why: cause.to_string(),
    }
}

fn event(data: &[u8]) -> Result<Event, String> {
    serde_json::from_slice(data).map_err(|e| e.to_string())
}

fn tenant_path(path: &str) -> Vec<&str> {
    ["v1", "tenants"].into_iter().chain(path.split('/')).collect()
}
