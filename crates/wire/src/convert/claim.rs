//! What a claim says.

use super::enums::WireEnum;
use crate::malformed::{
    Fault, Malformed, each, id_bytes, maybe, maybe_name, name, need, small, spec_id, task_id,
};
use crate::proto::model::v1 as wire;
use bytes::Bytes;
use plenum_model::claim::{
    Amendment, Budget, Desired, FileRef, HostPort, LostAfter, Pin, PortAsk, Priority, Protocol, Seat, Terms,
    Workload,
};
use wire::DesiredState as State;

impl From<&Seat> for wire::Seat {
    fn from(seat: &Seat) -> Self {
        Self {
            id: id_bytes(&seat.id),
            name: seat.name.clone(),
            slot: seat.slot,
            replaces: seat.replaces.as_ref().map(id_bytes),
            pin: seat.pin.as_ref().map(wire::Pin::from),
        }
    }
}

impl TryFrom<wire::Seat> for Seat {
    type Error = Malformed;
    fn try_from(seat: wire::Seat) -> Result<Self, Malformed> {
        Ok(Self {
            id: task_id(&seat.id, "seat.id")?,
            name: seat.name,
            slot: seat.slot,
            replaces: seat
                .replaces
                .map(|id| task_id(&id, "seat.replaces"))
                .transpose()?,
            pin: maybe(seat.pin)?,
        })
    }
}

impl From<&Pin> for wire::Pin {
    fn from(pin: &Pin) -> Self {
        Self {
            node: pin.node.as_str().to_owned(),
            past_cordon: pin.past_cordon,
        }
    }
}

impl TryFrom<wire::Pin> for Pin {
    type Error = Malformed;
    fn try_from(pin: wire::Pin) -> Result<Self, Malformed> {
        Ok(Self {
            node: name(&pin.node, "pin.node")?,
            past_cordon: pin.past_cordon,
        })
    }
}

impl From<&Terms> for wire::Terms {
    fn from(terms: &Terms) -> Self {
        Self {
            workload: Some(wire::Workload::from(&terms.workload)),
            tenant: terms.tenant.as_str().to_owned(),
            charge: Some(wire::Amounts::from(&terms.charge)),
            devices: terms.devices.clone(),
            ports: terms.ports.iter().map(wire::PortAsk::from).collect(),
            spec: Bytes::copy_from_slice(&terms.spec.0),
            labels: terms.labels.clone(),
            desired: desired(terms.desired),
            rules: Some(wire::Rules::from(&terms.rules)),
            lost_after: Some(wire::LostAfter::from(terms.lost_after)),
            priority: Some(wire::Priority::from(&terms.priority)),
            may_preempt: terms.may_preempt,
            budget: terms.budget.as_ref().map(wire::Budget::from),
            files: terms.files.iter().map(wire::FileRef::from).collect(),
            keep_ended: terms.keep_ended,
        }
    }
}

impl TryFrom<wire::Terms> for Terms {
    type Error = Malformed;
    fn try_from(terms: wire::Terms) -> Result<Self, Malformed> {
        Ok(Self {
            workload: need(terms.workload, "terms.workload")?.into(),
            tenant: name(&terms.tenant, "terms.tenant")?,
            charge: need(terms.charge, "terms.charge")?.into(),
            devices: terms.devices,
            ports: each(terms.ports)?,
            spec: spec_id(&terms.spec, "terms.spec")?,
            labels: terms.labels,
            desired: desired_or_running(terms.desired)?,
            rules: maybe(terms.rules)?.unwrap_or_default(),
            lost_after: maybe(terms.lost_after)?.unwrap_or_default(),
            priority: maybe(terms.priority)?.unwrap_or_default(),
            may_preempt: terms.may_preempt,
            budget: terms.budget.map(Budget::from),
            files: terms.files.into_iter().map(FileRef::from).collect(),
            keep_ended: terms.keep_ended,
        })
    }
}

impl From<&Workload> for wire::Workload {
    fn from(w: &Workload) -> Self {
        Self {
            uid: w.uid.clone(),
            name: w.name.clone(),
            kind: w.kind.clone(),
            version: w.version.clone(),
        }
    }
}

impl From<wire::Workload> for Workload {
    fn from(w: wire::Workload) -> Self {
        Self {
            uid: w.uid,
            name: w.name,
            kind: w.kind,
            version: w.version,
        }
    }
}

/// Desired state; running, the usual one, costs nothing.
pub(crate) fn desired(desired: Desired) -> Option<wire::Desired> {
    (desired != Desired::Running).then(|| desired.into())
}

/// Desired state where absent means running.
pub(crate) fn desired_or_running(desired: Option<wire::Desired>) -> Result<Desired, Malformed> {
    Ok(maybe(desired)?.unwrap_or_default())
}

impl From<Desired> for wire::Desired {
    fn from(desired: Desired) -> Self {
        let (state, held_deadline_ms) = match desired {
            Desired::Held { deadline_ms } => (State::Held, deadline_ms),
            Desired::Running => (State::Running, 0),
            Desired::Stopped => (State::Stopped, 0),
        };
        Self {
            state: state.into(),
            held_deadline_ms,
        }
    }
}

