//! Where tasks may and should go: constraints and spread preferences over the nodes as Docker's users see them.
//! Labels of nodes are kept here and not by the pool, so both are answered here and lowered to names of nodes.

use super::node::SwarmNode;
use super::spec::Placement;
use plenum_model::rules::{Domains, Expr, LimitPerKey, Op, Rules, Spread, keys};
use plenum_model::tally::Tally;
use std::net::IpAddr;

/// A constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    key: String,
    equal: bool,
    value: String,
}

impl Constraint {
    /// Reads `key==value` or `key!=value`.
    ///
    /// # Errors
    /// In the words of a swarm.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (key, equal, value) = if let Some((key, value)) = text.split_once("==") {
            (key, true, value)
        } else if let Some((key, value)) = text.split_once("!=") {
            (key, false, value)
        } else {
            return Err("constraint expected one operator from ==, !=".to_owned());
        };
        let (key, value) = (key.trim(), value.trim());
        let key_ok = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if key.is_empty() || !key.chars().all(key_ok) {
            return Err(format!("key '{key}' is invalid"));
        }
        if value.is_empty() {
            return Err(format!("value '{value}' is invalid"));
        }
        Ok(Self {
            key: key.to_owned(),
            equal,
            value: value.to_owned(),
        })
    }

    /// Whether a node passes. An unknown key passes nowhere; an absent label is empty.
    #[must_use]
    pub fn passes(&self, node: &SwarmNode) -> bool {
        let same = |have: &str| have.eq_ignore_ascii_case(&self.value) == self.equal;
        let facts = &node.node.facts;
        let attribute = |key: &str| facts.attributes.get(key).map_or("", String::as_str);
        let lower = self.key.to_ascii_lowercase();
        if let Some(value) = label(node, &self.key) {
            return same(value);
        }
        match lower.as_str() {
            "node.id" => same(&node.id),
            "node.hostname" => same(node.hostname()),
            "node.ip" => self.is_at(&facts.address) == self.equal,
            "node.role" => same(if node.manager { "manager" } else { "worker" }),
            "node.platform.os" => same(attribute("os")),
            "node.platform.arch" => {
                (arch(attribute("arch")) == arch(&self.value.to_ascii_lowercase())) == self.equal
            }
            _ => false,
        }
    }
}

impl Constraint {
    /// Whether an address is the value, or in it if that is a network.
    fn is_at(&self, address: &str) -> bool {
        let bits = |text: &str| match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => Some((u128::from(u32::from(v4)) << 96, 32)),
            Ok(IpAddr::V6(v6)) => Some((u128::from(v6), 128)),
            Err(_) => None,
        };
        let (network, length) = self.value.split_once('/').unwrap_or((&self.value, ""));
        let (Some((have, width)), Some((want, same_width))) = (bits(address), bits(network)) else {
            return false;
        };
        let length = match length {
            "" => width,
            text => match text.parse::<u32>() {
                Ok(n) if n <= width => n,
                Ok(_) | Err(_) => return false,
            },
        };
        let differs = (have ^ want).checked_shr(128 - length).unwrap_or(0);
        width == same_width && differs == 0
    }
}

/// The value of a label that a key names; empty if it is absent; none if the key names no label.
fn label<'a>(node: &'a SwarmNode, key: &str) -> Option<&'a str> {
    let (scope, name) = (key.get(..12)?, key.get(12..)?);
    if scope.eq_ignore_ascii_case("node.labels.") {
        return Some(node.record.labels.get(name).map_or("", String::as_str));
    }
    let (scope, name) = (key.get(..14)?, key.get(14..)?);
    scope
        .eq_ignore_ascii_case("engine.labels.")
        .then(|| node.node.facts.attributes.get(name).map_or("", String::as_str))
}

