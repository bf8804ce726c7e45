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

/// The figure of the row whose name has this in it.
fn figure(rows: &[serde_json::Value], name: &str, of: &str) -> f64 {
    let found = rows
        .iter()
        .find(|row| row["name"].as_str().unwrap().contains(name));
    let row = found.unwrap_or_else(|| panic!("{name} in {rows:?}"));
    let figure = if of == "peer" {
        &row["peer"]["value"]
    } else {
        &row[of]
    };
    figure.as_f64().unwrap()
}

#[test]
fn a_pool_is_filled_and_churned_in_every_mix() {
    let args = ["--nodes", "100", "--tenants", "3", "--turns", "1000"];
    let rows = rows(
        "core",
        &[&args[..], &["--parts", "decisions,racks,pools"]].concat(),
    );
    for mix in ["no rules", "mixed rules", "over racks"] {
        assert!(
            figure(
                &rows,
                &format!("100 nodes, {mix}, 3 tenants: released and placed"),
                "value"
            ) > 0.0
        );
    }
    assert_eq!(
        figure(&rows, "100 nodes, no rules, 3 tenants: without room", "value"),
        0.0
    );
    assert!(figure(&rows, "over racks: released and placed, decisions alone", "value") > 0.0);
    for strategy in ["Spread", "Pack"] {
        let lives = format!("{strategy}, 100 nodes");
        assert!(figure(&rows, &lives, "value") > 0.0);
    }
}

#[test]
fn the_index_packs_as_well_as_a_full_scan_and_is_faster() {
    let args = ["--nodes", "400", "--turns", "1000", "--parts", "packing"];
    let rows = rows("core", &args);
    for full in [50, 90] {
        let of = format!("400 nodes packed to {full} %");
        let (used, scan) = (
            figure(&rows, &format!("{of}: nodes used"), "value"),
            figure(&rows, &format!("{of}: nodes used"), "peer"),
        );
        assert!(used <= scan * 1.02, "{used} nodes, a full scan {scan}");
        let (decided, scan) = (
            figure(&rows, &format!("{of}: decisions alone"), "value"),
            figure(&rows, &format!("{of}: decisions alone"), "peer"),
        );
        assert!(decided > scan, "{decided} decisions a second, a full scan {scan}");
    }
}

#[test]
fn many_tenants_have_their_turn_and_the_neediest_is_next() {
    let rows = rows("core", &["--nodes", "600", "--parts", "rounds"]);
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[test]
fn room_is_found_for_all_who_have_a_right_to_it() {
    let rows = rows("core", &["--nodes", "300", "--parts", "reclaim"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
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
