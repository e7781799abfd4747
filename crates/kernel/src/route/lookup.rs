//! The lookup: rules, tables, and one way out of a route (`fib_lookup`, `fib_table_lookup`, `fib_select_path`).

use super::{FibTable, NextHop, Route, RouteKind, RuleAction, Scope, Unreachable};
use crate::{DevId, Netns, Skb};
use packet::{Ip, L4};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// What routing looks at (`struct flowi4`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Source; unspecified if none is chosen yet.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Type of service.
    pub tos: u8,
    /// Mark.
    pub mark: u32,
    /// The device by which the packet came in; `None` if this host sends it.
    pub iif: Option<DevId>,
    /// The device by which it has to leave.
    pub oif: Option<DevId>,
    /// Protocol, 0 if unknown.
    pub proto: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The source need not be an address of this host.
    pub any_src: bool,
    /// Routes of a farther scope do not count.
    pub scope: Scope,
}

impl Flow {
    /// To this address, with nothing more said.
    pub fn to(dst: Ipv4Addr) -> Flow {
        Flow {
            src: Ipv4Addr::UNSPECIFIED,
            dst,
            tos: 0,
            mark: 0,
            iif: None,
            oif: None,
            proto: 0,
            sport: 0,
            dport: 0,
            any_src: false,
            scope: Scope::Universe,
        }
    }

    /// From this address.
    pub fn from(self, src: Ipv4Addr) -> Flow {
        Flow { src, ..self }
    }

    /// With protocol and ports as in the packet.
    pub fn like(self, ip: &Ip) -> Flow {
        let (proto, sport, dport) = match &ip.l4 {
            L4::Tcp(t) => (6, t.sport, t.dport),
            L4::Udp(u) => (17, u.sport, u.dport),
            // The place of the ports has type and code.
            L4::Icmp(i) => (1, u16::from(i.kind), u16::from(i.code)),
            L4::Icmp6(i) => (58, u16::from(i.kind), u16::from(i.code)),
            L4::Other(p, _) => (p.0, 0, 0),
        };
        Flow { proto, sport, dport, tos: ip.tos, ..self }
    }

    /// As `ip_route_input` is asked for a received packet; `None` if it is not IPv4.
    pub fn input(skb: &Skb, dev: DevId) -> Option<Flow> {
        let ip = skb.ip()?;
        let flow = Flow::to(ip.dst_v4()?).from(ip.src_v4()?).like(ip);
        Some(Flow { mark: skb.mark, iif: Some(dev), ..flow })
    }
}

/// A route with one of its ways out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// The route.
    pub route: &'a Rc<Route>,
    /// The way out; `None` of a route that ends here.
    pub hop: Option<NextHop>,
}

impl Found<'_> {
    /// The device of the way out; `lo` without one.
    pub fn dev(&self) -> DevId {
        self.hop.map_or(DevId(0), |h| h.dev)
    }

    /// The gateway of the way out.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.hop.filter(|h| h.scope == Scope::Link).and_then(|h| h.gateway)
    }
}

/// Why a lookup gave nothing, and the route that said so.
pub(crate) type NoWay<'a> = (Unreachable, Option<&'a Rc<Route>>);

