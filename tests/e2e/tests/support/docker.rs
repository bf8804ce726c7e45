//! The real docker CLIs against a pool: every one that is installed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// One CLI that talks to a pool.
#[derive(Clone)]
pub(crate) struct Cli {
    pub(crate) program: &'static str,
    pub(crate) host: String,
}

/// All that are installed.
pub(crate) fn clis(host: &str) -> Vec<Cli> {
    let all = ["/usr/local/bin/docker", "/usr/bin/docker"];
    let there = all.into_iter().filter(|p| Path::new(p).exists());
    there
        .map(|program| Cli {
            program,
            host: host.to_owned(),
        })
        .collect()
}

impl Cli {
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(args)
            .env("DOCKER_HOST", &self.host)
            .env_remove("DOCKER_CONTEXT");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What it printed; it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{} {args:?}: {out:?}", self.program);
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// What it complained of; it must fail with this code.
    pub(crate) fn fails(&self, args: &[&str], code: i32) -> String {
        let out = self.run(args);
        assert_eq!(
            out.status.code(),
            Some(code),
            "{} {args:?}: {out:?}",
            self.program
        );
        String::from_utf8_lossy(&out.stderr).into_owned()
    }

    pub(crate) fn with_input(&self, args: &[&str], input: &[u8]) -> String {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{args:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// One field of an inspection.
    pub(crate) fn field(&self, container: &str, format: &str) -> String {
        self.ok(&["inspect", "-f", format, container])
    }
}
