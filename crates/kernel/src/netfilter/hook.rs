//! Hooks as data: one list sorted by priority (`struct nf_hook_ops`, include/linux/netfilter.h).

use super::hold::Stop;
use super::nftables::NftBase;
use super::xtables::TableId;
use packet::Family;
use std::fmt;

/// The hooks of an address family (include/uapi/linux/netfilter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InetHook {
    /// `NF_INET_PRE_ROUTING`
    PreRouting,
    /// `NF_INET_LOCAL_IN`
    LocalIn,
    /// `NF_INET_FORWARD`
    Forward,
    /// `NF_INET_LOCAL_OUT`
    LocalOut,
    /// `NF_INET_POST_ROUTING`
    PostRouting,
}

impl InetHook {
    /// All hooks in the order of their numbers.
    pub const ALL: [InetHook; 5] = [
        InetHook::PreRouting,
        InetHook::LocalIn,
        InetHook::Forward,
        InetHook::LocalOut,
        InetHook::PostRouting,
    ];

    /// The name of the built-in chain at this hook.
    pub fn chain(self) -> &'static str {
        match self {
            InetHook::PreRouting => "PREROUTING",
            InetHook::LocalIn => "INPUT",
            InetHook::Forward => "FORWARD",
            InetHook::LocalOut => "OUTPUT",
            InetHook::PostRouting => "POSTROUTING",
        }
    }
}

impl fmt::Display for InetHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.chain())
    }
}

/// Where a function is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookPoint {
    /// Address family.
    pub family: Family,
    /// Hook.
    pub hook: InetHook,
}

/// Priorities (include/uapi/linux/netfilter_ipv4.h); lower runs first.
pub mod priority {
    /// `NF_IP_PRI_FIRST`, used by br_netfilter's sabotage.
    pub const FIRST: i32 = i32::MIN;
    /// `NF_IP_PRI_CONNTRACK_DEFRAG`
    pub const CONNTRACK_DEFRAG: i32 = -400;
    /// `NF_IP_PRI_RAW`
    pub const RAW: i32 = -300;
    /// `NF_IP_PRI_CONNTRACK`
    pub const CONNTRACK: i32 = -200;
    /// One after conntrack: the probe of the recorded scenarios.
    pub const CT_PROBE: i32 = -199;
    /// `NF_IP_PRI_MANGLE`
    pub const MANGLE: i32 = -150;
    /// `NF_IP_PRI_NAT_DST`
    pub const NAT_DST: i32 = -100;
    /// `NF_IP_PRI_FILTER`
    pub const FILTER: i32 = 0;
    /// `NF_IP_PRI_SECURITY`
    pub const SECURITY: i32 = 50;
    /// `NF_IP_PRI_NAT_SRC`
    pub const NAT_SRC: i32 = 100;
    /// IPVS (`NF_IP_PRI_NAT_SRC - 2` and so on, ip_vs_ops in ip_vs_core.c): answers at INPUT, requests at INPUT, errors
    /// and answers at FORWARD, answers at OUTPUT, requests at OUTPUT.
    pub const IPVS: [i32; 6] = [98, 99, 99, 100, -99, -98];
    /// `NF_IP_PRI_CONNTRACK_CONFIRM`
    pub const CONNTRACK_CONFIRM: i32 = i32::MAX;
}

/// What is registered. An enum, so that the list is plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookFn {
    /// `ip_sabotage_in` (net/bridge/br_netfilter_hooks.c)
    Sabotage,
    /// `ipv4_conntrack_defrag` (net/ipv4/netfilter/nf_defrag_ipv4.c)
    Defrag,
    /// `ipv4_conntrack_in`, `ipv4_conntrack_local` (net/netfilter/nf_conntrack_proto.c)
    ConntrackIn,
    /// Reports conntrack's opinion; changes nothing.
    CtProbe,
    /// `iptable_*_hook` (net/ipv4/netfilter/iptable_*.c), all tables but nat
    Table(TableId),
    /// `nf_nat_ipv4_*` (net/netfilter/nf_nat_proto.c): NAT, which asks the nat table and chains of type nat when it must
    Nat,
    /// `nft_do_chain_*` (net/netfilter/nft_chain_filter.c, nft_chain_nat.c, nft_chain_route.c): a base chain of nf_tables
    Nft(NftBase),
    /// `ip_vs_in_hook` (net/netfilter/ipvs/ip_vs_core.c): requests
    IpvsIn,
    /// `ip_vs_out_hook` (net/netfilter/ipvs/ip_vs_core.c): answers
    IpvsOut,
    /// `ip_vs_forward_icmp` (net/netfilter/ipvs/ip_vs_core.c): errors about answers
    IpvsForwardIcmp,
    /// `nf_confirm` (net/netfilter/nf_conntrack_proto.c)
    Confirm,
    /// Some packets stop here ([`super::Hold`]).
    Hold(Stop),
}

