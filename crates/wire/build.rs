//! Compiles `proto/` without `protoc`.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let compiled = protox::compile(files, [&root])?;
    tonic_prost_build::configure()
        // The model's maps are ordered, and equal messages shall have equal bytes.
        .btree_map(".")
        // Values and ids are slices of the message that was received, not copies.
        .bytes(".")
        .include_file("plenum.rs")
        .compile_fds(compiled)?;
    Ok(())
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            into.push(path);
        }
    }
    Ok(())
}