impl TryFrom<wire::Desired> for Desired {
    type Error = Malformed;
    fn try_from(desired: wire::Desired) -> Result<Self, Malformed> {
        let plain = match State::try_from(desired.state) {
            Ok(State::Unspecified) => return Err(Malformed::missing("desired.state")),
            Ok(State::Held) => {
                return Ok(Self::Held {
                    deadline_ms: desired.held_deadline_ms,
                });
            }
            Ok(State::Running) => Self::Running,
            Ok(State::Stopped) => Self::Stopped,
            Err(_) => {
                return Err(Malformed {
                    field: "desired.state",
                    fault: Fault::Unknown(desired.state),
                });
            }
        };
        match desired.held_deadline_ms {
            0 => Ok(plain),
            _ => Err(Malformed::unexpected("desired.held_deadline_ms")),
        }
    }
}

impl From<&PortAsk> for wire::PortAsk {
    fn from(ask: &PortAsk) -> Self {
        Self {
            name: ask.name.clone(),
            protocol: ask.protocol.number(),
            host: match ask.host {
                HostPort::Dynamic => None,
                HostPort::Fixed(port) => Some(port.into()),
            },
            container: ask.container.map(u32::from),
        }
    }
}

impl TryFrom<wire::PortAsk> for PortAsk {
    type Error = Malformed;
    fn try_from(ask: wire::PortAsk) -> Result<Self, Malformed> {
        Ok(Self {
            name: ask.name,
            protocol: Protocol::or_default(ask.protocol)?,
            host: match ask.host {
                None => HostPort::Dynamic,
                Some(port) => HostPort::Fixed(small(port, "port.host")?),
            },
            container: ask
                .container
                .map(|port| small(port, "port.container"))
                .transpose()?,
        })
    }
}

impl From<LostAfter> for wire::LostAfter {
    fn from(lost: LostAfter) -> Self {
        use wire::lost_after::LostAfter as L;
        let lost_after = match lost {
            LostAfter::Never => L::Never(()),
            LostAfter::Millis(millis) => L::Millis(millis),
        };
        Self {
            lost_after: Some(lost_after),
        }
    }
}

impl TryFrom<wire::LostAfter> for LostAfter {
    type Error = Malformed;
    fn try_from(lost: wire::LostAfter) -> Result<Self, Malformed> {
        use wire::lost_after::LostAfter as L;
        Ok(match need(lost.lost_after, "lost_after")? {
            L::Never(()) => Self::Never,
            L::Millis(millis) => Self::Millis(millis),
        })
    }
}

impl From<&Priority> for wire::Priority {
    fn from(priority: &Priority) -> Self {
        Self {
            value: priority.value,
            scope: priority.scope.as_ref().map(|t| t.as_str().to_owned()),
        }
    }
}

impl TryFrom<wire::Priority> for Priority {
    type Error = Malformed;
    fn try_from(priority: wire::Priority) -> Result<Self, Malformed> {
        let scope = maybe_name(priority.scope.as_deref(), "priority.scope")?;
        Ok(Self {
            value: priority.value,
            scope,
        })
    }
}

impl From<&Budget> for wire::Budget {
    fn from(budget: &Budget) -> Self {
        Self {
            group: budget.group.clone(),
            min_healthy: budget.min_healthy,
        }
    }
}

impl From<wire::Budget> for Budget {
    fn from(budget: wire::Budget) -> Self {
        Self {
            group: budget.group,
            min_healthy: budget.min_healthy,
        }
    }
}

impl From<&FileRef> for wire::FileRef {
    fn from(file: &FileRef) -> Self {
        Self {
            key: file.key.clone(),
            revision: file.revision,
            target: file.target.clone(),
            mode: file.mode,
            secret: file.secret,
            volume: file.volume.clone(),
        }
    }
}

impl From<wire::FileRef> for FileRef {
    fn from(file: wire::FileRef) -> Self {
        Self {
            key: file.key,
            revision: file.revision,
            target: file.target,
            mode: file.mode,
            secret: file.secret,
            volume: file.volume,
        }
    }
}

impl From<&Amendment> for wire::Amendment {
    fn from(amendment: &Amendment) -> Self {
        use wire::amendment::Change as C;
        let change = match amendment {
            Amendment::Desired(desired) => C::Desired((*desired).into()),
            Amendment::Labels(labels) => C::Labels(wire::Labels {
                labels: labels.clone(),
            }),
            Amendment::Charge(charge) => C::Charge(charge.into()),
            Amendment::Files(files) => C::Files(wire::Files {
                files: files.iter().map(wire::FileRef::from).collect(),
            }),
            Amendment::Image { container, reference } => C::Image(wire::ImageChange {
                container: container.clone(),
                reference: reference.clone(),
            }),
        };
        Self { change: Some(change) }
    }
}

impl TryFrom<wire::Amendment> for Amendment {
    type Error = Malformed;
    fn try_from(amendment: wire::Amendment) -> Result<Self, Malformed> {
        use wire::amendment::Change as C;
        Ok(match need(amendment.change, "amendment.change")? {
            C::Desired(desired) => Self::Desired(desired.try_into()?),
            C::Labels(labels) => Self::Labels(labels.labels),
            C::Charge(charge) => Self::Charge(charge.into()),
            C::Files(files) => Self::Files(files.files.into_iter().map(FileRef::from).collect()),
            C::Image(image) => Self::Image {
                container: image.container,
                reference: image.reference,
            },
        })
    }
}