impl Netns {
    /// `fib_lookup`: asks the rules. The way out is the first that can be used.
    pub(crate) fn fib_lookup(&self, flow: &Flow) -> Result<Found<'_>, NoWay<'_>> {
        if !self.fib.rules.custom {
            // One table as long as nobody has added a rule: the longest prefix counts, whichever table it is in.
            return self
                .table_lookup(&[FibTable::LOCAL, FibTable::MAIN], flow)
                .or_else(|| self.table_lookup(&[FibTable::DEFAULT], flow))
                .map_or(Err((Unreachable::Net, None)), outcome);
        }
        let mut at = 0;
        while let Some(rule) = self.fib.rules.list().get(at) {
            at += 1;
            if !rule.matches(self, flow) {
                continue;
            }
            match rule.action {
                RuleAction::Nop => {}
                RuleAction::Goto(pref) => {
                    // Only forwards; a rule that is not there is passed over.
                    let rest = self.fib.rules.list().get(at..).unwrap_or_default();
                    at += rest.iter().position(|r| r.pref == pref).unwrap_or(0);
                }
                RuleAction::Blackhole => return Err((Unreachable::Invalid, None)),
                RuleAction::Unreachable => return Err((Unreachable::Net, None)),
                RuleAction::Prohibit => return Err((Unreachable::Prohibited, None)),
                RuleAction::Lookup(table) => {
                    let found = self.table_lookup(&[table], flow).map(outcome);
                    let suppressed = |f: &Result<Found<'_>, NoWay<'_>>| {
                        let len = f.as_ref().map(|f| u32::from(f.route.dst.prefix_len()));
                        matches!((rule.suppress_prefixlen, len), (Some(least), Ok(len)) if len <= least)
                    };
                    if let Some(found) = found.filter(|f| !suppressed(f)) {
                        return found;
                    }
                }
            }
        }
        Err((Unreachable::Net, None))
    }

    /// `fib_table_lookup`: the longest prefix with a way out that can be used, then the lowest metric. `None` also if that is
    /// a throw route.
    pub(crate) fn table_lookup(&self, tables: &[FibTable], flow: &Flow) -> Option<Found<'_>> {
        for route in self.fib.covering(flow.dst) {
            if !tables.contains(&route.table) || route.scope < flow.scope {
                continue;
            }
            if route.kind.is_error() {
                return (route.kind != RouteKind::Throw).then_some(Found { route, hop: None });
            }
            let hop = self.usable_hop(route, flow.oif);
            if hop.is_some() {
                return Some(Found { route, hop });
            }
        }
        None
    }

    /// The first way out by a device that is up. An address is this host's even if its device is down.
    fn usable_hop(&self, route: &Route, oif: Option<DevId>) -> Option<NextHop> {
        let usable = |h: &&NextHop| {
            (route.scope == super::Scope::Host || self.is_up(h.dev)) && oif.is_none_or(|o| o == h.dev)
        };
        route.hops.iter().find(usable).copied()
    }

    /// `fib_select_multipath`: which of several ways out, by a hash of the addresses; a local sender that has chosen its
    /// address keeps to the device of that address.
    pub(crate) fn fib_select_path(&self, found: &mut Found<'_>, flow: &Flow) {
        if flow.oif.is_some() || found.route.hops.len() < 2 {
            return;
        }
        let usable: Vec<NextHop> = found.route.hops.iter().filter(|h| self.is_up(h.dev)).copied().collect();
        let total: u64 = usable.iter().map(|h| u64::from(h.weight)).sum();
        let hash = u64::from(multipath_hash(flow));
        let (mut sum, mut best) = (0, None);
        for hop in usable {
            sum += u64::from(hop.weight);
            let near = flow.iif.is_none()
                && !flow.src.is_unspecified()
                && self.inet_select_addr(hop.dev, hop.gateway.unwrap_or(flow.dst), found.route.scope)
                    == Some(flow.src);
            let score = 2 * u8::from(near) + u8::from(hash * total < sum << 32);
            if best.is_none_or(|(b, _)| score > b) {
                best = Some((score, hop));
            }
        }
        found.hop = best.map(|(_, hop)| hop).or(found.hop);
    }
}

fn outcome(found: Found<'_>) -> Result<Found<'_>, NoWay<'_>> {
    let why = match found.route.kind {
        RouteKind::Blackhole => Unreachable::Invalid,
        RouteKind::Unreachable => Unreachable::Host,
        RouteKind::Prohibit => Unreachable::Prohibited,
        _ => return Ok(found),
    };
    Err((why, Some(found.route)))
}

/// `fib_multipath_hash` with policy 0: of both addresses. The kernel's has a secret of its own, so that its choice differs;
/// as there, it is the same for all packets between two hosts.
fn multipath_hash(flow: &Flow) -> u32 {
    let mix = (u64::from(flow.src.to_bits()) << 32 | u64::from(flow.dst.to_bits()))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mix = (mix ^ mix >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mix >> 32) as u32
}
