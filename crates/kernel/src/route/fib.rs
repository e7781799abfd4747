//! Routes and their lookup: longest prefix, then lowest metric; table local before table main.

use super::Unreachable;
use crate::DevId;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Kind of a route (`RTN_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Out by a device.
    Unicast,
    /// To this host.
    Local,
    /// A broadcast address.
    Broadcast,
    /// Drop silently.
    Blackhole,
    /// Answer "host unreachable".
    Unreachable,
    /// Answer "administratively prohibited".
    Prohibit,
}

/// How far a destination or an address is valid (`RT_SCOPE_*`); smaller is farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere.
    Universe,
    /// On this link.
    Link,
    /// On this host.
    Host,
}

/// The tables that Linux looks through by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FibTable {
    /// Addresses of this host; kept by the kernel.
    Local,
    /// Everything else.
    Main,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Table.
    pub table: FibTable,
    /// Destination.
    pub dst: Ipv4Net,
    /// Kind.
    pub kind: RouteKind,
    /// `via`
    pub gateway: Option<Ipv4Addr>,
    /// `dev`; `None` for blackhole, unreachable, prohibit.
    pub dev: Option<DevId>,
    /// `src`
    pub prefsrc: Option<Ipv4Addr>,
    /// `metric`
    pub metric: u32,
    /// `scope`
    pub scope: Scope,
}

/// All routes of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Fib {
    routes: Vec<Route>,
}

impl Fib {
    /// All routes: table local first, longer prefixes before shorter ones, lower metrics before higher ones, older
    /// before newer.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Adds a route; false if one with the same table, prefix and metric exists.
    pub fn add(&mut self, route: Route) -> bool {
        let key = |r: &Route| (r.table, std::cmp::Reverse(r.dst.prefix_len()), r.dst.addr(), r.metric);
        let at = self.routes.partition_point(|r| key(r) <= key(&route));
        let exists = at.checked_sub(1).and_then(|i| self.routes.get(i)).is_some_and(|r| {
            key(r) == key(&route) && r.kind == route.kind && (r.table == FibTable::Main || r.dev == route.dev)
        });
        if !exists {
            self.routes.insert(at, route);
        }
        !exists
    }

    /// Removes the routes for which `which` is true; returns how many.
    pub fn remove(&mut self, which: impl Fn(&Route) -> bool) -> usize {
        self.remove_those(&which)
    }

    fn remove_those(&mut self, which: &dyn Fn(&Route) -> bool) -> usize {
        let before = self.routes.len();
        self.routes.retain(|r| !which(r));
        before - self.routes.len()
    }

    /// `fib_lookup`: the best route, or why there is none. `up` tells which devices can be used; `oif` restricts
    /// the output device.
    pub(crate) fn lookup(
        &self,
        dst: Ipv4Addr,
        oif: Option<DevId>,
        up: impl Fn(DevId) -> bool,
    ) -> Result<&Route, (Unreachable, Option<&Route>)> {
        let usable = |r: &&Route| {
            r.dst.contains(&dst)
                // An address is this host's even if its device is down.
                && (r.kind == RouteKind::Local || r.dev.is_none_or(&up))
                && (oif.is_none() || r.dev == oif || r.table == FibTable::Local && r.dev.is_some())
        };
        // Inside a table the order is by prefix only within one address block, so take the best explicitly.
        let best = |table| {
            self.routes
                .iter()
                .filter(|r| r.table == table)
                .filter(usable)
                .min_by_key(|r| (std::cmp::Reverse(r.dst.prefix_len()), r.metric))
        };
        match best(FibTable::Local).or_else(|| best(FibTable::Main)) {
            None => Err((Unreachable::Net, None)),
            Some(r) => match r.kind {
                RouteKind::Blackhole => Err((Unreachable::Invalid, Some(r))),
                RouteKind::Unreachable => Err((Unreachable::Host, Some(r))),
                RouteKind::Prohibit => Err((Unreachable::Prohibited, Some(r))),
                _ => Ok(r),
            },
        }
    }
}
