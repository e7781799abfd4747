//! One box: a network namespace with everything in it, and the calls by which the world and the operator reach it.

use crate::bridge::{Bridge, FdbEntry};
use crate::dev::{self, DevKind, Device, IfAddr};
use crate::neigh::{NeighTable, neigh_timer};
use crate::netfilter::conntrack::{Conntrack, Helper, ct_kill, expire_expectations};
use crate::netfilter::hook::{HookFn, HookList, HookOps, HookPoint, InetHook, priority};
use crate::netfilter::ipset::IpSets;
use crate::netfilter::ipvs::{Dest, Endpoint, Ipvs, IpvsError, Scheduler, ServiceId};
use crate::netfilter::xtables::matches::{Match, RecentTables};
use crate::netfilter::xtables::targets::Target;
use crate::netfilter::xtables::{LoadedTable, RuleSet, RuleSetError, TableId};
use crate::route::{Fib, FibTable, Peer, Route, RouteKind, Scope};
use crate::socket::{SocketTable, tcp_timer};
use crate::sysctl::{DevConf, Sysctl, SysctlError};
use crate::{Cx, DevId, Era, NetnsId, PacketId, Skb, Timer};
use ipnet::Ipv4Net;
use litemap::LiteMap;
use packet::{Family, Frame, Mac};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Kernel modules that change what a packet meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// br_netfilter
    pub br_netfilter: bool,
    /// nf_conntrack_tftp: announces the data of a TFTP request.
    pub nf_conntrack_tftp: bool,
    /// nf_nat_tftp: lets that data follow the translation of the request.
    pub nf_nat_tftp: bool,
}

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Netns {
    /// Its number in the world.
    pub id: NetnsId,
    /// Its name.
    pub name: String,
    /// Whose kernel it is.
    era: Era,
    /// Loaded modules.
    pub modules: Modules,
    /// Settings.
    pub sysctl: Sysctl,
    /// Routes.
    pub fib: Fib,
    /// Neighbours.
    pub neigh: NeighTable,
    /// Connection tracking.
    pub ct: Conntrack,
    /// Sets of ipset.
    pub ipsets: IpSets,
    /// Virtual servers.
    pub ipvs: Ipvs,
    /// Sockets.
    pub sockets: SocketTable,
    pub(crate) hooks: HookList,
    pub(crate) recent: RecentTables,
    pub(crate) peers: LiteMap<Ipv4Addr, Peer>,
    pub(crate) redirects: LiteMap<Ipv4Addr, Ipv4Addr>,
    devices: Vec<Device>,
    tables: [Option<LoadedTable>; 5],
    table_order: Vec<TableId>,
    probe: bool,
}

impl Netns {
    /// A namespace with nothing but `lo`, which is up.
    pub fn new(id: NetnsId, name: &str) -> Netns {
        let mut ns = Netns {
            id,
            name: name.to_owned(),
            era: Era::default(),
            modules: Modules::default(),
            sysctl: Sysctl::default(),
            fib: Fib::default(),
            neigh: NeighTable::default(),
            ct: Conntrack::new(),
            ipsets: IpSets::default(),
            ipvs: Ipvs::default(),
            sockets: SocketTable::default(),
            hooks: HookList::default(),
            recent: RecentTables::new(),
            peers: LiteMap::new(),
            redirects: LiteMap::new(),
            devices: Vec::new(),
            tables: [const { None }; 5],
            table_order: Vec::new(),
            probe: false,
        };
        let lo = ns.add_device("lo", Mac::ZERO, DevKind::Loopback);
        ns.set_up(lo, true);
        if let Ok(net) = Ipv4Net::new(Ipv4Addr::LOCALHOST, 8) {
            ns.add_addr(lo, net);
        }
        ns
    }

    // ------------------------------------------------------------------ packets and timers

    /// A frame comes in by `dev`.
    pub fn receive(&mut self, dev: DevId, id: PacketId, frame: Rc<Frame>, cx: &mut Cx<'_>) {
        let _ = dev::netif_rx(self, Skb::from_frame(id, frame), dev, cx);
    }

