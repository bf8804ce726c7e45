//! The controller of deployments: one replica set a template, moved from one to the next by the sdk's rollout
//! engine.

mod plan;
mod sets;
mod status;

use super::keeper::is_code;
use super::owned::{self, Standing};
use super::specs::{of_deployment, of_set};
use super::tell::Kind;
use super::watched::Queue;
use super::{Context, MANAGER};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;
use sets::Sets;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "deployment-controller";

struct Deployments(Arc<Context>);

/// Works until `stop`.
pub(super) async fn run(context: Arc<Context>, queue: Queue<Deployment>, stop: CancellationToken) {
    let look = |deployment, all: Arc<Deployments>| async move { all.look(deployment).await };
    queue.work(Arc::new(Deployments(context)), stop, look).await;
}

impl Deployments {
    async fn look(&self, deployment: Arc<Deployment>) -> Result<Action, kube::Error> {
        let mut sets = Sets::of(&deployment, self.gather(&deployment).await?);
        let now = Timestamp::now();
        if deployment.metadata.deletion_timestamp.is_none() {
            if sets.new.is_none() && of_deployment(&deployment).paused != Some(true) {
                match self.create(&deployment, &sets).await? {
                    // its pods come with the next look, which the watch will bring
                    Some(set) => sets.new = Some(Arc::new(set)),
                    None => return Ok(Action::await_change()),
                }
            }
            self.number(&deployment, &sets).await?;
            self.resize(&deployment, &sets, now).await?;
            self.forget(&deployment, &sets).await?;
        }
        let status = status::status(&deployment, &sets, now);
        let again = status::deadline_in(&status, &deployment, now);
        self.report(&deployment, status).await?;
        Ok(again.map_or_else(Action::await_change, Action::requeue))
    }

