//! Tenants.

use plenum_client::v1::tenant::{Tenant as Shown, TenantSettings};
use plenum_model::ids::TenantPath;
use plenum_model::tenant::{Tenant, TenantUsage};

pub(crate) fn tenant(t: &TenantUsage) -> Shown {
    Shown {
        path: t.tenant.path.to_string(),
        weight: t.tenant.weight,
        guarantee: (&t.tenant.guarantee).into(),
        limit: (&t.tenant.limit).into(),
        used: (&t.used).into(),
        pending: (&t.pending).into(),
        tasks: t.tasks,
    }
}

pub(crate) fn settings(path: TenantPath, to: TenantSettings) -> Tenant {
    Tenant {
        path,
        weight: to.weight,
        guarantee: to.guarantee.into(),
        limit: to.limit.into(),
    }
}
