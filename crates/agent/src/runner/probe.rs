//! Does one check of a container's health.

use crate::supervisor::{PlannedCheck, ProbeWork};
use futures::StreamExt;
use plenum_contract::runtime::{ContainerKey, Runtime};
use plenum_contract::streams::{ExecRequest, Output};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// So much of what a failed command wrote is told.
const WORDS: usize = 200;

/// A status line is far shorter.
const STATUS_LINE: u64 = 1024;

/// Does the check within its time.
///
/// # Errors
/// In words, why it did not pass.
pub(super) async fn run(work: &ProbeWork, runtime: Option<Arc<dyn Runtime>>) -> Result<(), String> {
    let check = async {
        match &work.check {
            PlannedCheck::Exec(argv) => match runtime {
                Some(runtime) => exec(runtime.as_ref(), &work.key, argv).await,
                None => Err(format!("the agent has no runtime {}", work.runtime)),
            },
            PlannedCheck::Http {
                address,
                port,
                path,
                headers,
            } => http(address, *port, path, headers).await,
            PlannedCheck::Tcp { address, port } => connect(address, *port).await.map(drop),
        }
    };
    let time = Duration::from_millis(work.timeout_ms);
    let late = |_| {
        Err(format!(
            "{}: no answer within {} ms",
            asked(&work.check),
            work.timeout_ms
        ))
    };
    tokio::time::timeout(time, check).await.unwrap_or_else(late)
}

fn asked(check: &PlannedCheck) -> String {
    match check {
        PlannedCheck::Exec(argv) => format!("command {}", argv.join(" ")),
        PlannedCheck::Http {
            address, port, path, ..
        } => format!("GET http://{address}:{port}{path}"),
        PlannedCheck::Tcp { address, port } => format!("connection to {address}:{port}"),
    }
}

pub(super) async fn exec(runtime: &dyn Runtime, key: &ContainerKey, argv: &[String]) -> Result<(), String> {
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
                let room = WORDS.saturating_sub(wrote.len()).min(bytes.len());
                wrote.extend_from_slice(&bytes[..room]);
            }
            Output::Exit { code: 0 } => return Ok(()),
            Output::Exit { code } => {
                let wrote = String::from_utf8_lossy(&wrote);
                let said = format!("{} exited with code {code}: {wrote}", argv.join(" "));
                return Err(said.trim_end_matches([':', ' ', '\n']).to_owned());
            }
            Output::Log(_) | Output::Stats(_) | Output::Image(_) => {}
        }
    }
    Err(format!("{} ended without an exit code", argv.join(" ")))
}

async fn connect(address: &str, port: u16) -> Result<TcpStream, String> {
    let refused = |e| format!("connection to {address}:{port}: {e}");
    TcpStream::connect((address, port)).await.map_err(refused)
}

/// A GET with these headers; those that every GET has unless they are among them.
fn request(target: &str, host: &str, headers: &[(String, String)]) -> Result<String, String> {
    let own = [("Host", host), ("User-Agent", "plenum-probe"), ("Accept", "*/*")];
    let given = |name: &str| headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(name));
    let own = own.into_iter().filter(|(name, _)| !given(name));
    let all = own.chain(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let mut request = format!("GET {target} HTTP/1.1\r\n");
    for (name, value) in all {
        let bad = |b: u8| b.is_ascii_control();
        if name.is_empty() || name.bytes().any(|b| bad(b) || b == b':' || b == b' ') || value.bytes().any(bad)
        {
            return Err(format!("header {name:?} cannot be sent"));
        }
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    Ok(request)
}

/// The status of a GET is all that is asked: no client does less.
async fn http(address: &str, port: u16, path: &str, headers: &[(String, String)]) -> Result<(), String> {
    let target = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    if target.bytes().any(|b| b.is_ascii_control() || b == b' ') {
        return Err(format!("path {target:?} cannot be asked for"));
    }
    let mut socket = connect(address, port).await?;
    let request = request(&target, &format!("{address}:{port}"), headers)?;
    let broken = |e| format!("GET http://{address}:{port}{target}: {e}");
    socket.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    let mut from = socket.take(STATUS_LINE);
    while !answer.contains(&b'\n') {
        if from.read_buf(&mut answer).await.map_err(broken)? == 0 {
            break;
        }
    }
    let line = answer.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let version = words.next().filter(|v| v.starts_with("HTTP/1."));
    match (version, words.next().and_then(|code| code.parse::<u16>().ok())) {
        (Some(_), Some(200..=399)) => Ok(()),
        (Some(_), Some(code)) => Err(format!("GET http://{address}:{port}{target}: status {code}")),
        _ => Err(format!(
            "GET http://{address}:{port}{target}: what answers is not HTTP"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::ids::{Incarnation, TaskId};
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
            },
            timeout_ms: 5000,
        };
        let (request, result) = tokio::join!(serve, run(&work, None));
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
