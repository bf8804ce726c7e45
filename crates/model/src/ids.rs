//! Identities and counters. Each counter is raised by one party only; a receiver refuses the past.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An identity that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}: {why}")]
pub struct BadId {
    /// What was given.
    pub given: String,
    /// What it should have been.
    pub kind: &'static str,
    /// The rule it breaks.
    pub why: &'static str,
}

/// The life of one slot of a workload: 12 bytes, the part of a task id that all attempts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey(pub [u8; 12]);

/// A task: 16 bytes made by its scheduler. The first 12 are a hash of scheduler, workload and slot, the last
/// 4 the attempt (big endian), so a scheduler that crashed derives the same ids again, and the broker can
/// remember the highest attempt of each slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub [u8; 16]);

impl TaskId {
    /// The id of attempt `attempt` in slot `slot` of the workload `workload_uid` of `scheduler`.
    #[must_use]
    pub fn derive(scheduler: &SchedulerId, workload_uid: &str, slot: u64, attempt: u32) -> Self {
        let mut hash = Sha256::new();
        for part in [
            scheduler.as_str().as_bytes(),
            workload_uid.as_bytes(),
            &slot.to_be_bytes(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut id = [0_u8; 16];
        id[..12].copy_from_slice(&digest[..12]);
        id[12..].copy_from_slice(&attempt.to_be_bytes());
        Self(id)
    }

    /// What all attempts of this slot share.
    #[must_use]
    pub fn slot_key(&self) -> SlotKey {
        let mut key = [0_u8; 12];
        key.copy_from_slice(&self.0[..12]);
        SlotKey(key)
    }

    /// Which attempt this is.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        u32::from_be_bytes([self.0[12], self.0[13], self.0[14], self.0[15]])
    }
}

/// The content address of a spec: SHA-256 of its canonical encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecId(pub [u8; 32]);

macro_rules! hexadecimal {
    ($name:ident, $bytes:literal, $kind:literal, $why:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                let bad = || BadId {
                    given: s.to_owned(),
                    kind: $kind,
                    why: $why,
                };
                if s.len() != 2 * $bytes || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(bad());
                }
                let mut id = [0_u8; $bytes];
                for (i, byte) in id.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
                }
                Ok(Self(id))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

hexadecimal!(TaskId, 16, "task id", "it has 32 hexadecimal digits");
hexadecimal!(SpecId, 32, "spec id", "it has 64 hexadecimal digits");

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $ok:expr, $why:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// `BadId` with the rule that `given` breaks.
            pub fn new(given: impl AsRef<str>) -> Result<Self, BadId> {
                let given = given.as_ref();
                let ok: fn(char) -> bool = $ok;
                if given.is_empty() || given.len() > $max || !given.chars().all(ok) {
                    return Err(BadId { given: given.to_owned(), kind: $kind, why: $why });
                }
                Ok(Self(given.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                Self::new(s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A machine that runs the agent.
    NodeId, "node name", 253, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
    "1 to 253 of A-Z a-z 0-9 - _ ."
);
name!(
    /// A scheduler: one adapter plugin instance (`marathon`).
    SchedulerId, "scheduler name", 63, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "1 to 63 of a-z 0-9 -"
);
name!(
    /// A team, as a path (`web/checkout`).
    TenantPath, "tenant path", 253, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'),
    "1 to 253 of A-Z a-z 0-9 - _ . and / between parts"
);

macro_rules! counter {
    ($($(#[$doc:meta])* $name:ident: $int:ty;)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// The one after this. Saturates: a counter that could ever get there would need 10^12 years.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

counter! {
    /// Which broker leads; raised by the broker that takes over. In every commit and every message to an agent.
    LeaderEpoch: u64;
    /// Which session of a scheduler lives; raised by the broker.
    SessionEpoch: u64;
    /// Desired state of one task; raised by the broker on claim, amend and release.
    Generation: u64;
    /// Restarts in place; raised by the agent only.
    Incarnation: u32;
    /// An agent's observations, numbered by the agent; never reused on a node.
    Seq: u64;
    /// A write to the state store; raised by the store.
    Revision: u64;
    /// A place on a watch; raised by the broker.
    Cursor: u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_is_a_function_of_its_seat_and_attempt() {
        let s = SchedulerId::new("marathon").unwrap();
        let a = TaskId::derive(&s, "web", 3, 7);
        assert_eq!(a, TaskId::derive(&s, "web", 3, 7));
        assert_eq!(a.attempt(), 7);
        assert_eq!(a.slot_key(), TaskId::derive(&s, "web", 3, 8).slot_key());
        assert_ne!(a.slot_key(), TaskId::derive(&s, "web", 4, 7).slot_key());
        assert_eq!(a.to_string().parse(), Ok(a));
    }

    #[test]
    fn names_refuse_what_would_break_a_path_or_a_header() {
        for bad in ["", "a b", "a/b", "ü", "x\n"] {
            assert!(NodeId::new(bad).is_err(), "{bad:?}");
        }
        assert!(TenantPath::new("web/checkout").is_ok());
    }
}
