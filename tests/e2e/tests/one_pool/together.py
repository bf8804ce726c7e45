"""Three clients of PyPI, unmodified: each takes a workload of its own from its first deploy to its last delete.

What a client has no call for is left out: Marathon's knows no logs and no processes in tasks.
"""
import sys
import time
import urllib.request

from common import same, wait

SCRIPT = "echo serving $VERSION; trap 'exit 0' TERM; while :; do sleep 0.1; done"
NAME = "together-py"


def by_docker(url, image):
    import docker
    from docker.types import RestartPolicy, ServiceMode, UpdateConfig

    client = docker.DockerClient(base_url=url, timeout=60)
    service = client.services.create(
        image, ["sh", "-c", SCRIPT], name=NAME, env=["VERSION=one"], mode=ServiceMode("replicated", replicas=2),
        restart_policy=RestartPolicy(delay=100_000_000), update_config=UpdateConfig(parallelism=0, monitor=100_000_000))

    def running(count, version):
        def there():
            tasks = service.tasks(filters={"desired-state": "running"})
            up = [t for t in tasks if t["Status"]["State"] == "running"]
            right = all(t["Spec"]["ContainerSpec"]["Env"] == [f"VERSION={version}"] for t in up)
            return up if len(up) == len(tasks) == count and right else None

        return wait(f"{count} of {version}", there)

    def is_of(task, version):
        container = client.containers.get(task["Status"]["ContainerStatus"]["ContainerID"])
        same(container.exec_run(["sh", "-c", "echo $VERSION"]), (0, version.encode() + b"\n"))
        wait("its log", lambda: container.logs() == b"serving " + version.encode() + b"\n")

    def updated(version):
        """The update's own end writes the service, too: who updates it again before that is out of sequence."""
        is_of(running(3, version)[0], version)

        def through():
            service.reload()
            return service.attrs["UpdateStatus"]["State"] == "completed"

        wait("the end of the update", through)

    is_of(running(2, "one")[0], "one")
    same([s.name for s in client.services.list(filters={"name": NAME})], [NAME])
    same(client.services.get(service.id).attrs["Spec"]["Mode"]["Replicated"]["Replicas"], 2)
    wait("both logs", lambda: b"".join(service.logs(stdout=True)).count(b"serving one") == 2)
    two = {t["ID"] for t in running(2, "one")}
    service.reload()
    service.scale(3)
    assert two < {t["ID"] for t in running(3, "one")}, "a scale replaces nothing"
    service.reload()
    service.update(env=["VERSION=two"])
    updated("two")
    service.update(env=service.attrs["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Env"])
    updated("one")
    service.remove()
    of = {"label": f"com.docker.swarm.service.name={NAME}"}
    wait("gone", lambda: not client.containers.list(all=True, filters=of))
    same(client.services.list(filters={"name": NAME}), [])


def by_kubernetes(kubeconfig, image):
    from kubernetes import client, config
    from kubernetes.stream import stream

    config.load_kube_config(kubeconfig)
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAME)))
    container = {"name": "c", "image": image, "command": ["sh", "-c", SCRIPT],
                 "env": [{"name": "VERSION", "value": "one"}]}
    template = {"metadata": {"labels": {"app": "py"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "py"}}, "template": template}
    apps.create_namespaced_deployment(NAME, {"metadata": {"name": "py"}, "spec": spec})

    def running(count, version):
        def there():
            now = apps.read_namespaced_deployment("py", NAME)
            s = now.status
            if s.observed_generation != now.metadata.generation or [s.replicas, s.updated_replicas,
                                                                    s.available_replicas] != [count] * 3:
                return None
            pods = core.list_namespaced_pod(NAME, label_selector="app=py").items
            pods = [p for p in pods if p.metadata.deletion_timestamp is None]
            right = all(p.spec.containers[0].env[0].value == version for p in pods)
            return [p.metadata.name for p in pods] if len(pods) == count and right else None

        return wait(f"{count} of {version}", there)

    def is_of(pod, version):
        said = stream(core.connect_get_namespaced_pod_exec, pod, NAME, command=["sh", "-c", "echo $VERSION"],
                      stdout=True, stderr=True, stdin=False, tty=False)
        same(said, version + "\n")
        wait("its log", lambda: core.read_namespaced_pod_log(pod, NAME) == f"serving {version}\n")

    def of_revision(number):
        sets = apps.list_namespaced_replica_set(NAME).items
        return next(s for s in sets if s.metadata.annotations["deployment.kubernetes.io/revision"] == number)

    is_of(running(2, "one")[0], "one")
    same([d.metadata.name for d in apps.list_namespaced_deployment(NAME).items], ["py"])
    apps.patch_namespaced_deployment_scale("py", NAME, {"spec": {"replicas": 3}})
    running(3, "one")
    newer = {"name": "c", "env": [{"name": "VERSION", "value": "two"}]}
    apps.patch_namespaced_deployment("py", NAME, {"spec": {"template": {"spec": {"containers": [newer]}}}})
    is_of(running(3, "two")[0], "two")
    # rolling back is the template of the set before, which is how kubectl does it
    older = of_revision("1").spec.template
    older.metadata.labels.pop("pod-template-hash")
    apps.patch_namespaced_deployment("py", NAME, {"spec": {"template": older}})
    is_of(running(3, "one")[0], "one")
    apps.delete_namespaced_deployment("py", NAME)
    wait("no pod", lambda: not core.list_namespaced_pod(NAME).items)
    core.delete_namespace(NAME)
    wait("gone", lambda: all(n.metadata.name != NAME for n in core.list_namespace().items))


def by_marathon(url):
    from marathon import MarathonClient
    from marathon.models import MarathonApp

    client = MarathonClient(url, timeout=30)
    serve = "mkdir www; echo $VERSION > www/version; exec busybox httpd -f -p $HOST:$PORT0 -h www"
    client.create_app(NAME, MarathonApp(cmd=serve, cpus=0.02, mem=16, instances=2, env={"VERSION": "one"}))

    def serves(task):
        try:
            with urllib.request.urlopen(f"http://{task.host}:{task.ports[0]}/version", timeout=10) as answer:
                return answer.read().decode().strip()
        except OSError:
            return None

    def running(count, version):
        def there():
            tasks = client.list_tasks(NAME)
            right = len(tasks) == count and all(t.state == "TASK_RUNNING" and serves(t) == version for t in tasks)
            return right and not client.get_app(NAME).deployments

        wait(f"{count} that serve {version}", there)

    running(2, "one")
    assert f"/{NAME}" in [a.id for a in client.list_apps()]
    app = client.get_app(NAME)
    same((app.tasks_running, app.instances, app.env), (2, 2, {"VERSION": "one"}))
    client.scale_app(NAME, instances=3)
    running(3, "one")
    before = client.get_app(NAME).version
    client.update_app(NAME, MarathonApp(env={"VERSION": "two"}))
    running(3, "two")
    older = client.get_version(NAME, before)
    client.update_app(NAME, MarathonApp(env=older.env))
    running(3, "one")
    client.delete_app(NAME)
    wait("no app", lambda: f"/{NAME}" not in [a.id for a in client.list_apps()])
    wait("no task", lambda: f"/{NAME}" not in [t.app_id for t in client.list_tasks()])


began = time.time()
{"docker": by_docker, "kubernetes": by_kubernetes, "marathon": by_marathon}[sys.argv[1]](*sys.argv[2:])
print(f"all of it in {time.time() - began:.1f} s")