/// One registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookOps {
    /// Where.
    pub point: HookPoint,
    /// In which order.
    pub priority: i32,
    /// What.
    pub func: HookFn,
}

/// All registrations of a namespace, in the order in which they run: those of each family and hook in a list of its own.
#[derive(Clone, Debug, Default)]
pub struct HookList {
    ops: [[Vec<HookOps>; InetHook::ALL.len()]; 2],
    /// What NAT asks at its hooks, whatever else is registered there (`struct nf_nat_lookup_hook_priv`).
    nat: [[Vec<HookOps>; InetHook::ALL.len()]; 2],
}

/// The hooks of NAT itself (`nf_nat_ipv4_ops`), and their priorities.
const NAT_HOOKS: [(InetHook, i32); 4] = [
    (InetHook::PreRouting, priority::NAT_DST),
    (InetHook::PostRouting, priority::NAT_SRC),
    (InetHook::LocalOut, priority::NAT_DST),
    (InetHook::LocalIn, priority::NAT_SRC),
];

fn insert(list: &mut Vec<HookOps>, ops: HookOps) {
    if list.contains(&ops) {
        return;
    }
    let at = list.partition_point(|o| o.priority < ops.priority);
    list.insert(at, ops);
}

impl HookList {
    /// `nf_register_net_hook`: at equal priority the newest registration runs first. Registering twice is the same
    /// as once.
    pub fn register(&mut self, ops: HookOps) {
        insert(&mut self.ops[ops.point.family as usize][ops.point.hook as usize], ops);
    }

    /// `nf_nat_register_fn`: NAT asks this too at that hook. With the first of a family NAT comes to all its hooks.
    pub fn register_nat(&mut self, ops: HookOps) {
        let family = ops.point.family;
        for (hook, priority) in NAT_HOOKS {
            self.register(HookOps { point: HookPoint { family, hook }, priority, func: HookFn::Nat });
        }
        insert(&mut self.nat[family as usize][ops.point.hook as usize], ops);
    }

    /// `nf_nat_unregister_fn`: with the last one NAT goes.
    pub fn unregister_nat(&mut self, func: HookFn) {
        for (lists, ops) in self.nat.iter_mut().zip(&mut self.ops) {
            let had = lists.iter().any(|l| !l.is_empty());
            lists.iter_mut().for_each(|list| list.retain(|o| o.func != func));
            if had && lists.iter().all(Vec::is_empty) {
                ops.iter_mut().for_each(|list| list.retain(|o| o.func != HookFn::Nat));
            }
        }
    }

    /// The `n`th that NAT asks at a hook.
    #[inline]
    pub fn nat(&self, point: HookPoint, n: usize) -> Option<&HookFn> {
        self.nat[point.family as usize][point.hook as usize].get(n).map(|o| &o.func)
    }

    /// `nf_unregister_net_hook`
    pub fn unregister(&mut self, func: HookFn) {
        self.ops.iter_mut().flatten().for_each(|list| list.retain(|o| o.func != func));
    }

    /// The same in one family only.
    pub fn unregister_of(&mut self, family: Family, func: HookFn) {
        self.ops[family as usize].iter_mut().for_each(|list| list.retain(|o| o.func != func));
    }

    /// The function at place `n` of a hook's list.
    #[inline]
    pub fn get(&self, point: HookPoint, n: usize) -> Option<&HookFn> {
        self.list(point).get(n).map(|o| &o.func)
    }

    #[inline]
    fn list(&self, point: HookPoint) -> &[HookOps] {
        &self.ops[point.family as usize][point.hook as usize]
    }

    /// What is registered at a hook, in order.
    pub fn at(&self, point: HookPoint) -> impl Iterator<Item = HookOps> + '_ {
        self.list(point).iter().copied()
    }

    /// True if `func` is registered anywhere.
    pub fn has(&self, func: HookFn) -> bool {
        self.ops.iter().flatten().flatten().any(|o| o.func == func)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(priority: i32, func: HookFn) -> HookOps {
        HookOps { point: HookPoint { family: Family::V4, hook: InetHook::PreRouting }, priority, func }
    }

    #[test]
    fn runs_by_priority_and_the_newest_first_among_equals() {
        let mut list = HookList::default();
        list.register(ops(0, HookFn::Table(TableId::Filter)));
        list.register(ops(-100, HookFn::Nat));
        list.register(ops(0, HookFn::Table(TableId::Security)));
        let order: Vec<_> = list.at(ops(0, HookFn::Nat).point).map(|o| o.func).collect();
        assert_eq!(order, [HookFn::Nat, HookFn::Table(TableId::Security), HookFn::Table(TableId::Filter)]);
    }
}
