//! Addresses of devices, the routes that come and go with them, and routes by hand (net/ipv4/devinet.c, fib_frontend.c,
//! fib_semantics.c).

use super::Netns;
use crate::DevId;
use crate::dev::IfAddr;
use crate::netfilter::xtables::matches::AddrType;
use crate::route::{FibTable, Flow, NextHop, Route, RouteKind, Scope, proto};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Why an address or a route is refused: what ip(8) prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The text of an error number.
    Errno(&'static str),
    /// The kernel's own words (`extack`).
    Says(&'static str),
}

/// How a route is put in (`NLM_F_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutRoute {
    /// Refused if there is one of its prefix and metric.
    Add,
    /// Behind those of its prefix and metric.
    Append,
    /// In the place of the first of its prefix and metric, if there is one.
    Replace,
    /// The same, refused if there is none.
    Change,
}

impl Netns {
    /// `ip addr add` (`__inet_insert_ifa`), with the routes that follow from it.
    pub fn add_addr(&mut self, dev: DevId, mut addr: IfAddr) -> Result<(), Refused> {
        let Some(d) = self.devices.get_mut(dev.index()) else { return Err(Refused::Errno("No such device")) };
        if addr.net.addr().is_unspecified() {
            return Ok(());
        }
        let mut last_primary = 0;
        for (i, other) in d.addrs.iter().enumerate() {
            if !other.secondary && addr.scope <= other.scope {
                last_primary = i + 1;
            }
            if other.net.trunc() == addr.net.trunc() {
                if other.net == addr.net {
                    return Err(Refused::Says("ipv4: Address already assigned."));
                }
                if other.scope != addr.scope {
                    return Err(Refused::Says("ipv4: Invalid scope value."));
                }
                addr.secondary = true;
            }
        }
        let at = if addr.secondary { d.addrs.len() } else { last_primary };
        d.addrs.insert(at, addr);
        self.fib_add_ifaddr(dev);
        Ok(())
    }

    /// `ip addr replace`: of an address that is there already only the metric is taken.
    pub fn replace_addr(&mut self, dev: DevId, addr: IfAddr) -> Result<(), Refused> {
        let same = |a: &&mut IfAddr| a.net == addr.net;
        let old = self.devices.get_mut(dev.index()).and_then(|d| d.addrs.iter_mut().find(same));
        let Some(old) = old else { return self.add_addr(dev, addr) };
        if std::mem::replace(&mut old.metric, addr.metric) != addr.metric {
            self.fib.remove(&|r| {
                r.proto == proto::KERNEL
                    && r.kind == RouteKind::Unicast
                    && r.uses(dev)
                    && r.dst == addr.net.trunc()
            });
            self.fib_add_ifaddr(dev);
        }
        Ok(())
    }

    /// `ip addr del A/P dev DEV` (`__inet_del_ifa`); false if it is not there. The secondary addresses of its network go
    /// too, unless `promote_secondaries` makes the first of them primary.
    pub fn del_addr(&mut self, dev: DevId, net: Ipv4Net) -> bool {
        let promote = self.conf_or(dev, |c| c.promote_secondaries);
        let Some(d) = self.devices.get_mut(dev.index()) else { return false };
        let Some(at) = d.addrs.iter().position(|a| a.net == net) else { return false };
        let gone = d.addrs.remove(at);
        let mut gone_addrs = vec![gone.net.addr()];
        if !gone.secondary {
            let follows = |a: &IfAddr| a.secondary && a.net.trunc() == gone.net.trunc();
            match d.addrs.iter().position(follows).filter(|_| promote) {
                Some(next) => {
                    let mut first = d.addrs.remove(next);
                    first.secondary = false;
                    let primaries = d.addrs.iter().position(|a| a.secondary).unwrap_or(d.addrs.len());
                    d.addrs.insert(primaries, first);
                }
                None => {
                    gone_addrs.extend(d.addrs.iter().filter(|a| follows(a)).map(|a| a.net.addr()));
                    d.addrs.retain(|a| !follows(a));
                }
            }
        }
        let empty = d.addrs.is_empty();
        // What followed from the addresses is made anew from those that are left.
        let here: Vec<Ipv4Addr> = self.devices.iter().flat_map(|d| &d.addrs).map(|a| a.net.addr()).collect();
        let stray: Vec<Ipv4Addr> = gone_addrs.iter().filter(|a| !here.contains(a)).copied().collect();
        self.fib.remove(&|r| {
            let made =
                r.proto == proto::KERNEL && r.uses(dev) && r.prefsrc.is_some_and(|s| gone_addrs.contains(&s));
            let own = r.kind == RouteKind::Local && r.uses(dev) && gone_addrs.contains(&r.dst.addr());
            made || own && r.dst.prefix_len() == 32 || r.prefsrc.is_some_and(|s| stray.contains(&s))
        });
        if empty {
            // fib_disable_ip: without an address the device carries no IP.
            self.fib.remove(&|r| r.hops.iter().any(|h| h.dev == dev));
            self.neigh.forget(dev);
        }
        self.fib_add_ifaddr(dev);
        true
    }

