//! Builds the shim's executable once more, statically and for size, so that the library can carry it.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Set for the inner build, which must not begin another one.
const INNER: &str = "PLENUM_SHIM_INNER";

fn main() {
    println!("cargo:rustc-check-cfg=cfg(shim_inner)");
    println!("cargo:rerun-if-env-changed={INNER}");
    if env::var_os(INNER).is_some() {
        // Nothing else decides this; cargo itself sees to the sources of the inner build.
        println!("cargo:rerun-if-changed=build.rs");
        println!("cargo:rustc-cfg=shim_inner");
        return;
    }
    // The lock file stands for the dependencies, the workspace's manifest for the profile.
    for path in [
        "build.rs",
        "Cargo.toml",
        "src",
        "../../Cargo.toml",
        "../../Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
    let binary = build();
    let bytes = fs::read(&binary).expect("cargo has just said that it built this file");
    println!("cargo:rustc-env=PLENUM_SHIM_BINARY={}", binary.display());
    println!("cargo:rustc-env=PLENUM_SHIM_HASH={:016x}", fnv1a(&bytes));
}

fn build() -> PathBuf {
    let out = PathBuf::from(var("OUT_DIR")).join("inner");
    // Naming the target keeps the flags away from procedural macros, which cannot be linked statically.
    let target = var("TARGET");
    let mut cargo = Command::new(var("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "-p",
            "plenum-shim",
            "--bin",
            "plenum-shim",
            "--profile",
            "shim",
        ])
        .args(["--target", &target, "--target-dir"])
        .arg(&out)
        .env(INNER, "1")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static",
        );
    // What the outer build (clippy, a check) set for its own compiler is not meant for this one.
    for name in [
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo runs this build, so it can be run");
    assert!(
        status.success(),
        "the static shim was not built, see above (if the linker is unhappy: it needs the C library's libc.a)"
    );
    out.join(target).join("shim/plenum-shim")
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

/// Enough to tell builds apart, and no dependency.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
