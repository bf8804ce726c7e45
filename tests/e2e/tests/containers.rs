//! A task of several containers, claimed by a scheduler of the test's own over the wire: held, started in order,
//! sharing an address and volumes, restarted one by one, adopted after a kill, ended with every status.

use super::support::eventually;
use super::support::image::{BUSYBOX, docker};
use super::support::up::Up;
use bytes::Bytes;
use futures::StreamExt as _;
use plenum_contract::broker::{Amend, Broker, Hello, Session, WatchEvent};
use plenum_contract::state_store::{StateStore, Write};
use plenum_contract::streams::{LogQuery, Output, StreamRequest, Streams};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Amendment, ClaimBatch, ClaimGroup, Desired, FileRef, Seat, Terms, Workload};
use plenum_model::ids::{Revision, SchedulerId, TaskId, TenantPath};
use plenum_model::phase::Phase;
use plenum_model::spec::{
    Backoff, Check, ContainerSpec, Image, Network, OnFailure, Probe, ProbePort, Pull, Restart, RestartUnit,
    Role, TaskSpec, Volume, VolumeMount, VolumeSource,
};
use plenum_model::task::{ContainerState, Task};
use plenum_model::template::{Placeholder, Template};
use plenum_wire::{RemoteBroker, RemoteState, RemoteStreams, connect};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

const HELD: Desired = Desired::Held { deadline_ms: 120_000 };

fn container(name: &str, role: Role, script: &str) -> ContainerSpec {
    let see = |volume: &str, sub: Option<&str>| VolumeMount {
        volume: volume.into(),
        target: format!("/{volume}"),
        sub_path: sub.map(str::to_owned),
        read_only: false,
    };
    ContainerSpec {
        name: name.into(),
        runtime: "docker".into(),
        image: Some(Image {
            reference: BUSYBOX.into(),
            pull: Pull::Never,
        }),
        entrypoint: Some(vec!["/bin/sh".into(), "-c".into()]),
        args: Some(vec![script.into()]),
        env: vec![
            ("ADDRESS".into(), Template::fill(Placeholder::TaskAddress)),
            ("WORD".into(), Template::fill(Placeholder::File(1))),
        ],
        restart: Restart::Always,
        stop_grace_ms: 5_000,
        volumes: vec![see("data", Some("www")), see("memory", None), see("conf", None)],
        role,
        ..ContainerSpec::default()
    }
}

fn spec() -> Arc<TaskSpec> {
    let mut web = container("web", Role::Main, "exec httpd -f -p 8080 -h /data");
    let get = Check::Http {
        port: ProbePort::Inside { inside: 8080 },
        path: "/word".into(),
        tls: false,
        headers: vec![],
        statuses: vec![],
    };
    web.probes = vec![Probe {
        check: get,
        on_failure: OnFailure::Report,
        delay_ms: 0,
        period_ms: 200,
        timeout_ms: 2_000,
        failures: 3,
        successes: 1,
        grace_ms: 0,
        told: false,
        once: false,
    }];
    let volume = |name: &str, source| Volume {
        name: name.into(),
        source,
    };
    Arc::new(TaskSpec {
        containers: vec![
            container(
                "setup",
                Role::Init,
                "echo \"$(cat /conf/a/text) $WORD\" > /data/word",
            ),
            web,
            // It fails when it is told to, and says on which run it is.
            container(
                "side",
                Role::Main,
                "echo x >> /memory/runs; echo run $(busybox wc -l < /memory/runs) at $ADDRESS; trap 'exit 4' TERM; \
                 until test -e /memory/fail; do sleep 0.1; done; busybox rm /memory/fail; exit 3",
            ),
        ],
        network: Network::Bridge,
        hostname: Some("several".into()),
        restart_unit: RestartUnit::Container,
        backoff: Backoff {
            base_ms: 300,
            ..Backoff::default()
        },
        volumes: vec![
            volume("data", VolumeSource::Disk),
            volume("memory", VolumeSource::Memory(Some(1 << 20))),
            volume("conf", VolumeSource::Files),
        ],
    })
}