    /// Its replica sets, after free ones were adopted and lost ones let go.
    async fn gather(&self, deployment: &Deployment) -> Result<Vec<Arc<ReplicaSet>>, kube::Error> {
        let api = self.sets(deployment);
        let mut own = Vec::new();
        for set in self.0.shelf.replica_sets.state() {
            let standing = owned::standing(
                &set.metadata,
                &deployment.metadata,
                &of_deployment(deployment).selector,
            );
            let patch = match standing {
                Standing::Own => {
                    own.push(set);
                    continue;
                }
                Standing::Free => owned::adoption(deployment, &set.metadata),
                Standing::Lost => owned::release(&set.metadata, &deployment.uid().unwrap_or_default()),
                Standing::Foreign => continue,
            };
            let params = PatchParams::apply(MANAGER);
            match api.patch(&set.name_any(), &params, &Patch::Merge(&patch)).await {
                Ok(adopted) if standing == Standing::Free => own.push(Arc::new(adopted)),
                Ok(_) => {}
                Err(error) if is_code(&error, 404) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(own)
    }

    /// Makes the set of the template, without pods. None: one of that name is there and is not seen yet, or is of
    /// another template, in which case the next look takes another name.
    async fn create(&self, deployment: &Deployment, sets: &Sets) -> Result<Option<ReplicaSet>, kube::Error> {
        let collisions = deployment
            .status
            .as_ref()
            .and_then(|s| s.collision_count)
            .unwrap_or(0);
        let hash = sets::hash(&of_deployment(deployment).template, collisions);
        let name = format!("{}-{hash}", deployment.name_any());
        let mut template = of_deployment(deployment).template.clone();
        let labels = template
            .metadata
            .get_or_insert_default()
            .labels
            .get_or_insert_default();
        labels.insert(sets::HASH.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector: LabelSelector = of_deployment(deployment).selector.clone();
        selector
            .match_labels
            .get_or_insert_default()
            .insert(sets::HASH.to_owned(), hash);
        let number = sets.newest_revision();
        let set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: deployment.namespace(),
                labels: Some(labels),
                annotations: Some(sets::annotations(
                    deployment,
                    None,
                    number,
                    plan::most(deployment),
                )),
                owner_references: Some(vec![owned::reference(deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(0),
                min_ready_seconds: of_deployment(deployment).min_ready_seconds,
                selector,
                template: Some(template),
            }),
            status: None,
        };
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.sets(deployment).create(&params, &set).await {
            Ok(made) => Ok(Some(made)),
            Err(error) if is_code(&error, 409) => {
                self.collided(deployment, &name, collisions).await?;
                Ok(None)
            }
            Err(error) => {
                let message = format!("Failed to create new replica set \"{name}\": {error}");
                self.tell(deployment, Kind::Warning, "ReplicaSetCreateError", message);
                Err(error)
            }
        }
    }

    async fn collided(
        &self,
        deployment: &Deployment,
        name: &str,
        collisions: i32,
    ) -> Result<(), kube::Error> {
        let there = self.sets(deployment).get_opt(name).await?;
        let own = there.is_some_and(|set| {
            owned::controller_of(&set.metadata).map(|by| &by.uid) == deployment.metadata.uid.as_ref()
                && Sets::of(deployment, vec![Arc::new(set)]).new.is_some()
        });
        if own {
            return Ok(());
        }
        let mut status = deployment.status.clone().unwrap_or_default();
        status.collision_count = Some(collisions + 1);
        self.report(deployment, status).await
    }

    /// Gives the new set the newest number, and the deployment the same.
    async fn number(&self, deployment: &Deployment, sets: &Sets) -> Result<(), kube::Error> {
        let Some(new) = &sets.new else {
            return Ok(());
        };
        let number = sets.newest_revision().max(sets::revision(new));
        let annotations = sets::annotations(deployment, Some(new), number, plan::most(deployment));
        let least = of_deployment(deployment).min_ready_seconds;
        if *new.annotations() != annotations || of_set(new).min_ready_seconds != least {
            let patch = json!({
                "metadata": { "uid": new.metadata.uid, "annotations": annotations },
                "spec": { "minReadySeconds": least },
            });
            let params = PatchParams::apply(MANAGER);
            let api = self.sets(deployment);
            api.patch(&new.name_any(), &params, &Patch::Merge(&patch)).await?;
        }
        let number = number.to_string();
        if deployment.annotations().get(sets::REVISION) != Some(&number) {
            let patch = json!({
                "metadata": { "uid": deployment.metadata.uid, "annotations": { sets::REVISION: number } },
            });
            let params = PatchParams::apply(MANAGER);
            let api = self.api(deployment);
            api.patch(&deployment.name_any(), &params, &Patch::Merge(&patch))
                .await?;
        }
        Ok(())
    }

    async fn resize(&self, deployment: &Deployment, sets: &Sets, now: Timestamp) -> Result<(), kube::Error> {
        let old_pods = self.has_old_pods(sets);
        let api = self.sets(deployment);
        for (name, size) in plan::sizes(deployment, sets, old_pods, now) {
            let Some(set) = sets.all().find(|set| set.name_any() == name) else {
                continue;
            };
            // what was decided on an older state of the set is not done
            let patch = json!({
                "metadata": { "uid": set.metadata.uid, "resourceVersion": set.metadata.resource_version },
                "spec": { "replicas": size },
            });
            match api
                .patch(&name, &PatchParams::apply(MANAGER), &Patch::Merge(&patch))
                .await
            {
                Ok(_) => {}
                Err(error) if is_code(&error, 409) || is_code(&error, 404) => continue,
                Err(error) => return Err(error),
            }
            let before = sets::wanted(set);
            let way = if size > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {name} from {before} to {size}");
            self.tell(deployment, Kind::Normal, "ScalingReplicaSet", message);
        }
        Ok(())
    }

    fn has_old_pods(&self, sets: &Sets) -> bool {
        let shelf = &self.0.shelf;
        let of = |set: &Arc<ReplicaSet>| {
            let uid = set.metadata.uid.as_deref().unwrap_or_default();
            shelf.owners.pods_of(uid, &shelf.pods)
        };
        let mut pods = sets.old.iter().flat_map(of);
        pods.any(|pod| !super::pods::is_over(&pod))
    }

    async fn forget(&self, deployment: &Deployment, sets: &Sets) -> Result<(), kube::Error> {
        let api = self.sets(deployment);
        for name in plan::forgotten(deployment, sets) {
            let uid = sets
                .old
                .iter()
                .find(|set| set.name_any() == name)
                .and_then(|set| set.uid());
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid,
                    resource_version: None,
                }),
                ..DeleteParams::background()
            };
            match api.delete(&name, &params).await {
                Ok(_) => {}
                Err(error) if is_code(&error, 404) || is_code(&error, 409) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn report(&self, deployment: &Deployment, status: DeploymentStatus) -> Result<(), kube::Error> {
        if deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let next = Deployment {
            status: Some(status),
            ..deployment.clone()
        };
        let api = self.api(deployment);
        match api
            .replace_status(&deployment.name_any(), &PostParams::default(), &next)
            .await
        {
            Ok(_) => Ok(()),
            // it has changed or gone, and is looked at again when that is seen
            Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, deployment: &Deployment, kind: Kind, reason: &str, message: String) {
        self.0.teller.tell(deployment, NAME, kind, reason, message);
    }

    fn api(&self, deployment: &Deployment) -> Api<Deployment> {
        Api::namespaced(self.0.client.clone(), &deployment.namespace().unwrap_or_default())
    }

    fn sets(&self, deployment: &Deployment) -> Api<ReplicaSet> {
        Api::namespaced(self.0.client.clone(), &deployment.namespace().unwrap_or_default())
    }
}
