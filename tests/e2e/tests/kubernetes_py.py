"""The PyPI package `kubernetes` 33, unmodified: what its users do."""
import sys
import threading
import time

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream
from kubernetes.stream.ws_client import ERROR_CHANNEL

KUBECONFIG, IMAGE = sys.argv[1:3]
NAMESPACE = "python"
SCRIPT = "trap 'exit 0' TERM; echo page > /www/index.html; httpd -p 8080 -h /www; echo up; while :; do sleep 0.1; done"

config.load_kube_config(KUBECONFIG)
core, apps = client.CoreV1Api(), client.AppsV1Api()


def deployment(replicas):
    container = client.V1Container(name="c", image=IMAGE, command=["sh", "-c", SCRIPT])
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": "py"}), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(
        replicas=replicas, selector=client.V1LabelSelector(match_labels={"app": "py"}), template=template
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name="py"), spec=spec)


def is_ready(pod):
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])


def until_ready(count, revision):
    """The names of `count` ready pods, learnt from one watch."""
    ready, kinds = set(), set()
    source = watch.Watch()
    for event in source.stream(
        core.list_namespaced_pod, NAMESPACE, label_selector="app=py", resource_version=revision, timeout_seconds=30
    ):
        pod = event["object"]
        kinds.add(event["type"])
        assert int(pod.metadata.resource_version) > int(revision)
        if is_ready(pod) and pod.metadata.deletion_timestamp is None:
            ready.add(pod.metadata.name)
        if len(ready) == count:
            source.stop()
    assert len(ready) == count and {"ADDED", "MODIFIED"} <= kinds, (ready, kinds)
    return sorted(ready)


def execute(pod):
    out = stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE, command=["echo", "hello"],
                 stdout=True, stderr=True, stdin=False, tty=False)
    assert out == "hello\n", repr(out)
    talk = stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE,
                  command=["sh", "-c", "read line; echo got $line; echo bad >&2; exit 3"],
                  stdout=True, stderr=True, stdin=True, tty=False, _preload_content=False)
    talk.write_stdin("this\n")
    talk.run_forever(timeout=20)
    assert talk.read_stdout() == "got this\n"
    assert talk.read_stderr() == "bad\n"
    assert talk.returncode == 3, talk.read_channel(ERROR_CHANNEL)


def forward(pod):
    connection = portforward(core.connect_get_namespaced_pod_portforward, pod, NAMESPACE, ports="8080")
    socket = connection.socket(8080)
    socket.settimeout(20)
    socket.sendall(b"GET / HTTP/1.0\r\nHost: pod\r\n\r\n")
    answer = b""
    while piece := socket.recv(4096):
        answer += piece
    assert answer.startswith(b"HTTP/1") and answer.endswith(b"page\n"), answer
    assert connection.error(8080) is None


def refused():
    try:
        core.read_namespaced_pod("nothing", NAMESPACE)
    except ApiException as e:
        assert e.status == 404 and 'pods \\"nothing\\" not found' in e.body, e
    else:
        sys.exit("what is not there was found")
    try:
        core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "Bad_Name"}})
    except ApiException as e:
        assert e.status == 422, e
    else:
        sys.exit("a bad name was taken")


def patches():
    body = {"spec": {"replicas": 1}}
    assert apps.patch_namespaced_deployment_scale("py", NAMESPACE, body).spec.replicas == 1
    changed = apps.patch_namespaced_deployment("py", NAMESPACE, {"metadata": {"labels": {"a": "b"}}})
    assert changed.metadata.labels == {"a": "b"} and changed.spec.replicas == 1
    deadline = time.time() + 30
    while len(core.list_namespaced_pod(NAMESPACE).items) != 1:
        assert time.time() < deadline, "the other pods stay"
        time.sleep(0.1)


def gone(pod):
    seen = []

    def follow():
        for line in watch.Watch().stream(core.read_namespaced_pod_log, pod, NAMESPACE):
            seen.append(line)

    reader = threading.Thread(target=follow)
    reader.start()
    core.delete_namespace(NAMESPACE)
    reader.join(30)
    assert not reader.is_alive() and seen == ["up"], seen
    deadline = time.time() + 30
    while any(n.metadata.name == NAMESPACE for n in core.list_namespace().items):
        assert time.time() < deadline, "the namespace stays"
        time.sleep(0.1)


core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
revision = core.list_namespaced_pod(NAMESPACE).metadata.resource_version
apps.create_namespaced_deployment(NAMESPACE, deployment(2))
pods = until_ready(2, revision)
assert sorted(p.metadata.name for p in core.list_namespaced_pod(NAMESPACE, label_selector="app=py").items) == pods
assert core.read_namespaced_pod_log(pods[0], NAMESPACE) == "up\n"
execute(pods[0])
forward(pods[0])
refused()
patches()
gone(core.list_namespaced_pod(NAMESPACE).items[0].metadata.name)
print("all of it")
