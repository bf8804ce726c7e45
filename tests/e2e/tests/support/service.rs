//! `docker service` by a real docker CLI that talks to a pool.

use crate::support::eventually;
use crate::support::image::BUSYBOX;
use crate::support::up::Up;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The CLI at a pool's door.
pub(crate) struct Docker {
    program: &'static str,
    host: String,
}

/// Every CLI that is installed here, the newest first.
pub(crate) fn clis() -> Vec<&'static str> {
    let all = ["/usr/local/bin/docker", "/usr/bin/docker"];
    all.into_iter().filter(|p| Path::new(p).exists()).collect()
}

impl Docker {
    pub(crate) fn of(up: &Up) -> Self {
        Self::at(up.url("docker"))
    }

    pub(crate) fn at(host: &str) -> Self {
        Self::with("docker", host)
    }

    pub(crate) fn with(program: &'static str, host: &str) -> Self {
        Self {
            program,
            host: host.to_owned(),
        }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(args)
            .env("DOCKER_HOST", &self.host)
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Must succeed; what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        assert!(out.status.success(), "docker {args:?}\n{stdout}\n{stderr}");
        stdout
    }

    /// Must fail; what it said.
    pub(crate) fn no(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(
            !out.status.success(),
            "docker {args:?} succeeded: {}",
            text(&out.stdout)
        );
        text(&out.stderr)
    }

    pub(crate) fn create(&self, name: &str, more: &[&str], command: &[&str]) {
        self.create_of(BUSYBOX, name, more, command);
    }

    pub(crate) fn create_of(&self, image: &str, name: &str, more: &[&str], command: &[&str]) {
        let mut args: Vec<&str> = "service create -d -q --no-resolve-image --stop-grace-period 1s --name"
            .split(' ')
            .collect();
        args.push(name);
        args.extend(more);
        args.push(image);
        args.extend(command);
        self.ok(&args);
    }

    /// `docker service update NAME`, without waiting for its end.
    pub(crate) fn update(&self, name: &str, more: &[&str]) {
        let mut args: Vec<&str> = "service update -d -q --no-resolve-image".split(' ').collect();
        args.extend(more);
        args.push(name);
        self.ok(&args);
    }

    /// What `service inspect` shows in this format.
    pub(crate) fn inspect(&self, service: &str, format: &str) -> String {
        self.ok(&["service", "inspect", service, "--format", format])
            .trim()
            .to_owned()
    }

    /// Lines of `service ps` of live tasks, in this format, sorted.
    pub(crate) fn ps(&self, service: &str, format: &str) -> Vec<String> {
        self.ps_all(service, format, &["-f", "desired-state=running"])
    }

    /// The same of all tasks, or those that pass these filters.
    pub(crate) fn ps_all(&self, service: &str, format: &str, filters: &[&str]) -> Vec<String> {
        let mut args = vec!["service", "ps", "--no-trunc", "--format", format];
        args.extend(filters);
        args.push(service);
        let mut lines: Vec<String> = self.ok(&args).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    pub(crate) async fn replicas(&self, service: &str, wanted: &str) {
        eventually(&format!("{service} at {wanted}"), || async {
            let list = self.ok(&["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
            let line = format!("{service} {wanted}");
            if list.lines().any(|l| l == line) {
                Ok(())
            } else {
                Err(list)
            }
        })
        .await;
    }

    /// Waits until an update's state is this one.
    pub(crate) async fn update_is(&self, service: &str, wanted: &str) {
        eventually(&format!("the update of {service} is {wanted}"), || async {
            let state = self.inspect(service, "{{.UpdateStatus.State}}");
            if state == wanted { Ok(()) } else { Err(state) }
        })
        .await;
    }

    /// Events that pass these filters, with all that has happened by now: action and attributes.
    pub(crate) fn told(&self, filters: &[&str]) -> Vec<(String, Value)> {
        // the CLI cuts a duration to whole seconds, which would leave out the newest
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let until = (now.as_secs() + 1).to_string();
        let mut args = vec!["events", "--since", "10m", "--until", &until];
        args.extend(["--format", "{{.Action}} {{json .Actor.Attributes}}"]);
        filters.iter().for_each(|f| args.extend(["-f", f]));
        let text = self.ok(&args);
        let pairs = text.lines().filter_map(|l| l.split_once(' '));
        pairs
            .map(|(action, more)| (action.to_owned(), serde_json::from_str(more).unwrap()))
            .collect()
    }

    /// An object of the API, as curl shows it.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.host.replace("tcp://", "http://"));
        let answer = reqwest::get(&url).await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// The engine's own containers of a service: when each was started, by its id.
    pub(crate) fn containers(&self, service: &str) -> BTreeMap<String, String> {
        let id = self.inspect(service, "{{.ID}}");
        let engine = |args: &[&str]| {
            let out = Command::new(self.program)
                .args(args)
                .env_remove("DOCKER_HOST")
                .output()
                .unwrap();
            assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
            text(&out.stdout)
        };
        let label = format!("label=com.docker.swarm.service.id={id}");
        let ids = engine(&["ps", "-q", "--no-trunc", "--filter", &label]);
        let mut args = vec!["inspect", "--format", "{{.Id}} {{.State.StartedAt}}"];
        args.extend(ids.lines());
        let lines = engine(&args);
        let pairs = lines.lines().filter_map(|l| l.split_once(' '));
        pairs.map(|(id, at)| (id.to_owned(), at.to_owned())).collect()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
