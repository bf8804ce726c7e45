"""The PyPI package `kubernetes` 33, unmodified, watches config maps through whatever happens to their server."""
import json
import sys
import time

import urllib3
from kubernetes import client, config, watch

KUBECONFIG, SELECTOR, LAST = sys.argv[1:4]
config.load_kube_config(KUBECONFIG)
core = client.CoreV1Api()
first = core.list_namespaced_config_map("default", label_selector=SELECTOR)
version = first.metadata.resource_version
store = {item.metadata.name: item.metadata.resource_version for item in first.items}
seen = []
print("begun", flush=True)


def follow():
    """Notes what happens until the last object comes; where the watch breaks off it may be begun again."""
    global version
    source = watch.Watch()
    for event in source.stream(
        core.list_namespaced_config_map, "default", label_selector=SELECTOR, resource_version=version
    ):
        kind, metadata = event["type"], event["object"].metadata
        version = metadata.resource_version
        seen.append([kind, metadata.name, int(version)])
        if kind == "DELETED":
            del store[metadata.name]
        else:
            store[metadata.name] = version
        if metadata.name == LAST:
            return True
    return False


while True:
    try:
        if follow():
            break
    except urllib3.exceptions.HTTPError:
        time.sleep(0.2)
print(json.dumps({"store": store, "seen": seen}))
