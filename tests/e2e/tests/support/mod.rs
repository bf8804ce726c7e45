//! What the tests share: a pool brought up by the real binary, requests, waiting for conditions.

pub(crate) mod dcos;
pub(crate) mod docker;
pub(crate) mod dockerd;
pub(crate) mod image;
pub(crate) mod kubectl;
pub(crate) mod kubernetes_parts;
pub(crate) mod parts;
pub(crate) mod pool;
pub(crate) mod registry;
pub(crate) mod up;

use serde_json::Value;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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

/// Whether a process lives (a zombie does not).
pub(crate) fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim_start()
            .starts_with('Z')
    })
}

/// Processes whose command line contains `marker`.
pub(crate) fn pids_of(marker: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != i32::try_from(std::process::id()).unwrap() && alive(*pid))
        .filter(|pid| {
            let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&bytes)
                .replace('\0', " ")
                .contains(marker)
        })
        .collect()
}
