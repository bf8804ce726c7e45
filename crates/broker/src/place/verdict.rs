//! Why one node cannot take one task: the funnel, in its order, and its words. Asked by the core before it
//! places, and by the view when somebody wants to know.

use super::needs::Needs;
use super::ports::Ports;
use super::relation::{Bar, Counts};
use plenum_model::amounts::Amounts;
use plenum_model::ids::TaskId;
use plenum_model::node::{Liveness, NodeFacts, Scheduling};
use plenum_model::taint::Taint;
use plenum_model::why::Cause;

/// A node as the funnel looks at it.
#[derive(Debug, Clone, Copy)]
pub struct NodeLook<'a> {
    /// What its agent says.
    pub facts: &'a NodeFacts,
    /// The taints that operators gave it.
    pub taints: &'a [Taint],
    /// Whether it is heard of.
    pub liveness: Liveness,
    /// Whether new tasks may go there.
    pub scheduling: Scheduling,
    /// What nobody holds.
    pub free: &'a Amounts,
    /// Which ports are held.
    pub ports: &'a Ports,
    /// Which are kept for others that wait.
    pub kept: &'a Ports,
}

/// What is asked besides the terms.
#[derive(Debug, Clone, Copy)]
pub struct Extra<'a> {
    /// Which task.
    pub task: TaskId,
    /// What it holds on that node already (a stopped one: its disk; one that is nominated: what is kept for it).
    pub holds: Option<&'a Amounts>,
    /// The ports that are kept for it on that node.
    pub given: Option<&'a [u16]>,
    /// Even if the node is cordoned.
    pub past_cordon: bool,
}

/// Rules about other tasks: what refuses nodes, and the counts it looks at. `N` is how nodes are known to them.
#[derive(Debug)]
pub struct Around<'a, N, C> {
    /// What refuses nodes, in the order in which it is asked.
    pub bars: &'a [Bar],
    /// The counts.
    pub counts: &'a C,
    /// The node that is looked at.
    pub node: N,
}

impl<N: Copy, C: Counts<N>> Around<'_, N, C> {
    /// What refuses the node first.
    #[must_use]
    pub fn against(&self) -> Option<&Bar> {
        let refuses = |bar: &&Bar| !bar.passes(self.counts.here(bar.tally, self.node));
        self.bars.iter().find(refuses)
    }

    /// The first cause against the node.
    fn cause(&self) -> Option<Cause> {
        self.causes().next()
    }

    /// Every cause against the node.
    pub fn causes(&self) -> impl Iterator<Item = Cause> {
        let refuses = |bar: &&Bar| !bar.passes(self.counts.here(bar.tally, self.node));
        self.bars.iter().filter(refuses).map(|bar| {
            let key = self.counts.tally(bar.tally).map_or("", |tally| &tally.key);
            bar.no.cause(key)
        })
    }

    fn in_words(&self, facts: &NodeFacts) -> String {
        let bar = self.against();
        let Some((bar, tally)) = bar.and_then(|bar| Some((bar, self.counts.tally(bar.tally)?))) else {
            return String::new();
        };
        match (tally.domain(facts), self.counts.here(bar.tally, self.node)) {
            (Some(domain), Some(here)) => bar.in_words(&tally.key, domain, here),
            (_, _) => format!("it has no {}", tally.key),
        }
    }
}

/// The ports a node would give, or the first cause against it.
///
/// # Errors
/// That cause.
pub fn verdict<N: Copy>(
    needs: &Needs,
    node: &NodeLook<'_>,
    extra: &Extra<'_>,
    around: &Around<'_, N, impl Counts<N>>,
) -> Result<Vec<u16>, Cause> {
    if node.liveness == Liveness::Unreachable {
        return Err(Cause::Unreachable);
    }
    if !node.scheduling.is_open() && !extra.past_cordon {
        return Err(Cause::Cordoned);
    }
    if let Some(cause) = needs.against(node.facts, node.taints) {
        return Err(cause);
    }
    room(needs, node, extra, around)
}

