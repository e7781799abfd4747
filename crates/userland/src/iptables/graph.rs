//! The jump graph of a table: which chain leads to which.

use super::targets;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::xtables::targets::Target;
use kernel::netfilter::xtables::{ChainId, Rule, RuleSet};
use petgraph::Graph;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::NodeIndex;
use petgraph::visit::Dfs;
use std::collections::VecDeque;

/// How many rules jump or go to a chain: the "(N references)" of `-L`.
pub fn references(set: &RuleSet, chain: ChainId) -> usize {
    set.chains.iter().flat_map(|c| &c.rules).filter(|r| r.target.chain() == Some(chain)).count()
}

/// True if the kernel never looks behind this rule when it follows the jumps of a chain: ACCEPT, DROP or RETURN
/// without any condition.
fn ends_chain(rule: &Rule) -> bool {
    rule.is_unconditional() && matches!(rule.target, Target::Accept | Target::Drop | Target::Return)
}

/// A circle of jumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The chains in the order of the jumps; the last one jumps to the first.
    pub chains: Vec<ChainId>,
    /// The index of the jump in each of them.
    pub rules: Vec<usize>,
}

impl Loop {
    /// The path as text: `A -> B -> A`; the middle of a long one is left out.
    pub fn path(&self, set: &RuleSet) -> String {
        const SHOWN: usize = 8;
        let name = |id: &ChainId| set.chains.get(usize::from(id.0)).map_or("?", |c| &*c.name);
        let mut names: Vec<&str> = self.chains.iter().take(SHOWN).map(name).collect();
        if self.chains.len() > SHOWN {
            names.push("...");
            names.extend(self.chains.last().map(name));
        }
        names.extend(self.chains.first().map(name));
        names.join(" -> ")
    }
}

/// The hooks that reach a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks(u8);

impl Hooks {
    /// One hook.
    #[cfg(feature = "nft")]
    pub(super) fn of(hook: InetHook) -> Hooks {
        Hooks(bit(hook))
    }

    fn insert(&mut self, hook: InetHook) {
        self.0 |= bit(hook);
    }

    /// True if the hook is in the set.
    pub fn contains(self, hook: InetHook) -> bool {
        self.0 & bit(hook) != 0
    }

    /// The hooks in their order.
    pub fn iter(self) -> impl Iterator<Item = InetHook> {
        InetHook::ALL.into_iter().filter(move |h| self.contains(*h))
    }
}

fn bit(hook: InetHook) -> u8 {
    match hook {
        InetHook::PreRouting => 1,
        InetHook::LocalIn => 2,
        InetHook::Forward => 4,
        InetHook::LocalOut => 8,
        InetHook::PostRouting => 16,
    }
}

/// The jumps of a table as the kernel follows them when it checks one: rules behind an unconditional verdict are not
/// looked at.
pub struct JumpGraph<'a> {
    set: &'a RuleSet,
    /// The hooks that reach each chain.
    reach: Vec<Hooks>,
    /// The rule behind which none of a chain is visited.
    last: Vec<usize>,
    /// Nodes are chains by their place; an edge is a jump, by the index of its rule.
    graph: Graph<(), usize>,
}

impl<'a> JumpGraph<'a> {
    /// The graph of a table.
    pub fn new(set: &'a RuleSet) -> JumpGraph<'a> {
        let mut graph = Graph::new();
        for _ in &set.chains {
            graph.add_node(());
        }
        let mut last = Vec::with_capacity(set.chains.len());
        for (from, chain) in set.chains.iter().enumerate() {
            let mut end = chain.rules.len();
            for (index, rule) in chain.rules.iter().enumerate() {
                let to = rule.target.chain().map(|c| usize::from(c.0)).filter(|to| *to < set.chains.len());
                if let Some(to) = to {
                    graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), index);
                }
                if ends_chain(rule) {
                    end = index;
                    break;
                }
            }
            last.push(end);
        }
        let mut reach = vec![Hooks::default(); set.chains.len()];
        for (at, chain) in set.chains.iter().enumerate() {
            let Some((hook, _)) = chain.base else { continue };
            let mut dfs = Dfs::new(&graph, NodeIndex::new(at));
            while let Some(node) = dfs.next(&graph) {
                if let Some(hooks) = reach.get_mut(node.index()) {
                    hooks.insert(hook);
                }
            }
        }
        JumpGraph { set, reach, last, graph }
    }

    /// The hooks from which each chain is reached.
    pub fn reach(&self) -> &[Hooks] {
        &self.reach
    }

    /// The index of the last rule of a chain that the kernel visits.
    pub fn last_visited(&self, chain: usize) -> usize {
        self.last.get(chain).copied().unwrap_or_default()
    }

    /// User-defined chains that no built-in chain reaches.
    pub fn unreachable_chains(&self) -> Vec<ChainId> {
        let reach = self.reach.iter().zip(0u16..);
        reach.filter(|(hooks, _)| **hooks == Hooks::default()).map(|(_, id)| ChainId(id)).collect()
    }

    /// The circles that a built-in chain reaches, which the kernel refuses. Others are harmless and accepted.
    pub fn loops(&self) -> Vec<Loop> {
        let reached = |n: &NodeIndex| self.reach.get(n.index()).is_some_and(|h| *h != Hooks::default());
        let mut loops: Vec<Loop> = kosaraju_scc(&self.graph)
            .iter()
            .filter(|scc| scc.iter().any(reached))
            .filter_map(|s| self.circle(s))
            .collect();
        sorted::sort_by(&mut loops, |a, b| a.chains.first().cmp(&b.chains.first()));
        loops
    }

    /// A shortest way from one chain to another, with both. petgraph's own searches bring a hash table.
    fn way(&self, from: NodeIndex, to: NodeIndex) -> Option<Vec<NodeIndex>> {
        let mut came_from = vec![None; self.set.chains.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front().filter(|at| *at != to) {
            for next in self.graph.neighbors(at).filter(|next| *next != from) {
                if let Some(place @ None) = came_from.get_mut(next.index()) {
                    *place = Some(at);
                    queue.push_back(next);
                }
            }
        }
        let before = |at: &NodeIndex| came_from.get(at.index()).copied().flatten();
        let mut way: Vec<NodeIndex> = std::iter::successors(Some(to), before).collect();
        way.reverse();
        way.first().is_some_and(|first| *first == from).then_some(way)
    }

    /// A circle through the first chain of a strongly connected component, if there is one in it.
    fn circle(&self, component: &[NodeIndex]) -> Option<Loop> {
        let start = component.iter().min().copied()?;
        let next = self.graph.neighbors(start).find(|n| component.contains(n))?;
        let mut nodes = self.way(next, start)?;
        nodes.pop();
        nodes.insert(0, start);
        let followers = nodes.iter().cycle().skip(1);
        let rule = |(a, b): (&NodeIndex, &NodeIndex)| {
            let edge = self.graph.find_edge(*a, *b)?;
            self.graph.edge_weight(edge).copied()
        };
        let rules = nodes.iter().zip(followers).map(rule).collect::<Option<Vec<usize>>>()?;
        let chains =
            nodes.iter().map(|n| u16::try_from(n.index()).ok().map(ChainId)).collect::<Option<Vec<_>>>()?;
        Some(Loop { chains, rules })
    }
}

/// A target's name for a message.
pub(super) fn target_word(set: &RuleSet, target: &Target) -> String {
    match target.chain() {
        Some(to) => set.chains.get(usize::from(to.0)).map_or("?", |c| &*c.name).to_owned(),
        None => targets::name(target).unwrap_or_default().to_owned(),
    }
}
