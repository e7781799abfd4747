//! `-m addrtype` (net/netfilter/xt_addrtype.c).

use super::{Checks, MatchCx};
use crate::Skb;
use crate::ipv6::addr_types;
use crate::netfilter::xtables::{Neg, Seen};
use std::net::IpAddr;

/// Address types (`RTN_*`, include/uapi/linux/rtnetlink.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddrType {
    /// No route at all.
    Unspec,
    /// Reached by a route.
    Unicast,
    /// Of this host.
    Local,
    /// A broadcast address of this host.
    Broadcast,
    /// Anycast (never for IPv4 here).
    Anycast,
    /// 224.0.0.0/4
    Multicast,
    /// A blackhole route.
    Blackhole,
    /// An unreachable route.
    Unreachable,
    /// A prohibit route.
    Prohibit,
    /// A throw route.
    Throw,
    /// Unused.
    Nat,
    /// Unused.
    Xresolve,
}

impl AddrType {
    /// Every type, in the order of their bits.
    pub const ALL: [AddrType; 12] = [
        AddrType::Unspec,
        AddrType::Unicast,
        AddrType::Local,
        AddrType::Broadcast,
        AddrType::Anycast,
        AddrType::Multicast,
        AddrType::Blackhole,
        AddrType::Unreachable,
        AddrType::Prohibit,
        AddrType::Throw,
        AddrType::Nat,
        AddrType::Xresolve,
    ];

    /// The word used by iptables.
    pub fn name(self) -> &'static str {
        match self {
            AddrType::Unspec => "UNSPEC",
            AddrType::Unicast => "UNICAST",
            AddrType::Local => "LOCAL",
            AddrType::Broadcast => "BROADCAST",
            AddrType::Anycast => "ANYCAST",
            AddrType::Multicast => "MULTICAST",
            AddrType::Blackhole => "BLACKHOLE",
            AddrType::Unreachable => "UNREACHABLE",
            AddrType::Prohibit => "PROHIBIT",
            AddrType::Throw => "THROW",
            AddrType::Nat => "NAT",
            AddrType::Xresolve => "XRESOLVE",
        }
    }
}

/// A set of types: bit n is `AddrType::ALL[n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrTypes(pub u16);

impl AddrTypes {
    /// True if the type is in the set.
    pub fn contains(self, t: AddrType) -> bool {
        AddrType::ALL.iter().position(|x| *x == t).is_some_and(|i| self.0 >> i & 1 == 1)
    }
}

/// Options of addrtype.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addrtype {
    /// `--src-type`
    pub src: Option<Neg<AddrTypes>>,
    /// `--dst-type`
    pub dst: Option<Neg<AddrTypes>>,
    /// `--limit-iface-in`
    pub limit_iface_in: bool,
    /// `--limit-iface-out`
    pub limit_iface_out: bool,
}

impl Addrtype {
    pub(super) fn eval(self, skb: &Skb, m: &mut MatchCx<'_, '_>, checks: &mut Checks) -> bool {
        let Some(ip) = skb.ip() else { return checks.option(false, || Seen::Word("not IP")) };
        let dev = match (self.limit_iface_in, self.limit_iface_out) {
            (true, _) => m.ctx.indev,
            (_, true) => m.ctx.outdev,
            _ => None,
        };
        let ask = |addr, wanted: Option<&Neg<AddrTypes>>| match addr {
            IpAddr::V4(a) => {
                let kind = m.ns.inet_addr_type(a, dev);
                (wanted.is_some_and(|t| t.value.contains(kind)), kind)
            }
            IpAddr::V6(a) => addr_types(m.ns, a, dev, wanted.map_or(AddrTypes(0), |t| t.value)),
        };
        let (src, dst) = (ask(ip.src, self.src.as_ref()), ask(ip.dst, self.dst.as_ref()));
        checks.optional(self.src.as_ref(), |_| src.0, || Seen::Word(src.1.name()))
            && checks.optional(self.dst.as_ref(), |_| dst.0, || Seen::Word(dst.1.name()))
    }
}
