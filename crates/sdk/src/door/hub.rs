//! Events to many readers. Publishing never waits: a reader who is too slow is dropped, which its client
//! notices by the end of its stream, as all three orchestrators have it.

use futures::Stream;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The source of one kind of events.
#[derive(Debug)]
pub struct Hub<T> {
    readers: Arc<Mutex<Vec<mpsc::Sender<Arc<T>>>>>,
    depth: usize,
}

impl<T> Clone for Hub<T> {
    fn clone(&self) -> Self {
        Self {
            readers: Arc::clone(&self.readers),
            depth: self.depth,
        }
    }
}

/// What a reader gets. It ends when the reader was too slow, or the hub was closed.
#[derive(Debug)]
pub struct Subscription<T>(mpsc::Receiver<Arc<T>>);

impl<T> Hub<T> {
    /// A hub whose readers may each be so many events behind; at least one.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self {
            readers: Arc::default(),
            depth: depth.max(1),
        }
    }

    /// Everything published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<T> {
        self.subscribe_with([])
    }

    /// These first, then everything published from now on.
    #[must_use]
    pub fn subscribe_with<I>(&self, first: I) -> Subscription<T>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: ExactSizeIterator,
    {
        let first = first.into_iter();
        let (tx, rx) = mpsc::channel(self.depth.saturating_add(first.len()));
        let mut readers = self.readers.lock();
        for event in first {
            // There is room for all of them, and nobody else has the sender yet.
            let _ = tx.try_send(Arc::new(event));
        }
        readers.push(tx);
        Subscription(rx)
    }

    /// Gives an event to every reader; those without room for it are dropped. Says how many were.
    pub fn publish(&self, event: T) -> usize {
        let event = Arc::new(event);
        let mut slow = 0;
        self.readers
            .lock()
            .retain(|reader| match reader.try_send(Arc::clone(&event)) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    slow += 1;
                    false
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            });
        slow
    }

    /// Readers there are.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers.lock().iter().filter(|r| !r.is_closed()).count()
    }

    /// Ends every subscription.
    pub fn close(&self) {
        self.readers.lock().clear();
    }
}

impl<T> Stream for Subscription<T> {
    type Item = Arc<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Arc<T>>> {
        self.0.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    #[tokio::test]
    async fn a_slow_reader_is_dropped_and_the_others_get_everything() {
        let hub = Hub::new(2);
        let slow = hub.subscribe_with([0]);
        let mut quick = hub.subscribe();
        for n in 1..=4 {
            hub.publish(n);
            assert_eq!(quick.next().await.map(|e| *e), Some(n));
        }
        let seen: Vec<i32> = slow.map(|e| *e).collect().await;
        assert_eq!(
            seen,
            [0, 1, 2],
            "room for its first and two more; then its stream ends"
        );
        assert_eq!(hub.readers(), 1);
        hub.close();
        assert_eq!(quick.next().await, None);
    }
}
