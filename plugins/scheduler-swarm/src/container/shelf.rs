//! The containers among all that is wanted: changed through the desk, which stores before it shows.

use super::record::{Container, Record};
use crate::desk::Desk;
use crate::error::{ApiError, ApiResult};
use crate::store::{Desired, Edits, Stored};
use std::sync::Arc;
use tokio::sync::watch;

/// A container as of some version of it.
pub(super) type Kept = Arc<Stored<Container>>;

/// What the planner saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing is left of this container that is being removed.
    Gone(String),
    /// This container has ended and is to be removed by itself.
    Expired(String),
}

/// The handle.
#[derive(Clone)]
pub(super) struct Shelf(Desk);

impl Shelf {
    /// The containers of this desk.
    #[must_use]
    pub(super) fn new(desk: Desk) -> Self {
        Self(desk)
    }

    /// All that is wanted.
    #[must_use]
    pub(super) fn book(&self) -> Arc<Desired> {
        self.0.desired()
    }

    /// The same, for those who wait for a change.
    #[must_use]
    pub(super) fn changes(&self) -> watch::Receiver<Arc<Desired>> {
        self.0.watch()
    }

    /// Stores a new container; with an empty name one is made up.
    ///
    /// # Errors
    /// 409 when the name is taken, what of the request is not served, or 503.
    pub(super) async fn create(&self, mut record: Record) -> ApiResult<Kept> {
        let id = record.id.clone();
        let after = self.0.change(move |desired| {
            let holder = |name: &str| desired.containers.iter().find(|c| c.own.name == name);
            if record.name.is_empty() {
                let mut made_up = (0..).map(|n| super::names::made_up(&record.id, n));
                record.name = made_up.find(|n| holder(n).is_none()).unwrap_or_default();
            } else if let Some(other) = holder(&record.name) {
                return Err(taken(&record.name, &other.own.id));
            }
            let mut edits = Edits::new();
            edits.create(Container::try_from(record)?);
            Ok(edits)
        });
        of(&*after.await?, &id)
    }

    /// Changes what is wanted of a container; stored when it returns.
    ///
    /// # Errors
    /// Whatever `change` refuses, 404 when it is gone, or 503.
    pub(super) async fn change(
        &self,
        id: &str,
        change: impl FnOnce(&Container) -> ApiResult<Container> + Send + 'static,
    ) -> ApiResult<Kept> {
        let it = id.to_owned();
        let after = self.0.change(move |desired| edit(desired, &it, change));
        of(&*after.await?, id)
    }

    /// Gives a container another name; stored when it returns.
    ///
    /// # Errors
    /// 409 when the name is taken, 400 when it is its own, 404 when the container is gone, or 503.
    pub(super) async fn rename(&self, id: &str, name: String) -> ApiResult<Kept> {
        let it = id.to_owned();
        let after = self.0.change(move |desired| {
            let holder = desired.containers.iter().find(|c| c.own.name == name);
            match holder {
                Some(own) if own.own.id == it => Err(ApiError::bad(
                    "Renaming a container with the same name as its current name",
                )),
                Some(other) => Err(taken(&name, &other.own.id)),
                None => edit(desired, &it, |c| Ok(c.named(&name))),
            }
        });
        of(&*after.await?, id)
    }

    /// Stores what the planner saw; it says so again until that is done. `gone` hears of a container that is
    /// being taken off the shelf, before anybody sees that it is.
    pub(super) fn note(&self, note: Note, gone: impl FnOnce(&Container) + Send + 'static) {
        let taken = match note {
            Note::Expired(id) => self
                .0
                .note(move |desired| edit(desired, &id, |c| Ok(c.removed()))),
            Note::Gone(id) => self.0.note(move |desired| {
                let mut edits = Edits::new();
                if let Some(kept) = desired.containers.get(&id) {
                    gone(kept);
                    edits.remove(kept);
                }
                Ok(edits)
            }),
        };
        if !taken {
            tracing::debug!("the desk is busy; noted at the next look");
        }
    }
}

fn edit(
    desired: &Desired,
    id: &str,
    change: impl FnOnce(&Container) -> ApiResult<Container>,
) -> ApiResult<Edits> {
    let kept = desired.containers.get(id).ok_or_else(|| missing(id))?;
    let new = change(&kept.record)?;
    let mut edits = Edits::new();
    if new != kept.record {
        edits.replace(kept, new);
    }
    Ok(edits)
}

fn of(desired: &Desired, id: &str) -> ApiResult<Kept> {
    desired.containers.get(id).cloned().ok_or_else(|| missing(id))
}

fn missing(id: &str) -> ApiError {
    ApiError::missing(format!("No such container: {id}"))
}

fn taken(name: &str, holder: &str) -> ApiError {
    ApiError::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove \
         (or rename) that container to be able to reuse that name."
    ))
}
