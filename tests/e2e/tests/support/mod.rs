//! What the tests share: a pool brought up by the real binary, requests, waiting for conditions.

pub(crate) mod dcos;
pub(crate) mod docker;
pub(crate) mod dockerd;
pub(crate) mod image;
pub(crate) mod kubectl;
pub(crate) mod kubernetes_parts;
pub(crate) mod leftovers;
pub(crate) mod parts;
pub(crate) mod pool;
pub(crate) mod python;
pub(crate) mod registry;
pub(crate) mod service;
pub(crate) mod serving;
pub(crate) mod up;

use serde_json::Value;
use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The binary under test, built beside the tests.
pub(crate) fn plenum() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("plenum");
    assert!(
        path.exists(),
        "{} is not built: run `cargo build -p plenum` first",
        path.display()
    );
    path
}

/// Waits until `check` gives a value; fails with what was last missing. The bound is for a loaded machine.
pub(crate) async fn eventually<T, F, Fut>(what: &str, mut check: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => panic!("{what}: still {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Runs this on a thread of its own: what waits for commands holds up nobody else.
pub(crate) fn apart<Fut: Future>(actor: impl FnOnce() -> Fut + Send + 'static) -> JoinHandle<Fut::Output>
where
    Fut::Output: Send + 'static,
{
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(actor()))
}

/// One request with a JSON answer (null when it has no body).
pub(crate) async fn request(method: &str, url: &str, body: Option<&Value>) -> (u16, Value) {
    let client = reqwest::Client::new();
    let mut request = client.request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request
        .send()
        .await
        .unwrap_or_else(|e| panic!("{method} {url}: {e:?}"));
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A port that nobody listens on and no other test of this run is given. It lies below those that the system gives
/// to outgoing connections, one of which could take it while a part that listens on it is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_000, "no port is left to test with");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// State and parent of a process, while there is one.
fn stat(pid: i32) -> Option<(char, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether a process lives (a zombie does not).
pub(crate) fn alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// Processes whose command line contains `marker`, less what they forked: a shell's child has its parent's command
/// line until it is another program.
pub(crate) fn pids_of(marker: &str) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<i32> = pids
        .filter(|pid| *pid != own && alive(*pid))
        .filter(|pid| {
            let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&bytes)
                .replace('\0', " ")
                .contains(marker)
        })
        .collect();
    let all = found.clone();
    found.retain(|pid| stat(*pid).is_some_and(|(_, parent)| !all.contains(&parent)));
    found
}
