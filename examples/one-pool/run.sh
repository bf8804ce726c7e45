#!/bin/sh -e
cd "$(dirname "$0")"; IMAGE=${IMAGE:-busybox}
eval "$(plenum context export docker)"; KUBECONFIG=$(mktemp); export KUBECONFIG; plenum context export kubeconfig > "$KUBECONFIG"
plenum apply -f app.json --timeout 1m                                               # Marathon's tools do as well
sed "s|image: busybox|image: $IMAGE|" deployment.yaml | kubectl apply -f -
docker service create --detach --name hello-swarm --replicas 2 --reserve-cpu 0.05 --reserve-memory 32M \
  --no-resolve-image "$IMAGE" sh -c 'while :; do echo hello from swarm; sleep 1; done'
kubectl rollout status deployment/hello-kubernetes --timeout 1m
plenum ps; plenum node list; plenum scheduler list                                  # one pool, three orchestrators
plenum task list
