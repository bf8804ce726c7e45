//! What must stand before what: the dependencies of apps and groups as one graph. A group's dependencies hold
//! for all in it, and to depend on a group is to depend on all in it.
//!
//! Groups are nodes of the graph, two each: what its members need, and its members. So the graph grows with
//! what was written down and not with its product.

use crate::app::App;
use crate::group::Group;
use crate::path::AppId;
use std::collections::BTreeMap;

/// Something depends on itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Dependency graph has cyclic dependencies.")]
pub struct Cyclic;

/// How many apps stand below each app, itself included, on the longest way down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers(BTreeMap<AppId, u32>);

impl Layers {
    /// The layer of `app`: 1 for what depends on nothing.
    #[must_use]
    pub fn of(&self, app: &AppId) -> u32 {
        self.0.get(app).copied().unwrap_or(1)
    }
}

/// The layers of `apps`, in which those that nothing depends on are counted too. What does not exist is not
/// waited for: it may be made later.
///
/// # Errors
/// [`Cyclic`].
pub fn layers<'a>(
    apps: impl Iterator<Item = &'a App> + Clone,
    groups: &BTreeMap<AppId, Group>,
) -> Result<Layers, Cyclic> {
    let any = apps.clone().any(|a| !a.config.dependencies.is_empty());
    if !any && groups.values().all(|g| g.dependencies.is_empty()) {
        return Ok(Layers::default());
    }
    let mut graph = Graph::default();
    let apps: BTreeMap<&AppId, &App> = apps.map(|a| (&a.id, a)).collect();
    for (id, app) in &apps {
        let node = graph.node(Node::App((*id).clone()));
        let parent = graph.node(Node::Needs(id.parent()));
        graph.edges[node].push(parent);
        let members = graph.node(Node::Members(id.parent()));
        graph.edges[members].push(node);
        graph.point(node, &app.config.dependencies, &apps, groups);
    }
    for (id, group) in groups {
        let needs = graph.node(Node::Needs(id.clone()));
        graph.point(needs, &group.dependencies, &apps, groups);
        if !id.is_root() {
            let parent = graph.node(Node::Needs(id.parent()));
            graph.edges[needs].push(parent);
            let (members, inner) = (Node::Members(id.parent()), Node::Members(id.clone()));
            let (members, inner) = (graph.node(members), graph.node(inner));
            graph.edges[members].push(inner);
        }
    }
    graph.longest()
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    /// An app.
    App(AppId),
    /// What all members of a group need.
    Needs(AppId),
    /// All members of a group.
    Members(AppId),
}

#[derive(Default)]
struct Graph {
    index: BTreeMap<Node, usize>,
    /// For each node what it needs.
    edges: Vec<Vec<usize>>,
}

impl Graph {
    fn node(&mut self, node: Node) -> usize {
        let next = self.edges.len();
        let at = *self.index.entry(node).or_insert(next);
        if at == next {
            self.edges.push(Vec::new());
        }
        at
    }

