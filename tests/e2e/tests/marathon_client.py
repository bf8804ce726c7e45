"""The typed Marathon client, unmodified, against a real door: every call a user of it makes first."""
import sys
import time

# Names that Python 3.10 moved and this client still expects in the old place.
import collections
import collections.abc

for name in ("Iterable", "Mapping", "MutableMapping", "Sequence", "Callable"):
    setattr(collections, name, getattr(collections.abc, name))

from marathon import MarathonClient
from marathon.models import MarathonApp, MarathonGroup

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


def member(name, instances, *needs):
    return MarathonApp(id=name, cmd="sleep 1000", cpus=0.05, mem=16, instances=instances, dependencies=list(needs))


def counts(group):
    found = {a.id: a.instances for a in group.apps}
    for inner in group.groups:
        found.update(counts(inner))
    return found


def at_rest(what, expected):
    wait(what, lambda: not client.list_deployments())
    group = client.get_group("/shop")
    assert counts(group) == expected, counts(group)
    running = [t for t in client.list_tasks() if t.app_id.startswith("/shop/") and t.state == "TASK_RUNNING"]
    assert len(running) == sum(expected.values()), running
    return group


back = MarathonGroup(id="/shop/back", apps=[member("/shop/back/db", 1), member("/shop/back/api", 2, "/shop/back/db")])
front = MarathonGroup(id="/shop/front", dependencies=["/shop/back"], apps=[member("/shop/front/web", 1)])
made = client.create_group(MarathonGroup(id="/shop", groups=[back, front]))
steps = [d for d in client.list_deployments() if d.id == made["deploymentId"]]
assert not steps or [len(s.actions) for s in steps[0].steps] == [3, 1, 1, 1], steps
first = at_rest("deployed", {"/shop/back/db": 1, "/shop/back/api": 2, "/shop/front/web": 1})
assert [g.id for g in client.list_groups()] == ["/shop"]
assert first.groups[1].dependencies == ["/shop/back"]

client.scale_group("/shop", 1.5)
at_rest("scaled", {"/shop/back/db": 2, "/shop/back/api": 3, "/shop/front/web": 2})
same = client.get_group("/shop")
for inner in same.groups:
    inner.version = None  # the client itself leaves out the version of the outermost group only
before = {t.id for t in client.list_tasks()}
client.update_group("/shop", same)
at_rest("sent back", {"/shop/back/db": 2, "/shop/back/api": 3, "/shop/front/web": 2})
assert {t.id for t in client.list_tasks()} == before
client.update_group("/shop", MarathonGroup(groups=[MarathonGroup(id="/shop/front", apps=[member("/shop/front/new", 1)])]))
at_rest("replaced", {"/shop/front/new": 1})
client.rollback_group("/shop", first.version)
back = at_rest("rolled back", {"/shop/back/db": 1, "/shop/back/api": 2, "/shop/front/web": 1})
assert back.groups[1].dependencies == ["/shop/back"]
client.delete_group("/shop", force=True)
wait("group gone", lambda: not client.list_groups() and not client.list_tasks() and not client.list_deployments())
print("all of it")
