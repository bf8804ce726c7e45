//! Output under pressure: much of it, and no room for it.

use crate::support::{Container, code, is_root, sh};
use plenum_shim::config::LogLimits;
use plenum_shim::files::LOGS;
use plenum_shim::logs::reader::LogReader;
use plenum_shim::logs::record::Stream;
use plenum_shim::logs::segments;

#[test]
fn much_output_is_kept_whole_and_in_order() {
    let container = Container::run("seq 1 200000");
    assert_eq!(code(&container.wait()), 0);
    let output = container.output(Stream::Stdout);
    assert!(
        output
            .lines()
            .map(|line| line.parse::<u32>().unwrap())
            .eq(1..=200_000)
    );
}

#[test]
fn rotation_bounds_the_disk_and_keeps_the_newest() {
    let container = Container::new();
    let mut config = sh("seq 1 50000");
    config.log = LogLimits {
        max_bytes: 64 << 10,
        files: 3,
    };
    container.launch(&config).unwrap();
    container.wait();
    let found = segments::list(&container.dir().join(LOGS)).unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().map(|segment| segment.len).sum::<u64>() <= 3 * (64 << 10));
    let reader = LogReader::new(container.dir().as_path());
    let last = reader.read(reader.tail(1, None).unwrap(), 0).unwrap();
    assert_eq!(last.records[0].text, b"50000");
    assert!(reader.read(0, 0).unwrap().lost > 0);
}

#[test]
fn a_prompt_without_a_line_end_reaches_the_log() {
    let container = Container::run("printf 'password: '; sleep 100");
    container.until_output("password: ");
}

#[test]
fn a_full_disk_neither_stops_the_command_nor_hides_what_is_missing() {
    if !is_root("a small file system") {
        return;
    }
    let container = Container::new();
    std::fs::create_dir(container.dir()).unwrap();
    let size = Some("size=256k");
    let none = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("tmpfs"), &container.dir(), Some("tmpfs"), none, size).unwrap();
    let gate = container.dir().join("gate");
    let script = format!(
        "seq 1 100000; echo done > /dev/stderr; until [ -e {0} ]; do sleep 0.02; done; echo last",
        gate.display()
    );
    let mut config = sh(&script);
    config.log = LogLimits {
        max_bytes: 1 << 20,
        files: 2,
    };
    container.launch(&config).unwrap();
    // It goes on although nothing more can be written: it reaches the gate, which appears once there is room.
    let status = plenum_shim::files::read_json::<plenum_shim::state::Status>(&container.dir(), "status.json");
    let main = status.unwrap().unwrap().main.unwrap();
    crate::support::until("it to wait at the gate", || {
        std::fs::read_to_string(format!("/proc/{}/task/{}/children", main.pid, main.pid)).is_ok_and(
            |children| {
                children.split_whitespace().any(|child| {
                    std::fs::read_to_string(format!("/proc/{child}/comm"))
                        .is_ok_and(|name| name.trim() == "sleep")
                })
            },
        )
    });
    let bigger = Some("size=8m");
    nix::mount::mount(
        None::<&str>,
        &container.dir(),
        None::<&str>,
        nix::mount::MsFlags::MS_REMOUNT,
        bigger,
    )
    .unwrap();
    std::fs::write(gate, "").unwrap();
    let exit = container.wait();
    let (out, err) = (container.output(Stream::Stdout), container.output(Stream::Stderr));
    nix::mount::umount2(&container.dir(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(code(&exit), 0);
    assert!(exit.dropped_log_bytes > 0);
    assert!(out.ends_with("last\n"));
    assert!(err.contains("bytes of output are missing here"), "{err}");
    let written: u64 = out.len() as u64;
    let all: u64 = (1..=100_000u32)
        .map(|n| n.to_string().len() as u64 + 1)
        .sum::<u64>()
        + 5;
    let marker = err
        .lines()
        .filter(|line| line.starts_with("plenum: "))
        .map(|line| line.len() + 1)
        .sum::<usize>();
    assert_eq!(
        written + exit.dropped_log_bytes + err.len() as u64 - marker as u64,
        all + 5
    );
}
