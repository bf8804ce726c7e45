//! What is wanted of a container, as it is stored: the request that made it, and what was asked of it since.

use super::lower::{Lowered, lower};
use crate::error::ApiError;
use crate::store::{self, Desired, Table};
use plenum_model::ids::{TaskId, TenantPath};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Which run of a container: of which attempt (a container that never got to a node is claimed again), and
/// which start in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// The attempt of its task.
    pub attempt: u32,
    /// The incarnation of that.
    pub incarnation: u32,
}

/// What shall be true of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Made, not started.
    Created,
    /// Running; when it has ended by itself it stays so.
    Running(Run),
    /// Not running.
    Stopped,
}

/// A container as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hexadecimal digits; also the uid of its workload.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// When it was created, in Unix nanoseconds.
    pub created_nanos: u64,
    /// Who is charged.
    pub tenant: TenantPath,
    /// The request.
    pub body: Value,
    /// What is wanted.
    pub wanted: Wanted,
    /// Whether it is being removed.
    pub removing: bool,
}

/// A container with what its request means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Container {
    /// As it is stored.
    pub own: Record,
    /// What its request means.
    pub lowered: Arc<Lowered>,
    /// The task of a service that it is the container of; none: it is a single one.
    pub of_service: Option<TaskId>,
}

impl TryFrom<Record> for Container {
    type Error = ApiError;
    fn try_from(record: Record) -> Result<Self, ApiError> {
        let lowered = Arc::new(lower(&record)?);
        Ok(Self {
            own: record,
            lowered,
            of_service: None,
        })
    }
}

impl From<Container> for Record {
    fn from(container: Container) -> Self {
        container.own
    }
}

impl store::Record for Container {
    const KIND: &'static str = "container";

    fn id(&self) -> &str {
        &self.own.id
    }

    fn table(desired: &mut Desired) -> &mut Table<Self> {
        &mut desired.containers
    }
}

impl Container {
    /// The same, being removed.
    #[must_use]
    pub fn removed(&self) -> Self {
        let own = Record {
            removing: true,
            ..self.own.clone()
        };
        Self { own, ..self.clone() }
    }

    /// The same by another name.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        let own = Record {
            name: name.to_owned(),
            ..self.own.clone()
        };
        Self { own, ..self.clone() }
    }

    /// The same with another wish.
    #[must_use]
    pub fn wanting(&self, wanted: Wanted) -> Self {
        let own = Record {
            wanted,
            ..self.own.clone()
        };
        Self { own, ..self.clone() }
    }
}
