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
        "ring", "--dir", path, "--tasks", "500", "--agents", "10", "--json",
    ];
    let out = bench(&[&args[..], &[report.to_str().unwrap()]].concat());
    // A debug build misses its target, which this benchmark says by its exit code.
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(said, "");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(rows[0]["name"], "ring, 10 agents");
}
