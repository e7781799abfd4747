//! Policy rules: which table is asked for which packet (net/core/fib_rules.c, net/ipv4/fib_rules.c).

use super::{FibTable, Flow};
use crate::{DevId, Netns};
use ipnet::Ipv4Net;

/// What a rule does with a packet that it matches (`FR_ACT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// `lookup`: ask this table.
    Lookup(FibTable),
    /// `goto`: go on with the first rule of this priority.
    Goto(u32),
    /// `nop`
    Nop,
    /// Drop silently.
    Blackhole,
    /// Answer "network is unreachable".
    Unreachable,
    /// Answer "administratively prohibited".
    Prohibit,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibRule {
    /// `pref`: rules are asked in this order.
    pub pref: u32,
    /// `not`: matches what the selectors do not.
    pub not: bool,
    /// `from`
    pub from: Ipv4Net,
    /// `to`
    pub to: Ipv4Net,
    /// `iif`; `lo` stands for what this host itself sends.
    pub iif: Option<String>,
    /// `oif`: the device that the socket is bound to.
    pub oif: Option<String>,
    /// `fwmark`: value and mask.
    pub fwmark: Option<(u32, u32)>,
    /// `tos`
    pub tos: u8,
    /// `ipproto`
    pub ipproto: u8,
    /// `sport`
    pub sport: Option<(u16, u16)>,
    /// `dport`
    pub dport: Option<(u16, u16)>,
    /// What it does.
    pub action: RuleAction,
    /// `suppress_prefixlength`: refuses what the table finds if its prefix is not longer.
    pub suppress_prefixlen: Option<u32>,
    /// Who made it (`RTPROT_*`).
    pub proto: u8,
}

impl FibRule {
    /// The rule that sends everything to a table.
    pub fn lookup(pref: u32, table: FibTable) -> FibRule {
        FibRule {
            pref,
            not: false,
            from: Ipv4Net::default(),
            to: Ipv4Net::default(),
            iif: None,
            oif: None,
            fwmark: None,
            tos: 0,
            ipproto: 0,
            sport: None,
            dport: None,
            action: RuleAction::Lookup(table),
            suppress_prefixlen: None,
            proto: super::proto::KERNEL,
        }
    }

    /// `rule_exists`, `fib4_rule_compare`: addresses and a type of service that it does not ask for may be anything in the other, and
    /// neither `not` nor the target of `goto` count.
    fn is_there_as(&self, other: &FibRule) -> bool {
        let any = |net: Ipv4Net, theirs| if net.prefix_len() == 0 { theirs } else { net };
        let action = match (self.action, other.action) {
            (RuleAction::Goto(_), RuleAction::Goto(there)) => RuleAction::Goto(there),
            (action, _) => action,
        };
        let (from, to) = (any(self.from, other.from), any(self.to, other.to));
        let tos = if self.tos == 0 { other.tos } else { self.tos };
        FibRule { not: other.not, from, to, tos, action, ..self.clone() } == *other
    }

    /// `fib_rule_match`, `fib4_rule_match`
    pub(super) fn matches(&self, ns: &Netns, flow: &Flow) -> bool {
        let named = |name: &Option<String>, dev: Option<DevId>| {
            name.as_ref().is_none_or(|n| dev.is_some_and(|d| ns.dev_name(d) == n))
        };
        let ports = |range: Option<(u16, u16)>, port| range.is_none_or(|(lo, hi)| lo <= port && port <= hi);
        let hit = named(&self.iif, Some(flow.iif.unwrap_or_default()))
            && named(&self.oif, flow.oif)
            && self.fwmark.is_none_or(|(value, mask)| (flow.mark ^ value) & mask == 0)
            && self.from.contains(&flow.src)
            && self.to.contains(&flow.dst)
            // The bits of the old type of service; those of precedence and ECN do not count.
            && (self.tos == 0 || self.tos == flow.tos & 0x1c)
            && (self.ipproto == 0 || self.ipproto == flow.proto)
            && ports(self.sport, flow.sport)
            && ports(self.dport, flow.dport);
        hit != self.not
    }
}

/// The rules of a namespace, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct FibRules {
    list: Vec<FibRule>,
    /// A rule was added or removed by hand. From then on tables local and main are apart (`fib_unmerge`), for good.
    pub(super) custom: bool,
    /// Some rule looks at ports or the protocol, so that routing has to read them (`fib_rules_require_fldissect`).
    pub(super) dissect: bool,
}

impl Default for FibRules {
    fn default() -> FibRules {
        let list = vec![
            FibRule::lookup(0, FibTable::LOCAL),
            FibRule::lookup(32766, FibTable::MAIN),
            FibRule::lookup(32767, FibTable::DEFAULT),
        ];
        FibRules { list, custom: false, dissect: false }
    }
}

impl FibRules {
    /// The rules.
    pub fn list(&self) -> &[FibRule] {
        &self.list
    }

    /// Somebody has changed them.
    pub fn is_custom(&self) -> bool {
        self.custom
    }

    /// The priority of a rule that is added without one: it stands before the second rule (`fib_default_rule_pref`).
    pub fn default_pref(&self) -> u32 {
        self.list.get(1).map_or(0, |r| r.pref.saturating_sub(1))
    }

    /// `ip rule add`: false if there is such a rule.
    pub fn add(&mut self, rule: FibRule) -> bool {
        if self.list.iter().any(|r| rule.is_there_as(r)) {
            return false;
        }
        let at = self.list.partition_point(|r| r.pref <= rule.pref);
        self.custom = true;
        self.list.insert(at, rule);
        self.note();
        true
    }

    /// Removes the first rule for which `which` is true (`ip rule del`).
    pub fn remove_first(&mut self, which: &dyn Fn(&FibRule) -> bool) -> bool {
        let at = self.list.iter().position(which);
        if let Some(at) = at {
            self.list.remove(at);
            self.custom = true;
            self.note();
        }
        at.is_some()
    }

    fn note(&mut self) {
        self.dissect = self.list.iter().any(|r| r.ipproto != 0 || r.sport.is_some() || r.dport.is_some());
    }
}