fn claim(id: TaskId, at: Revision) -> ClaimBatch {
    let spec = spec();
    let file = |key: &str, target: &str, secret, volume: Option<&str>| FileRef {
        key: key.into(),
        revision: at.0,
        target: target.into(),
        mode: 0o444,
        secret,
        volume: volume.map(str::to_owned),
    };
    let terms = Terms {
        workload: Workload {
            uid: "several".into(),
            name: "several".into(),
            kind: "test".into(),
            version: "1".into(),
        },
        tenant: TenantPath::new("default").unwrap(),
        charge: Amounts::task(10, 1 << 20, 0),
        devices: BTreeMap::new(),
        ports: vec![],
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: HELD,
        rules: Default::default(),
        lost_after: Default::default(),
        priority: Default::default(),
        may_preempt: false,
        budget: None,
        files: vec![
            file("text", "a/text", false, Some("conf")),
            file("word", "word", true, Some("conf")),
        ],
        keep_ended: 0,
    };
    ClaimBatch {
        specs: vec![spec],
        groups: vec![ClaimGroup {
            terms: Arc::new(terms),
            seats: vec![Seat::new(id, "several.0", 0)],
        }],
        all_or_nothing: false,
    }
}

/// A live scheduler that sees one task.
struct Seen {
    session: Arc<dyn Session>,
    state: RemoteState,
    streams: RemoteStreams,
    task: watch::Receiver<Option<Arc<Task>>>,
    looks: tokio::task::JoinHandle<()>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.looks.abort();
    }
}

async fn scheduler(up: &Up, name: &SchedulerId) -> Seen {
    let channel = connect(up.url("api")).unwrap();
    let hello = Hello {
        scheduler: name.clone(),
        kind: "test".into(),
        api: (1, 1),
        watch_nodes: false,
    };
    let session = RemoteBroker::new(channel.clone()).open(hello).await.unwrap();
    let mut news = session.watch(None).await.unwrap();
    let (tell, task) = watch::channel(None);
    let looks = tokio::spawn(async move {
        while let Some(Ok(batch)) = news.next().await {
            for event in batch.events {
                if let WatchEvent::Task(task) = event {
                    tell.send_replace(Some(task));
                }
            }
        }
    });
    Seen {
        session,
        state: RemoteState::new(channel.clone(), name.clone()),
        streams: RemoteStreams::new(channel),
        task,
        looks,
    }
}

impl Seen {
    /// The task once it is so.
    async fn once(&self, what: &str, so: impl Fn(&Task) -> bool) -> Arc<Task> {
        eventually(what, || async {
            let task = self.task.borrow().clone();
            match task {
                Some(task) if so(&task) => Ok(task),
                other => Err(format!("{:?}", other.map(|t| t.status.clone()))),
            }
        })
        .await
    }

    async fn log(&self, id: TaskId, container: &str, previous: bool) -> String {
        let query = LogQuery {
            container: Some(container.into()),
            previous,
            ..LogQuery::default()
        };
        let mut ends = self.streams.open(id, StreamRequest::Logs(query)).await.unwrap();
        let mut text = String::new();
        while let Some(piece) = ends.output.next().await {
            match piece.unwrap() {
                Output::Log(line) => text.push_str(&String::from_utf8_lossy(&line.bytes)),
                other => panic!("{other:?}"),
            }
        }
        text
    }
}

fn restarts(task: &Task, container: &str) -> u32 {
    let mut all = task.status.containers.iter();
    all.find(|c| c.name == container).map_or(0, |c| c.restarts)
}

fn runs(task: &Task, container: &str) -> bool {
    let mut all = task.status.containers.iter();
    all.any(|c| c.name == container && matches!(c.state, ContainerState::Running { .. }))
}

