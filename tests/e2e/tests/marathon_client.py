"""The typed Marathon client, unmodified, against a real door: every call a user of it makes first."""
import sys
import time

# Names that Python 3.10 moved and this client still expects in the old place.
import collections
import collections.abc

for name in ("Iterable", "Mapping", "MutableMapping", "Sequence", "Callable"):
    setattr(collections, name, getattr(collections.abc, name))

from marathon import MarathonClient
from marathon.models import MarathonApp

client = MarathonClient(sys.argv[1], timeout=30)


def wait(what, check):
    deadline = time.time() + 90
    while time.time() < deadline:
        value = check()
        if value:
            return value
        time.sleep(0.1)
    sys.exit("still not " + what)


def running(count):
    tasks = client.list_tasks("/py")
    return tasks if len(tasks) == count and all(t.state == "TASK_RUNNING" for t in tasks) else None


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
killed = client.kill_task("/py", running(2)[0].id)
assert killed.app_id == "/py"
wait("back to 2", lambda: running(2))
assert client.list_queue() == []
client.delete_app("/py")
wait("gone", lambda: not client.list_apps() and not client.list_tasks())
print("all of it")
