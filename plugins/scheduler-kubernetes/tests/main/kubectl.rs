//! The real kubectl, a new and an old one, against the embedded API server alone: what it prints, and with which
//! code it exits.

use crate::apiserver::Api;
use scheduler_kubernetes::apiserver::kubeconfig;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Kubectl {
    program: PathBuf,
    home: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn is(&self, code: i32, out: &str) {
        assert_eq!((self.code, self.out.trim_end()), (code, out), "{}", self.err);
    }

    fn fails(&self, err: &str) {
        assert_eq!((self.code, self.err.trim_end()), (1, err), "{}", self.out);
    }
}

impl Kubectl {
    async fn run(&self, command: &str, stdin: &str) -> Said {
        let mut child = Command::new(&self.program)
            .args(command.split_whitespace())
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).await.unwrap();
        drop(input);
        let done = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said {
            code: done.status.code().unwrap_or(-1),
            out: text(done.stdout),
            err: text(done.stderr),
        }
    }

    async fn said(&self, command: &str) -> Said {
        self.run(command, "").await
    }
}

/// The kubectls there are: `E2E_KUBECTL`, else the one on the path; and `E2E_KUBECTL_OLD`.
async fn kubectls() -> Vec<PathBuf> {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let newest = named("E2E_KUBECTL").unwrap_or_else(|| PathBuf::from("kubectl"));
    let mut found = Vec::new();
    for program in std::iter::once(newest).chain(named("E2E_KUBECTL_OLD")) {
        let answers = Command::new(&program)
            .args(["version", "--client"])
            .output()
            .await;
        if answers.is_ok_and(|done| done.status.success()) {
            found.push(program);
        }
    }
    if found.is_empty() {
        eprintln!("no kubectl: what needs it is not tested");
    }
    found
}

async fn with(program: &Path) -> (Api, Kubectl) {
    let api = Api::new().await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config"), kubeconfig(&api.running.url())).unwrap();
    let program = program.to_owned();
    (api, Kubectl { program, home })
}