    /// `fib_add_ifaddr`: the routes that follow from the addresses of a device.
    pub(super) fn fib_add_ifaddr(&mut self, dev: DevId) {
        let Some(d) = self.devices.get(dev.index()) else { return };
        let (up, is_lo) = (d.up, d.kind_is_loopback());
        let addrs = d.addrs.clone();
        for a in &addrs {
            let primary = addrs.iter().find(|p| !p.secondary && p.net.trunc() == a.net.trunc()).unwrap_or(a);
            let magic = |kind: RouteKind, dst: Ipv4Net, metric: u32| Route {
                table: if kind == RouteKind::Unicast { FibTable::MAIN } else { FibTable::LOCAL },
                dst,
                kind,
                hops: vec![NextHop::new(None, dev)],
                prefsrc: Some(primary.net.addr()),
                metric,
                scope: if kind == RouteKind::Local { Scope::Host } else { Scope::Link },
                proto: proto::KERNEL,
                mtu: None,
            };
            let mut routes = vec![magic(RouteKind::Local, Ipv4Net::from(a.net.addr()), 0)];
            let net = a.net.trunc();
            if up {
                if let Some(b) = a.broadcast.filter(|b| !b.is_broadcast()) {
                    routes.push(magic(RouteKind::Broadcast, Ipv4Net::from(b), 0));
                }
                let alone = net.addr() == a.net.addr() && net.prefix_len() == 32;
                if !net.addr().is_unspecified() && !a.secondary && !alone {
                    if !a.noprefixroute {
                        let kind = if is_lo { RouteKind::Local } else { RouteKind::Unicast };
                        routes.push(magic(kind, net, a.metric));
                    }
                    if net.prefix_len() < 31 {
                        routes.push(magic(RouteKind::Broadcast, Ipv4Net::from(net.broadcast()), 0));
                    }
                }
            }
            for route in routes {
                self.fib.add(route, false);
            }
        }
    }

    /// `fib_sync_down_dev`: the device is down, and so are the routes whose every way out it was. Addresses stay.
    pub(super) fn fib_sync_down_dev(&mut self, dev: DevId) {
        let down: Vec<DevId> = self.devices.iter().filter(|d| !d.up).map(|d| d.id).collect();
        self.fib.remove(&|r| {
            r.scope != Scope::Host && r.uses(dev) && r.hops.iter().all(|h| down.contains(&h.dev))
        });
    }

    /// `ip route add`: completes the route (devices by gateways) and puts it in (`fib_table_insert`).
    pub fn add_route(&mut self, mut route: Route, how: PutRoute) -> Result<(), Refused> {
        self.fib.new_table(route.table);
        let least = match route.kind {
            RouteKind::Local => Scope::Host,
            RouteKind::Broadcast => Scope::Link,
            _ => Scope::Universe,
        };
        if route.scope < least || route.scope > Scope::Host {
            return Err(Refused::Says("Invalid scope."));
        }
        if route.kind.is_error() && !route.hops.is_empty() {
            return Err(Refused::Says(
                "Gateway, device and multipath can not be specified for this route type.",
            ));
        }
        let (scope, table) = (route.scope, route.table);
        if scope == Scope::Host && route.hops.len() > 1 {
            return Err(Refused::Says("Route with host scope can not have multiple nexthops."));
        }
        for hop in &mut route.hops {
            *hop = self.fib_check_nh(*hop, scope, table)?;
        }
        if !route.kind.is_error()
            && let Some(src) = route.prefsrc
            && !self.is_local_addr(src)
        {
            return Err(Refused::Says("Invalid prefsrc address."));
        }
        self.fib.custom_local |= table == FibTable::LOCAL;
        let put = match how {
            PutRoute::Add => self.fib.add(route, true),
            PutRoute::Append => self.fib.add(route, false),
            PutRoute::Replace => self.fib.replace(route.clone()) || self.fib.add(route, false),
            PutRoute::Change if self.fib.replace(route) => true,
            PutRoute::Change => return Err(Refused::Errno("No such file or directory")),
        };
        if put { Ok(()) } else { Err(Refused::Errno("File exists")) }
    }

    /// `fib_check_nh`
    fn fib_check_nh(&self, hop: NextHop, scope: Scope, table: FibTable) -> Result<NextHop, Refused> {
        let given = self.device(hop.dev);
        if scope == Scope::Host {
            return match (hop.gateway, given) {
                (Some(_), _) => Err(Refused::Says("Route with host scope can not have a gateway.")),
                (None, None) => Err(Refused::Errno("No such device")),
                (None, Some(_)) => Ok(hop),
            };
        }
        let Some(gateway) = hop.gateway else {
            return match given {
                None => Err(Refused::Errno("No such device")),
                Some(d) if !d.up => Err(Refused::Says("Device for nexthop is not up.")),
                Some(_) => Ok(hop),
            };
        };
        if hop.onlink {
            let Some(d) = given else { return Err(Refused::Says("Nexthop device required for onlink.")) };
            if !d.up {
                return Err(Refused::Says("Nexthop device is not up."));
            }
            if scope >= Scope::Link {
                return Err(Refused::Says("Nexthop has invalid scope."));
            }
            return match self.inet_addr_type(gateway, None) {
                AddrType::Unicast => Ok(hop),
                _ => Err(Refused::Says("Nexthop has invalid gateway.")),
            };
        }
        // The gateway has to be nearer than the destination, and on the link at least.
        let nearer = if scope >= Scope::Link { Scope::Host } else { Scope::Link };
        let flow = Flow { scope: nearer, oif: given.map(|d| d.id), ..Flow::to(gateway) };
        let tables = match table {
            FibTable::MAIN => &[][..],
            // One table as long as nobody has added a rule.
            FibTable::LOCAL if !self.fib.rules.is_custom() => &[FibTable::LOCAL, FibTable::MAIN],
            _ => &[table],
        };
        let own = self.table_lookup(tables, &flow).filter(|f| !f.route.kind.is_error());
        let found = own.or_else(|| self.fib_lookup(&flow).ok());
        match found {
            Some(f) if matches!(f.route.kind, RouteKind::Unicast | RouteKind::Local) => {
                let scope = if f.route.kind == RouteKind::Local { Scope::Host } else { Scope::Link };
                Ok(NextHop { dev: f.dev(), scope, ..hop })
            }
            _ => Err(Refused::Says("Nexthop has invalid gateway.")),
        }
    }
}