    /// A packet that was sent over `lo` comes back in.
    pub fn receive_loopback(&mut self, skb: Skb, cx: &mut Cx<'_>) {
        let _ = dev::netif_rx(self, skb, DevId(0), cx);
    }

    /// A timer fires.
    pub fn timer(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        match timer {
            Timer::Tcp(id) => tcp_timer(self, id, cx),
            Timer::Neigh(dev, addr) => neigh_timer(self, dev, Ipv4Addr::from_bits(addr), cx),
        }
    }

    /// Takes entries whose time has come out of the conntrack table, with their DESTROY messages.
    pub fn ct_gc(&mut self, cx: &mut Cx<'_>) {
        expire_expectations(self, cx);
        for id in self.ct.expired(cx.now) {
            self.ct_delete(id, cx);
        }
    }

    /// `conntrack -F`: empties the table.
    pub fn ct_flush(&mut self, cx: &mut Cx<'_>) {
        for id in self.ct.confirmed() {
            self.ct_delete(id, cx);
        }
    }

    /// `conntrack -D` for one entry.
    pub fn ct_delete(&mut self, id: crate::ConnId, cx: &mut Cx<'_>) {
        let nobody = Skb::from_frame(
            PacketId::default(),
            Rc::new(Frame {
                src: Mac::ZERO,
                dst: Mac::ZERO,
                payload: packet::Payload::Arp(packet::Arp {
                    op: packet::ArpOp::Request,
                    sha: Mac::ZERO,
                    spa: Ipv4Addr::UNSPECIFIED,
                    tha: Mac::ZERO,
                    tpa: Ipv4Addr::UNSPECIFIED,
                }),
            }),
        );
        ct_kill(self, &nobody, id, cx);
    }

    pub(crate) fn default_ttl(&self) -> u8 {
        u8::try_from(self.sysctl.ip_default_ttl).unwrap_or(64).max(1)
    }

    // ------------------------------------------------------------------ devices

    /// Adds a device, down and without an address.
    pub fn add_device(&mut self, name: &str, mac: Mac, kind: DevKind) -> DevId {
        let id = DevId(u16::try_from(self.devices.len()).unwrap_or(u16::MAX));
        self.devices.push(Device {
            id,
            name: name.to_owned(),
            mac,
            up: false,
            promisc: false,
            mtu: if matches!(kind, DevKind::Loopback) { 65536 } else { 1500 },
            kind,
            master: None,
            hairpin: false,
            addrs: Vec::new(),
            conf: self.sysctl.default.clone(),
        });
        self.note_local_mac(id);
        id
    }

    /// A bridge knows its own address from the start.
    fn note_local_mac(&mut self, id: DevId) {
        let mac = self.device(id).map_or(Mac::ZERO, |d| d.mac);
        if let Some(b) = self.bridge_mut(id) {
            let entry = FdbEntry { dev: id, local: true, is_static: true, updated: crate::Instant(0) };
            b.fdb.set(mac, entry);
        }
    }

    /// All devices; the index is the [`DevId`].
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// A device.
    pub fn device(&self, id: DevId) -> Option<&Device> {
        self.devices.get(id.index())
    }

    /// The device of that name.
    pub fn device_by_name(&self, name: &str) -> Option<DevId> {
        self.devices.iter().find(|d| d.name == name).map(|d| d.id)
    }

    /// The name of a device; `?` if there is none.
    pub fn dev_name(&self, id: DevId) -> &str {
        self.device(id).map_or("?", |d| &d.name)
    }

