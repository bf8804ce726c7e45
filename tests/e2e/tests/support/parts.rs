//! Broker, agents and scheduler as processes of their own, each of which a test may kill.

use super::{eventually, plenum};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A part that runs.
pub(crate) struct Part {
    child: Child,
    args: Vec<String>,
    log: std::path::PathBuf,
    prefix: Vec<String>,
}

impl Part {
    /// Starts `plenum ARGS`, by way of `prefix` (`ip netns exec NAME`) if there is one.
    pub(crate) fn start(prefix: &[&str], args: &[&str], log: &Path) -> Self {
        let owned = |s: &[&str]| s.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
        let (prefix, args) = (owned(prefix), owned(args));
        let child = Self::spawn(&prefix, &args, log);
        Self {
            child,
            args,
            log: log.to_owned(),
            prefix,
        }
    }

    fn spawn(prefix: &[String], args: &[String], log: &Path) -> Child {
        let out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let mut line: Vec<String> = prefix.to_vec();
        line.push(plenum().display().to_string());
        line.extend_from_slice(args);
        Command::new(&line[0])
            .args(&line[1..])
            .env("PLENUM_LOG", "info")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill_hard(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again as it was started.
    pub(crate) fn start_again(&mut self) {
        self.child = Self::spawn(&self.prefix, &self.args, &self.log);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!(
                "--- {:?}\n{}",
                self.args,
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
    }
}

/// Reads an endpoint file once it is there.
pub(crate) async fn endpoint(data: &Path, door: &str) -> String {
    let path = data.join("endpoints.json");
    eventually(&format!("{door} in {}", path.display()), || async {
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let all: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        all.get(door).cloned().ok_or(text)
    })
    .await
}

/// Ids of the tasks of a Marathon app, with the state of each.
pub(crate) async fn states(marathon: &str, app: &str) -> BTreeMap<String, String> {
    let answer = match reqwest::get(format!("{marathon}/v2/apps{app}/tasks")).await {
        Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
        Err(_) => return BTreeMap::new(),
    };
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    answer["tasks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| (text(&t["id"]), text(&t["state"])))
        .collect()
}
