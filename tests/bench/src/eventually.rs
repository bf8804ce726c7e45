//! Waiting for what others bring about.

use crate::report::Failed;
use std::time::{Duration, Instant};

/// Nothing may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until it holds.
pub(crate) async fn eventually<F>(what: &str, mut holds: impl FnMut() -> F) -> Result<(), Failed>
where
    F: Future<Output = Result<bool, Failed>>,
{
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        if Instant::now() > deadline {
            return Err(Failed::Measured {
                what: what.to_owned(),
                why: format!("not so after {} s", PATIENCE.as_secs()),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