async fn hold_and_start(seen: &Seen, id: TaskId) -> Arc<Task> {
    let put = |key: &str, value: &'static str| Write::Put(key.into(), Bytes::from_static(value.as_bytes()));
    let writes = vec![put("text", "hello"), put("word", "world")];
    let at = seen.state.txn(vec![], writes).await.unwrap();
    let claimed = seen.session.claim(claim(id, at)).await.unwrap();
    assert!(claimed.refused.is_empty(), "{claimed:?}");
    let held = seen
        .once("it is prepared", |t| t.status.phase() == Phase::Prepared)
        .await;
    assert!(
        !["setup", "web", "side"].iter().any(|c| runs(&held, c)),
        "nothing runs: {held:?}"
    );
    let run = Amend {
        task: id,
        generation: held.generation,
        change: Amendment::Desired(Desired::Running),
    };
    assert!(seen.session.amend(vec![run]).await.unwrap().is_empty());
    seen.once("it runs and is ready", |t| {
        t.status.phase() == Phase::Running && t.status.ready == Some(true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_containers_share_an_address_and_each_is_restarted_on_its_own() {
    if !docker() {
        return;
    }
    let mut up = Up::start(1).await;
    let name = SchedulerId::new("several").unwrap();
    let seen = scheduler(&up, &name).await;
    let id = TaskId::derive(&name, "several", 0, 0);
    let task = hold_and_start(&seen, id).await;
    let address = task.status.address.clone().unwrap();
    let got = reqwest::get(format!("http://{address}:8080/word")).await.unwrap();
    assert_eq!(
        got.text().await.unwrap(),
        "hello world\n",
        "two files and a volume, through its own address"
    );
    assert_eq!(seen.log(id, "side", false).await, format!("run 1 at {address}\n"));

    let fail = |up: &Up| {
        let at = id.to_string();
        up.cli_ok(&[
            "task",
            "exec",
            "--container",
            "web",
            &at,
            "--",
            "busybox",
            "touch",
            "/memory/fail",
        ]);
    };
    fail(&up);
    let task = seen
        .once("it is started again", |t| {
            restarts(t, "side") == 1 && runs(t, "side")
        })
        .await;
    assert_eq!((task.status.phase(), restarts(&task, "web")), (Phase::Running, 0));
    let side = &task.status.containers[2];
    assert_eq!(side.last.as_ref().unwrap().exit.code, Some(3));
    assert_eq!(seen.log(id, "side", false).await, format!("run 2 at {address}\n"));
    assert_eq!(
        seen.log(id, "side", true).await,
        format!("run 1 at {address}\n"),
        "the one before"
    );

    let before = task.status.containers.clone();
    drop(seen);
    up.kill_hard();
    up.start_again().await;
    let seen = scheduler(&up, &name).await;
    let task = seen
        .once("it is adopted", |t| {
            !t.status.unreachable && t.status.ready == Some(true)
        })
        .await;
    assert_eq!(task.status.containers, before, "as if nothing had been");
    fail(&up);
    seen.once("it is watched over again", |t| {
        restarts(t, "side") == 2 && runs(t, "side")
    })
    .await;

    it_ends_with_every_status_and_leaves_nothing(&up, &seen, id).await;
}

async fn it_ends_with_every_status_and_leaves_nothing(up: &Up, seen: &Seen, id: TaskId) {
    seen.session.release(vec![id], None).await.unwrap();
    let task = seen
        .once("it has ended", |t| t.status.phase() == Phase::Stopped)
        .await;
    let codes: Vec<_> = task
        .status
        .containers
        .iter()
        .map(|c| match &c.state {
            ContainerState::Ended(end) => end.exit.code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((codes[0], codes[2]), (Some(0), Some(4)), "{task:?}");
    seen.session.forget(vec![id]).await.unwrap();
    let volumes = up.data().to_owned();
    eventually("nothing is left of it", || async {
        let filter = format!("label=plenum.task={id}");
        let listed = std::process::Command::new("docker")
            .args(["ps", "-aq", "--filter", &filter])
            .output()
            .unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mounted = mounts.lines().any(|l| l.contains(volumes.to_str().unwrap()));
        match (listed.stdout.is_empty(), mounted) {
            (true, false) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
