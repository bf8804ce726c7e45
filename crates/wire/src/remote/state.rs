//! `StateStore` over a channel, as one scheduler.

use super::answers;
use crate::limits;
use crate::malformed::each;
use crate::proto::state::v1 as wire;
use crate::status::read;
use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt, unfold};
use plenum_contract::state_store::{Change, Compare, Entry, Page, StateError, StateStore, Write};
use plenum_model::ids::{Revision, SchedulerId};
use tonic::transport::Channel;
use wire::state_store_client::StateStoreClient;

/// A scheduler's own part of a state store that is called over a channel. Keys are relative to it.
#[derive(Clone)]
pub struct RemoteState {
    client: StateStoreClient<Channel>,
    scheduler: SchedulerId,
}

impl RemoteState {
    /// The part of `scheduler` in the store behind `channel`.
    #[must_use]
    pub fn new(channel: Channel, scheduler: SchedulerId) -> Self {
        let client = StateStoreClient::new(channel)
            .max_decoding_message_size(limits::MESSAGE)
            .max_encoding_message_size(limits::MESSAGE);
        Self { client, scheduler }
    }

    fn scheduler(&self) -> String {
        self.scheduler.as_str().to_owned()
    }
}

fn failed(status: tonic::Status) -> StateError {
    read(&status)
}

#[async_trait]
impl StateStore for RemoteState {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        let request = wire::GetRequest {
            scheduler: self.scheduler(),
            key: key.to_owned(),
        };
        let answer = self.client.clone().get(request).await.map_err(failed)?;
        Ok(answer.into_inner().entry.map(Entry::from))
    }

    async fn list(
        &self,
        prefix: &str,
        at: Option<Revision>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        let request = wire::ListRequest {
            scheduler: self.scheduler(),
            prefix: prefix.to_owned(),
            at: at.map(|revision| revision.0),
            after: after.map(str::to_owned),
            limit: limit as u64,
        };
        let mut pieces = self
            .client
            .clone()
            .list(request)
            .await
            .map_err(failed)?
            .into_inner();
        let mut page = Page::default();
        while let Some(piece) = pieces.message().await.map_err(failed)? {
            page.entries.extend(piece.entries.into_iter().map(Entry::from));
            page.revision = Revision(piece.revision);
            page.more = piece.more;
        }
        Ok(page)
    }

    async fn txn(&self, compares: Vec<Compare>, writes: Vec<Write>) -> Result<Revision, StateError> {
        let request = wire::TxnRequest {
            scheduler: self.scheduler(),
            compares: compares.into_iter().map(wire::Compare::from).collect(),
            writes: writes.into_iter().map(wire::Write::from).collect(),
        };
        let answer = self.client.clone().txn(request).await.map_err(failed)?;
        Ok(Revision(answer.into_inner().revision))
    }

    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Change>, StateError>>, StateError> {
        let request = wire::WatchRequest {
            scheduler: self.scheduler(),
            prefix: prefix.to_owned(),
            from: from.0,
        };
        let pieces = self.client.clone().watch(request).await.map_err(failed)?;
        let pieces = answers(pieces.into_inner(), |piece: wire::WatchResponse| {
            Ok((each::<_, Change>(piece.changes)?, piece.more))
        });
        Ok(unfold(pieces, whole).boxed())
    }
}

type Pieces = BoxStream<'static, Result<(Vec<Change>, bool), StateError>>;

/// The next batch: pieces of the same revisions are put together again.
async fn whole(mut pieces: Pieces) -> Option<(Result<Vec<Change>, StateError>, Pieces)> {
    let mut batch = Vec::new();
    loop {
        match pieces.try_next().await.transpose()? {
            Ok((changes, more)) => {
                batch.extend(changes);
                if !more {
                    return Some((Ok(batch), pieces));
                }
            }
            Err(error) => return Some((Err(error), pieces)),
        }
    }
}