    fn point<'d>(
        &mut self,
        from: usize,
        to: impl IntoIterator<Item = &'d AppId>,
        apps: &BTreeMap<&AppId, &App>,
        groups: &BTreeMap<AppId, Group>,
    ) {
        for id in to {
            let node = if apps.contains_key(id) {
                Node::App(id.clone())
            } else if id.is_root() || groups.contains_key(id) {
                Node::Members(id.clone())
            } else {
                continue;
            };
            let node = self.node(node);
            self.edges[from].push(node);
        }
    }

    /// Takes nodes whose needs are all taken until none is left; a rest is a circle.
    fn longest(self) -> Result<Layers, Cyclic> {
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); self.edges.len()];
        let mut open: Vec<usize> = self.edges.iter().map(Vec::len).collect();
        for (node, needs) in self.edges.iter().enumerate() {
            needs.iter().for_each(|need| needed_by[*need].push(node));
        }
        let mut weight = vec![0_u32; self.edges.len()];
        let mut apps: BTreeMap<usize, AppId> = BTreeMap::new();
        for (node, at) in self.index {
            if let Node::App(id) = node {
                weight[at] = 1;
                apps.insert(at, id);
            }
        }
        let mut below = vec![0_u32; self.edges.len()];
        let mut ready: Vec<usize> = (0..open.len()).filter(|n| open[*n] == 0).collect();
        let mut taken = 0;
        let mut layers = BTreeMap::new();
        while let Some(node) = ready.pop() {
            taken += 1;
            let layer = below[node] + weight[node];
            if let Some(id) = apps.remove(&node) {
                layers.insert(id, layer);
            }
            for user in &needed_by[node] {
                below[*user] = below[*user].max(layer);
                open[*user] -= 1;
                if open[*user] == 0 {
                    ready.push(*user);
                }
            }
        }
        if taken < open.len() {
            return Err(Cyclic);
        }
        Ok(Layers(layers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app_at;
    use plenum_testkit::rng::Rng;

    fn app(id: &str, needs: &[&str]) -> App {
        let needs = serde_json::to_string(needs).unwrap();
        app_at(
            &format!(r#"{{"id":"{id}","cmd":"xx","dependencies":{needs}}}"#),
            1,
        )
    }

    fn groups(of: &[(&str, &[&str])]) -> BTreeMap<AppId, Group> {
        let group = |needs: &[&str]| Group {
            dependencies: needs.iter().map(|n| AppId::from_root(n)).collect(),
        };
        of.iter()
            .map(|(id, needs)| (AppId::from_root(id), group(needs)))
            .collect()
    }

    fn shown(apps: &[App], groups: &BTreeMap<AppId, Group>) -> Result<Vec<u32>, Cyclic> {
        layers(apps.iter(), groups).map(|l| apps.iter().map(|a| l.of(&a.id)).collect())
    }

    #[test]
    fn an_app_stands_above_the_longest_way_down() {
        let none = groups(&[]);
        let apps = [
            app("/a", &["/b", "/d"]),
            app("/b", &["/c"]),
            app("/c", &[]),
            app("/d", &[]),
        ];
        assert_eq!(shown(&apps, &none), Ok(vec![3, 2, 1, 1]));
        assert_eq!(shown(&[app("/a", &["/none"])], &none), Ok(vec![1]));
    }

    #[test]
    fn a_groups_needs_are_those_of_all_in_it_and_a_group_is_all_its_members() {
        let tree = groups(&[
            ("/back", &[]),
            ("/back/deep", &[]),
            ("/front", &["/back"]),
            ("/front/deep", &[]),
        ]);
        let apps = [
            app("/front/deep/web", &[]),
            app("/front/edge", &["/front/deep"]),
            app("/back/deep/db", &[]),
            app("/back/api", &["/back/deep/db"]),
        ];
        assert_eq!(shown(&apps, &tree), Ok(vec![3, 4, 1, 2]));
    }

    #[test]
    fn circles_are_found_through_groups_too() {
        let circle = [app("/a", &["/b"]), app("/b", &["/a"])];
        assert_eq!(shown(&circle, &groups(&[])), Err(Cyclic));
        assert_eq!(shown(&[app("/a", &["/a"])], &groups(&[])), Err(Cyclic));
        let tree = groups(&[("/g", &["/h"]), ("/h", &[])]);
        let apps = [app("/g/a", &[]), app("/h/b", &["/g"])];
        assert_eq!(shown(&apps, &tree), Err(Cyclic));
        let own = groups(&[("/g", &["/g/a"])]);
        assert_eq!(shown(&[app("/g/a", &[])], &own), Err(Cyclic));
        let empty = groups(&[("/g", &["/h"]), ("/h", &["/g"])]);
        assert_eq!(shown(&[app("/a", &[])], &empty), Ok(vec![1]));
    }

    /// Every dependency written out between apps.
    fn naive(apps: &[App], groups: &BTreeMap<AppId, Group>) -> Vec<Vec<usize>> {
        let reaches = |id: &AppId| -> Vec<usize> {
            let group = groups.contains_key(id);
            let hit = |a: &App| a.id == *id || (group && a.id.is_within(id));
            (0..apps.len()).filter(|i| hit(&apps[*i])).collect()
        };
        let needs = |app: &App| -> Vec<usize> {
            let inherited = groups.iter().filter(|(id, _)| app.id.is_within(id));
            let inherited = inherited.flat_map(|(_, g)| &g.dependencies);
            inherited
                .chain(&app.config.dependencies)
                .flat_map(reaches)
                .collect()
        };
        apps.iter().map(needs).collect()
    }

    /// The longest way down, by walking all of them; none where one is longer than there are apps.
    fn walked(needs: &[Vec<usize>], from: usize, left: usize) -> Option<u32> {
        let below = needs[from].iter();
        let mut longest = 0;
        for next in below {
            longest = longest.max(walked(needs, *next, left.checked_sub(1)?)?);
        }
        Some(longest + 1)
    }

    #[test]
    fn a_naive_judge_comes_to_the_same_layers_in_random_trees() {
        let (mut orders, mut circles) = (0, 0);
        for seed in 0..400 {
            let mut chance = Rng::new(seed);
            let mut pick = |from: &[&str]| (*chance.pick(from).unwrap()).to_owned();
            let group_ids = ["/a", "/a/b", "/c"];
            let app_ids = ["/x", "/a/y", "/a/b/z", "/a/b/w", "/c/v"];
            let real = ["/x", "/a/y", "/a/b/z", "/a/b/w", "/c/v", "/a/b", "/c"];
            let all: Vec<&str> = real.into_iter().chain(["/none"; 14]).collect();
            let tree = group_ids.iter().map(|id| {
                let dependencies = [AppId::from_root(&pick(&all))].into();
                (AppId::from_root(id), Group { dependencies })
            });
            let tree: BTreeMap<_, _> = tree.collect();
            let apps: Vec<App> = app_ids
                .iter()
                .map(|id| app(id, &[pick(&all).as_str(), pick(&all).as_str()]))
                .collect();
            let needs = naive(&apps, &tree);
            let expected: Option<Vec<u32>> = (0..apps.len()).map(|i| walked(&needs, i, apps.len())).collect();
            match expected {
                Some(_) => orders += 1,
                None => circles += 1,
            }
            assert_eq!(shown(&apps, &tree).ok(), expected, "seed {seed}: {needs:?}");
        }
        assert!(orders > 20 && circles > 20, "{orders} {circles}");
    }
}
