//! The real `dcos` command, 0.6.1 as it was published, with a home of its own.

use super::up::Up;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The command to use: `E2E_DCOS`.
pub(crate) fn program() -> PathBuf {
    let named = std::env::var_os("E2E_DCOS").map(PathBuf::from);
    named.expect("E2E_DCOS names no dcos command: run `.ci/test`, which installs one")
}

/// The command, set up for a pool or for none yet.
pub(crate) struct Dcos {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Dcos {
    /// Set up for this pool.
    pub(crate) fn of(up: &Up) -> Self {
        let dcos = Self::alone();
        assert_eq!(dcos.ok(&["cluster", "setup", up.url("dcos"), "--no-check"]), "");
        dcos
    }

    /// Never used before.
    pub(crate) fn alone() -> Self {
        Self {
            program: program(),
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// Where it keeps what it knows of clusters.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env("DCOS_DIR", self.home.path())
            .env("PYTHONUNBUFFERED", "1")
            .env_remove("DCOS_CONFIG")
            .env_remove("DCOS_CLUSTER")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What it printed; it must succeed and complain of nothing.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(
            out.status.success() && out.stderr.is_empty(),
            "dcos {args:?}: {out:?}"
        );
        String::from_utf8(out.stdout).unwrap()
    }

    /// The same as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(args);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("dcos {args:?}: {e}: {text}"))
    }

    /// What it complained of; it must fail.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(1), "dcos {args:?}: {out:?}");
        String::from_utf8(out.stderr).unwrap()
    }

    pub(crate) fn with_input(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // a command that has ended needs no more
            let _ = stdin.write_all(&input);
        });
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        out
    }

    /// Adds an app and waits until its deployment is over.
    pub(crate) async fn add(&self, up: &Up, app: &Value) {
        let out = self.with_input(&["marathon", "app", "add"], app.to_string().as_bytes());
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success() && out.stderr.is_empty() && said.starts_with("Created deployment "),
            "{out:?}"
        );
        let id = format!("/{}", app["id"].as_str().unwrap().trim_start_matches('/'));
        let count = app["instances"].as_u64().unwrap_or(1);
        up.running(&id, usize::try_from(count).unwrap()).await;
    }

    /// The ids of the tasks whose id contains `filter`.
    pub(crate) fn tasks(&self, filter: &str) -> Vec<String> {
        let tasks = self.json(&["task", "--json", filter]);
        let ids = tasks.as_array().unwrap().iter();
        ids.map(|t| t["id"].as_str().unwrap().to_owned()).collect()
    }
}
