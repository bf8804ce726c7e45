//! Fetches the files and secrets that a task refers to from the broker and has them put where they belong.

use crate::files::{PutError, make_inner_dirs, make_plain_dir, make_secret_dir, put};
use crate::supervisor::{PlannedFile, WorkError};
use bytes::Bytes;
use plenum_contract::dispatcher::{DispatchError, Dispatcher};
use plenum_contract::error::{Class, Classified};
use plenum_contract::runtime::RuntimeError;
use plenum_contract::state_store::MAX_VALUE;
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::task::ExitReason;
use std::sync::Arc;
use std::time::Duration;

/// For one fetch: a value has at most a MiB, so a broker that takes longer is not to be reached.
const FETCH_WITHIN: Duration = Duration::from_secs(30);

/// Fetches what tasks refer to.
#[derive(Clone)]
pub(super) struct Fetcher {
    pub(super) node: NodeId,
    pub(super) dispatcher: Arc<dyn Dispatcher>,
}

impl Fetcher {
    /// Has all these files of a task at their paths. Cancel-safe: a file is there whole or not at all.
    pub(super) async fn have(&self, task: TaskId, files: Vec<PlannedFile>) -> Result<(), WorkError> {
        let secrets = files.iter().filter(|f| f.secret).count();
        for file in files {
            let (dir, secret, path) = (file.dir.clone(), file.secret, file.path.clone());
            blocking(move || {
                if secret {
                    make_secret_dir(&dir, secrets)?;
                } else {
                    make_plain_dir(&dir)?;
                }
                make_inner_dirs(&dir, &path)
            })
            .await?;
            let path = file.path.clone();
            if blocking(move || Ok(path.exists())).await? {
                continue;
            }
            let content = self.fetch(task, &file).await?;
            blocking(move || put(&file, &content)).await?;
        }
        Ok(())
    }

    async fn fetch(&self, task: TaskId, file: &PlannedFile) -> Result<Bytes, WorkError> {
        let asked = self
            .dispatcher
            .fetch(self.node.clone(), task, file.key.clone(), file.revision);
        let content = match tokio::time::timeout(FETCH_WITHIN, asked).await {
            Ok(Ok(content)) => content,
            Ok(Err(e)) => return Err(of_broker(&file.key, &e)),
            Err(_) => return Err(WorkError::Away(format!("no answer in {FETCH_WITHIN:?}"))),
        };
        if content.len() > MAX_VALUE {
            let why = format!("{} bytes, at most {MAX_VALUE} are taken", content.len());
            return Err(refused(format!("file `{}` has {why}", file.key)).into());
        }
        Ok(content)
    }
}

fn of_broker(key: &str, error: &DispatchError) -> WorkError {
    match error.class() {
        // Another attachment, or a newer leader: this one comes again.
        Class::Retry | Class::Conflict => WorkError::Away(error.to_string()),
        Class::Fatal => refused(format!("file `{key}` cannot be had: {error}")).into(),
    }
}

fn refused(why: String) -> RuntimeError {
    RuntimeError::Refused {
        reason: ExitReason::Setup,
        why,
    }
}

/// Runs `f` where it may block.
async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, PutError> + Send + 'static,
) -> Result<T, RuntimeError> {
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result.map_err(of_disk),
        Err(e) => Err(broken(e.to_string())),
    }
}

fn of_disk(error: PutError) -> RuntimeError {
    match error {
        PutError::NoMemory { .. } => refused(error.to_string()),
        PutError::Io { ref source, .. } => broken(format!("{error}: {source}")),
    }
}

fn broken(why: String) -> RuntimeError {
    RuntimeError::Failed {
        runtime: "agent",
        op: "write files",
        why,
    }
}
