//! The walls of the house: who may depend on whom. Read from `cargo metadata`, so a new crate that breaks a
//! rule fails here whatever it is called.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const GROUND: [&str; 2] = ["plenum-model", "plenum-contract"];

fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(super::support::root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let needs = |p: &serde_json::Value| {
        let all = p["dependencies"].as_array().unwrap().iter();
        all.filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().unwrap())
            .filter(|name| ours.contains(name))
            .map(str::to_owned)
            .collect()
    };
    packages
        .iter()
        .map(|p| (p["name"].as_str().unwrap().to_owned(), needs(p)))
        .collect()
}

fn only(arrows: &BTreeMap<String, BTreeSet<String>>, from: &str, allowed: &[&str]) {
    let bad: Vec<_> = arrows[from]
        .iter()
        .filter(|to| !allowed.contains(&to.as_str()))
        .collect();
    assert!(
        bad.is_empty(),
        "{from} may not depend on {bad:?}; it may on {allowed:?}"
    );
}

#[test]
fn arrows_point_one_way() {
    let arrows = arrows();
    only(&arrows, "plenum-model", &[]);
    only(&arrows, "plenum-contract", &["plenum-model"]);
    only(&arrows, "plenum-shim", &[]);
    for part in [
        "plenum-wire",
        "plenum-store",
        "plenum-sdk",
        "plenum-broker",
        "plenum-agent",
    ] {
        only(&arrows, part, &GROUND);
    }
    // The nouns of the public API stand once, with its client.
    only(
        &arrows,
        "plenum-gateway",
        &["plenum-model", "plenum-contract", "plenum-client"],
    );
    only(&arrows, "plenum-client", &["plenum-model"]);
    only(&arrows, "plenum-cli", &["plenum-client", "plenum-model"]);
}

#[test]
fn plugins_know_contracts_and_never_an_engine_or_one_another() {
    let arrows = arrows();
    for plugin in arrows.keys() {
        let allowed: &[&str] = match plugin.split('-').next() {
            Some("scheduler") => &["plenum-model", "plenum-contract", "plenum-sdk"],
            Some("runtime") => &["plenum-model", "plenum-contract", "plenum-shim"],
            Some("store") => &GROUND,
            _ => continue,
        };
        only(&arrows, plugin, allowed);
    }
}

#[test]
fn every_member_inherits_the_lints() {
    for entry in ["crates", "plugins", "tests"].iter().flat_map(|d| {
        std::fs::read_dir(super::support::root().join(d))
            .unwrap()
            .map(|e| e.unwrap().path().join("Cargo.toml"))
    }) {
        let Ok(text) = std::fs::read_to_string(&entry) else {
            continue;
        };
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{} does not inherit the lints",
            entry.display()
        );
    }
}

#[test]
fn the_top_level_holds_what_it_should_and_nothing_else() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "plugins",
        "proto",
        "charts",
        "examples",
        "tests",
        "README.md",
        "LICENSE",
        "target",
    ];
    for entry in std::fs::read_dir(super::support::root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || allowed.contains(&name.as_str()),
            "`{name}` does not belong there"
        );
    }
}
