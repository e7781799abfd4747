//! Routes: what a table holds (net/ipv4/fib_trie.c, fib_semantics.c).

use super::FibRules;
use crate::DevId;
use ipnet::Ipv4Net;
use std::cmp::Reverse;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Kind of a route (`RTN_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Out by a device.
    Unicast,
    /// To this host.
    Local,
    /// A broadcast address.
    Broadcast,
    /// A group; the packet goes out by the device.
    Multicast,
    /// Drop silently.
    Blackhole,
    /// Answer "host unreachable".
    Unreachable,
    /// Answer "administratively prohibited".
    Prohibit,
    /// Go on with the next rule, as if the table had no route.
    Throw,
}

impl RouteKind {
    /// A packet that finds this route does not go anywhere.
    pub fn is_error(self) -> bool {
        matches!(self, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw)
    }
}

/// How far a destination or an address is valid (`RT_SCOPE_*`); smaller is farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere.
    Universe,
    /// Inside this site.
    Site,
    /// On this link.
    Link,
    /// On this host.
    Host,
    /// Nowhere.
    Nowhere,
}

/// A routing table by its number (`RT_TABLE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FibTable(pub u32);

impl FibTable {
    /// Addresses of this host; kept by the kernel.
    pub const LOCAL: FibTable = FibTable(255);
    /// Where routes go unless another table is named.
    pub const MAIN: FibTable = FibTable(254);
    /// Looked at last; empty.
    pub const DEFAULT: FibTable = FibTable(253);
}

/// Who made a route (`RTPROT_*`): the numbers of /etc/iproute2/rt_protos.
pub mod proto {
    /// The kernel, for an address.
    pub const KERNEL: u8 = 2;
    /// What `ip route add` says unless it is told otherwise.
    pub const BOOT: u8 = 3;
}

/// One way out of a route (`struct fib_nh`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// `via`; `None` if the destination is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// `dev`
    pub dev: DevId,
    /// `weight`, from 1.
    pub weight: u16,
    /// `onlink`
    pub onlink: bool,
    /// How far the gateway is (`nh_scope`); one that is an address of this host is not used.
    pub scope: Scope,
}

impl NextHop {
    /// A way out, as it is written.
    pub fn new(gateway: Option<Ipv4Addr>, dev: DevId) -> NextHop {
        NextHop { gateway, dev, weight: 1, onlink: false, scope: Scope::Link }
    }
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
    /// The ways out; none for blackhole, unreachable, prohibit, throw.
    pub hops: Vec<NextHop>,
    /// `src`
    pub prefsrc: Option<Ipv4Addr>,
    /// `metric`
    pub metric: u32,
    /// `scope`
    pub scope: Scope,
    /// `proto`
    pub proto: u8,
    /// `mtu`, and whether it is locked.
    pub mtu: Option<(u32, bool)>,
}

impl Route {
    /// The device of the first way out.
    pub fn dev(&self) -> Option<DevId> {
        self.hops.first().map(|h| h.dev)
    }

    /// The gateway of the first way out.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.hops.first()?.gateway
    }

    /// One of its ways out leads by this device.
    pub fn uses(&self, dev: DevId) -> bool {
        self.hops.iter().any(|h| h.dev == dev)
    }

    /// Where it stands in a listing: tables as the kernel's hash has them, then by address; of one address the longest
    /// prefix first, of one prefix the lowest metric.
    fn key(&self) -> (u32, u32, Ipv4Addr, Reverse<u8>, u32) {
        (self.table.0 & 255, self.table.0, self.dst.addr(), Reverse(self.dst.prefix_len()), self.metric)
    }
}

/// A route's prefix, and its place in the list of all.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    net: u32,
    mask: u32,
    at: u32,
}

/// All routes of a namespace, and the rules that choose among its tables.
#[derive(Clone, Debug, Default)]
pub struct Fib {
    routes: Vec<Rc<Route>>,
    /// The same in the order in which a lookup prefers them.
    ranked: Vec<Ranked>,
    /// `ip rule`
    pub rules: FibRules,
    /// The tables that somebody has put a route into; they stay when it goes.
    tables: Vec<FibTable>,
    /// Somebody has put a route into table local by hand (`fib_has_custom_local_routes`).
    pub custom_local: bool,
}

impl Fib {
    /// All routes in the order of `ip route show table all`.
    pub fn routes(&self) -> &[Rc<Route>] {
        &self.routes
    }

    /// The routes that cover an address: the longest prefix first; of one prefix the highest table, as local counts more than
    /// main; of one table the lowest metric, then in the order of their insertion.
    pub(super) fn covering(&self, addr: Ipv4Addr) -> impl Iterator<Item = &Rc<Route>> {
        let addr = addr.to_bits();
        let covers = move |r: &&Ranked| (r.net ^ addr) & r.mask == 0;
        self.ranked.iter().filter(covers).filter_map(|r| self.routes.get(r.at as usize))
    }

    /// After every change of the routes.
    fn rank(&mut self) {
        self.ranked.clear();
        self.ranked.extend(self.routes.iter().zip(0..).map(|(r, at)| Ranked {
            net: r.dst.addr().to_bits(),
            mask: r.dst.netmask().to_bits(),
            at,
        }));
        let routes = &self.routes;
        let key =
            |r: &Ranked| routes.get(r.at as usize).map(|r| (r.dst.prefix_len(), r.table, Reverse(r.metric)));
        sorted::sort_by_key(&mut self.ranked, |r| Reverse(key(r)));
    }

    /// Adds a route behind those of its prefix and metric. With `exclusive` it is refused (false) if there is one of the
    /// same table, prefix and metric; without, only if there is one that is the same in everything.
    pub fn add(&mut self, route: Route, exclusive: bool) -> bool {
        let key = route.key();
        let at = self.routes.partition_point(|r| r.key() <= key);
        let mut same = self.routes.iter().filter(|r| r.key() == key);
        if same.any(|r| exclusive || **r == route) {
            return false;
        }
        self.new_table(route.table);
        self.routes.insert(at, Rc::new(route));
        self.rank();
        true
    }

    /// There is such a table.
    pub fn has_table(&self, table: FibTable) -> bool {
        table == FibTable::MAIN || self.tables.contains(&table)
    }

    /// `fib_new_table`: there is such a table from now on.
    pub(crate) fn new_table(&mut self, table: FibTable) {
        if !self.has_table(table) {
            self.tables.push(table);
        }
    }

    /// Puts a route in the place of the first of its table, prefix and metric (`NLM_F_REPLACE`); false if there is none.
    pub fn replace(&mut self, route: Route) -> bool {
        let key = route.key();
        let Some(slot) = self.routes.iter_mut().find(|r| r.key() == key) else { return false };
        *slot = Rc::new(route);
        self.rank();
        true
    }

    /// Removes the first route for which `which` is true (`fib_table_delete`).
    pub fn remove_first(&mut self, which: &dyn Fn(&Route) -> bool) -> bool {
        let at = self.routes.iter().position(|r| which(r));
        if let Some(at) = at {
            self.routes.remove(at);
            self.rank();
        }
        at.is_some()
    }

    /// Removes the routes for which `which` is true; returns how many.
    pub fn remove(&mut self, which: &dyn Fn(&Route) -> bool) -> usize {
        let before = self.routes.len();
        self.routes.retain(|r| !which(r));
        self.rank();
        before - self.routes.len()
    }
}
