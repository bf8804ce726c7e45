//! An image that needs no registry: a static busybox, imported into the Docker daemon of this machine.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Its name.
pub(crate) const BUSYBOX: &str = "plenum-test/busybox:1";

/// The same image by another name.
pub(crate) const BUSYBOX_TOO: &str = "plenum-test/busybox:2";

const APPLETS: [&str; 13] = [
    "sh", "sleep", "cat", "echo", "httpd", "date", "ls", "wget", "kill", "env", "true", "false", "hostname",
];

/// Whether a Docker daemon answers; makes the image the first time. Without one, tests of Docker say so and
/// check the rest.
pub(crate) fn docker() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| {
        let answers = Command::new("docker")
            .arg("info")
            .output()
            .is_ok_and(|o| o.status.success());
        if answers {
            import();
        } else {
            eprintln!("no Docker daemon answers: what needs Docker is not tested");
        }
        answers
    })
}

fn import() {
    let root = tempfile::tempdir().unwrap();
    let bin = root.path().join("bin");
    for dir in ["bin", "etc", "tmp", "proc", "www"] {
        std::fs::create_dir(root.path().join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect("package busybox-static is installed");
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
    }
    std::fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    let tar = Command::new("tar")
        .args(["-c", "."])
        .current_dir(root.path())
        .output()
        .unwrap();
    let mut docker = Command::new("docker")
        .args(["import", "-c", "ENV PATH=/bin", "-", BUSYBOX])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    docker.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
    assert!(docker.wait().unwrap().success(), "docker import failed");
    let tagged = Command::new("docker")
        .args(["tag", BUSYBOX, BUSYBOX_TOO])
        .status();
    assert!(tagged.unwrap().success(), "docker tag failed");
}
