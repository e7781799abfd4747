//! Routing (net/ipv4/fib_*.c, net/ipv4/route.c).

mod fib;
mod get;
mod input;
mod lookup;
mod output;
mod pmtu;
mod redirect;
mod rule;

pub use fib::{Fib, FibTable, NextHop, Route, RouteKind, Scope, proto};
pub use get::{RouteAnswer, RouteQuery};
pub(crate) use lookup::{Flow, NoWay};
pub use pmtu::Pmtu;
pub(crate) use redirect::{Peer, XRLIM_BURST, ip_rt_send_redirect};
pub use rule::{FibRule, FibRules, RuleAction};

use crate::DevId;
use std::fmt;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// The group that every host is in (`IGMP_ALL_HOSTS`).
pub const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// `ENETUNREACH`: no route matches.
    Net,
    /// `EHOSTUNREACH`: an `unreachable` route.
    Host,
    /// `EACCES`: a `prohibit` route.
    Prohibited,
    /// `EINVAL`: a `blackhole` route, or a source address that is not ours.
    Invalid,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreachable::Net => "network is unreachable",
            Unreachable::Host => "host is unreachable",
            Unreachable::Prohibited => "prohibited",
            Unreachable::Invalid => "invalid",
        })
    }
}

/// What to do with a packet (`struct rtable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To this host.
    Local,
    /// To a broadcast address on this host's network.
    Broadcast,
    /// To a group.
    Multicast,
    /// Out by a device.
    Out,
}

/// A routing decision that travels with the packet (`skb_dst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dst {
    /// What to do.
    pub verdict: Verdict,
    /// The device: `lo` for packets to this host.
    pub dev: DevId,
    /// The gateway; `None` if the destination is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Source address that a local sender would get; unspecified for what came in and goes on.
    pub source: Ipv4Addr,
    /// The MTU that the route says, and whether it is locked (`RTAX_MTU`).
    pub mtu: Option<(u32, bool)>,
}

impl Dst {
    /// To many: a broadcast address or a group.
    pub fn is_group(&self) -> bool {
        matches!(self.verdict, Verdict::Broadcast | Verdict::Multicast)
    }
}

/// A routing decision as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEvent {
    /// A received packet (true) or one that this host sends.
    pub input: bool,
    /// The destination that was looked up.
    pub dst: Ipv4Addr,
    /// The route that matched.
    pub route: Option<Rc<Route>>,
    /// The outcome; `Err` is the reason for which the packet ends.
    pub outcome: Result<Dst, crate::DropReason>,
}
