//! Rolling updates: their pace in both orders, what a bad image makes of them, and the way back.

use super::pace::Runs;
use crate::support::eventually;
use crate::support::image::docker;
use crate::support::service::{Docker, text};
use crate::support::up::Up;
use serde_json::{Value, json};

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[tokio::test(flavor = "multi_thread")]
async fn updates_in_both_orders_keep_to_their_parallelism_and_delay() {
    if !docker() {
        return;
    }
    let up = Up::start_with(3, &["swarm"]).await;
    let d = Docker::of(&up);
    let pace = [
        "--replicas",
        "4",
        "--update-parallelism",
        "2",
        "--update-delay",
        "1s",
        "--update-monitor",
        "1s",
    ];
    for (name, order) in [("sf", "stop-first"), ("st", "start-first")] {
        d.create(name, &[&pace[..], &["--update-order", order]].concat(), &SLEEP);
    }
    for name in ["sf", "st"] {
        d.replicas(name, "4/4").await;
        d.update(name, &["--env-add", "A=1"]);
    }
    for (name, bounds) in [("sf", (2, 4)), ("st", (4, 6))] {
        d.update_is(name, "completed").await;
        d.replicas(name, "4/4").await;
        let runs = Runs::of(&up, name).await;
        let (fewest, most) = runs.bounds(4);
        assert!(
            fewest >= bounds.0 && most <= bounds.1,
            "{name}: {fewest} to {most} ran at once: {runs:?}"
        );
        assert!(
            runs.gap(2) >= 1000,
            "{name}: a third starts a delay after the first: {runs:?}"
        );
        let told = d.told(&["type=service", "event=update", &format!("service={name}")]);
        let end = json!({"name": name, "updatestate.old": "updating", "updatestate.new": "completed"});
        assert_eq!(told.last().map(|(_, more)| more), Some(&end), "{told:?}");
        let times = told.iter().filter(|(_, more)| *more == end).count();
        assert_eq!(times, 1, "{told:?}");
    }
}

/// A service of two whose update shall fail in this way.
fn brittle(d: &Docker, name: &str, action: &str) {
    let more = [
        "--replicas",
        "2",
        "--restart-delay",
        "1s",
        "--update-monitor",
        "1s",
        "--rollback-monitor",
        "1s",
        "--update-failure-action",
        action,
    ];
    d.create(name, &more, &SLEEP);
}

/// Updates to an image that is nowhere, and waits for the end as users do: exit code, output, errors.
fn bad_image(d: &Docker, name: &str) -> (i32, String, String) {
    let out = d.run(&[
        "service",
        "update",
        "--no-resolve-image",
        "--image",
        "nosuch:1",
        name,
    ]);
    (out.status.code().unwrap(), text(&out.stdout), text(&out.stderr))
}

