//! Reasons to wait, each brought about on purpose: `why` names the right one, and what it says would help is done as it
//! says, by something that reads the change and not its words.

mod queue;
mod room;
mod rules;

use crate::world::{World, facts, node_id, seats, spec, task_id, terms};
use plenum_broker::input::{Held, Input};
use plenum_model::amounts::{Amounts, Resource};
use plenum_model::claim::{ClaimBatch, ClaimGroup, Seat, Terms};
use plenum_model::fix::{Fix, NewNode};
use plenum_model::ids::{NodeId, TaskId};
use plenum_model::node::{NodeFacts, RuntimeFacts, Scheduling};
use plenum_model::phase::Phase;
use plenum_model::spec::TaskSpec;
use plenum_model::taint::Toleration;
use plenum_model::tenant::Tenant;
use plenum_model::why::{Because, Block, Cause, GangShort};
use std::cmp::Reverse;
use std::sync::Arc;

/// How many there are at least.
const ROWS: usize = 30;
/// For how many nothing may be known that would help.
const AT_A_LOSS: usize = 5;

/// A reason: its name, how it comes about, what is to be said.
type Row = (&'static str, fn() -> Case, Blocks);

/// A pool, and what is claimed in it last.
struct Case {
    world: World,
    terms: Terms,
    seats: Vec<Seat>,
    gang: bool,
}

impl Case {
    fn new(world: World, terms: Terms) -> Self {
        Self {
            world,
            terms,
            seats: seats("web", "x", 0..1),
            gang: false,
        }
    }
}

/// What is told apart of what blocks.
#[derive(Debug, Clone)]
enum Blocks {
    Limit(&'static str, Resource),
    Gang(u32, u32, Cause),
    Seat(&'static str),
    NoNodes,
    /// Where, for whom, and whether that one is guaranteed it.
    Kept(&'static str, &'static str, bool),
    Turn(&'static str, Because),
    Nodes(Cause),
}

impl Blocks {
    fn is(&self, block: &Block) -> bool {
        match (self, block) {
            (Self::Limit(tenant, resource), Block::Limit(reached)) => {
                reached.tenant.as_str() == *tenant && reached.resource == *resource
            }
            (Self::Gang(of, fit, cause), Block::Gang(short, first)) => {
                *short == GangShort { of: *of, fit: *fit } && first.as_ref() == Some(cause)
            }
            (Self::Seat(name), Block::Seat(node)) => node.as_str() == *name,
            (Self::NoNodes, Block::NoNodes) => true,
            (Self::Kept(name, tenant, is), Block::Kept { node, by, guaranteed }) => {
                node.as_str() == *name && by.tenant.as_str() == *tenant && guaranteed == is
            }
            (Self::Turn(tenant, why), Block::Turn { first, because }) => {
                first.tenant.as_str() == *tenant && because == why
            }
            (Self::Nodes(cause), Block::Nodes(is)) => cause == is,
            (_, _) => false,
        }
    }
}

#[test]
fn why_names_what_blocks_and_what_it_says_would_help_does() {
    let rows: Vec<Row> = [queue::rows(), rules::rows(), room::rows()].concat();
    assert!(rows.len() >= ROWS, "{}", rows.len());
    let (mut wrong, mut in_vain, mut at_a_loss) = (Vec::new(), Vec::new(), Vec::new());
    for (name, make, blocks) in &rows {
        let mut case = make();
        case.claim(&case.terms.clone(), case.seats.clone());
        let explained = case.world.view.explain(one(), false).unwrap();
        let block = explained
            .block
            .unwrap_or_else(|| panic!("{name}: it does not wait"));
        if !blocks.is(&block) {
            wrong.push(format!("{name}: {block:?}, not {blocks:?}"));
        }
        let Some(fix) = explained.fix else {
            at_a_loss.push(*name);
            continue;
        };
        let said = fix.to_string();
        case.apply(fix);
        if !case.is_placed() {
            in_vain.push(format!("{name}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(in_vain.is_empty(), "it was done and did not help: {in_vain:#?}");
    assert!(at_a_loss.len() <= AT_A_LOSS, "{at_a_loss:#?}");
}

/// The one that waits.
fn one() -> TaskId {
    task_id("web", "x", 0, 1)
}

/// What it asks, where nothing else is said: half a core.
fn x() -> Terms {
    terms("x", 500, 64)
}

fn of(tenant: &str, t: Terms) -> Terms {
    Terms {
        tenant: tenant.parse().unwrap(),
        ..t
    }
}

fn pool(nodes: &[NodeFacts]) -> World {
    let mut world = World::new();
    for node in nodes {
        world.attach(node.clone());
    }
    world
}

/// A node of one core in a rack.
fn racked(name: &str, rack: &str) -> NodeFacts {
    let mut node = facts(name, 1_000, 1_000);
    node.attributes.insert("rack".into(), rack.into());
    node
}

/// A spec that names a user.
fn as_user() -> Arc<TaskSpec> {
    let mut whole = TaskSpec::clone(&spec("process"));
    whole.containers[0].user = Some("nobody".into());
    Arc::new(whole)
}

impl World {
    fn fill(&mut self, app: &str, t: &Terms, count: u64) {
        let refused = self
            .claim("web", t.clone(), seats("web", app, 0..count))
            .refused();
        assert!(refused.is_empty(), "{refused:?}");
    }

    fn cpu_of(&mut self, path: &str, guarantee: u64, limit: u64) {
        let cpu = |cpu_millis| Amounts {
            cpu_millis,
            ..Amounts::default()
        };
        let tenant = Tenant {
            guarantee: cpu(guarantee),
            limit: cpu(limit),
            ..Tenant::new(path.parse().unwrap())
        };
        self.step(Input::SetTenant(tenant, "alice".into()));
    }

    fn close(&mut self, node: &str, to: Scheduling) {
        self.step(Input::SetScheduling(node_id(node), to, "alice".into()));
    }

    /// A task is let go of and its record with it.
    fn be_rid_of(&mut self, id: TaskId) {
        let now = self.view.task(id).unwrap().clone();
        let caller = self.caller(now.task.scheduler.as_str());
        self.step(Input::Release(caller.clone(), vec![id], Some(0)));
        if let Some(node) = now.on {
            self.observe(&node, id, 0, Phase::Stopped);
        }
        self.step(Input::Forget(caller, vec![id]));
    }

    fn free_on(&self, node: &NodeId) -> Amounts {
        self.view.node(node).unwrap().free()
    }

    /// Those that hold the most come first.
    fn on(&self, node: &NodeId) -> Vec<TaskId> {
        let mut there = self.view.on_node(node);
        there.sort_by_key(|id| Reverse(self.view.task(*id).unwrap().task.terms.charge.cpu_millis));
        there
    }
}

impl Case {
    fn claim(&mut self, t: &Terms, seats: Vec<Seat>) {
        if self.world.view.task(seats[0].id).is_some() {
            return;
        }
        let caller = self.world.caller("web");
        let group = ClaimGroup {
            terms: Arc::new(t.clone()),
            seats,
        };
        let batch = ClaimBatch {
            specs: vec![spec("process"), as_user()],
            groups: vec![group],
            all_or_nothing: self.gang,
        };
        let refused = self.world.step(Input::Claim(caller, batch)).refused();
        assert!(refused.is_empty(), "{refused:?}");
    }

    fn is_placed(&self) -> bool {
        [1, 2].iter().any(|attempt| {
            let now = self.world.view.task(task_id("web", "x", 0, *attempt));
            now.is_some_and(|now| !now.waits && now.held == Held::Full)
        })
    }

    /// What only whoever claims can change is claimed anew.
    fn apply(&mut self, fix: Fix) {
        match fix {
            Fix::RaiseLimit { tenant, resource, to } => {
                let mut all = self.world.view.tenants().into_iter();
                let mut raised = all.find(|t| t.tenant.path == tenant).unwrap().tenant;
                raised.limit.set(&resource, to);
                self.world.step(Input::SetTenant(raised, "alice".into()));
            }
            Fix::OpenNode { node } => self.world.close(node.as_str(), Scheduling::Open),
            Fix::ReleasePort { holder, .. } => self.world.be_rid_of(holder.task),
            Fix::FreeRoom { node, amounts } => {
                let enough = self.world.free_on(&node).checked_add(&amounts).unwrap();
                for id in self.world.on(&node) {
                    if !self.is_placed() && !enough.fits(&self.world.free_on(&node)) {
                        self.world.be_rid_of(id);
                    }
                }
            }
            Fix::FreePorts { node, .. } => {
                let all = self.world.on(&node);
                all.into_iter().for_each(|id| self.world.be_rid_of(id));
            }
            Fix::BearTaint { taint, .. } => self.claim_anew(|t| {
                t.rules.tolerations.push(Toleration {
                    key: Some(taint.key.clone()),
                    value: Some(taint.value.clone()),
                    effect: Some(taint.effect),
                });
            }),
            Fix::ReviveNode { node } => {
                let there = self.world.view.node(&node).unwrap();
                self.world.attach(there.facts.clone());
            }
            Fix::AddNode { with } => drop(self.world.attach(as_its_agent_says(with))),
            Fix::RaiseMax { key, to } => self.claim_anew(|t| {
                let limits = t.rules.limits.iter_mut();
                limits.filter(|l| l.tally.key == key).for_each(|l| l.max = to);
            }),
            Fix::AllowSkew { key, to } => self.claim_anew(|t| {
                let spreads = t.rules.spread.iter_mut();
                spreads
                    .filter(|s| s.tally.key == key)
                    .for_each(|s| s.max_skew = to);
            }),
        }
    }

    /// Takes the claim back and makes it with other terms, as another attempt of the slot.
    fn claim_anew(&mut self, change: impl FnOnce(&mut Terms)) {
        let caller = self.world.caller("web");
        self.world.step(Input::Release(caller, vec![one()], None));
        let mut t = self.terms.clone();
        change(&mut t);
        let mut again = self.seats[..1].to_vec();
        again[0].id = task_id("web", "x", 0, 2);
        self.claim(&t, again);
    }
}

fn as_its_agent_says(with: NewNode) -> NodeFacts {
    let name = with.name.map_or("added".to_owned(), |name| name.to_string());
    let runtimes = with.runtimes.into_iter().map(|(name, capabilities)| {
        let version = "1".into();
        let facts = RuntimeFacts {
            version,
            capabilities,
        };
        (name, facts)
    });
    NodeFacts {
        capacity: with.amounts,
        attributes: with.attributes,
        runtimes: runtimes.collect(),
        ..facts(&name, 0, 0)
    }
}
