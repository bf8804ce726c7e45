//! The power of a broker's machine is cut over and over, under load: whatever it acknowledged is there afterwards.
//!
//! `POWER_CUTS=30` cuts it so often.

use crate::load::Load;
use plenum_contract::broker::Session;
use plenum_vm::{Disk, Image, Machine};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// Cuts in a usual run.
const CUTS: u64 = 5;
/// Schedulers that claim at the same time.
const LOADS: usize = 4;
/// The broker's port in its machine.
const PORT: u16 = 7717;
/// Longer than an emulated machine takes on a busy one.
const AT_MOST: Duration = Duration::from_secs(120);

/// The image, made once for all tests that run at the same time.
fn image() -> Arc<Image> {
    static MADE: Mutex<Weak<Image>> = Mutex::new(Weak::new());
    let mut made = MADE.lock().unwrap();
    made.upgrade().unwrap_or_else(|| {
        let image = Arc::new(make_image());
        *made = Arc::downgrade(&image);
        image
    })
}

fn make_image() -> Image {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("VM_KERNEL").map(PathBuf::from);
    let kernel = named.unwrap_or_else(|| root.join("target/kernel"));
    // Built beside the tests.
    let tests = std::env::current_exe().unwrap();
    let plenum = tests.ancestors().nth(2).unwrap().join("plenum");
    assert!(
        plenum.exists(),
        "{} is missing: cargo build -p plenum",
        plenum.display()
    );
    let command = format!("/plenum broker --data /data/plenum --insecure-listen 10.0.2.15:{PORT}");
    Image::new(&kernel, &[&plenum], &command).unwrap_or_else(|error| panic!("{error}: run .ci/test"))
}

/// A machine whose broker answers, and a session of each load.
async fn up<'a>(image: &Image, disk: &'a Disk, loads: &[Load]) -> (Machine<'a>, Vec<Arc<dyn Session>>) {
    let begun = Instant::now();
    let mut machine = Machine::boot(image, disk, PORT).unwrap();
    loop {
        let address = machine.address();
        let opened = futures::future::join_all(loads.iter().map(|load| load.open(&address))).await;
        let opened: Result<Vec<_>, _> = opened.into_iter().collect();
        match opened {
            Ok(sessions) => return (machine, sessions),
            Err(error) => {
                let late = begun.elapsed() > AT_MOST;
                assert!(machine.runs().unwrap() && !late, "{error}\n{}", machine.console());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Loads the broker until so many claims were acknowledged, then cuts the power while all go on.
async fn under_load(machine: Machine<'_>, loads: &mut [Load], sessions: &[Arc<dyn Session>], seed: u64) {
    let acknowledged = AtomicU64::new(0);
    let runs = loads.iter_mut().zip(sessions).map(|(load, session)| {
        load.open_calls = 0;
        load.run(session, || {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        })
    });
    let cut = async {
        let enough = 5 + seed * 7 % 20;
        let begun = Instant::now();
        while acknowledged.load(Ordering::Relaxed) < enough {
            assert!(
                begun.elapsed() < AT_MOST,
                "only {acknowledged:?} claims: {}",
                machine.console()
            );
            tokio::time::sleep(Duration::from_millis(1 + seed % 5)).await;
        }
        tokio::task::block_in_place(|| machine.cut(seed)).unwrap();
    };
    futures::future::join(futures::future::join_all(runs), cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_every_cut() {
    let cuts = std::env::var("POWER_CUTS").map_or(CUTS, |n| n.parse().unwrap());
    let (image, disk) = (image(), Disk::new(192).unwrap());
    let mut loads: Vec<Load> = (0..LOADS).map(Load::new).collect();
    let mut open = 0;
    let (mut machine, mut sessions) = up(&image, &disk, &loads).await;
    for cut in 0..cuts {
        under_load(machine, &mut loads, &sessions, cut).await;
        open += loads.iter().map(|load| load.open_calls).sum::<u64>();
        drop(sessions);
        (machine, sessions) = up(&image, &disk, &loads).await;
        for (load, session) in loads.iter().zip(&sessions) {
            let wrong = load.compare(session).await;
            assert_eq!(
                wrong,
                Vec::<String>::new(),
                "after cut {cut}\n{}",
                machine.console()
            );
        }
    }
    let there: usize = loads.iter().map(|load| load.there.len()).sum();
    println!("{cuts} cuts with {open} calls under way: {there} acknowledged tasks are there");
    assert!(open > 0, "no call was under way when the power was cut");
}

/// The same on a disk that only says that it has flushed: what is lost is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_disk_loses_that_never_flushes_is_found_out() {
    let (image, disk) = (image(), Disk::new(192).unwrap());
    let mut loads: Vec<Load> = (0..LOADS).map(Load::new).collect();
    let (machine, sessions) = up(&image, &disk, &loads).await;
    disk.lie();
    under_load(machine, &mut loads, &sessions, 3).await;
    drop(sessions);
    let again = tokio::time::timeout(AT_MOST, comes_back_whole(&image, &disk, &loads)).await;
    assert!(!matches!(again, Ok(true)), "nothing was lost");
}

/// Whether a machine comes up on its disk and has all that was acknowledged.
async fn comes_back_whole(image: &Image, disk: &Disk, loads: &[Load]) -> bool {
    let mut machine = Machine::boot(image, disk, PORT).unwrap();
    while machine.runs().unwrap() {
        let mut whole = 0;
        for load in loads {
            let Ok(session) = load.open(&machine.address()).await else {
                break;
            };
            if !load.compare(&session).await.is_empty() {
                return false;
            }
            whole += 1;
        }
        if whole == loads.len() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}
