//! Amounts and names of resources.

use crate::malformed::{Malformed, need};
use crate::proto::model::v1 as wire;
use plenum_model::amounts::{Amounts, Resource};

impl From<&Amounts> for wire::Amounts {
    fn from(a: &Amounts) -> Self {
        Self {
            cpu_millis: a.cpu_millis,
            memory_bytes: a.memory_bytes,
            disk_bytes: a.disk_bytes,
            slots: a.slots,
            extended: a.extended.clone(),
        }
    }
}

impl From<wire::Amounts> for Amounts {
    fn from(mut a: wire::Amounts) -> Self {
        a.extended.retain(|_, count| *count > 0);
        Self {
            cpu_millis: a.cpu_millis,
            memory_bytes: a.memory_bytes,
            disk_bytes: a.disk_bytes,
            slots: a.slots,
            extended: a.extended,
        }
    }
}

/// Amounts where absent means nothing.
pub(crate) fn or_nothing(amounts: Option<wire::Amounts>) -> Amounts {
    amounts.map(Amounts::from).unwrap_or_default()
}

impl From<&Resource> for wire::Resource {
    fn from(resource: &Resource) -> Self {
        use wire::resource::Resource as R;
        let resource = match resource {
            Resource::Cpu => R::Cpu(()),
            Resource::Memory => R::Memory(()),
            Resource::Disk => R::Disk(()),
            Resource::Slot => R::Slot(()),
            Resource::Extended(name) => R::Extended(name.clone()),
        };
        Self {
            resource: Some(resource),
        }
    }
}

impl TryFrom<wire::Resource> for Resource {
    type Error = Malformed;
    fn try_from(resource: wire::Resource) -> Result<Self, Malformed> {
        use wire::resource::Resource as R;
        Ok(match need(resource.resource, "resource")? {
            R::Cpu(()) => Self::Cpu,
            R::Memory(()) => Self::Memory,
            R::Disk(()) => Self::Disk,
            R::Slot(()) => Self::Slot,
            R::Extended(name) => Self::Extended(name),
        })
    }
}
