//! Tenants.

use super::amounts::or_nothing;
use crate::malformed::{Malformed, name, required};
use crate::proto::model::v1 as wire;
use plenum_model::tenant::{Tenant, TenantUsage};

impl From<&Tenant> for wire::Tenant {
    fn from(tenant: &Tenant) -> Self {
        Self {
            path: tenant.path.as_str().to_owned(),
            weight: tenant.weight,
            guarantee: Some((&tenant.guarantee).into()),
            limit: Some((&tenant.limit).into()),
        }
    }
}

impl TryFrom<wire::Tenant> for Tenant {
    type Error = Malformed;
    fn try_from(tenant: wire::Tenant) -> Result<Self, Malformed> {
        if tenant.weight == 0 {
            return Err(Malformed::range("tenant.weight", 0_u32));
        }
        Ok(Self {
            path: name(&tenant.path, "tenant.path")?,
            weight: tenant.weight,
            guarantee: or_nothing(tenant.guarantee),
            limit: or_nothing(tenant.limit),
        })
    }
}

impl From<&TenantUsage> for wire::TenantUsage {
    fn from(usage: &TenantUsage) -> Self {
        Self {
            tenant: Some((&usage.tenant).into()),
            used: Some((&usage.used).into()),
            pending: Some((&usage.pending).into()),
            tasks: usage.tasks,
        }
    }
}

impl TryFrom<wire::TenantUsage> for TenantUsage {
    type Error = Malformed;
    fn try_from(usage: wire::TenantUsage) -> Result<Self, Malformed> {
        Ok(Self {
            tenant: required(usage.tenant, "usage.tenant")?,
            used: or_nothing(usage.used),
            pending: or_nothing(usage.pending),
            tasks: usage.tasks,
        })
    }
}
