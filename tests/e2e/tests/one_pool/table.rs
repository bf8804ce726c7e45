//! The README's table of commands is what the tools really do: every line of `commands.txt` is run against a pool, and
//! its outcome must be what the table says. `UPDATE=1` writes the table anew; the diff is the review.

use super::DOORS;
use crate::support::dcos;
use crate::support::docker::clis;
use crate::support::image::docker;
use crate::support::kubectl::{Kubectl, program};
use crate::support::root;
use crate::support::up::Up;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const LINES: &str = include_str!("commands.txt");
const BEGIN: &str = "<!-- commands: made by the end-to-end tests -->\n";
const END: &str = "<!-- end of commands -->\n";
/// Rows each tool has at least.
const LEAST: [(&str, usize); 3] = [("docker", 40), ("kubectl", 40), ("dcos", 25)];

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_says_what_each_command_of_each_tool_does() {
    let (true, Some(kubectl)) = (docker(), program()) else {
        return;
    };
    let up = Up::start_with(3, &DOORS).await;
    Kubectl::of(&up, kubectl.clone()).nodes(3).await;
    let bin = up.data().join("bin");
    std::fs::create_dir(&bin).unwrap();
    // of several docker CLIs the oldest: newer ones word some refusals of their own
    let docker = clis(up.url("docker"))
        .last()
        .expect("a docker CLI is installed")
        .program;
    for (name, program) in [("kubectl", kubectl.as_path()), ("docker", Path::new(docker))] {
        symlink(std::fs::canonicalize(program).unwrap(), bin.join(name)).unwrap();
    }
    // a program of a Python environment finds its own by where it is
    let dcos = dcos::program();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let path = format!("{path}:{}", dcos.parent().unwrap().display());
    let run = |line: &str| {
        // one that hangs is a finding, not a stuck test
        let mut command = Command::new("timeout");
        command
            .args(["60", "sh", "-c", &quoted(line)])
            .current_dir(up.data())
            .env("PATH", &path)
            .env("HOME", up.data())
            .env("KUBECONFIG", up.data().join("kubeconfig"))
            .env("DOCKER_HOST", up.url("docker"))
            .env("DCOS", up.url("dcos"))
            .env("DCOS_DIR", up.data().join("dcos"));
        command.output().unwrap()
    };
    let mut made = String::from("| command | |\n| --- | --- |\n");
    for (tool, least) in LEAST {
        let lines = of_tool(tool);
        assert!(lines.len() >= least, "{tool} has {} rows", lines.len());
        for line in lines {
            let out = run(line);
            let outcome = if out.status.success() {
                "works".to_owned()
            } else {
                // the port is another in every run
                format!(
                    "refused: {}",
                    reason(&out.stderr).replace(up.url("dcos"), "$DCOS")
                )
            };
            made.push_str(&format!("| `{}` | {outcome} |\n", cell(line)));
        }
    }
    check(&root().join("README.md"), &made);
}

/// Braces and stars are the tool's, not the shell's, where the line does not quote them itself.
fn quoted(line: &str) -> String {
    if line.contains('\'') {
        return line.to_owned();
    }
    let word = |w: &str| {
        if w.contains(['{', '*']) {
            format!("'{w}'")
        } else {
            w.to_owned()
        }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn of_tool(tool: &str) -> Vec<&'static str> {
    let head = format!("[{tool}]");
    LINES
        .lines()
        .skip_while(|l| *l != head)
        .skip(1)
        .take_while(|l| !l.starts_with('['))
        .filter(|l| !l.is_empty())
        .collect()
}

/// What the tool complained of, on one line.
fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("");
    let line = [
        "Error response from daemon: ",
        "Error from server ",
        "error: ",
        "Error: ",
    ]
    .iter()
    .fold(line, |l, prefix| l.strip_prefix(prefix).unwrap_or(l));
    cell(line)
}

/// As text of a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn check(readme: &Path, made: &str) {
    let text = std::fs::read_to_string(readme).unwrap();
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the README has a place for the table");
    let (old, after) = rest.split_once(END).expect("the table ends");
    if old == made {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(readme, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    let differs = old.lines().zip(made.lines()).find(|(a, b)| a != b);
    panic!("the README's table of commands differs; UPDATE=1 writes it anew: {differs:?}");
}
