"""docker-py 7, unmodified, against a real door: what its users do, with what comes back checked."""
import sys
import threading
import time

import docker
from common import same, wait
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import ConfigReference, Resources, RestartPolicy, SecretReference, ServiceMode, UpdateConfig

IMAGE = sys.argv[2]
client = docker.DockerClient(base_url=sys.argv[1], timeout=60)


def refused(call, status, words):
    try:
        call()
    except APIError as error:
        same(error.status_code, status)
        assert words in str(error.explanation), error.explanation
    else:
        raise AssertionError(f"not refused: {words}")


def system():
    assert client.ping()
    version = client.version()
    same((version["ApiVersion"], version["MinAPIVersion"], version["Os"]), ("1.44", "1.24", "linux"))
    info = client.info()
    same((info["Swarm"]["LocalNodeState"], info["Swarm"]["ControlAvailable"]), ("active", True))
    assert info["NCPU"] >= 1 and info["MemTotal"] > 0
    assert isinstance(client.images.list(), list)
    swarm = client.swarm
    swarm.reload()
    assert swarm.attrs["ID"] and swarm.version > 0
    same(swarm.attrs["Spec"]["Orchestration"]["TaskHistoryRetentionLimit"], 5)
    refused(lambda: client.swarm.init(), 503, "already part of a swarm")


def containers():
    same(client.containers.run(IMAGE, ["echo", "hi"], remove=True), b"hi\n")
    both = client.containers.run(IMAGE, "sh -c 'echo out; echo err >&2'", stdout=True, stderr=True, remove=True)
    same(sorted(both.split()), [b"err", b"out"])
    try:
        client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    except docker.errors.ContainerError as error:
        same((error.exit_status, error.stderr), (3, b"why\n"))
    else:
        raise AssertionError("a failure is not told")
    try:
        client.containers.run("nosuch-image:1", "true")
    except (ImageNotFound, NotFound, APIError) as error:
        assert "nosuch-image" in str(error), error
    else:
        raise AssertionError("an image that is nowhere")

    loop = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done"
    web = client.containers.run(IMAGE, ["sh", "-c", loop], detach=True, name="py-web", labels={"tier": "web"},
                                environment=["COLOUR=red"], mem_limit="64m", nano_cpus=100_000_000)
    web.reload()
    same((web.status, web.name, web.labels["tier"]), ("running", "py-web", "web"))
    same(web.attrs["HostConfig"]["Memory"], 64 << 20)
    same([c.name for c in client.containers.list(filters={"label": "tier=web"})], ["py-web"])
    same([c.name for c in client.containers.list(filters={"name": "py-web", "status": ["running"]})], ["py-web"])
    same(client.containers.list(all=True, filters={"status": "paused"}), [])
    refused(lambda: client.containers.list(filters={"bogus": "x"}), 400, "bogus")
    same(client.containers.get(web.id[:12]).id, web.id)

    lines = []
    for line in web.logs(stream=True, follow=True):
        lines.append(line)
        if len(lines) == 3:
            break
    same(b"".join(lines).splitlines()[:2], [b"line 0", b"line 1"])
    assert web.logs(tail=1).startswith(b"line"), web.logs(tail=1)
    assert b"Z line" in web.logs(tail=1, timestamps=True)

    same(web.exec_run(["sh", "-c", "echo $COLOUR; exit 7"]), (7, b"red\n"))
    code, (out, err) = web.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
    same((code, out, err), (0, b"o\n", b"e\n"))
    same(b"".join(web.exec_run("echo streamed", stream=True).output), b"streamed\n")
    same(web.exec_run("echo tty", tty=True).output, b"tty\r\n")

    top = web.top()
    assert "PID" in top["Titles"] and any("line" in " ".join(p) for p in top["Processes"]), top
    stats = web.stats(stream=False)
    assert stats["memory_stats"]["usage"] > 0 and stats["memory_stats"]["limit"] == 64 << 20, stats
    assert stats["pids_stats"]["current"] >= 1 and "eth0" in stats["networks"]
    first = next(iter(web.stats(decode=True)))
    assert first["id"] == web.id

    web.rename("py-other")
    web.reload()
    same(web.name, "py-other")
    refused(lambda: web.pause(), 501, "pause")
    refused(lambda: web.update(mem_limit="80m"), 501, "update")
    refused(lambda: web.diff(), 501, "diff")
    refused(lambda: web.get_archive("/etc"), 501, "archive")
    refused(lambda: web.remove(), 409, "running container")

    before = web.attrs["State"]["StartedAt"]
    web.restart(timeout=0)
    web.reload()
    assert web.attrs["State"]["StartedAt"] > before
    web.stop(timeout=0)
    same(web.wait()["StatusCode"], 137)
    web.reload()
    same((web.status, web.attrs["State"]["ExitCode"]), ("exited", 137))
    refused(lambda: web.kill(), 409, "is not running")
    web.start()
    web.kill("KILL")
    same(web.wait(timeout=30)["StatusCode"], 137)
    web.remove()
    refused(lambda: client.containers.get("py-other"), 404, "No such container")

    made = client.containers.create(IMAGE, ["sh", "-c", "read x; echo got $x; exit 5"], stdin_open=True)
    same(made.status, "created")
    socket = made.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    made.start()
    socket._sock.sendall(b"typed\n")
    same(made.wait()["StatusCode"], 5)
    same(made.logs(), b"got typed\n")
    socket.close()
    made.remove(force=True)

    seen = []
    slow = client.containers.create(IMAGE, ["sh", "-c", "sleep 0.3; echo seen"])
    reader = threading.Thread(target=lambda: seen.extend(slow.attach(stream=True, logs=False)))
    reader.start()
    time.sleep(0.2)
    slow.start()
    reader.join(30)
    same(b"".join(seen), b"seen\n")
    slow.wait()
    slow.remove()
    same(client.containers.list(all=True, filters={"is-task": "false"}), [])


