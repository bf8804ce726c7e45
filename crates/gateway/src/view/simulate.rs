//! What is supposed, as the pool takes it; and what would be different.

use super::{task, why};
use crate::problem::Problem;
use plenum_client::v1::simulate as shown;
use plenum_contract::pool::{Simulation, Suppose};
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, HostPort, LostAfter, PortAsk, Priority, Terms, Workload};
use plenum_model::code;
use plenum_model::ids::{BadId, NodeId, TenantPath};
use plenum_model::spec::{ContainerSpec, TaskSpec};
use plenum_model::tenant::{Tenant, TenantUsage};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a request supposes, beside the tenants there are.
///
/// # Errors
/// A name that is none.
pub(crate) fn suppose(
    request: shown::SimulateRequest,
    tenants: &[TenantUsage],
) -> Result<Vec<Suppose>, Problem> {
    let nodes = request.lose_nodes.iter();
    let nodes = nodes.map(|node| read::<NodeId>(node, "lose_nodes").map(Suppose::LoseNode));
    let tenants = request.tenants.into_iter().map(|t| tenant(t, tenants));
    let claims = request.claims.into_iter().map(claim);
    nodes.chain(tenants).chain(claims).collect()
}

fn read<T: FromStr<Err = BadId>>(text: &str, field: &str) -> Result<T, Problem> {
    let bad = |e: BadId| Problem::new(code::INVALID, e.to_string()).at(field);
    text.parse().map_err(bad)
}

fn tenant(to: shown::SupposedTenant, all: &[TenantUsage]) -> Result<Suppose, Problem> {
    let path: TenantPath = read(&to.path, "tenants.path")?;
    let known = all.iter().find(|t| t.tenant.path == path);
    let mut tenant = known.map_or_else(|| Tenant::new(path), |t| t.tenant.clone());
    tenant.weight = to.weight.unwrap_or(tenant.weight);
    if let Some(guarantee) = to.guarantee {
        tenant.guarantee = guarantee.into();
    }
    if let Some(limit) = to.limit {
        tenant.limit = limit.into();
    }
    Ok(Suppose::SetTenant(tenant))
}

fn claim(claim: shown::SupposedClaim) -> Result<Suppose, Problem> {
    let container = ContainerSpec {
        name: "main".to_owned(),
        runtime: claim.runtime.unwrap_or_else(|| "process".to_owned()),
        ..ContainerSpec::default()
    };
    let spec = TaskSpec {
        containers: vec![container],
        ..TaskSpec::default()
    };
    let mut charge: Amounts = claim.charge.into();
    charge.slots = charge.slots.max(1);
    let port = |port| PortAsk {
        host: HostPort::Fixed(port),
        ..PortAsk::default()
    };
    let terms = Terms {
        workload: Workload {
            uid: claim.name.clone(),
            name: claim.name,
            kind: "simulation".to_owned(),
            version: String::new(),
        },
        tenant: read(
            claim.tenant.as_deref().unwrap_or(Tenant::DEFAULT),
            "claims.tenant",
        )?,
        charge,
        devices: BTreeMap::new(),
        ports: claim.ports.into_iter().map(port).collect(),
        spec: spec.id(),
        labels: BTreeMap::new(),
        desired: Desired::Running,
        rules: claim.rules,
        lost_after: LostAfter::default(),
        priority: Priority {
            value: claim.priority,
            scope: None,
        },
        may_preempt: claim.may_preempt,
        budget: None,
        files: Vec::new(),
        keep_ended: 0,
    };
    Ok(Suppose::Claim {
        terms: Box::new(terms),
        spec: Box::new(spec),
        count: claim.count,
    })
}

pub(crate) fn simulation(s: &Simulation) -> shown::Simulation {
    let placed = s.placed.iter().map(|(task, node)| shown::Placed {
        task: why::other(task),
        node: node.to_string(),
    });
    let waits = s.waits.iter().map(|(task, block)| shown::Waits {
        task: why::other(task),
        blocks: block.as_ref().map(why::blocks),
    });
    let ended = s.ended.iter().map(|(other, node, reason)| shown::Ended {
        task: why::other(other),
        node: node.to_string(),
        reason: task::reason(*reason).to_owned(),
    });
    let shares = s.shares.iter().map(|change| shown::ShareChange {
        tenant: change.tenant.to_string(),
        before_per_mille: change.before,
        after_per_mille: change.after,
    });
    shown::Simulation {
        placed: placed.collect(),
        waits: waits.collect(),
        ended: ended.collect(),
        shares: shares.collect(),
        waiting: s.waiting,
    }
}
