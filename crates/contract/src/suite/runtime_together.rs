//! What a runtime must do for tasks of several containers. One without the capability `shared-address` says no.

use super::{Subject, lines, plan, run, soon, text, wait_for_line};
use crate::runtime::{Among, ContainerKey, ContainerPlan, FoundState, RuntimeError, SandboxPlan};
use crate::streams::{LogQuery, LogSource};
use plenum_model::node::capability;
use plenum_model::spec::{Mount, MountSource, Network};

pub(super) async fn containers_of_one_task_share_what_is_theirs(subject: &Subject) {
    let facts = subject.runtime.facts().await.expect("facts");
    let first = plan(subject, "echo up; nc -l -p 7070 < /shared/word; sleep 1000");
    let sandbox = SandboxPlan {
        key: ContainerKey {
            container: String::new(),
            ..first.key.clone()
        },
        hostname: Some("together".to_owned()),
        ports: Vec::new(),
    };
    if !facts.capabilities.contains(capability::SHARED_ADDRESS) {
        let refused = subject.runtime.make_sandbox(&sandbox).await;
        assert!(
            matches!(refused, Err(RuntimeError::Refused { .. })),
            "{refused:?}"
        );
        return;
    }
    let made = subject.runtime.make_sandbox(&sandbox).await.expect("sandbox");
    assert!(!made.address.is_empty());
    let again = subject
        .runtime
        .make_sandbox(&sandbox)
        .await
        .expect("sandbox, again");
    assert_eq!(made, again, "there already: the same");
    two_meet(subject, &sandbox, first, &made.address).await;
    it_is_found_and_missed(subject, &sandbox).await;
}

fn among(plan: ContainerPlan, name: &str, sandbox: &SandboxPlan) -> ContainerPlan {
    let source = plan.sandbox.join("shared");
    std::fs::create_dir_all(&source).expect("the directory of the suite can be written");
    std::fs::write(source.join("word"), "hello\n").expect("the directory of the suite can be written");
    ContainerPlan {
        key: ContainerKey {
            container: name.to_owned(),
            ..sandbox.key.clone()
        },
        network: Network::Bridge,
        mounts: vec![Mount {
            target: "/shared".to_owned(),
            source: MountSource::Host(source.display().to_string()),
            read_only: false,
        }],
        among: Some(Among {
            sandbox: Some(sandbox.key.clone()),
        }),
        ..plan
    }
}

/// One container says a word on a port of its own, the other one hears it there and writes it down for both.
async fn two_meet(subject: &Subject, sandbox: &SandboxPlan, first: ContainerPlan, address: &str) {
    let first = among(first, "first", sandbox);
    let script = format!(
        "until nc {address} 7070 < /dev/null > /shared/heard && test -s /shared/heard; do sleep 0.1; done; \
         hostname; cat /shared/heard; ls {}",
        first.sandbox.display()
    );
    let mut second = among(plan(subject, &script), "second", sandbox);
    second.sandbox.clone_from(&first.sandbox);
    second.mounts.clone_from(&first.mounts);
    run(subject, &first).await;
    let names = subject.runtime.names(&first.key).await.expect("names");
    assert!(
        names.id.is_some_and(|id| !id.is_empty()),
        "it has a name of its own"
    );
    wait_for_line(subject, &first.key, "up").await;
    run(subject, &second).await;
    soon("wait", subject.runtime.wait(&second.key))
        .await
        .expect("wait");
    let logs = subject.runtime.logs(&second.key, LogQuery::default()).await;
    let logs = lines(logs.expect("logs")).await;
    assert_eq!(
        text(&logs, LogSource::Stdout),
        "together\nhello\n",
        "the task's directory is not inside"
    );
    let heard = std::fs::read_to_string(first.sandbox.join("shared/heard")).expect("it was written");
    assert_eq!(heard, "hello\n");
    super::end(subject, &first).await;
    subject.runtime.remove(&second.key).await.expect("remove");
}

/// A sandbox is a container to all other verbs.
async fn it_is_found_and_missed(subject: &Subject, sandbox: &SandboxPlan) {
    let runtime = (subject.again)();
    let state = |found: Vec<crate::runtime::Found>| {
        let mut all = found.into_iter();
        all.find(|f| f.key == sandbox.key).map(|f| f.state)
    };
    let found = state(runtime.recover().await.expect("recover"));
    assert_eq!(
        found,
        Some(FoundState::Running),
        "it outlives the containers in it, and the agent"
    );
    runtime.signal(&sandbox.key, "SIGKILL").await.expect("kill");
    soon("wait", runtime.wait(&sandbox.key)).await.expect("wait");
    let lost = runtime.make_sandbox(sandbox).await;
    assert!(
        matches!(lost, Err(RuntimeError::NotFound { .. })),
        "it was up and is not any more: {lost:?}"
    );
    runtime.remove(&sandbox.key).await.expect("remove");
    assert_eq!(state(runtime.recover().await.expect("recover")), None);
}