/// One name for each architecture, of the two that tools use.
#[must_use]
pub fn arch(name: &str) -> &str {
    match name {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

/// Where tasks of one version may go.
#[derive(Debug, Clone, Default)]
pub struct Places {
    constraints: Vec<Constraint>,
    platforms: Vec<(String, String)>,
    spread: Vec<String>,
    max_per_node: u32,
}

impl Places {
    /// Reads a placement that has been checked; what does not read passes nowhere.
    #[must_use]
    pub fn of(placement: Option<&Placement>) -> Self {
        let Some(p) = placement else {
            return Self::default();
        };
        let nowhere = Constraint {
            key: "-".to_owned(),
            equal: true,
            value: String::new(),
        };
        let texts = p.constraints.iter().flatten();
        let text = |t: &Option<String>| t.clone().unwrap_or_default().to_ascii_lowercase();
        Self {
            constraints: texts
                .map(|t| Constraint::parse(t).unwrap_or_else(|_| nowhere.clone()))
                .collect(),
            platforms: p
                .platforms
                .iter()
                .flatten()
                .map(|p| (text(&p.os), text(&p.arch)))
                .collect(),
            spread: p
                .preferences
                .iter()
                .flatten()
                .filter_map(|p| p.spread.as_ref()?.descriptor.clone())
                .collect(),
            max_per_node: p.max_replicas.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        }
    }

    /// Whether a node may have such tasks, whatever it has room for.
    #[must_use]
    pub fn allows(&self, node: &SwarmNode) -> bool {
        self.constraints.iter().all(|c| c.passes(node)) && self.platform(node)
    }

    fn platform(&self, node: &SwarmNode) -> bool {
        let attribute = |key: &str| node.node.facts.attributes.get(key).map_or("", String::as_str);
        self.platforms.is_empty()
            || self.platforms.iter().any(|(os, a)| {
                (os.is_empty() || os == attribute("os"))
                    && (a.is_empty() || arch(a) == arch(attribute("arch")))
            })
    }

    /// Whether any node is excluded.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.constraints.is_empty() && self.platforms.is_empty()
    }

    /// The rules of such tasks over these nodes. Each preference is a wish for the branch that has the fewest of the
    /// service, within the branch of the preferences before it; a node without the label is in a branch of its own.
    pub fn rules(&self, nodes: &[SwarmNode]) -> Rules {
        let mut rules = Rules::default();
        if !self.is_free() {
            let allowed = nodes.iter().filter(|n| self.allows(n));
            rules.required = vec![vec![on(allowed)]];
        }
        if self.max_per_node > 0 {
            rules
                .limits
                .push(LimitPerKey::of_workload(keys::NODE, self.max_per_node));
        }
        let mut branches = vec![String::new(); nodes.len()];
        for (level, key) in self.spread.iter().enumerate() {
            for (branch, node) in branches.iter_mut().zip(nodes) {
                let value = label(node, key).unwrap_or_default();
                if level > 0 {
                    branch.push('/');
                }
                // Escaped, so that no two paths are written alike.
                branch.push_str(&value.replace('\\', "\\\\").replace('/', "\\/"));
            }
            let listed = nodes.iter().map(|n| n.node.facts.id.clone());
            rules.spread.push(Spread {
                tally: Tally {
                    nodes: listed.zip(branches.iter().cloned()).collect(),
                    ..Tally::of_workload(key)
                },
                max_skew: 1,
                min_domains: 0,
                over: Domains::Seen,
                hard: false,
            });
        }
        rules
    }
}

/// One of these nodes.
fn on<'a>(nodes: impl Iterator<Item = &'a SwarmNode>) -> Expr {
    Expr {
        key: keys::NODE.to_owned(),
        op: Op::In,
        values: nodes.map(|n| n.hostname().to_owned()).collect(),
        absent_matches: false,
        fold_case: false,
    }
}