/// The id of a task in a message that ends with it.
fn ends_with_id(message: &str, words: &str) {
    let id = message
        .trim()
        .strip_prefix(words)
        .unwrap_or_else(|| panic!("{message}"));
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    assert!(id.len() == 25 && id.chars().all(ok), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_image_pauses_goes_on_or_rolls_back_in_a_swarms_words() {
    if !docker() {
        return;
    }
    let up = Up::start_with(2, &["swarm"]).await;
    let d = Docker::of(&up);
    for action in ["pause", "continue", "rollback"] {
        brittle(&d, action, action);
    }
    for action in ["pause", "continue", "rollback"] {
        d.replicas(action, "2/2").await;
    }
    let failed = "due to failure or early termination of task ";

    let (code, _, said) = bad_image(&d, "pause");
    assert_eq!(code, 1, "{said}");
    ends_with_id(&said, &format!("service update paused: update paused {failed}"));
    let service = d.get("/services/pause").await;
    let status = &service["UpdateStatus"];
    assert_eq!(
        (&status["State"], &status["CompletedAt"]),
        (&json!("paused"), &Value::Null)
    );
    ends_with_id(
        status["Message"].as_str().unwrap(),
        &format!("update paused {failed}"),
    );
    d.replicas("pause", "1/2").await;
    let errors = d.ps_all("pause", "{{.Error}}", &[]).concat();
    assert!(errors.contains("No such image: nosuch:1"), "{errors}");

    let (code, said, _) = bad_image(&d, "continue");
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        d.inspect("continue", "{{.UpdateStatus.State}} {{.UpdateStatus.Message}}"),
        "completed update completed"
    );
    d.replicas("continue", "0/2").await;

    let before = d.get("/services/rollback").await;
    let (code, said, _) = bad_image(&d, "rollback");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("rollback: update rolled back {failed}")),
        "{said}"
    );
    assert!(said.contains("verify: Service rollback converged"), "{said}");
    d.update_is("rollback", "rollback_completed").await;
    let after = d.get("/services/rollback").await;
    assert_eq!(
        (&after["Spec"], &after["PreviousSpec"]),
        (&before["Spec"], &Value::Null)
    );
    assert_eq!(after["UpdateStatus"]["Message"], "rollback completed");
    d.replicas("rollback", "2/2").await;
    let none = d.no(&["service", "rollback", "rollback"]);
    assert!(none.contains("does not have a previous spec"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_hand_swaps_and_one_that_fails_pauses() {
    if !docker() {
        return;
    }
    let up = Up::start_with(2, &["swarm"]).await;
    let d = Docker::of(&up);
    let more = [
        "--replicas",
        "2",
        "--update-monitor",
        "1s",
        "--rollback-monitor",
        "1s",
        "--restart-delay",
        "1s",
    ];
    d.create("web", &more, &SLEEP);
    d.replicas("web", "2/2").await;
    d.update("web", &["--env-add", "A=1"]);
    d.update_is("web", "completed").await;
    let env = || {
        d.inspect(
            "web",
            "{{.Spec.TaskTemplate.ContainerSpec.Env}} {{.PreviousSpec.TaskTemplate.ContainerSpec.Env}}",
        )
    };
    assert_eq!(env(), "[A=1] []");
    let said = d.ok(&["service", "rollback", "web"]);
    assert!(said.contains("rollback: manually requested rollback"), "{said}");
    assert_eq!(env(), "[] [A=1]");
    d.update_is("web", "rollback_completed").await;
    d.ok(&["service", "rollback", "-d", "-q", "web"]);
    assert_eq!(env(), "[A=1] []", "a second one goes forward again");
    d.update_is("web", "rollback_completed").await;

    // back to what runs nowhere
    d.update("web", &["--image", "nosuch:1"]);
    d.update_is("web", "paused").await;
    d.update(
        "web",
        &[
            "--image",
            crate::support::image::BUSYBOX,
            "--update-failure-action",
            "continue",
        ],
    );
    d.update_is("web", "completed").await;
    let out = d.run(&["service", "rollback", "web"]);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let paused = "service rollback paused: update paused due to failure or early termination of task ";
    ends_with_id(&text(&out.stderr), paused);
    assert_eq!(d.inspect("web", "{{.UpdateStatus.State}}"), "rollback_paused");

    // what fits nowhere waits, and the other slot is left alone
    d.create("wide", &["--replicas", "2"], &SLEEP);
    d.replicas("wide", "2/2").await;
    d.update("wide", &["--reserve-cpu", "500", "--env-add", "A=1"]);
    eventually("one waits", || async {
        let now = d.ps("wide", "{{slice .CurrentState 0 7}} {{.Error}}");
        let wanted = [
            "Pending \"no suitable node (insufficient resources on 2 nodes)\"",
            "Running ",
        ];
        if now == wanted {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
    assert_eq!(d.inspect("wide", "{{.UpdateStatus.State}}"), "updating");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_starting_until_its_check_has_passed() {
    if !docker() {
        return;
    }
    let up = Up::start_with(1, &["swarm"]).await;
    let d = Docker::of(&up);
    let check = "--health-interval 1s --health-retries 1000 --health-cmd".split(' ');
    let check: Vec<&str> = check.chain(["test -f /tmp/go"]).collect();
    d.create("web", &check, &SLEEP);
    let container = eventually("a container whose check has failed", || async {
        let id = d.ok(&["ps", "-q", "--filter", "name=web.1."]);
        let streak = ["inspect", "-f", "{{.State.Health.FailingStreak}}", id.trim()];
        let failed = !id.is_empty() && d.ok(&streak).trim() != "0";
        if failed { Ok(id.trim().to_owned()) } else { Err(id) }
    })
    .await;
    assert!(d.ps("web", "{{.CurrentState}}")[0].starts_with("Starting "));
    d.replicas("web", "0/1").await;
    d.ok(&["exec", &container, "sh", "-c", "echo > /tmp/go"]);
    d.replicas("web", "1/1").await;
    assert!(d.ps("web", "{{.CurrentState}}")[0].starts_with("Running "));
    assert!(d.ok(&["ps", "--format", "{{.Status}}"]).contains("(healthy)"));
}