/// The last part of the funnel: what changes with every placement.
///
/// # Errors
/// The first cause against the node.
pub fn room<N: Copy>(
    needs: &Needs,
    node: &NodeLook<'_>,
    extra: &Extra<'_>,
    around: &Around<'_, N, impl Counts<N>>,
) -> Result<Vec<u16>, Cause> {
    if let Some(cause) = around.cause() {
        return Err(cause);
    }
    let short = match extra.holds {
        None => needs.terms.charge.short_of(node.free),
        Some(holds) => needs.terms.charge.saturating_sub(holds).short_of(node.free),
    };
    if let Some(resource) = short {
        return Err(Cause::Short(resource));
    }
    let asks = &needs.terms.ports;
    match extra.given {
        None => node.ports.choose(asks, node.kept, node.facts.ports, extra.task),
        Some(given) => match node.ports.taken(asks, given) {
            None => Ok(given.to_vec()),
            Some(port) => Err(Cause::Port(port)),
        },
    }
}

/// Everything that is against a node, in the order of the funnel: what would still be if the first were not.
#[must_use]
pub fn all_against<N: Copy>(
    needs: &Needs,
    node: &NodeLook<'_>,
    extra: &Extra<'_>,
    around: &Around<'_, N, impl Counts<N>>,
) -> Vec<Cause> {
    let mut all = Vec::new();
    all.extend((node.liveness == Liveness::Unreachable).then_some(Cause::Unreachable));
    all.extend((!node.scheduling.is_open()).then_some(Cause::Cordoned));
    all.extend(needs.all_against(node.facts, node.taints));
    all.extend(around.causes());
    let asked = match extra.holds {
        None => needs.terms.charge.clone(),
        Some(holds) => needs.terms.charge.saturating_sub(holds),
    };
    let short = asked
        .iter()
        .filter(|(resource, asked)| *asked > node.free.get(resource));
    all.extend(short.map(|(resource, _)| Cause::Short(resource)));
    let asks = &needs.terms.ports;
    match extra.given {
        Some(given) => all.extend(node.ports.taken(asks, given).map(Cause::Port)),
        None => {
            let taken = node.ports.taken_of(asks, node.kept);
            let none = taken.is_empty();
            all.extend(taken.into_iter().map(Cause::Port));
            let chosen = || node.ports.choose(asks, node.kept, node.facts.ports, extra.task);
            all.extend(none.then(chosen).and_then(Result::err));
        }
    }
    all
}

/// The numbers behind a cause, for people; empty where there are none.
#[must_use]
pub fn in_words<N: Copy>(
    cause: &Cause,
    needs: &Needs,
    node: &NodeLook<'_>,
    around: &Around<'_, N, impl Counts<N>>,
) -> String {
    let NodeLook { facts, free, .. } = node;
    match cause {
        Cause::Short(resource) => format!(
            "wants {}, {} free",
            resource.amount(needs.terms.charge.get(resource)),
            resource.amount(free.get(resource))
        ),
        Cause::Attribute(key) => match facts.attribute(key) {
            Some(value) => format!("its {key} is {value}"),
            None => format!("it has no {key}"),
        },
        Cause::LimitPerKey(_) | Cause::Spread(_) | Cause::Near(_) | Cause::Away(_) | Cause::KeptAway(_) => {
            around.in_words(facts)
        }
        Cause::Runtime(_) => {
            let has: Vec<_> = facts.runtimes.keys().map(String::as_str).collect();
            format!(
                "it has {}",
                if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                }
            )
        }
        Cause::DynamicPorts => {
            format!(
                "wants {} of {}-{}",
                needs.dynamic_ports(),
                facts.ports.low,
                facts.ports.high
            )
        }
        Cause::Taint(_) => needs
            .kept_off_by(facts, node.taints)
            .map_or_else(String::new, ToString::to_string),
        Cause::Unreachable
        | Cause::Cordoned
        | Cause::NotPinned
        | Cause::Capability(_)
        | Cause::Device(_)
        | Cause::Port(_) => String::new(),
    }
}
