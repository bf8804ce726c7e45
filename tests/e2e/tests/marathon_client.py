"""The typed Marathon client, unmodified, against a real door: every call a user of it makes first."""
import sys
import threading

from common import wait
from marathon import MarathonClient
from marathon.models import MarathonApp, MarathonConstraint, MarathonHealthCheck
from marathon.models.app import ReadinessCheck

client = MarathonClient(sys.argv[1], timeout=30)


def running(count):
    """The tasks, once so many run and nothing more is to be done: an open deployment locks the app."""
    tasks = client.list_tasks("/py")
    there = len(tasks) == count and all(t.state == "TASK_RUNNING" for t in tasks)
    return tasks if there and not client.list_deployments() else None


assert client.ping() in ("pong", '"pong"', b"pong", b'"pong"'), client.ping()
assert client.get_info().version
created = client.create_app("/py", MarathonApp(cmd="while :; do date; sleep 1; done", cpus=0.05, mem=16, instances=1))
assert created.id == "/py" and created.deployments
wait("running", lambda: running(1))

client.scale_app("/py", instances=10)
ten = wait("10 running", lambda: running(10))
assert len({t.host for t in ten}) > 1
client.scale_app("/py", instances=2)
two = wait("2 running", lambda: running(2))
assert {t.id for t in two} < {t.id for t in ten}

app = client.get_app("/py")
assert app.tasks_running == 2 and app.instances == 2
client.update_app("/py", MarathonApp(env={"COLOUR": "blue"}))
new = wait("2 new running", lambda: (lambda t: t if t and not {x.id for x in t} & {x.id for x in two} else None)(running(2)))
assert client.get_app("/py").env == {"COLOUR": "blue"}
assert len(client.list_versions("/py")) >= 3
assert [a.id for a in client.list_apps()] == ["/py"]
wait("no deployment", lambda: not client.list_deployments())

client.restart_app("/py")
wait("restarted", lambda: (lambda t: t and not {x.id for x in t} & {x.id for x in new})(running(2)))
victim = running(2)[0].id
killed = client.kill_task("/py", victim)
assert killed.app_id == "/py"
wait("back to 2", lambda: (lambda t: t and victim not in {x.id for x in t})(running(2)))
wait("an empty queue", lambda: client.list_queue() == [])
client.delete_app("/py")
wait("gone", lambda: not client.list_apps() and not client.list_tasks() and not client.list_deployments())

# All that an app may say of checks and places, and every object that tells what came of it.
heard = []


def hear():
    for event in client.event_stream():
        heard.append(event)


threading.Thread(target=hear, daemon=True).start()
wait("attached", lambda: heard)
serve = "mkdir www; echo up > www/up; touch www/ready; exec busybox httpd -f -p $HOST:$PORT0 -h www"
quick = dict(grace_period_seconds=60, interval_seconds=1, timeout_seconds=10, max_consecutive_failures=1)
rich = MarathonApp(
    cmd=serve,
    cpus=0.05,
    mem=32,
    instances=1,
    constraints=[MarathonConstraint("hostname", "UNIQUE")],
    health_checks=[
        MarathonHealthCheck(protocol="HTTP", path="/up", port_index=0, **quick),
        MarathonHealthCheck(protocol="COMMAND", command="test -f www/up", delay_seconds=0, **quick),
    ],
    readiness_checks=[ReadinessCheck(port_name="default", path="/ready", interval_seconds=2, timeout_seconds=1)],
)
client.create_app("/py", rich)
healthy = wait("healthy", lambda: (lambda a: a if a.tasks_healthy == 1 and not a.deployments else None)(client.get_app("/py")))
results = healthy.tasks[0].health_check_results
assert len(results) == 2 and all(r.alive for r in results), results
assert [c.protocol for c in healthy.health_checks] == ["HTTP", "COMMAND"]
assert (healthy.constraints[0].field, healthy.constraints[0].operator) == ("hostname", "UNIQUE")
assert healthy.readiness_checks[0].port_name == "default"
version = healthy.version
client.update_app("/py", healthy)
assert client.get_app("/py").version == version, "what was got is no change"

broken = [MarathonHealthCheck(protocol="HTTP", path="/down", port_index=0, **dict(quick, grace_period_seconds=0))]
client.update_app("/py", MarathonApp(health_checks=broken), force=True)
failure = wait("a kill", lambda: client.get_app("/py").last_task_failure)
assert failure.state == "TASK_KILLED" and "health check failed" in failure.message, failure
assert client.list_deployments()[0].current_actions
client.scale_app("/py", instances=4, force=True)
queued = wait("what fits nowhere", lambda: client.list_queue(embed_last_unused_offers=True))
assert queued[0].app.id == "/py" and queued[0].processed_offers_summary
kinds = lambda: {e.event_type for e in heard}
wanted = {"add_health_check_event", "health_status_changed_event", "failed_health_check_event",
          "unhealthy_instance_kill_event", "instance_health_changed_event", "remove_health_check_event"}
client.delete_app("/py", force=True)
wait("all events", lambda: wanted <= kinds())
wait("gone", lambda: not client.list_apps() and not client.list_tasks())
print("all of it")