/// The rules of a task that belongs to one node.
#[must_use]
pub fn only(node: &SwarmNode) -> Rules {
    Rules {
        required: vec![vec![on(std::iter::once(node))]],
        ..Rules::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::world::{node, swarm_node};
    use plenum_model::tally::Among;

    #[test]
    fn constraints_are_read_with_blanks_and_refused_in_a_swarms_words() {
        let c = Constraint::parse(" node.labels.zone == b ").unwrap();
        assert_eq!(
            (c.key.as_str(), c.equal, c.value.as_str()),
            ("node.labels.zone", true, "b")
        );
        assert!(!Constraint::parse("node.role!=manager").unwrap().equal);
        assert_eq!(
            Constraint::parse("node.role=manager").unwrap_err(),
            "constraint expected one operator from ==, !="
        );
        assert!(Constraint::parse("==x").is_err() && Constraint::parse("node.id==").is_err());
    }

    fn places(placement: &serde_json::Value) -> Places {
        Places::of(Some(&serde_json::from_value(placement.clone()).unwrap()))
    }

    #[test]
    fn constraints_know_the_keys_of_a_swarm_and_no_others() {
        let node = swarm_node(node("n1"), &[("zone", "East"), ("empty", "")]);
        let id = format!("node.id=={}", node.id);
        let table = [
            ("node.labels.zone==east", true),
            ("node.labels.zone!=east", false),
            ("node.labels.Zone==east", false),
            ("NODE.LABELS.zone==EAST", true),
            ("node.labels.none!=x", true),
            ("node.labels.none==x", false),
            ("engine.labels.disk==ssd", true),
            (id.as_str(), true),
            ("node.hostname==N1", true),
            ("node.ip==10.0.0.1", true),
            ("node.role==manager", true),
            ("node.role!=worker", true),
            ("node.platform.os==linux", true),
            ("node.platform.arch==amd64", true),
            ("node.platform.arch!=x86_64", false),
            ("node.foo==1", false),
            ("node.foo!=1", false),
        ];
        for (text, passes) in table {
            assert_eq!(Constraint::parse(text).unwrap().passes(&node), passes, "{text}");
        }
    }

    #[test]
    fn networks_of_addresses_and_platforms_are_compared_as_such() {
        let node = swarm_node(node("n1"), &[]);
        for (text, passes) in [
            ("node.ip==10.0.0.0/8", true),
            ("node.ip!=10.0.0.0/8", false),
            ("node.ip==11.0.0.0/8", false),
        ] {
            assert_eq!(Constraint::parse(text).unwrap().passes(&node), passes, "{text}");
        }
        let platform =
            |os: &str, arch: &str| serde_json::json!({"Platforms": [{"OS": os, "Architecture": arch}]});
        for (os, arch, passes) in [
            ("linux", "amd64", true),
            ("", "", true),
            ("windows", "amd64", false),
            ("linux", "arm64", false),
        ] {
            assert_eq!(places(&platform(os, arch)).allows(&node), passes, "{os}/{arch}");
        }
    }

    #[test]
    fn each_preference_is_a_wish_within_the_branch_of_those_before_it() {
        let nodes: Vec<SwarmNode> = [("n1", "a", "1"), ("n2", "a", "2"), ("n3", "b/", "1")]
            .map(|(name, zone, rack)| swarm_node(node(name), &[("zone", zone), ("rack", rack)]))
            .into();
        let spread = serde_json::json!({"Preferences": [
            {"Spread": {"SpreadDescriptor": "node.labels.zone"}},
            {"Spread": {"SpreadDescriptor": "node.labels.rack"}},
            {"Spread": {"SpreadDescriptor": "node.labels.none"}},
        ]});
        let rules = places(&spread).rules(&nodes);
        assert_eq!((rules.required.len(), rules.preferred.len()), (0, 0));
        assert!(
            rules
                .spread
                .iter()
                .all(|s| !s.hard && s.tally.among == Among::default())
        );
        let branches = |i: usize| rules.spread[i].tally.nodes.values().cloned().collect::<Vec<_>>();
        assert_eq!(branches(0), ["a", "a", "b\\/"]);
        assert_eq!(branches(1), ["a/1", "a/2", "b\\//1"]);
        assert_eq!(branches(2), ["a/1/", "a/2/", "b\\//1/"]);
        assert_eq!(rules.spread[0].tally.key, "node.labels.zone");
    }
}
