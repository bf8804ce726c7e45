//! The real kubectl, and pods to try it with.

use super::eventually;
use super::image::BUSYBOX;
use super::up::Up;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// The kubectl to use: `E2E_KUBECTL`, or the one on the path.
pub(crate) fn program() -> Option<PathBuf> {
    let named = std::env::var_os("E2E_KUBECTL").map(PathBuf::from);
    let program = named.unwrap_or_else(|| PathBuf::from("kubectl"));
    let answers = Command::new(&program).args(["version", "--client"]).output();
    let there = answers.is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("no kubectl: what needs it is not tested");
    }
    there.then_some(program)
}

/// That kubectl, and the older one of `E2E_KUBECTL_OLD` where there is one: it asks in other ways.
pub(crate) fn programs() -> Vec<PathBuf> {
    let old = std::env::var_os("E2E_KUBECTL_OLD").map(PathBuf::from);
    program()
        .into_iter()
        .flat_map(|new| std::iter::once(new).chain(old.clone()))
        .collect()
}

/// kubectl against a pool.
pub(crate) struct Kubectl {
    program: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    cache: tempfile::TempDir,
    namespace: Option<String>,
}

impl Kubectl {
    /// With the kubeconfig that a pool wrote.
    pub(crate) fn of(up: &Up, program: PathBuf) -> Self {
        Self::with(up.data().join("kubeconfig"), program)
    }

    /// With this kubeconfig.
    pub(crate) fn with(kubeconfig: PathBuf, program: PathBuf) -> Self {
        Self {
            program,
            kubeconfig,
            cache: tempfile::tempdir().unwrap(),
            namespace: None,
        }
    }

    /// In a new namespace of this name from here on.
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        self.ok(&["create", "namespace", namespace]);
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.cache.path());
        if let Some(namespace) = &self.namespace {
            command.arg("--namespace").arg(namespace);
        }
        command.args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What it printed; it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "kubectl {args:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }

    /// What it said on both sides when it was refused with exit code 1, as it must be.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(1), "kubectl {args:?}: {out:?}");
        both(&out)
    }

    /// The exit code of a command that reads this, and what it said on both sides.
    pub(crate) fn told(&self, args: &[&str], input: &str) -> (i32, String) {
        let out = self.with_input(args, input.as_bytes());
        (out.status.code().unwrap_or(-1), both(&out))
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

    pub(crate) fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let out = self.with_input(&["apply", "-f", "-"], list.to_string().as_bytes());
        assert!(out.status.success(), "{out:?}");
    }

    /// Waits until a deployment is rolled out.
    pub(crate) fn rolled_out(&self, deployment: &str) {
        let deployment = format!("deploy/{deployment}");
        let said = self.ok(&["rollout", "status", &deployment, "--timeout=90s"]);
        assert!(said.ends_with("successfully rolled out"), "{said}");
    }

    /// How long a deployment's rollout may make no progress.
    pub(crate) fn deadline(&self, deployment: &str, seconds: u32) {
        let patch = json!({"spec": {"progressDeadlineSeconds": seconds}}).to_string();
        self.ok(&["patch", "deploy", deployment, "-p", &patch]);
    }

    pub(crate) fn get(&self, what: &[&str]) -> Value {
        let mut args = vec!["get", "-o", "json"];
        args.extend(what);
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// Until the pod says what is asked for.
    pub(crate) async fn until(&self, pod: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("pod {pod} {what}"), || async {
            let out = self.run(&["get", "pod", pod, "-o", "json"]);
            let object: Value = serde_json::from_slice(&out.stdout).map_err(|e| format!("{e}: {out:?}"))?;
            if holds(&object) {
                Ok(object)
            } else {
                Err(format!("{:#}", object["status"]))
            }
        })
        .await
    }

    /// Until so many nodes are there and ready.
    pub(crate) async fn nodes(&self, count: usize) -> Vec<String> {
        eventually("nodes", || async {
            let list = self.get(&["nodes"]);
            let items = list["items"].as_array().cloned().unwrap_or_default();
            let good = items.iter().filter(|n| ready(n));
            let names: Vec<String> = good
                .filter_map(|n| n["metadata"]["name"].as_str().map(str::to_owned))
                .collect();
            if names.len() == count {
                Ok(names)
            } else {
                Err(format!("{names:?} are ready"))
            }
        })
        .await
    }

    pub(crate) fn events(&self, pod: &str) -> Vec<(String, String)> {
        let field = format!("involvedObject.name={pod}");
        let list = self.get(&["events", "--field-selector", &field]);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|e| (text(&e["reason"]), text(&e["message"])))
            .collect()
    }
}

/// What was said on both sides.
fn both(out: &Output) -> String {
    let said = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8_lossy(bytes).trim_end().to_owned());
    said.join("\n").trim().to_owned()
}

/// A kubectl in the background, ended when dropped.
pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pod of this name, labelled `app` with it.
pub(crate) fn pod(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// A container that runs a script.
pub(crate) fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": BUSYBOX, "command": ["sh", "-c", script]})
}

/// Whether a pod, or a node, is ready.
pub(crate) fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// Runs until it is asked to end, and then does.
pub(crate) const STAYS: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
