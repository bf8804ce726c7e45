//! Enumerations without data. On the wire 0 is "unspecified"; where the `.proto` file gives it a meaning the
//! decoder is `or_default`, everywhere else it is missing.

use crate::malformed::{Fault, Malformed};
use crate::proto::{broker, model};
use plenum_contract::broker::{RefusalReason, WatchPart};
use plenum_contract::streams::LogSource;
use plenum_model::claim::Protocol;
use plenum_model::node::{Liveness, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::rules::{Domains, Op, Strategy};
use plenum_model::spec::{Network, OnFailure, Pull, RestartUnit, Role};
use plenum_model::taint::Effect;
use plenum_model::tally::Scope;
use plenum_model::task::{ExitReason, WaitReason};
use plenum_model::why::Because;

/// An enumeration as its number on the wire.
pub(crate) trait WireEnum: Sized {
    /// Its number.
    fn number(self) -> i32;

    /// What the number means.
    fn from_number(number: i32) -> Result<Self, Malformed>;

    /// What the number means where unspecified means the default.
    fn or_default(number: i32) -> Result<Self, Malformed>
    where
        Self: Default,
    {
        if number == 0 {
            Ok(Self::default())
        } else {
            Self::from_number(number)
        }
    }
}

macro_rules! enums {
    ($($field:literal $model:ident: $wire:path { $($value:ident),+ $(,)? })*) => {$(
        impl WireEnum for $model {
            fn number(self) -> i32 {
                type Wire = $wire;
                match self { $($model::$value => Wire::$value as i32),+ }
            }

            fn from_number(number: i32) -> Result<Self, Malformed> {
                type Wire = $wire;
                match Wire::try_from(number) {
                    $(Ok(Wire::$value) => Ok($model::$value),)+
                    Ok(Wire::Unspecified) => Err(Malformed::missing($field)),
                    Err(_) => Err(Malformed { field: $field, fault: Fault::Unknown(number) }),
                }
            }
        }
    )*};
}

enums! {
    "network" Network: model::v1::Network { Host, Bridge }
    "restart_unit" RestartUnit: model::v1::RestartUnit { Task, Container }
    "role" Role: model::v1::Role { Main, Init, Sidecar }
    "reason" WaitReason: model::v1::WaitReason { Turn, Creating, Held, BackOff, Image, Setup }
    "pull" Pull: model::v1::Pull { IfMissing, Always, Never }
    "on_failure" OnFailure: model::v1::OnFailure { Report, Restart, Fail }
    "strategy" Strategy: model::v1::Strategy { Pack, Spread, Random }
    "scope" Scope: model::v1::Scope { Workload, Version, Scheduler }
    "over" Domains: model::v1::Domains { Seen, Eligible, All }
    "op" Op: model::v1::Op { In, NotIn, Regex, NotRegex, Less, Greater, Exists, NotExists }
    "protocol" Protocol: model::v1::Protocol { Tcp, Udp, Both }
    "phase" Phase: model::v1::Phase {
        Pending, Placed, Preparing, Prepared, Starting, Running, Stopping, Finished, Failed, Stopped, Lost,
        Rejected,
    }
    "reason" ExitReason: model::v1::ExitReason {
        Exited, Asked, OutOfMemory, Image, Command, Port, Setup, Runtime, Unhealthy, Gone, NodeLost, HeldTooLong,
        Preempted,
    }
    "liveness" Liveness: model::v1::Liveness { Ready, Unreachable }
    "scheduling" Scheduling: model::v1::Scheduling { Open, Cordoned, Draining }
    "because" Because: model::v1::Because { System, Guarantee, Priority, Share, Age }
    "effect" Effect: model::v1::TaintEffect { NoSchedule, PreferNoSchedule, NoExecute }
    "source" LogSource: model::v1::LogSource { Stdout, Stderr }
    "reason" RefusalReason: broker::v1::RefusalReason {
        Conflict, NotSupported, Invalid, State, Stale, Unknown,
    }
    "part" WatchPart: broker::v1::WatchPart { Snapshot, SnapshotEnd, Delta }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_phase_comes_back_and_what_is_no_phase_is_refused() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_number(phase.number()), Ok(phase));
        }
        assert_eq!(Phase::from_number(0), Err(Malformed::missing("phase")));
        for number in [-1, 13, i32::MAX] {
            let fault = Fault::Unknown(number);
            assert_eq!(
                Phase::from_number(number),
                Err(Malformed {
                    field: "phase",
                    fault
                })
            );
        }
    }

    #[test]
    fn unspecified_is_the_default_only_where_the_specification_says_so() {
        assert_eq!(Strategy::or_default(0), Ok(Strategy::Spread));
        assert_eq!(Pull::or_default(0), Ok(Pull::IfMissing));
        assert_eq!(
            Strategy::or_default(9),
            Err(Malformed {
                field: "strategy",
                fault: Fault::Unknown(9)
            })
        );
        assert_eq!(Op::from_number(0), Err(Malformed::missing("op")));
    }
}
