//! Amounts: how much of what. Counts only; sets of ids (ports, devices) have their own types, so that a
//! charge, a cap and a capacity can be compared resource by resource. All arithmetic is checked.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A countable resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Processor time, in thousandths of a core.
    Cpu,
    /// Memory, in bytes.
    Memory,
    /// Disk, in bytes.
    Disk,
    /// Places for tasks; every task holds one.
    Slot,
    /// Anything else a node declares, by name.
    Extended(String),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Slot => "slot",
            Self::Extended(name) => name,
        })
    }
}

impl Resource {
    /// So much of it as people say it: `4.0 cpu`, `0.25 cpu`, `512 MiB memory`, `3 slot`.
    #[must_use]
    pub fn amount(&self, count: u64) -> String {
        const MIB: u64 = 1 << 20;
        match self {
            Self::Cpu => {
                let text = format!("{}.{:03}", count / 1000, count % 1000);
                let whole = text.len() - 2; // one decimal stays
                let rest = text[whole..].trim_end_matches('0');
                format!("{}{rest} cpu", &text[..whole])
            }
            Self::Memory | Self::Disk => format!("{} MiB {self}", count.div_ceil(MIB)),
            Self::Slot | Self::Extended(_) => format!("{count} {self}"),
        }
    }
}

/// An open map of counts. The four every node has are fields; the rest is by name, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amounts {
    /// Thousandths of a core.
    #[serde(default)]
    pub cpu_millis: u64,
    /// Bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Bytes.
    #[serde(default)]
    pub disk_bytes: u64,
    /// Places for tasks.
    #[serde(default)]
    pub slots: u64,
    /// Extended resources by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<String, u64>,
}

impl Amounts {
    /// Cpu and memory with one slot: what most tasks ask.
    #[must_use]
    pub fn task(cpu_millis: u64, memory_bytes: u64, disk_bytes: u64) -> Self {
        Self {
            cpu_millis,
            memory_bytes,
            disk_bytes,
            slots: 1,
            extended: BTreeMap::new(),
        }
    }

    /// How much of one resource.
    #[must_use]
    pub fn get(&self, resource: &Resource) -> u64 {
        match resource {
            Resource::Cpu => self.cpu_millis,
            Resource::Memory => self.memory_bytes,
            Resource::Disk => self.disk_bytes,
            Resource::Slot => self.slots,
            Resource::Extended(name) => self.extended.get(name).copied().unwrap_or(0),
        }
    }

    /// Sets one resource; an extended one set to zero disappears.
    pub fn set(&mut self, resource: &Resource, value: u64) {
        match resource {
            Resource::Cpu => self.cpu_millis = value,
            Resource::Memory => self.memory_bytes = value,
            Resource::Disk => self.disk_bytes = value,
            Resource::Slot => self.slots = value,
            Resource::Extended(name) if value == 0 => {
                self.extended.remove(name);
            }
            Resource::Extended(name) => {
                self.extended.insert(name.clone(), value);
            }
        }
    }

