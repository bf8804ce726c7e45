//! `plenum.state.v1.StateStore` in front of a `StateStore`, each scheduler confined to its own part.

use super::Answers;
use crate::limits;
use crate::malformed::{Malformed, count, each, name};
use crate::prefixed::Prefixed;
use crate::proto::state::v1 as wire;
use crate::status::{malformed, status};
use futures::stream::{StreamExt, iter};
use plenum_contract::state_store::{Change, Entry, StateError, StateStore};
use plenum_model::ids::Revision;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Serves a state store.
#[derive(Clone)]
pub struct StateService(pub Arc<dyn StateStore>);

fn bad(bad: Malformed) -> Status {
    malformed::<StateError>(&bad)
}

impl StateService {
    fn part(&self, scheduler: &str) -> Result<Prefixed, Status> {
        let scheduler = name(scheduler, "scheduler").map_err(bad)?;
        Ok(Prefixed::new(Arc::clone(&self.0), scheduler))
    }
}

#[async_trait::async_trait]
impl wire::state_store_server::StateStore for StateService {
    type ListStream = Answers<wire::ListResponse>;
    type WatchStream = Answers<wire::WatchResponse>;

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetResponse>, Status> {
        let request = request.into_inner();
        let entry = self
            .part(&request.scheduler)?
            .get(&request.key)
            .await
            .map_err(|e| status(&e))?;
        Ok(Response::new(wire::GetResponse {
            entry: entry.map(wire::Entry::from),
        }))
    }

    async fn list(&self, request: Request<wire::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let request = request.into_inner();
        let limit = count(request.limit, "limit").map_err(bad)?;
        let part = self.part(&request.scheduler)?;
        let at = request.at.map(Revision);
        let page = part
            .list(&request.prefix, at, request.after.as_deref(), limit)
            .await;
        let page = page.map_err(|e| status(&e))?;
        let (revision, more) = (page.revision.0, page.more);
        let messages = cut(page.entries, entry_size)
            .into_iter()
            .map(move |(entries, cut)| {
                let entries = entries.into_iter().map(wire::Entry::from).collect();
                Ok(wire::ListResponse {
                    entries,
                    revision,
                    more: more && !cut,
                })
            });
        Ok(Response::new(iter(messages).boxed()))
    }

    async fn txn(&self, request: Request<wire::TxnRequest>) -> Result<Response<wire::TxnResponse>, Status> {
        let request = request.into_inner();
        let part = self.part(&request.scheduler)?;
        let compares = each(request.compares).map_err(bad)?;
        let writes = each(request.writes).map_err(bad)?;
        let Revision(revision) = part.txn(compares, writes).await.map_err(|e| status(&e))?;
        Ok(Response::new(wire::TxnResponse { revision }))
    }

    async fn watch(
        &self,
        request: Request<wire::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let part = self.part(&request.scheduler)?;
        let batches = part
            .watch(&request.prefix, Revision(request.from))
            .await
            .map_err(|e| status(&e))?;
        let messages = |batch: Result<Vec<Change>, StateError>| {
            iter(match batch {
                Ok(changes) => cut(changes, change_size)
                    .into_iter()
                    .map(message)
                    .collect::<Vec<_>>(),
                Err(error) => vec![Err(status(&error))],
            })
        };
        Ok(Response::new(batches.flat_map(messages).boxed()))
    }
}

fn message((changes, more): (Vec<Change>, bool)) -> Result<wire::WatchResponse, Status> {
    Ok(wire::WatchResponse {
        changes: changes.into_iter().map(wire::Change::from).collect(),
        more,
    })
}

fn entry_size(entry: &Entry) -> usize {
    entry.key.len() + entry.value.len()
}

fn change_size(change: &Change) -> usize {
    match change {
        Change::Put(entry) => entry_size(entry),
        Change::Deleted { key, .. } => key.len(),
    }
}

/// Cuts what belongs together into messages of bearable size, at least one; says of each whether another follows.
fn cut<T>(all: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<(Vec<T>, bool)> {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut bytes = 0;
    for one in all {
        let more = size(&one);
        if bytes + more > limits::PIECE && !piece.is_empty() {
            pieces.push((std::mem::take(&mut piece), true));
            bytes = 0;
        }
        bytes += more;
        piece.push(one);
    }
    pieces.push((piece, false));
    pieces
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_whole_again_and_the_last_piece_says_so() {
        let most = limits::PIECE;
        for (sizes, pieces) in [
            (vec![], 1),
            (vec![1, 2, 3], 1),
            (vec![most, 1], 2),
            (vec![most * 3], 1),
            (vec![1, most, 1, most - 1, 1], 4),
        ] {
            let cut = cut(sizes.clone(), |size| *size);
            assert_eq!(cut.len(), pieces, "{sizes:?}");
            let (last, before) = cut.split_last().unwrap();
            assert!(!last.1 && before.iter().all(|(_, more)| *more), "{sizes:?}");
            let whole: Vec<_> = cut.into_iter().flat_map(|(piece, _)| piece).collect();
            assert_eq!(whole, sizes);
        }
    }
}
