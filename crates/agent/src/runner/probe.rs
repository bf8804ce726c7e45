//! Does one check of a container's health.

use super::get::Get;
use crate::supervisor::{PlannedCheck, ProbeWork, Saw};
use futures::StreamExt;
use plenum_contract::runtime::{ContainerKey, Runtime};
use plenum_contract::streams::{CheckResult, ExecRequest, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;

/// So much of what a failed command wrote is told.
const WORDS: usize = 200;

/// So much of it is kept for who asks.
const KEPT: usize = 4096;

/// Does the check within its time: what it saw and, in words if it did not pass, what came of it, if anything.
pub(super) async fn run(
    work: &ProbeWork,
    runtime: Option<Arc<dyn Runtime>>,
) -> (Saw, Option<Result<(), String>>) {
    let began = unix_ms();
    let missing = || format!("the agent has no runtime {}", work.runtime);
    let check = async {
        match &work.check {
            PlannedCheck::Exec(argv) => match runtime {
                Some(runtime) => command(runtime.as_ref(), &work.key, argv).await,
                None => Err(missing()),
            },
            PlannedCheck::Http {
                address,
                port,
                path,
                headers,
                tls,
                statuses,
            } => {
                let get = Get {
                    address,
                    port: *port,
                    path,
                    headers,
                    tls: *tls,
                    statuses,
                };
                get.passes().await.map(|()| Seen::default())
            }
            PlannedCheck::Tcp { address, port } => connect(address, *port).await.map(|_| Seen::default()),
            PlannedCheck::Image => match runtime {
                Some(runtime) => return image(runtime.as_ref(), &work.key).await,
                None => Err(missing()),
            },
        }
        .map_or_else(
            |why| failed(began, why),
            |seen| settled(&work.check, began, &seen),
        )
    };
    let time = Duration::from_millis(work.timeout_ms);
    tokio::time::timeout(time, check).await.unwrap_or_else(|_| {
        let late = format!("{}: no answer within {} ms", asked(&work.check), work.timeout_ms);
        match work.check {
            // Nothing is known, which is no fault of the container.
            PlannedCheck::Image => (Saw::Unsettled, None),
            PlannedCheck::Exec(_) | PlannedCheck::Http { .. } | PlannedCheck::Tcp { .. } => {
                failed(began, late)
            }
        }
    })
}

/// What a check that came to its end gave: the exit code of its command and what that wrote.
#[derive(Default)]
struct Seen {
    code: i32,
    wrote: Vec<u8>,
}

impl Seen {
    /// Why a command that ended so did not pass.
    fn failure(&self, argv: &[String]) -> String {
        let words = String::from_utf8_lossy(&self.wrote[..self.wrote.len().min(WORDS)]);
        let said = format!("{} exited with code {}: {words}", argv.join(" "), self.code);
        said.trim_end_matches([':', ' ', '\n']).to_owned()
    }
}

fn settled(check: &PlannedCheck, began: u64, seen: &Seen) -> (Saw, Option<Result<(), String>>) {
    let saw = Saw::Result(CheckResult {
        began,
        ended: unix_ms(),
        code: seen.code,
        output: String::from_utf8_lossy(&seen.wrote).into_owned(),
    });
    let result = match (seen.code, check) {
        (0, _) => Ok(()),
        (_, PlannedCheck::Exec(argv)) => Err(seen.failure(argv)),
        (_, PlannedCheck::Http { .. } | PlannedCheck::Tcp { .. } | PlannedCheck::Image) => Err(asked(check)),
    };
    (saw, Some(result))
}

fn failed(began: u64, why: String) -> (Saw, Option<Result<(), String>>) {
    let result = CheckResult {
        began,
        ended: unix_ms(),
        code: 1,
        output: why.clone(),
    };
    (Saw::Result(result), Some(Err(why)))
}

/// What the runtime found, which does this check.
async fn image(runtime: &dyn Runtime, key: &ContainerKey) -> (Saw, Option<Result<(), String>>) {
    let told = match runtime.image_health(key).await {
        Ok(Some(told)) => told,
        Ok(None) => return (Saw::NoCheck, None),
        // Asked again soon.
        Err(_) => return (Saw::Unsettled, None),
    };
    let last = told.health.results.last().cloned().unwrap_or_default();
    let result = match told.passes {
        None => return (Saw::Unsettled, None),
        Some(true) => Ok(()),
        Some(false) => {
            let words: String = last.output.chars().take(WORDS).collect();
            let said = format!("the check of the image exited with code {}: {words}", last.code);
            Err(said.trim_end_matches([':', ' ', '\n']).to_owned())
        }
    };
    (Saw::Result(last), Some(result))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn asked(check: &PlannedCheck) -> String {
    match check {
        PlannedCheck::Exec(argv) => format!("command {}", argv.join(" ")),
        PlannedCheck::Http {
            address,
            port,
            path,
            tls,
            ..
        } => format!(
            "GET {}://{address}:{port}{path}",
            if *tls { "https" } else { "http" }
        ),
        PlannedCheck::Tcp { address, port } => format!("connection to {address}:{port}"),
        PlannedCheck::Image => "the check of the image".to_owned(),
    }
}

/// Runs a command in a container.
///
/// # Errors
/// In words, why it did not end with 0.
pub(super) async fn exec(runtime: &dyn Runtime, key: &ContainerKey, argv: &[String]) -> Result<(), String> {
    let seen = command(runtime, key, argv).await?;
    match (seen.code, seen.failure(argv)) {
        (0, _) => Ok(()),
        (_, why) => Err(why),
    }
}

async fn command(runtime: &dyn Runtime, key: &ContainerKey, argv: &[String]) -> Result<Seen, String> {
    let request = ExecRequest {
        argv: argv.to_vec(),
        ..ExecRequest::default()
    };
    let input = futures::stream::empty().boxed();
    let mut output = runtime
        .exec(key, request, input)
        .await
        .map_err(|e| e.to_string())?;
    let mut wrote = Vec::new();
    while let Some(piece) = output.next().await {
        match piece.map_err(|e| e.to_string())? {
            Output::Stdout(bytes) | Output::Stderr(bytes) => {
                let room = KEPT.saturating_sub(wrote.len()).min(bytes.len());
                wrote.extend_from_slice(&bytes[..room]);
            }
            Output::Exit { code } => return Ok(Seen { code, wrote }),
            Output::Log(_)
            | Output::Stats(_)
            | Output::Image(_)
            | Output::Processes(_)
            | Output::Health(_) => {}
        }
    }
    Err(format!("{} ended without an exit code", argv.join(" ")))
}

pub(super) async fn connect(address: &str, port: u16) -> Result<TcpStream, String> {
    let refused = |e| format!("connection to {address}:{port}: {e}");
    TcpStream::connect((address, port)).await.map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::{Incarnation, TaskId};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn asked(path: &str, answer: &'static [u8]) -> Result<(), String> {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let serve = async move {
            let (mut socket, _) = server.accept().await.unwrap();
            let mut request = [0; 1024];
            let n = socket.read(&mut request).await.unwrap();
            socket.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        };
        let work = ProbeWork {
            key: ContainerKey {
                task: TaskId([0; 16]),
                container: "m".into(),
                incarnation: Incarnation(0),
            },
            index: 0,
            runtime: "fake".into(),
            check: PlannedCheck::Http {
                address: "127.0.0.1".into(),
                port,
                path: path.into(),
                headers: vec![],
                tls: false,
                statuses: vec![],
            },
            timeout_ms: 5000,
        };
        let (request, (_, result)) = tokio::join!(serve, run(&work, None));
        let result = result.unwrap();
        assert!(
            request.starts_with(&format!("GET /{} HTTP/1.1\r\n", path.trim_start_matches('/'))),
            "{request}"
        );
        result
    }

    #[tokio::test]
    async fn a_get_passes_by_its_status() {
        assert_eq!(
            asked("/health?x=1", b"HTTP/1.1 204 No Content\r\n\r\n").await,
            Ok(())
        );
        assert_eq!(asked("health", b"HTTP/1.0 302 Found\r\n").await, Ok(()));
        let failed = asked("/", b"HTTP/1.1 503 Busy\r\n\r\n").await.unwrap_err();
        assert!(failed.ends_with("/: status 503"), "{failed}");
        let other = asked("/", b"SSH-2.0-x\r\n").await.unwrap_err();
        assert!(other.ends_with("is not HTTP"), "{other}");
    }
}