    /// `ip link set DEV up|down`
    pub fn set_up(&mut self, id: DevId, up: bool) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.up = up;
        }
        if !up {
            self.fib.remove(|r| r.dev == Some(id) && r.table == FibTable::Main);
            self.neigh.forget(id);
        } else {
            self.connected_routes(id);
        }
    }

    /// `ip link set DEV promisc on|off`
    pub fn set_promisc(&mut self, id: DevId, on: bool) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.promisc = on;
        }
    }

    /// `ip link set DEV address MAC`
    pub fn set_mac(&mut self, id: DevId, mac: Mac) {
        let (old, master) = match self.devices.get_mut(id.index()) {
            Some(d) => (std::mem::replace(&mut d.mac, mac), d.master),
            None => return,
        };
        if let Some(b) = self.bridge_mut(id) {
            b.fdb.remove(old);
        }
        self.note_local_mac(id);
        if let Some(b) = master.and_then(|m| self.bridge_mut(m)) {
            b.fdb.remove(old);
            let entry = FdbEntry { dev: id, local: true, is_static: true, updated: crate::Instant(0) };
            b.fdb.set(mac, entry);
        }
    }

    /// `ip link set DEV mtu N`
    pub fn set_mtu(&mut self, id: DevId, mtu: u32) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.mtu = mtu;
        }
    }

    /// `bridge link set dev DEV hairpin on|off`
    pub fn set_hairpin(&mut self, id: DevId, on: bool) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.hairpin = on;
        }
    }

    /// `ip link set DEV master BRIDGE`; `None` is `nomaster`. False if the master is not a bridge.
    pub fn set_master(&mut self, id: DevId, master: Option<DevId>) -> bool {
        let Some(d) = self.devices.get(id.index()) else { return false };
        let (old, mac) = (d.master, d.mac);
        if let Some(b) = old.and_then(|m| self.bridge_mut(m)) {
            b.ports.retain(|p| *p != id);
            b.fdb.flush(id);
        }
        if let Some(m) = master {
            let Some(b) = self.bridge_mut(m) else { return false };
            // The newest port stands first: a flood visits it first.
            b.ports.insert(0, id);
            let entry = FdbEntry { dev: id, local: true, is_static: true, updated: crate::Instant(0) };
            b.fdb.set(mac, entry);
        }
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.master = master;
        }
        true
    }

    /// The bridge state of a bridge device.
    pub fn bridge(&self, id: DevId) -> Option<&Bridge> {
        match &self.device(id)?.kind {
            DevKind::Bridge(b) => Some(b),
            _ => None,
        }
    }

    /// The bridge state of a bridge device, for writing.
    pub fn bridge_mut(&mut self, id: DevId) -> Option<&mut Bridge> {
        match &mut self.devices.get_mut(id.index())?.kind {
            DevKind::Bridge(b) => Some(b),
            _ => None,
        }
    }

    pub(crate) fn is_up(&self, id: DevId) -> bool {
        self.device(id).is_some_and(|d| d.up)
    }

    // ------------------------------------------------------------------ addresses and routes

    /// `ip addr add A/P dev DEV`, with the routes that follow from it. False if the address is there already.
    pub fn add_addr(&mut self, dev: DevId, net: Ipv4Net) -> bool {
        let scope = if net.addr().is_loopback() { Scope::Host } else { Scope::Universe };
        let Some(d) = self.devices.get_mut(dev.index()) else { return false };
        if d.addrs.iter().any(|a| a.net == net) {
            return false;
        }
        d.addrs.push(IfAddr { net, scope });
        let local = |dst, kind, scope| Route {
            table: FibTable::Local,
            dst,
            kind,
            gateway: None,
            dev: Some(dev),
            prefsrc: Some(net.addr()),
            metric: 0,
            scope,
        };
        self.fib.add(local(Ipv4Net::from(net.addr()), RouteKind::Local, Scope::Host));
        if net.addr().is_loopback() {
            self.fib.add(local(net.trunc(), RouteKind::Local, Scope::Host));
        }
        if net.prefix_len() < 31 {
            self.fib.add(local(Ipv4Net::from(net.broadcast()), RouteKind::Broadcast, Scope::Link));
        }
        self.connected_routes(dev);
        true
    }

    /// `ip addr del A/P dev DEV`; false if it is not there.
    pub fn del_addr(&mut self, dev: DevId, net: Ipv4Net) -> bool {
        let Some(d) = self.devices.get_mut(dev.index()) else { return false };
        let before = d.addrs.len();
        d.addrs.retain(|a| a.net != net);
        if d.addrs.len() == before {
            return false;
        }
        let addr = net.addr();
        self.fib.remove(|r| r.dev == Some(dev) && r.prefsrc == Some(addr));
        true
    }

    /// The route to the network of each address of a device that is up.
    fn connected_routes(&mut self, dev: DevId) {
        let Some(d) = self.device(dev).filter(|d| d.up) else { return };
        let nets: Vec<Ipv4Net> = d.addrs.iter().map(|a| a.net).collect();
        for net in nets {
            if net.prefix_len() < 32 && !net.addr().is_loopback() {
                self.fib.add(Route {
                    table: FibTable::Main,
                    dst: net.trunc(),
                    kind: RouteKind::Unicast,
                    gateway: None,
                    dev: Some(dev),
                    prefsrc: Some(net.addr()),
                    metric: 0,
                    scope: Scope::Link,
                });
            }
        }
    }

    /// `ip route add`: completes the route (device by gateway, scope) and adds it. `Err` says why not, in the
    /// kernel's words.
    pub fn add_route(&mut self, mut route: Route) -> Result<(), &'static str> {
        if let Some(gw) = route.gateway {
            let via = self.fib.lookup(gw, route.dev, |d| self.is_up(d));
            match via {
                Ok(r) if r.kind == RouteKind::Unicast && r.gateway.is_none() => {
                    route.dev = route.dev.or(r.dev);
                }
                _ if route.dev.is_some() && route.scope == Scope::Link => {}
                _ => return Err("Nexthop has invalid gateway."),
            }
            route.scope = Scope::Universe;
        } else if route.kind == RouteKind::Unicast {
            if route.dev.is_none() {
                return Err("Device for nexthop is not up.");
            }
            route.scope = Scope::Link;
        }
        if self.fib.add(route) { Ok(()) } else { Err("File exists") }
    }

    // ------------------------------------------------------------------ settings

    /// Settings of a device.
    pub(crate) fn dev_conf(&self, dev: DevId) -> &DevConf {
        self.device(dev).map_or(&self.sysctl.default, |d| &d.conf)
    }

    /// `IN_DEV_ORCONF`: on for the device or for all.
    pub(crate) fn conf_or(&self, dev: DevId, get: impl Fn(&DevConf) -> i64) -> bool {
        get(self.dev_conf(dev)) != 0 || get(&self.sysctl.all) != 0
    }

    /// `sysctl -w NAME=VALUE`; slashes or dots, as sysctl(8) takes them.
    pub fn sysctl_set(&mut self, name: &str, value: i64) -> Result<(), SysctlError> {
        let key = sysctl_key(name);
        if let [a, b, c] = key.as_slice()
            && (a.as_str(), b.as_str(), c.as_str()) == ("net", "ipv4", "ip_forward")
        {
            self.forward_all(value);
            return Ok(());
        }
        let slot = self.sysctl_slot(&key).ok_or_else(|| SysctlError::Unknown(key.join(".")))?;
        match slot {
            Slot::Int(v) => *v = value,
            Slot::Seconds(v) => *v = u32::try_from(value).map_err(|_| SysctlError::Invalid(value))?,
            Slot::Bool(v) => *v = value != 0,
        }
        if key.len() == 5
            && key[..4] == ["net", "ipv4", "conf", "all"].map(String::from)
            && key[4] == "forwarding"
        {
            self.forward_all(value);
        }
        Ok(())
    }

    /// `sysctl NAME`
    pub fn sysctl_get(&mut self, name: &str) -> Result<i64, SysctlError> {
        let key = sysctl_key(name);
        if key == ["net", "ipv4", "ip_forward"].map(String::from) {
            return Ok(self.sysctl.all.forwarding);
        }
        match self.sysctl_slot(&key).ok_or_else(|| SysctlError::Unknown(key.join(".")))? {
            Slot::Int(v) => Ok(*v),
            Slot::Seconds(v) => Ok(i64::from(*v)),
            Slot::Bool(v) => Ok(i64::from(*v)),
        }
    }

    /// `inet_forward_change`: `ip_forward` sets every device and the default.
    fn forward_all(&mut self, value: i64) {
        self.sysctl.all.forwarding = value;
        self.sysctl.default.forwarding = value;
        for d in &mut self.devices {
            d.conf.forwarding = value;
        }
    }

    fn sysctl_slot(&mut self, key: &[String]) -> Option<Slot<'_>> {
        let words: Vec<&str> = key.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["net", "ipv4", "conf", "all", field] => self.sysctl.all.field(field).map(Slot::Int),
            ["net", "ipv4", "conf", "default", field] => self.sysctl.default.field(field).map(Slot::Int),
            ["net", "ipv4", "conf", dev, field] => {
                self.devices.iter_mut().find(|d| d.name == *dev)?.conf.field(field).map(Slot::Int)
            }
            ["net", "ipv4", "neigh", "default", "proxy_delay"] => {
                Some(Slot::Int(&mut self.sysctl.default.proxy_delay))
            }
            ["net", "ipv4", "neigh", dev, "proxy_delay"] => {
                let device = self.devices.iter_mut().find(|d| d.name == *dev)?;
                Some(Slot::Int(&mut device.conf.proxy_delay))
            }
            ["net", "bridge", ..] if !self.modules.br_netfilter => None,
            ["net", "ipv4", "vs", field] => Some(Slot::Int(match *field {
                "conntrack" => &mut self.ipvs.conntrack,
                "expire_nodest_conn" => &mut self.ipvs.expire_nodest_conn,
                "conn_reuse_mode" => &mut self.ipvs.conn_reuse_mode,
                _ => return None,
            })),
            ["net", "netfilter", field] => self.conntrack_slot(field),
            _ => self.sysctl.scalar(&words.join(".")).map(Slot::Int),
        }
    }

    fn conntrack_slot(&mut self, field: &str) -> Option<Slot<'_>> {
        let t = &mut self.ct.timeouts;
        Some(match field.strip_prefix("nf_conntrack_")? {
            "helper" if self.era.helper_sysctl().is_some() => Slot::Bool(&mut self.ct.auto_helper),
            "tcp_loose" => Slot::Bool(&mut self.ct.tcp_loose),
            "tcp_be_liberal" => Slot::Bool(&mut self.ct.tcp_be_liberal),
            "tcp_max_retrans" => Slot::Seconds(&mut self.ct.tcp_max_retrans),
            "tcp_timeout_syn_sent" => Slot::Seconds(&mut t.tcp_syn_sent),
            "tcp_timeout_syn_recv" => Slot::Seconds(&mut t.tcp_syn_recv),
            "tcp_timeout_established" => Slot::Seconds(&mut t.tcp_established),
            "tcp_timeout_fin_wait" => Slot::Seconds(&mut t.tcp_fin_wait),
            "tcp_timeout_close_wait" => Slot::Seconds(&mut t.tcp_close_wait),
            "tcp_timeout_last_ack" => Slot::Seconds(&mut t.tcp_last_ack),
            "tcp_timeout_time_wait" => Slot::Seconds(&mut t.tcp_time_wait),
            "tcp_timeout_close" => Slot::Seconds(&mut t.tcp_close),
            "tcp_timeout_max_retrans" => Slot::Seconds(&mut t.tcp_max_retrans),
            "tcp_timeout_unacknowledged" => Slot::Seconds(&mut t.tcp_unacknowledged),
            "udp_timeout" => Slot::Seconds(&mut t.udp),
            "udp_timeout_stream" => Slot::Seconds(&mut t.udp_stream),
            "icmp_timeout" => Slot::Seconds(&mut t.icmp),
            "generic_timeout" => Slot::Seconds(&mut t.generic),
            _ => return None,
        })
    }

    // ------------------------------------------------------------------ modules, tables, hooks

    /// The kernel's version.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Makes it another kernel, freshly booted: settings that the version decides are set.
    pub fn set_era(&mut self, era: Era) {
        self.era = era;
        self.ct.timeouts.udp_stream = era.udp_timeout_stream();
        self.ct.auto_helper = era.helper_sysctl().unwrap_or(false);
        self.update_conntrack();
    }

    /// `modprobe br_netfilter`, `rmmod br_netfilter`: the bridge calls iptables from now on, or no more. The sysctls
    /// come with the module and begin at 1.
    pub fn set_br_netfilter(&mut self, loaded: bool) {
        if loaded && !self.modules.br_netfilter {
            let fresh = Sysctl::default();
            self.sysctl.bridge_nf_call_iptables = fresh.bridge_nf_call_iptables;
            self.sysctl.bridge_nf_call_ip6tables = fresh.bridge_nf_call_ip6tables;
            self.sysctl.bridge_nf_call_arptables = fresh.bridge_nf_call_arptables;
        }
        self.modules.br_netfilter = loaded;
        let sabotage = HookOps {
            point: HookPoint { family: Family::V4, hook: InetHook::PreRouting },
            priority: priority::FIRST,
            func: HookFn::Sabotage,
        };
        if loaded {
            self.hooks.register(sabotage);
        } else {
            self.hooks.unregister(HookFn::Sabotage);
        }
    }

    /// A table, if it is loaded in this namespace.
    pub fn table(&self, table: TableId) -> Option<&LoadedTable> {
        self.tables[table as usize].as_ref()
    }

    /// The loaded tables, the one that was first used last in front: the order of iptables-save.
    pub fn loaded_tables(&self) -> &[TableId] {
        &self.table_order
    }

    pub(crate) fn table_mut(&mut self, table: TableId) -> Option<&mut LoadedTable> {
        self.tables[table as usize].as_mut()
    }

    /// `iptables-restore` for one table: replaces it, registers its hooks, and turns conntrack on or off as the rules
    /// of all tables ask.
    pub fn load_table(&mut self, rules: RuleSet) -> Result<(), RuleSetError> {
        self.load_table_with_state(LoadedTable::new(rules))
    }

    /// As [`Netns::load_table`], with counters.
    pub fn load_table_with_state(&mut self, loaded: LoadedTable) -> Result<(), RuleSetError> {
        loaded.rules.check()?;
        let table = loaded.rules.table;
        self.request_modules(&loaded.rules);
        self.tables[table as usize] = Some(loaded);
        if !self.table_order.contains(&table) {
            self.table_order.insert(0, table);
        }
        self.register_table(table);
        self.update_conntrack();
        Ok(())
    }

    /// `request_module`: a rule brings the module that it needs; of a helper only conntrack's half.
    fn request_modules(&mut self, rules: &RuleSet) {
        let all = || rules.chains.iter().flat_map(|c| &c.rules);
        if all().any(|r| matches!(&r.target, Target::Ct(ct) if ct.helper == Some(Helper::Tftp))) {
            self.modules.nf_conntrack_tftp = true;
        }
        if all().any(|r| r.matches.iter().any(|m| matches!(m, Match::Physdev(_)))) {
            self.set_br_netfilter(true);
        }
    }

    /// How many matches in the rules of all tables use a set: its References. The set is in use by them.
    pub fn set_references(&self, name: &str) -> usize {
        let rules = self.tables.iter().flatten().flat_map(|t| &t.rules.chains).flat_map(|c| &c.rules);
        rules.flat_map(|r| &r.matches).filter(|m| matches!(m, Match::Set(s) if s.name == name)).count()
    }

    fn register_table(&mut self, table: TableId) {
        let func = if table == TableId::Nat { HookFn::Nat } else { HookFn::Table(table) };
        for &hook in table.hooks() {
            let point = HookPoint { family: Family::V4, hook };
            self.hooks.register(HookOps { point, priority: table.priority(hook), func });
        }
    }

    /// `nf_ct_netns_get`: conntrack runs while somebody needs it.
    fn update_conntrack(&mut self) {
        let wanted = self.probe
            || self.era.conntrack_everywhere()
            || self.tables.iter().flatten().any(|t| t.rules.uses_conntrack());
        if !wanted {
            self.hooks.unregister(HookFn::ConntrackIn);
            self.hooks.unregister(HookFn::Confirm);
            return;
        }
        for hook in [InetHook::PreRouting, InetHook::LocalOut] {
            let point = HookPoint { family: Family::V4, hook };
            self.hooks.register(HookOps { point, priority: priority::CONNTRACK, func: HookFn::ConntrackIn });
        }
        for hook in [InetHook::LocalIn, InetHook::PostRouting] {
            let point = HookPoint { family: Family::V4, hook };
            let priority = priority::CONNTRACK_CONFIRM;
            self.hooks.register(HookOps { point, priority, func: HookFn::Confirm });
        }
    }

    /// `ipvsadm -A`, `-E` with `edit`.
    pub fn ipvs_service(&mut self, id: ServiceId, scheduler: Scheduler, edit: bool) -> Result<(), IpvsError> {
        match edit {
            true => self.ipvs.edit_service(id, scheduler)?,
            false => self.ipvs.add_service(id, scheduler)?,
        }
        self.update_ipvs();
        Ok(())
    }

    /// `ipvsadm -D`
    pub fn ipvs_del_service(&mut self, id: ServiceId) -> Result<(), IpvsError> {
        self.ipvs.del_service(id)?;
        self.update_ipvs();
        Ok(())
    }

    /// `ipvsadm -a`, `-e` with `edit`.
    pub fn ipvs_dest(&mut self, id: ServiceId, dest: Dest, edit: bool) -> Result<(), IpvsError> {
        match edit {
            true => self.ipvs.edit_dest(id, dest),
            false => self.ipvs.add_dest(id, dest),
        }
    }

    /// `ipvsadm -d`
    pub fn ipvs_del_dest(&mut self, id: ServiceId, dest: Endpoint) -> Result<(), IpvsError> {
        self.ipvs.del_dest(id, dest)
    }

    /// `ipvsadm -C`
    pub fn ipvs_clear(&mut self) {
        self.ipvs.services.clear();
        self.update_ipvs();
    }

    /// The hooks come with the first virtual server and go with the last.
    fn update_ipvs(&mut self) {
        if self.ipvs.services.is_empty() {
            self.hooks.unregister(HookFn::IpvsIn);
            self.hooks.unregister(HookFn::IpvsOut);
            return;
        }
        let places = [
            (InetHook::LocalIn, HookFn::IpvsOut),
            (InetHook::LocalIn, HookFn::IpvsIn),
            (InetHook::Forward, HookFn::IpvsOut),
            (InetHook::LocalOut, HookFn::IpvsOut),
            (InetHook::LocalOut, HookFn::IpvsIn),
        ];
        for ((hook, func), priority) in places.into_iter().zip(priority::IPVS) {
            self.hooks.register(HookOps { point: HookPoint { family: Family::V4, hook }, priority, func });
        }
    }

    /// Registers the probe that reports conntrack's opinion after each lookup. It needs conntrack, as any rule that
    /// asks for a state does.
    pub fn add_ct_probe(&mut self) {
        self.probe = true;
        for hook in [InetHook::PreRouting, InetHook::LocalOut] {
            let point = HookPoint { family: Family::V4, hook };
            self.hooks.register(HookOps { point, priority: priority::CT_PROBE, func: HookFn::CtProbe });
        }
        self.update_conntrack();
    }

    /// What is registered at a hook, in the order in which it runs.
    pub fn hooks_at(&self, hook: InetHook) -> Vec<HookFn> {
        self.hooks.at(HookPoint { family: Family::V4, hook }).map(|o| o.func).collect()
    }
}

/// A setting where it lives.
enum Slot<'a> {
    Int(&'a mut i64),
    Seconds(&'a mut u32),
    Bool(&'a mut bool),
}

/// Splits a sysctl name. The first separator decides: with slashes a dot belongs to a name, with dots a slash does.
fn sysctl_key(name: &str) -> Vec<String> {
    let slashes = name.find(['.', '/']).is_some_and(|i| name.as_bytes().get(i) == Some(&b'/'));
    if slashes {
        name.split('/').map(str::to_owned).collect()
    } else {
        name.split('.').map(|w| w.replace('/', ".")).collect()
    }
}