def events():
    stream = client.events(decode=True, filters={"type": "container", "label": "k=v", "event": ["start", "die", "destroy"]})
    seen = []

    def read():
        for event in stream:
            seen.append(event)
            if event["Action"] == "destroy":
                return

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    client.containers.run(IMAGE, ["sh", "-c", "exit 0"], remove=True, name="py-told", labels={"k": "v"})
    reader.join(30)
    stream.close()
    same([e["Action"] for e in seen], ["start", "die", "destroy"])
    told = seen[1]["Actor"]["Attributes"]
    same((told["name"], told["image"], told["exitCode"], told["k"]), ("py-told", IMAGE, "0", "v"))


def running(service, count):
    tasks = [t for t in service.tasks(filters={"desired-state": "running"}) if t["Status"]["State"] == "running"]
    return tasks if len(tasks) == count else None


def services():
    secret = client.secrets.create(name="py-secret", data=b"hush", labels={"k": "v"})
    config = client.configs.create(name="py-config", data=b"plain")
    same([s.name for s in client.secrets.list(filters={"name": "py-secret"})], ["py-secret"])
    same(client.secrets.get(secret.id).attrs["Spec"]["Labels"], {"k": "v"})
    same(client.configs.get(config.id).name, "py-config")
    refused(lambda: client.secrets.create(name="py-secret", data=b"x"), 409, "already exists")

    script = "cat /run/secrets/py-secret /py-config; while :; do echo tick; sleep 0.2; done"
    service = client.services.create(
        IMAGE, ["sh", "-c", script], name="py-svc", labels={"tier": "svc"}, env=["A=b"],
        mode=ServiceMode("replicated", replicas=2), stop_grace_period=0,
        resources=Resources(cpu_reservation=10_000_000, mem_reservation=8 << 20),
        restart_policy=RestartPolicy(condition="any", delay=100_000_000),
        update_config=UpdateConfig(parallelism=0, monitor=100_000_000),
        secrets=[SecretReference(secret.id, "py-secret")], configs=[ConfigReference(config.id, "py-config")])
    same([s.name for s in client.services.list(filters={"name": "py-svc"})], ["py-svc"])
    task = wait("two tasks", lambda: running(service, 2))[0]
    same(sorted(t["Slot"] for t in service.tasks()), [1, 2])
    logs = service.logs(stdout=True, follow=True)
    said = b""
    for piece in logs:
        said += piece
        if said.count(b"tick") >= 2 and b"hushplain" in said:
            break

    inside = client.containers.get(task["Status"]["ContainerStatus"]["ContainerID"])
    same(inside.labels["com.docker.swarm.service.name"], "py-svc")
    same(inside.exec_run(["sh", "-c", "echo $A; exit 4"]), (4, b"b\n"))
    assert b"tick" in inside.logs(tail=1)
    refused(lambda: inside.remove(force=True), 409, "docker service")
    listed = client.containers.list(filters={"label": "com.docker.swarm.service.name=py-svc"})
    same(len(listed), 2)
    same(client.containers.list(filters={"is-task": "false"}), [])

    refused(lambda: client.secrets.get("py-secret").remove(), 400, "in use")

    def in_sequence(change):
        """Takes a change in; a status that moved on meanwhile gave the service another version."""
        service.reload()
        try:
            change()
        except APIError as error:
            assert "update out of sequence" in str(error), error
            return False
        return True

    wait("a scale", lambda: in_sequence(lambda: service.scale(3)))
    wait("three tasks", lambda: running(service, 3))
    wait("an update", lambda: in_sequence(lambda: service.update(env=["A=c"], labels={"tier": "other"})))
    service.reload()
    same(service.attrs["Spec"]["Labels"], {"tier": "other"})
    same(service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"], ["A=c"])
    same(service.attrs["Spec"]["Mode"]["Replicated"]["Replicas"], 3)

    def replaced():
        tasks = running(service, 3)
        return tasks and all(t["Spec"]["ContainerSpec"]["Env"] == ["A=c"] for t in tasks)

    wait("all of the new kind", replaced)
    stale = service.version - 1
    refused(lambda: client.api.update_service(service.id, stale, task_template=service.attrs["Spec"]["TaskTemplate"],
                                              name="py-svc", fetch_current_spec=True), 500, "update out of sequence")
    service.remove()
    refused(lambda: client.services.get("py-svc"), 404, "not found")
    wait("no task", lambda: not client.containers.list(filters={"label": "com.docker.swarm.service.name=py-svc"}))
    secret.remove()
    config.remove()

    plain = client.services.create(IMAGE, ["sleep", "1000"], name="py-plain", stop_grace_period=0)
    same(plain.attrs["Spec"]["Mode"], {"Replicated": {"Replicas": 1}})
    wait("one task", lambda: running(plain, 1))
    plain.remove()


def nodes():
    all_nodes = client.nodes.list()
    assert all(n.attrs["Status"]["State"] == "ready" for n in all_nodes)
    same(len(client.nodes.list(filters={"role": "manager"})), 1)
    node = [n for n in all_nodes if n.attrs["Spec"]["Role"] == "worker"][0]
    spec = dict(node.attrs["Spec"], Labels={"py": "yes"}, Availability="pause")
    assert node.update(spec)
    node = client.nodes.get(node.id)
    same((node.attrs["Spec"]["Labels"], node.attrs["Spec"]["Availability"]), ({"py": "yes"}, "pause"))
    assert node.update(dict(node.attrs["Spec"], Availability="active"))
    refused(lambda: client.nodes.get("nosuch"), 404, "not found")


for part in [system, containers, events, services, nodes]:
    began = time.time()
    part()
    print(f"{part.__name__}: {time.time() - began:.1f} s", flush=True)
print("all of it")
