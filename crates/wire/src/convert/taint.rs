//! Taints, and who bears them.

use super::enums::WireEnum;
use crate::malformed::{Fault, Malformed, each};
use crate::proto::{api, model::v1 as wire};
use plenum_model::taint::{Effect, Taint, TaintChange, Toleration};

fn effect(given: Option<i32>) -> Result<Option<Effect>, Malformed> {
    given.map(Effect::from_number).transpose()
}

impl From<&Taint> for wire::Taint {
    fn from(taint: &Taint) -> Self {
        Self {
            key: taint.key.clone(),
            value: taint.value.clone(),
            effect: taint.effect.number(),
        }
    }
}

impl TryFrom<wire::Taint> for Taint {
    type Error = Malformed;
    fn try_from(taint: wire::Taint) -> Result<Self, Malformed> {
        let effect = Effect::from_number(taint.effect)?;
        Self::new(&taint.key, &taint.value, effect).map_err(|bad| Malformed {
            field: "taint",
            fault: Fault::Taint(bad),
        })
    }
}

impl From<&Toleration> for wire::Toleration {
    fn from(t: &Toleration) -> Self {
        Self {
            key: t.key.clone(),
            value: t.value.clone(),
            effect: t.effect.map(WireEnum::number),
        }
    }
}

impl TryFrom<wire::Toleration> for Toleration {
    type Error = Malformed;
    fn try_from(t: wire::Toleration) -> Result<Self, Malformed> {
        Ok(Self {
            key: t.key,
            value: t.value,
            effect: effect(t.effect)?,
        })
    }
}

/// What shall become of a node's taints, without the node.
pub(crate) fn change(change: &TaintChange) -> (Vec<wire::Taint>, Vec<api::v1::TaintName>) {
    let name = |(key, effect): &(String, Option<Effect>)| api::v1::TaintName {
        key: key.clone(),
        effect: effect.map(WireEnum::number),
    };
    let set = change.set.iter().map(wire::Taint::from).collect();
    (set, change.remove.iter().map(name).collect())
}

/// The reverse of `change`.
pub(crate) fn read_change(
    set: Vec<wire::Taint>,
    remove: Vec<api::v1::TaintName>,
) -> Result<TaintChange, Malformed> {
    let name = |name: api::v1::TaintName| Ok((name.key, effect(name.effect)?));
    Ok(TaintChange {
        set: each(set)?,
        remove: remove.into_iter().map(name).collect::<Result<_, Malformed>>()?,
    })
}
