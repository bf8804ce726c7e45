//! The shared handle on the mirror: the driver writes it, doors read it. Reads are short closures under a
//! lock that nobody can hold over an await.

use crate::observed::Observed;
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::sync::watch;

/// What doors hold to read the mirror.
#[derive(Debug, Clone)]
pub struct Mirror {
    observed: Arc<RwLock<Observed>>,
    revision: watch::Receiver<u64>,
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct MirrorWriter {
    observed: Arc<RwLock<Observed>>,
    revision: watch::Sender<u64>,
}

/// The driver has ended: nothing will change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the scheduler is stopping")]
pub struct Ended;

pub(crate) fn pair(observed: Observed) -> (MirrorWriter, Mirror) {
    let observed = Arc::new(RwLock::new(observed));
    let (tx, rx) = watch::channel(0);
    (
        MirrorWriter {
            observed: Arc::clone(&observed),
            revision: tx,
        },
        Mirror {
            observed,
            revision: rx,
        },
    )
}

impl Mirror {
    /// Looks at the mirror. Keep it short: the driver waits meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Observed) -> T) -> T {
        look(&self.observed.read())
    }

    /// Counts the changes of the mirror; wait on it to be told of the next.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }

    /// Waits until `look` finds something, at once if it does already. Cancel-safe; put a timeout round it.
    ///
    /// # Errors
    /// `Ended` when the driver has ended and it never will.
    pub async fn until<T>(&self, mut look: impl FnMut(&Observed) -> Option<T>) -> Result<T, Ended> {
        let mut changes = self.revision.clone();
        loop {
            changes.borrow_and_update();
            if let Some(found) = self.read(&mut look) {
                return Ok(found);
            }
            changes.changed().await.map_err(|_| Ended)?;
        }
    }
}

impl MirrorWriter {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Observed) -> T) -> T {
        look(&self.observed.read())
    }

    /// Changes the mirror and tells whoever waits.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Observed) -> T) -> T {
        let out = change(&mut self.observed.write());
        self.revision.send_modify(|r| *r = r.wrapping_add(1));
        out
    }
}