    /// Every resource that is not zero, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Resource, u64)> + '_ {
        let fixed = [
            (Resource::Cpu, self.cpu_millis),
            (Resource::Memory, self.memory_bytes),
            (Resource::Disk, self.disk_bytes),
            (Resource::Slot, self.slots),
        ];
        let extended = self
            .extended
            .iter()
            .map(|(name, v)| (Resource::Extended(name.clone()), *v));
        fixed.into_iter().chain(extended).filter(|(_, v)| *v > 0)
    }

    /// Whether nothing is asked or held.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        let fixed = self.cpu_millis | self.memory_bytes | self.disk_bytes | self.slots;
        fixed == 0 && self.extended.values().all(|count| *count == 0)
    }

    /// The first resource of which `self` asks more than `free` has, in the order of [`Amounts::iter`].
    #[must_use]
    pub fn short_of(&self, free: &Self) -> Option<Resource> {
        if self.cpu_millis > free.cpu_millis {
            return Some(Resource::Cpu);
        }
        if self.memory_bytes > free.memory_bytes {
            return Some(Resource::Memory);
        }
        if self.disk_bytes > free.disk_bytes {
            return Some(Resource::Disk);
        }
        if self.slots > free.slots {
            return Some(Resource::Slot);
        }
        self.extended
            .iter()
            .find(|(name, v)| **v > free.extended.get(*name).copied().unwrap_or(0))
            .map(|(name, _)| Resource::Extended(name.clone()))
    }

    /// Whether all of `self` is within `free`.
    #[must_use]
    pub fn fits(&self, free: &Self) -> bool {
        self.short_of(free).is_none()
    }

    /// The sum; `None` if a count would overflow.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        self.combine(other, u64::checked_add)
    }

    /// The difference; `None` if a count would go below zero.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        self.combine(other, u64::checked_sub)
    }

    /// The difference, each count at least zero: for free room of a node whose capacity shrank.
    #[must_use]
    pub fn saturating_sub(&self, other: &Self) -> Self {
        self.combine(other, |a, b| Some(a.saturating_sub(b)))
            .unwrap_or_default()
    }

    /// Becomes the difference of two others, each count at least zero. Takes no memory for what it knows already.
    pub fn set_difference(&mut self, of: &Self, less: &Self) {
        self.cpu_millis = of.cpu_millis.saturating_sub(less.cpu_millis);
        self.memory_bytes = of.memory_bytes.saturating_sub(less.memory_bytes);
        self.disk_bytes = of.disk_bytes.saturating_sub(less.disk_bytes);
        self.slots = of.slots.saturating_sub(less.slots);
        if of.extended.is_empty() {
            self.extended.clear();
            return;
        }
        self.extended.retain(|name, _| of.extended.contains_key(name));
        for (name, all) in &of.extended {
            let rest = all.saturating_sub(less.extended.get(name).copied().unwrap_or(0));
            match self.extended.get_mut(name) {
                Some(have) if rest > 0 => *have = rest,
                Some(_) => {
                    self.extended.remove(name);
                }
                None if rest > 0 => {
                    self.extended.insert(name.clone(), rest);
                }
                None => {}
            }
        }
    }

    /// Adds others to these where they are; a sum that would overflow stays at the most there is.
    pub fn add(&mut self, more: &Self) {
        self.cpu_millis = self.cpu_millis.saturating_add(more.cpu_millis);
        self.memory_bytes = self.memory_bytes.saturating_add(more.memory_bytes);
        self.disk_bytes = self.disk_bytes.saturating_add(more.disk_bytes);
        self.slots = self.slots.saturating_add(more.slots);
        for (name, count) in more.extended.iter().filter(|(_, count)| **count > 0) {
            match self.extended.get_mut(name) {
                Some(have) => *have = have.saturating_add(*count),
                None => {
                    self.extended.insert(name.clone(), *count);
                }
            }
        }
    }

    /// Takes others from these where they are, each count at least zero.
    pub fn take(&mut self, less: &Self) {
        self.cpu_millis = self.cpu_millis.saturating_sub(less.cpu_millis);
        self.memory_bytes = self.memory_bytes.saturating_sub(less.memory_bytes);
        self.disk_bytes = self.disk_bytes.saturating_sub(less.disk_bytes);
        self.slots = self.slots.saturating_sub(less.slots);
        for (name, count) in &less.extended {
            if let Some(have) = self.extended.get_mut(name) {
                *have = have.saturating_sub(*count);
                if *have == 0 {
                    self.extended.remove(name);
                }
            }
        }
    }

    /// The smaller of both, resource by resource.
    #[must_use]
    pub fn at_most(&self, other: &Self) -> Self {
        self.combine(other, |a, b| Some(a.min(b))).unwrap_or_default()
    }

    fn combine(&self, other: &Self, op: impl Fn(u64, u64) -> Option<u64>) -> Option<Self> {
        let mut extended = BTreeMap::new();
        if !(self.extended.is_empty() && other.extended.is_empty()) {
            for name in self.extended.keys().chain(other.extended.keys()) {
                let (a, b) = (self.extended.get(name), other.extended.get(name));
                let value = op(a.copied().unwrap_or(0), b.copied().unwrap_or(0))?;
                if value > 0 {
                    extended.insert(name.clone(), value);
                }
            }
        }
        Some(Self {
            cpu_millis: op(self.cpu_millis, other.cpu_millis)?,
            memory_bytes: op(self.memory_bytes, other.memory_bytes)?,
            disk_bytes: op(self.disk_bytes, other.disk_bytes)?,
            slots: op(self.slots, other.slots)?,
            extended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_say_them() {
        let said = |resource: Resource, counts: &[u64]| -> Vec<String> {
            counts.iter().map(|c| resource.amount(*c)).collect()
        };
        assert_eq!(
            said(Resource::Cpu, &[0, 50, 100, 250, 999, 4000, 12_345]),
            [
                "0.0 cpu",
                "0.05 cpu",
                "0.1 cpu",
                "0.25 cpu",
                "0.999 cpu",
                "4.0 cpu",
                "12.345 cpu"
            ]
        );
        assert_eq!(
            said(Resource::Memory, &[1, 512 << 20]),
            ["1 MiB memory", "512 MiB memory"]
        );
        assert_eq!(said(Resource::Slot, &[3]), ["3 slot"]);
    }
    use proptest::prelude::*;

    fn any_amounts() -> impl Strategy<Value = Amounts> {
        let extended = proptest::collection::btree_map("[a-c]", 1_u64..1 << 40, 0..3);
        (
            0_u64..1 << 40,
            0_u64..1 << 50,
            0_u64..1 << 50,
            0_u64..1 << 20,
            extended,
        )
            .prop_map(
                |(cpu_millis, memory_bytes, disk_bytes, slots, extended)| Amounts {
                    cpu_millis,
                    memory_bytes,
                    disk_bytes,
                    slots,
                    extended,
                },
            )
    }

    proptest! {
        #[test]
        fn adding_then_subtracting_gives_back_the_same(a in any_amounts(), b in any_amounts()) {
            let sum = a.checked_add(&b).unwrap();
            prop_assert_eq!(sum.checked_sub(&b).unwrap(), a.clone());
            prop_assert!(a.fits(&sum) && b.fits(&sum));
        }

        #[test]
        fn at_most_is_the_smaller_of_both(a in any_amounts(), b in any_amounts()) {
            let least = a.at_most(&b);
            prop_assert!(least.fits(&a) && least.fits(&b));
            prop_assert!(a.iter().all(|(r, n)| least.get(&r) == n.min(b.get(&r))));
        }

        #[test]
        fn what_is_changed_in_place_is_what_a_new_one_would_be(a in any_amounts(), b in any_amounts(), had in any_amounts()) {
            let (mut sum, mut rest, mut difference) = (a.clone(), a.clone(), had);
            sum.add(&b);
            rest.take(&b);
            difference.set_difference(&a, &b);
            prop_assert_eq!(sum, a.checked_add(&b).unwrap());
            prop_assert_eq!(&rest, &a.saturating_sub(&b));
            prop_assert_eq!(&difference, &a.saturating_sub(&b));
        }

        #[test]
        fn a_difference_exists_exactly_when_it_fits(a in any_amounts(), b in any_amounts()) {
            prop_assert_eq!(a.checked_sub(&b).is_some(), b.fits(&a));
        }
    }

    #[test]
    fn an_overflow_is_refused() {
        let a = Amounts {
            cpu_millis: u64::MAX,
            ..Amounts::default()
        };
        assert_eq!(a.checked_add(&Amounts::task(1, 0, 0)), None);
    }
}
