//! `ip route get`: what routing would say (`inet_rtm_getroute`, net/ipv4/route.c).

use super::{Dst, Flow, Route, Unreachable};
use crate::{DevId, DropReason, Netns};
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

impl Netns {
    /// The way of a packet to `dst`: from this host, or received by `iif`. `Err` is the text of the error number.
    pub fn route_get(
        &self,
        dst: Ipv4Addr,
        from: Option<Ipv4Addr>,
        iif: Option<DevId>,
        oif: Option<DevId>,
        mark: u32,
    ) -> Result<RouteAnswer, &'static str> {
        let src = from.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let flow = Flow { mark, iif, oif, ..Flow::to(dst).from(src) };
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
