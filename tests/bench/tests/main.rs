//! Each benchmark that can be run small is, so that none of them rots. No figure is judged here.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plenum-bench"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn pods_through_the_kubernetes_door_all_run_and_a_missed_target_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let report = dir.path().join("report.json");
    let out = bench(&[
        "kubernetes",
        "--dir",
        path,
        "--pods",
        "100",
        "--nodes",
        "10",
        "--alone",
        "3",
        "--lists",
        "2",
        "--json",
        report.to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(rows[0]["name"], "100 pods, 10 nodes");
    assert_eq!(rows[0]["target"], ">= 500");
    assert!(
        rows.iter().all(|row| row["value"].as_f64().unwrap() > 0.0),
        "{rows:?}"
    );
}

#[test]
fn tasks_go_round_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let report = dir.path().join("report.json");
    let args = [
        "ring",
        "--dir",
        path,
        "--tasks",
        "500",
        "--agents",
        "30",
        "--seconds",
        "1",
        "--json",
    ];
    let out = bench(&[&args[..], &[report.to_str().unwrap()]].concat());
    // A debug build misses its target, which this benchmark says by its exit code.
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(said, "");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(rows[0]["name"], "ring, 30 agents");
}

/// The rows of a run whose targets are not judged; the run itself must go well.
fn rows(what: &str, args: &[&str]) -> Vec<serde_json::Value> {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let out = bench(&[&[what], args, &["--json", report.to_str().unwrap()]].concat());
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(said, "");
    serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap()
}

#[test]
fn a_pool_is_filled_and_churned_in_every_mix() {
    let args = ["--nodes", "100", "--tenants", "3", "--turns", "1000"];
    let rows = rows("core", &args);
    let of = |name: &str| {
        let found = rows
            .iter()
            .find(|row| row["name"].as_str().unwrap().contains(name));
        found.unwrap_or_else(|| panic!("{name} in {rows:?}"))["value"]
            .as_f64()
            .unwrap()
    };
    for mix in ["no rules", "mixed rules", "over racks"] {
        assert!(of(&format!("100 nodes, {mix}, 3 tenants: end and replace")) > 0.0);
    }
    assert_eq!(of("100 nodes, no rules, 3 tenants: without room"), 0.0);
}

#[test]
fn three_tools_list_what_they_were_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let args = [
        "--dir", path, "--nodes", "5", "--few", "100", "--tasks", "100", "--many", "200", "--turns", "1",
    ];
    let rows = rows("doors", &args);
    for tool in ["dcos", "docker", "kubectl"] {
        let more = rows.iter().filter(|row| {
            let name = row["name"].as_str().unwrap();
            name.starts_with(&format!("{tool}: "))
        });
        assert_eq!(more.count(), 2, "{rows:?}");
    }
}