const MANIFEST: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: 'nginx:1', env: [{name: A, value: '1'}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {k: v}
";

#[tokio::test]
async fn resources_and_columns_are_those_that_people_know() {
    for program in kubectls().await {
        let (_api, kubectl) = with(&program).await;
        let resources = kubectl.said("api-resources --no-headers -o name -v=6").await;
        let asked = resources.err.lines().filter(|line| line.contains("GET"));
        assert_eq!(asked.count(), 2, "{}", resources.err);
        let names: Vec<&str> = resources
            .out
            .lines()
            .filter(|name| !name.contains("review"))
            .collect();
        assert_eq!(
            names,
            [
                "configmaps",
                "events",
                "namespaces",
                "nodes",
                "pods",
                "secrets",
                "serviceaccounts",
                "deployments.apps",
                "replicasets.apps",
                "jobs.batch",
                "leases.coordination.k8s.io"
            ]
        );
        kubectl
            .said("create deployment web --image=nginx:1 --replicas=2")
            .await
            .is(0, "deployment.apps/web created");
        let heads = [
            ("ns", "NAME STATUS AGE"),
            (
                "deploy",
                "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
            ),
            ("cm", "NAME DATA AGE"),
            ("sa", "NAME AGE"),
        ];
        for (kind, head) in heads {
            let table = kubectl.said(&format!("get {kind} -o wide")).await;
            let first = table.out.lines().next().unwrap_or_default();
            assert_eq!(
                first.split_whitespace().collect::<Vec<_>>().join(" "),
                head,
                "{}",
                table.err
            );
        }
    }
}

#[tokio::test]
async fn what_is_applied_again_is_unchanged_and_a_difference_is_shown() {
    for program in kubectls().await {
        let (_api, kubectl) = with(&program).await;
        let apply = "apply -f -";
        kubectl
            .run(apply, MANIFEST)
            .await
            .is(0, "deployment.apps/web created\nconfigmap/settings created");
        let version = "get deploy web -o jsonpath={.metadata.resourceVersion}";
        let before = kubectl.said(version).await.out;
        kubectl
            .run(apply, MANIFEST)
            .await
            .is(0, "deployment.apps/web unchanged\nconfigmap/settings unchanged");
        let changed = MANIFEST.replace("nginx:1", "nginx:2");
        let diff = kubectl.run("diff -f -", &changed).await;
        assert_eq!(diff.code, 1, "{}", diff.err);
        assert!(
            diff.out.contains("+      - env:") || diff.out.contains("+        image: nginx:2"),
            "{}",
            diff.out
        );
        assert_eq!(kubectl.said(version).await.out, before);
        kubectl
            .run(apply, &changed)
            .await
            .is(0, "deployment.apps/web configured\nconfigmap/settings unchanged");
        assert_eq!(kubectl.run("diff -f -", &changed).await.code, 0);
        let bogus = MANIFEST
            .replace("replicas: 2", "replicas: 2\n  bogus: 1")
            .replace("name: web}", "name: odd}");
        let refused = kubectl.run(apply, &bogus).await;
        assert_eq!(refused.code, 1);
        assert!(
            refused
                .err
                .contains("strict decoding error: unknown field \"spec.bogus\""),
            "{}",
            refused.err
        );
        let warned = kubectl.run("apply --validate=warn -f -", &bogus).await;
        warned.is(0, "deployment.apps/odd created\nconfigmap/settings unchanged");
        assert_eq!(warned.err.trim(), "Warning: unknown field \"spec.bogus\"");
        let silent = kubectl.run("apply --validate=ignore -f -", &bogus).await;
        assert_eq!(silent.err, "");
    }
}

#[tokio::test]
async fn objects_are_patched_in_three_ways_labelled_scaled_and_deleted() {
    for program in kubectls().await {
        let (_api, kubectl) = with(&program).await;
        kubectl
            .run("apply -f -", MANIFEST)
            .await
            .is(0, "deployment.apps/web created\nconfigmap/settings created");
        let add = r#"patch deploy web -p {"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"B","value":"2"}]}]}}}}"#;
        kubectl.said(add).await.is(0, "deployment.apps/web patched");
        kubectl
            .said(add)
            .await
            .is(0, "deployment.apps/web patched (no change)");
        let env = "get deploy web -o jsonpath={.spec.template.spec.containers[0].env[*].name}";
        kubectl.said(env).await.is(0, "B A");
        let replace = r#"patch deploy web --type=merge -p {"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:3"}]}}}}"#;
        kubectl.said(replace).await.is(0, "deployment.apps/web patched");
        kubectl.said(env).await.is(0, "");
        let test = r#"patch deploy web --type=json -p [{"op":"test","path":"/spec/replicas","value":9}]"#;
        kubectl
            .said(test)
            .await
            .fails("The request is invalid: the server rejected our request due to an error in our request");
        let json = r#"patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":4}]"#;
        kubectl.said(json).await.is(0, "deployment.apps/web patched");
        kubectl
            .said("label deploy web tier=front")
            .await
            .is(0, "deployment.apps/web labeled");
        kubectl
            .said("scale deploy web --replicas=3")
            .await
            .is(0, "deployment.apps/web scaled");
        kubectl
            .said("set image deploy/web c=nginx:4")
            .await
            .is(0, "deployment.apps/web image updated");
        kubectl
            .said("rollout pause deploy web")
            .await
            .is(0, "deployment.apps/web paused");
        kubectl
            .said("rollout resume deploy web")
            .await
            .is(0, "deployment.apps/web resumed");
        kubectl
            .said("rollout restart deploy web")
            .await
            .is(0, "deployment.apps/web restarted");
        let seen = kubectl
            .said("get deploy -l tier=front -o jsonpath={.items[*].spec.replicas}")
            .await;
        seen.is(0, "3");
        kubectl
            .said("delete deploy web")
            .await
            .is(0, "deployment.apps \"web\" deleted");
        kubectl
            .said("get deploy web")
            .await
            .fails("Error from server (NotFound): deployments.apps \"web\" not found");
        kubectl.said("get deploy web --ignore-not-found").await.is(0, "");
    }
}

#[tokio::test]
async fn fields_that_another_applied_are_in_conflict() {
    for program in kubectls().await {
        let (_api, kubectl) = with(&program).await;
        let first = "apply --server-side -f -";
        let done = "deployment.apps/web serverside-applied\nconfigmap/settings serverside-applied";
        kubectl.run(first, MANIFEST).await.is(0, done);
        kubectl.run(first, MANIFEST).await.is(0, done);
        let theirs = MANIFEST.replace("replicas: 2", "replicas: 5");
        let refused = kubectl
            .run("apply --server-side --field-manager=other -f -", &theirs)
            .await;
        assert_eq!(refused.code, 1);
        let why = "Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas";
        assert!(refused.err.contains(why), "{}", refused.err);
        let forced = "apply --server-side --field-manager=other --force-conflicts -f -";
        kubectl.run(forced, &theirs).await.is(0, done);
        let without = MANIFEST.replace("data: {k: v}", "data: {}");
        kubectl
            .run(first, &without.replace("  replicas: 2\n", ""))
            .await
            .is(0, done);
        kubectl
            .said("get deploy web -o jsonpath={.spec.replicas}")
            .await
            .is(0, "5");
    }
}

#[tokio::test]
async fn access_is_asked_for_and_tokens_are_made() {
    for program in kubectls().await {
        let (api, kubectl) = with(&program).await;
        kubectl.said("auth can-i create pods").await.is(0, "yes");
        let me = kubectl
            .said("auth whoami -o jsonpath={.status.userInfo.username}")
            .await;
        me.is(0, "plenum:admin");
        let token = kubectl.said("create token default").await;
        assert_eq!(token.code, 0, "{}", token.err);
        let asked = api
            .client
            .get(api.url("/api/v1/nodes"))
            .bearer_auth(token.out.trim())
            .send()
            .await
            .unwrap();
        assert_eq!(asked.status(), 403);
        kubectl
            .said("create secret generic s --from-literal=a=b")
            .await
            .is(0, "secret/s created");
        kubectl
            .said("create configmap c --from-literal=a=b")
            .await
            .is(0, "configmap/c created");
        kubectl
            .said("create job j --image=busybox")
            .await
            .is(0, "job.batch/j created");
        kubectl
            .said("create namespace team")
            .await
            .is(0, "namespace/team created");
        kubectl
            .said("-n team get sa default -o name")
            .await
            .is(0, "serviceaccount/default");
    }
}

#[tokio::test]
async fn each_field_is_explained() {
    for program in kubectls().await {
        let (_api, kubectl) = with(&program).await;
        let pods = kubectl.said("explain pods").await;
        assert_eq!(pods.code, 0, "{}", pods.err);
        for part in [
            "KIND:       Pod",
            "Pod is a collection of containers",
            "spec\t<PodSpec>",
        ] {
            assert!(pods.out.contains(part), "{part} in\n{}", pods.out);
        }
        let surge = kubectl
            .said("explain deployment.spec.strategy.rollingUpdate.maxSurge")
            .await;
        for part in [
            "GROUP:      apps",
            "FIELD: maxSurge <IntOrString>",
            "Defaults to 25%",
        ] {
            assert!(surge.out.contains(part), "{part} in\n{}", surge.out);
        }
        let env = kubectl
            .said("explain job.spec.template.spec.containers.env --recursive")
            .await;
        assert!(env.out.contains("  valueFrom\t<EnvVarSource>"), "{}", env.out);
        kubectl
            .said("explain pod.spec.bogus")
            .await
            .fails("error: field \"bogus\" does not exist");
    }
}
