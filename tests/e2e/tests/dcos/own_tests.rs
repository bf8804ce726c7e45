//! The tests that the wheel of the client carries, run as their authors wrote them: they call `dcos` and compare
//! what it prints to the letter. Some in every run; all of them, half an hour, with
//!
//! ```text
//! E2E_DCOS_ALL=1 .ci/test dcos::own_tests
//! ```

use crate::support::dcos::Dcos;
use crate::support::root;
use crate::support::up::Up;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

const FILES: [&str; 3] = [
    "test_marathon.py",
    "test_marathon_groups.py",
    "test_marathon_debug.py",
];

/// What passes of all of them at the very least.
const ENOUGH: usize = 85;

/// Those of every run: one of each kind, without those that wait.
const EVERY_RUN: [&str; 22] = [
    "test_marathon.py::test_help",
    "test_marathon.py::test_add_app_through_http",
    "test_marathon.py::test_add_existing_app",
    "test_marathon.py::test_show_missing_absolute_app_version",
    "test_marathon.py::test_show_bad_app_version",
    "test_marathon.py::test_start_already_started_app",
    "test_marathon.py::test_update_bad_type",
    "test_marathon.py::test_update_invalid_request",
    "test_marathon.py::test_app_add_invalid_request",
    "test_marathon.py::test_restarting_stopped_app",
    "test_marathon.py::test_killing_scaling_app",
    "test_marathon.py::test_list_version_app",
    "test_marathon.py::test_list_deployment_table",
    "test_marathon.py::test_rollback_deployment",
    "test_marathon.py::test_show_task",
    "test_marathon.py::test_kill_and_scale_task",
    "test_marathon.py::test_app_locked_error",
    "test_marathon.py::test_leader_show",
    "test_marathon_groups.py::test_add_existing_group",
    "test_marathon_groups.py::test_add_bad_complicated_group",
    "test_marathon_groups.py::test_scale_group",
    "test_marathon_debug.py::test_debug_details",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_own_tests_pass_but_for_those_that_are_named() {
    let up = Up::start(3).await;
    let d = Dcos::of(&up);
    let all = std::env::var_os("E2E_DCOS_ALL").is_some();
    let chosen = if all { FILES.to_vec() } else { EVERY_RUN.to_vec() };
    let (verdicts, report) = run(&d, &chosen);
    let failing = not_passing();
    let wrong: Vec<&String> = verdicts
        .iter()
        .filter(|(test, passed)| **passed == failing.contains(*test))
        .map(|(test, _)| test)
        .collect();
    assert!(
        wrong.is_empty(),
        "not as not_passing.txt has it: {wrong:#?}\n{report}"
    );
    let passed = verdicts.values().filter(|passed| **passed).count();
    println!("{passed} of {} pass", verdicts.len());
    if all {
        assert!(passed >= ENOUGH, "{passed} of {} pass\n{report}", verdicts.len());
        let unknown: Vec<_> = failing
            .iter()
            .filter(|test| !verdicts.contains_key(*test))
            .collect();
        assert!(unknown.is_empty(), "there are no such tests: {unknown:?}");
    } else {
        assert_eq!(verdicts.len(), EVERY_RUN.len(), "{report}");
    }
}

/// Runs these of the client's tests; which of them passed, and what was printed.
fn run(d: &Dcos, chosen: &[&str]) -> (BTreeMap<String, bool>, String) {
    let bin = crate::support::dcos::program().parent().unwrap().to_owned();
    let packages = packages(&bin);
    let place = tempfile::tempdir().unwrap();
    // what they read from where they are run: our files, and the client's own help
    std::fs::create_dir(place.path().join("tests")).unwrap();
    std::fs::create_dir_all(place.path().join("dcoscli/data")).unwrap();
    let link = |to: &Path, at: &str| std::os::unix::fs::symlink(to, place.path().join(at)).unwrap();
    link(&root().join("tests/clients/dcos/data"), "tests/data");
    link(
        &Path::new(&packages).join("dcoscli/data/help"),
        "dcoscli/data/help",
    );
    let path = std::env::var("PATH").unwrap();
    let tests = chosen
        .iter()
        .map(|t| format!("{packages}/tests/integrations/{t}"));
    let out = Command::new(bin.join("pytest"))
        .args([
            "-v",
            "--tb=short",
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore",
            "--rootdir",
        ])
        .arg(Path::new(&packages).join("tests/integrations"))
        .args(tests)
        .current_dir(place.path())
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("DCOS_DIR", d.home())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&out.stdout).into_owned();
    let verdicts = report.lines().filter_map(verdict).collect();
    (verdicts, report + &String::from_utf8_lossy(&out.stderr))
}

/// A line about one test: `…/test_marathon.py::test_help PASSED [  1%]`.
fn verdict(line: &str) -> Option<(String, bool)> {
    let mut words = line.split(' ');
    let (name, verdict) = (words.next()?, words.next()?);
    let passed = match verdict {
        "PASSED" => true,
        "FAILED" | "ERROR" | "SKIPPED" => false,
        _ => return None,
    };
    let name = name.rsplit('/').next()?;
    name.contains("::").then(|| (name.to_owned(), passed))
}

fn packages(bin: &Path) -> String {
    let out = Command::new(bin.join("python"))
        .args([
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'), end='')",
        ])
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

/// The tests that are named as not passing, each with its reason.
fn not_passing() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("tests/clients/dcos/not_passing.txt")).unwrap();
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (test, why) = line.split_once(' ').expect("every test has its reason");
            assert!(!why.trim().is_empty(), "every test has its reason: {line}");
            test.to_owned()
        })
        .collect()
}
