//! One request on its way through the server, and the server that it goes through.

use super::access::User;
use super::access::tokens::Tokens;
use super::kinds::Resource;
use super::request::accept::Accept;
use super::request::query::{Query, dry_run, wrong_options};
use super::request::target::Name;
use super::storage::{Key, Object, Storage};
use crate::node_key::NodeKey;
use crate::object::decode::FieldValidation;
use crate::object::problem::{Problem, Reason};
use crate::object::validate::FieldError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use plenum_contract::state_store::StateError;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most bytes of a manager's name.
const MAX_MANAGER: usize = 128;

/// What every request shares.
#[derive(Debug)]
pub struct Server {
    /// The objects.
    pub storage: Arc<Storage>,
    /// Makes and reads tokens.
    pub tokens: Tokens,
    /// How the nodes know the server.
    pub node_key: Option<NodeKey>,
    /// Ends with the server: watches end with it.
    pub stop: CancellationToken,
    /// Owns what goes on beside requests: connections to nodes.
    pub tasks: TaskTracker,
}

/// One request, read.
#[derive(Debug)]
pub struct Call {
    /// Who asks.
    pub user: User,
    /// Its query.
    pub query: Query,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The form of the answer.
    pub accept: Accept,
    /// When it came.
    pub now: Timestamp,
}

impl Call {
    /// The body's content type, as written.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.header(&CONTENT_TYPE)
    }

    fn header(&self, name: &HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }

    /// In whose name fields are changed: as the client says, else the first word of its user agent.
    #[must_use]
    pub fn manager(&self) -> String {
        match self.query.get("fieldManager") {
            "" => {
                let agent = self.header(&USER_AGENT);
                let first = agent.split('/').next().unwrap_or_default();
                match first
                    .chars()
                    .take(MAX_MANAGER)
                    .filter(|c| !c.is_control())
                    .collect::<String>()
                {
                    none if none.is_empty() => "unknown".to_owned(),
                    name => name,
                }
            }
            manager => manager.to_owned(),
        }
    }

    /// What is done about unknown fields; every write asks, and its manager's name is checked with it.
    ///
    /// # Errors
    /// 422 for a word that is none of the three, and for a manager's name that is none.
    pub fn field_validation(&self, options: &str) -> Result<FieldValidation, Problem> {
        let manager = self.query.get("fieldManager");
        if manager.len() > MAX_MANAGER {
            let error = FieldError::too_long("fieldManager", MAX_MANAGER);
            return Err(wrong_options(options, error));
        }
        if manager.chars().any(char::is_control) {
            let error = FieldError::invalid(
                "fieldManager",
                manager,
                "should only contain printable characters",
            );
            return Err(wrong_options(options, error));
        }
        match self.query.get("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Strict" => Ok(FieldValidation::Strict),
            "Ignore" => Ok(FieldValidation::Ignore),
            other => {
                let known = ["Ignore", "Strict", "Warn"];
                let error = FieldError::not_supported("fieldValidation", other, &known);
                Err(wrong_options(options, error))
            }
        }
    }

    /// Whether the write is only tried.
    ///
    /// # Errors
    /// 422 for a value that is not `All`.
    pub fn dry_run(&self, options: &str) -> Result<bool, Problem> {
        dry_run(&self.query, options)
    }
}

impl Server {
    /// The newest state of an object.
    ///
    /// # Errors
    /// 404; 503 while the store is away.
    pub async fn get(&self, resource: &'static Resource, name: &Name) -> Result<Arc<Object>, Problem> {
        let found = self.find(resource, name).await?;
        found.ok_or_else(|| resource.not_found(&name.name))
    }

    /// The same; none if there is none.
    ///
    /// # Errors
    /// 503 while the store is away.
    pub async fn find(
        &self,
        resource: &'static Resource,
        name: &Name,
    ) -> Result<Option<Arc<Object>>, Problem> {
        self.storage.settled().await.map_err(|e| store_problem(&e))?;
        Ok(self.storage.cache(resource.qualified).get(&name.key()))
    }
}

impl Name {
    /// Under which key it is kept.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }
}

/// What clients are told about the store.
#[must_use]
pub fn store_problem(error: &StateError) -> Problem {
    match error {
        StateError::Unavailable { .. } | StateError::Full { .. } => {
            Problem::unavailable(error.to_string()).retry_after(1)
        }
        StateError::Invalid { why, .. } => {
            Problem::new(Reason::RequestEntityTooLarge, format!("etcdserver: {why}"))
        }
        StateError::Conflict { .. }
        | StateError::Compacted { .. }
        | StateError::Forbidden { .. }
        | StateError::Damaged { .. } => Problem::internal(error),
    }
}
