//! What terms need of a node, prepared once and asked many times; and what of terms this broker does not
//! honour yet, refused by name.

use super::relation::Relation;
use crate::ledger::tenants::lineage;
use plenum_contract::broker::RefusalReason;
use plenum_model::amounts::Amounts;
use plenum_model::claim::{Desired, HostPort, Terms};
use plenum_model::ids::TenantPath;
use plenum_model::node::{NodeFacts, capability};
use plenum_model::rules::{Compiled, Expr, Preference};
use plenum_model::spec::{Network, RestartUnit, TaskSpec};
use plenum_model::taint::{Taint, Toleration};
use plenum_model::why::Cause;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why terms are not taken: reason, field, words.
pub type Unfit = (RefusalReason, &'static str, String);

/// What terms need of a node.
#[derive(Debug, Clone)]
pub struct Needs {
    /// The terms.
    pub terms: Arc<Terms>,
    /// What to run.
    pub spec: Arc<TaskSpec>,
    /// Rules about other tasks.
    pub relations: Vec<Relation>,
    required: Vec<Vec<Compiled>>,
    preferred: Vec<(i32, Vec<Compiled>)>,
    runtimes: Vec<RuntimeNeed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RuntimeNeed {
    name: String,
    hard: Vec<&'static str>,
    soft: Vec<&'static str>,
}

/// All that terms ask of a node and that does not change with placements: what [`Needs::against`] and
/// [`Needs::wish`] may look at. Terms that ask the same have the same answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lasting {
    required: Vec<Vec<Expr>>,
    preferred: Vec<Preference>,
    tolerations: Vec<Toleration>,
    devices: BTreeMap<String, u32>,
    runtimes: Vec<RuntimeNeed>,
}

impl Needs {
    /// What they ask for good.
    #[must_use]
    pub fn lasting(&self) -> Lasting {
        let rules = &self.terms.rules;
        Lasting {
            required: rules.required.clone(),
            preferred: rules.preferred.clone(),
            tolerations: rules.tolerations.clone(),
            devices: self.terms.devices.clone(),
            runtimes: self.runtimes.clone(),
        }
    }

    /// Refuses terms that this broker would not keep. Asked when they are claimed, never when they are read
    /// back from the log: what an older build took stands.
    ///
    /// # Errors
    /// The first thing that contradicts itself or is not honoured.
    pub fn check(&self) -> Result<(), Unfit> {
        unsupported(&self.terms)?;
        invalid(&self.terms, &self.spec)
    }

    /// Prepares terms.
    ///
    /// # Errors
    /// A rule that cannot be evaluated.
    pub fn new(terms: Arc<Terms>, spec: Arc<TaskSpec>, strict_caps: bool) -> Result<Self, Unfit> {
        let all = |exprs: &[Expr]| exprs.iter().map(Expr::compile).collect::<Result<Vec<_>, _>>();
        let bad = |e: plenum_model::rules::BadRule| (RefusalReason::Invalid, "rules", e.to_string());
        let required = terms
            .rules
            .required
            .iter()
            .map(|all_of| all(all_of))
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        let preferred = terms
            .rules
            .preferred
            .iter()
            .map(|p| Ok((p.weight, all(&p.all)?)))
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        let relations = Relation::all_of(&terms).map_err(bad)?;
        let secret = terms.files.iter().any(|f| f.secret);
        let runtimes = runtimes(&spec, strict_caps, secret);
        Ok(Self {
            terms,
            spec,
            relations,
            required,
            preferred,
            runtimes,
        })
    }

    /// The first thing about a node, as its agent describes it and with the taints that operators gave it, that
    /// stands in the way for good. It follows from [`Lasting`] alone.
    #[must_use]
    pub fn against(&self, facts: &NodeFacts, taints: &[Taint]) -> Option<Cause> {
        for need in &self.runtimes {
            let Some(has) = facts.runtimes.get(&need.name) else {
                return Some(Cause::Runtime(need.name.clone()));
            };
            if let Some(missing) = need.hard.iter().find(|c| !has.capabilities.contains(**c)) {
                return Some(Cause::Capability((*missing).to_owned()));
            }
        }
        self.failed_rule(facts).or_else(|| {
            let taint = self.kept_off_by(facts, taints)?;
            Some(Cause::Taint(taint.key.clone()))
        })
    }

    /// Everything about a node that stands in the way for good.
    #[must_use]
    pub fn all_against(&self, facts: &NodeFacts, taints: &[Taint]) -> Vec<Cause> {
        let mut all = Vec::new();
        for need in &self.runtimes {
            match facts.runtimes.get(&need.name) {
                None => all.push(Cause::Runtime(need.name.clone())),
                Some(has) => {
                    let missing = need.hard.iter().filter(|c| !has.capabilities.contains(**c));
                    all.extend(missing.map(|c| Cause::Capability((*c).to_owned())));
                }
            }
        }
        all.extend(self.failed_rule(facts));
        let own = facts.taints.iter().chain(taints);
        let hard = own.filter(|taint| taint.effect.keeps_away() && !self.terms.rules.bears(taint));
        all.extend(hard.map(|taint| Cause::Taint(taint.key.clone())));
        all.dedup();
        all
    }

    /// The runtimes that it needs, with what each must be able to do.
    #[must_use]
    pub fn runtimes(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all = BTreeMap::<String, BTreeSet<String>>::new();
        for need in &self.runtimes {
            let can = need.hard.iter().map(|c| (*c).to_owned());
            all.entry(need.name.clone()).or_default().extend(can);
        }
        all
    }

    /// The first taint of a node that keeps the task away.
    #[must_use]
    pub fn kept_off_by<'t>(&self, facts: &'t NodeFacts, taints: &'t [Taint]) -> Option<&'t Taint> {
        self.terms.rules.kept_off_by(facts.taints.iter().chain(taints))
    }

    fn failed_rule(&self, facts: &NodeFacts) -> Option<Cause> {
        let mut first = None;
        for all_of in &self.required {
            match all_of.iter().find(|e| !e.matches(facts.attribute(e.key()))) {
                None => return None,
                Some(failed) => first = first.or_else(|| Some(Cause::Attribute(failed.key().to_owned()))),
            }
        }
        first
    }

    /// How many ports of the node's range it wants.
    #[must_use]
    pub fn dynamic_ports(&self) -> usize {
        self.terms
            .ports
            .iter()
            .filter(|ask| ask.host == HostPort::Dynamic)
            .count()
    }

    /// How much a node is wished for: the fewer taints that only ask to be avoided the better; then the sum of the
    /// weights it earns, and below that one for each cap it can enforce.
    #[must_use]
    pub fn wish(&self, facts: &NodeFacts, taints: &[Taint]) -> i64 {
        /// Weights together count less than one taint.
        const MOST: i64 = 1 << 32;
        let earned: i64 = self
            .preferred
            .iter()
            .filter(|(_, all)| all.iter().all(|e| e.matches(facts.attribute(e.key()))))
            .map(|(weight, _)| i64::from(*weight))
            .sum();
        let enforced = self.runtimes.iter().filter_map(|need| {
            let has = facts.runtimes.get(&need.name)?;
            i64::try_from(
                need.soft
                    .iter()
                    .filter(|c| has.capabilities.contains(**c))
                    .count(),
            )
            .ok()
        });
        let all = facts.taints.iter().chain(taints);
        let avoided = all.filter(|taint| !taint.effect.keeps_away() && !self.terms.rules.bears(taint));
        let avoided = i64::try_from(avoided.take(1 << 16).count()).unwrap_or(0);
        earned.clamp(-MOST, MOST) * 64 + enforced.sum::<i64>().min(63) - avoided * MOST * 256
    }
}

fn runtimes(spec: &TaskSpec, strict_caps: bool, secret: bool) -> Vec<RuntimeNeed> {
    let together = spec.restart_unit == RestartUnit::Container;
    let bridged = spec.network == Network::Bridge;
    spec.containers
        .iter()
        .map(|c| {
            let caps = [
                (c.caps.memory_limit_bytes.is_some(), capability::MEMORY_LIMIT),
                (c.caps.cpu_limit_millis.is_some(), capability::CPU_LIMIT),
                (c.caps.pids.is_some(), capability::PIDS_LIMIT),
            ];
            let caps = caps.into_iter().filter_map(|(asked, name)| asked.then_some(name));
            let musts = [
                (c.user.is_some(), capability::USER),
                (c.image.is_some(), capability::IMAGES),
                (together, capability::CONTAINERS),
                (bridged && together, capability::SHARED_ADDRESS),
                (bridged && !together, capability::BRIDGE),
                (secret, capability::SECRETS),
            ];
            let mut hard: Vec<_> = musts
                .into_iter()
                .filter_map(|(asked, name)| asked.then_some(name))
                .collect();
            let mut soft = Vec::new();
            if strict_caps {
                hard.extend(caps)
            } else {
                soft.extend(caps)
            }
            RuntimeNeed {
                name: c.runtime.clone(),
                hard,
                soft,
            }
        })
        .collect()
}

fn unsupported(terms: &Terms) -> Result<(), Unfit> {
    let table: [(bool, &'static str, &str); 2] = [
        (
            !terms.devices.is_empty(),
            "devices",
            "sets of named devices are not given out yet",
        ),
        (
            terms.desired == Desired::Stopped,
            "desired",
            "claim it held or running, and amend it to stopped later",
        ),
    ];
    match table.into_iter().find(|(asked, _, _)| *asked) {
        None => Ok(()),
        Some((_, field, why)) => Err((RefusalReason::NotSupported, field, why.to_owned())),
    }
}

fn invalid(terms: &Terms, spec: &TaskSpec) -> Result<(), Unfit> {
    let scope = terms.priority.scope.as_ref();
    let table: [(bool, &'static str, &str); 11] = [
        (
            spec.containers.is_empty(),
            "spec.containers",
            "a task has at least one container",
        ),
        (
            terms.charge.slots == 0,
            "charge.slots",
            "every task holds at least one slot",
        ),
        (
            !well_formed(&terms.tenant),
            "tenant",
            "a tenant is a path of parts with one / between them",
        ),
        (
            scope.is_some_and(|scope| lineage(&terms.tenant).all(|path| path != *scope)),
            "priority.scope",
            "a priority counts within the task's tenant or one above it",
        ),
        (
            terms
                .budget
                .as_ref()
                .is_some_and(|budget| budget.group.is_empty()),
            "budget.group",
            "it is what tells groups apart",
        ),
        (
            terms.workload.uid.is_empty(),
            "workload.uid",
            "it is what tells workloads apart",
        ),
        (
            terms.ports.len() > usize::from(u16::MAX),
            "ports",
            "there are more than a node can have",
        ),
        (!countable(&terms.charge), "charge", "no count may be above 2^48"),
        (
            terms.ports.iter().any(|p| p.host == HostPort::Fixed(0)),
            "ports",
            "port 0 cannot be held",
        ),
        (
            fixed_twice(terms),
            "ports",
            "a fixed host port is asked for twice with the same protocol",
        ),
        (
            terms.rules.spread.iter().any(|s| s.hard && s.max_skew == 0),
            "rules.spread.max_skew",
            "no domain could ever have one more than the others; at least 1",
        ),
    ];
    match table.into_iter().find(|(wrong, _, _)| *wrong) {
        None => {
            spec.shape()
                .map_err(|why| (RefusalReason::Invalid, "spec", why))?;
            super::files::fault(&terms.files, spec)
                .map_or(Ok(()), |why| Err((RefusalReason::Invalid, "files", why)))
        }
        Some((_, field, why)) => Err((RefusalReason::Invalid, field, why.to_owned())),
    }
}

/// Whether sums of such amounts over any real pool stay far from overflow: 2^48 bytes are 256 TiB, and 2^15
/// nodes of that size still add up within 64 bits.
#[must_use]
pub fn countable(amounts: &Amounts) -> bool {
    amounts.iter().all(|(_, count)| count <= 1 << 48)
}

/// Whether a tenant's path has no empty part.
#[must_use]
pub fn well_formed(path: &TenantPath) -> bool {
    path.as_str().split('/').all(|part| !part.is_empty())
}

fn fixed_twice(terms: &Terms) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    terms.ports.iter().any(|ask| match ask.host {
        HostPort::Fixed(port) => super::ports::keys(port, ask.protocol).any(|key| !seen.insert(key)),
        HostPort::Dynamic => false,
    })
}
