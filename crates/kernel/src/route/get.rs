//! `ip route get`: what routing would say (`inet_rtm_getroute`, net/ipv4/route.c).

use super::{Dst, Flow, Route, Unreachable};
use crate::{DevId, DropReason, Netns};
use packet::Protocol;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// A way, as routing would choose it.
#[derive(Clone, Debug)]
pub struct RouteAnswer {
    /// The way.
    pub dst: Dst,
    /// The route that was found.
    pub route: Option<Rc<Route>>,
    /// The sender would be told of a better gateway.
    pub redirect: bool,
}

/// What `ip route get` asks for. `D` names a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteQuery<D = DevId> {
    /// The destination.
    pub dst: Ipv4Addr,
    /// `from`
    pub from: Option<Ipv4Addr>,
    /// `iif`: the packet came in there; from this host if nothing is said.
    pub iif: Option<D>,
    /// `oif`
    pub oif: Option<D>,
    /// `mark`
    pub mark: u32,
    /// `tos`
    pub tos: u8,
    /// `ipproto`; UDP if nothing is said, so that rules for UDP are asked too.
    pub ipproto: Protocol,
    /// `sport`
    pub sport: u16,
    /// `dport`
    pub dport: u16,
}

impl<D> RouteQuery<D> {
    /// To this address, with nothing more said.
    pub fn to(dst: Ipv4Addr) -> RouteQuery<D> {
        let ipproto = Protocol::UDP;
        RouteQuery { dst, from: None, iif: None, oif: None, mark: 0, tos: 0, ipproto, sport: 0, dport: 0 }
    }
}

impl Netns {
    /// The way of a packet from this host, or received by a device. `Err` is the text of the error number.
    pub fn route_get(&self, query: &RouteQuery) -> Result<RouteAnswer, &'static str> {
        let RouteQuery { dst, from, iif, oif, mark, tos, ipproto, sport, dport } = *query;
        let flow = Flow { mark, tos, iif, oif, proto: ipproto.0, sport, dport, ..Flow::to(dst) };
        let flow = flow.from(from.unwrap_or(Ipv4Addr::UNSPECIFIED));
        if let Some(dev) = iif {
            let found = self.route_input(&flow, dev);
            return match found.outcome {
                Ok((dst, redirect)) => Ok(RouteAnswer { dst, route: found.route.cloned(), redirect }),
                Err(DropReason::Unreachable(why)) => Err(text(why)),
                Err(DropReason::ForwardingDisabled) => Err(text(Unreachable::Host)),
                // fib_validate_source says EXDEV, which a drop reason does not.
                Err(DropReason::RpFilter) if self.era().rp_filter_is_exdev() => {
                    Err("Invalid cross-device link")
                }
                Err(_) => Err(text(Unreachable::Invalid)),
            };
        }
        match self.ip_route_output(&flow) {
            Ok((dst, route)) => Ok(RouteAnswer { dst, route: route.cloned(), redirect: false }),
            Err((why, _)) => Err(text(why)),
        }
    }
}

/// strerror(3) of the error number that stands for it.
fn text(why: Unreachable) -> &'static str {
    match why {
        Unreachable::Net => "Network is unreachable",
        Unreachable::Host => "No route to host",
        Unreachable::Prohibited => "Permission denied",
        Unreachable::Invalid => "Invalid argument",
    }
}
