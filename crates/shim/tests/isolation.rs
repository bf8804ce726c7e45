//! Namespaces and mounts.

use crate::support::{Container, code, is_root, sh, until};
use plenum_shim::client;
use plenum_shim::config::{Mount, MountKind, Namespaces};
use plenum_shim::logs::record::Stream;
use plenum_shim::state::Outcome;

const ALL: Namespaces = Namespaces {
    pid: true,
    mount: true,
    uts: true,
};

#[test]
fn it_sees_its_own_processes_only_and_has_its_own_name() {
    if !is_root("namespaces") {
        return;
    }
    let before = nix::unistd::gethostname().unwrap();
    let container = Container::new();
    let mut config =
        sh("echo $$; ls -d /proc/[0-9]* | wc -l; hostname; hostname other; mount -t tmpfs none /mnt");
    (config.namespaces, config.hostname) = (ALL, Some("inside".into()));
    container.launch(&config).unwrap();
    assert_eq!(code(&container.wait()), 0, "{}", container.output(Stream::Stderr));
    // The reaper, the shell, ls and wc may be there.
    let output = container.output(Stream::Stdout);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!((lines[0], lines[2]), ("2", "inside"));
    assert!(lines[1].parse::<u32>().unwrap() <= 4, "{output}");
    assert_eq!(nix::unistd::gethostname().unwrap(), before);
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.lines().any(|line| line.split(' ').nth(1) == Some("/mnt")));
}

#[test]
fn a_plain_command_obeys_term_and_leaves_nothing_in_its_namespace() {
    if !is_root("namespaces") {
        return;
    }
    let container = Container::new();
    let mut config = sh("setsid sleep 1000 & exec sleep 1000");
    config.namespaces = ALL;
    let status = container.launch(&config).unwrap();
    let main = status.main.unwrap().pid;
    until("the command to run", || {
        std::fs::read_to_string(format!("/proc/{main}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    let namespace = std::fs::read_link(format!("/proc/{main}/ns/pid")).unwrap();
    client::signal(&container.dir(), 15).unwrap();
    assert_eq!(
        container.wait().outcome,
        Outcome::Signal {
            signal: 15,
            core: false
        }
    );
    let inside = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        std::fs::read_link(entry.path().join("ns/pid")).is_ok_and(|found| found == namespace)
    });
    assert_eq!(inside.count(), 0);
}

#[test]
fn mounts_appear_inside_only_and_read_only_means_it() {
    if !is_root("mounts") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [source, target, memory] = ["source", "target", "memory"].map(|name| dir.path().join(name));
    for path in [&source, &target, &memory] {
        std::fs::create_dir(path).unwrap();
    }
    std::fs::write(source.join("file"), "content").unwrap();
    let mut config = sh(
        "cat target/file; touch target/new 2>/dev/null || echo no; echo x > memory/x; df -k memory | tail -1 | awk '{print $2}'",
    );
    config.cwd = dir.path().to_owned();
    config.namespaces = Namespaces {
        mount: true,
        ..Namespaces::default()
    };
    config.mounts = vec![
        Mount {
            target: target.clone(),
            kind: MountKind::Bind {
                source,
                read_only: true,
            },
        },
        Mount {
            target: memory.clone(),
            kind: MountKind::Tmpfs {
                size_bytes: Some(64 << 10),
                mode: 0o1777,
            },
        },
    ];
    let container = Container::new();
    container.launch(&config).unwrap();
    container.wait();
    assert_eq!(
        container.output(Stream::Stdout),
        "contentno\n64\n",
        "{}",
        container.output(Stream::Stderr)
    );
    assert!(std::fs::read_dir(&target).unwrap().next().is_none());
    assert!(std::fs::read_dir(&memory).unwrap().next().is_none());
}
