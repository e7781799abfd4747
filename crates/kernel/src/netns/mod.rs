//! One box: a network namespace with everything in it, and the calls by which the world and the operator reach it.

mod addrs;
mod log;
mod module;
mod netfilter;
mod parameter;
mod settings;
mod trial;

pub use module::{MODULES, Module, ModuleError};
pub use parameter::InsertError;

pub use addrs::{PutRoute, Refused};

use crate::bridge::{Bridge, PortFlags};
use crate::dev::{self, DevKind, Device, IfAddr};
use crate::ipv4::IcmpCredit;
use crate::ipv4::{FragQueues, frag_timer};
use crate::ipv6::Addrs6;
use crate::neigh::{NeighTable, neigh_timer};
use crate::netfilter::Holding;
use crate::netfilter::conntrack::{Conntrack, TemplateId, ct_kill, expire_expectations, flush_expectations};
use crate::netfilter::hook::HookList;
use crate::netfilter::ipset::IpSets;
use crate::netfilter::ipvs::Ipvs;
use crate::netfilter::nftables::Nftables;
use crate::netfilter::xtables::matches::{Nfacct, RecentTables};
use crate::netfilter::xtables::{Entries, LoadedTable, TableId};
use crate::route::{Fib, Peer, Pmtu};
use crate::shortcut::Shortcuts;
use crate::socket::{SocketTable, tcp_timer};
use crate::sysctl::Sysctl;
use crate::{Cx, DevId, Era, NetnsId, PacketId, Skb, SkbOwner, Timer};
use ipnet::Ipv4Net;
use litemap::LiteMap;
use packet::{Frame, Ip, L4, Mac, Payload, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

/// `GC_SCAN_INTERVAL_MAX`: in a quiet table an entry may be over for so long, in microseconds, until the scan finds it.
const GC_INTERVAL_US: u64 = 60_000_000;
/// So many entries are read at once before they go.
const AT_ONCE: usize = 16;

/// The packet of what happens without one.
fn nobody() -> Skb {
    let arp = packet::Arp {
        op: packet::ArpOp::Request,
        sha: Mac::ZERO,
        spa: Ipv4Addr::UNSPECIFIED,
        tha: Mac::ZERO,
        tpa: Ipv4Addr::UNSPECIFIED,
    };
    let frame = Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: packet::Payload::Arp(arp) };
    Skb::from_frame(PacketId::default(), Rc::new(frame))
}

/// The parameter `ports` of a helper's module: at most eight. None stands for the usual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub(crate) list: [u16; 8],
    pub(crate) count: u8,
}

impl Ports {
    /// These, or that one.
    pub(crate) fn or(self, port: u16) -> Ports {
        if self.count > 0 { self } else { Ports { list: [port, 0, 0, 0, 0, 0, 0, 0], count: 1 } }
    }
}

/// Kernel modules that change what a packet meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// br_netfilter
    pub br_netfilter: bool,
    /// nf_conntrack_tftp: announces the data of a TFTP request.
    pub nf_conntrack_tftp: bool,
    /// nf_nat_tftp: lets that data follow the translation of the request.
    pub nf_nat_tftp: bool,
    /// ip_vs: virtual servers. Loaded with the first of them.
    pub ip_vs: bool,
    /// ip_vs_rr and so on, in the order of `Scheduler::ALL`. Each is loaded with the first virtual server that uses it.
    pub ip_vs_schedulers: [bool; 9],
    /// nf_conntrack_ftp: announces the data connections of FTP.
    pub nf_conntrack_ftp: bool,
    /// nf_nat_ftp: writes translated addresses into FTP's commands.
    pub nf_nat_ftp: bool,
    /// `ports` of nf_conntrack_tftp.
    pub tftp_ports: Ports,
    /// `ports` of nf_conntrack_ftp.
    pub ftp_ports: Ports,
    /// `loose` of nf_conntrack_ftp: a data connection may go to another host than that of the commands.
    pub ftp_loose: bool,
}

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Netns {
    /// Its number in the world.
    pub id: NetnsId,
    /// Its name.
    pub name: String,
    /// Whose kernel it is.
    pub(crate) era: Era,
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
    /// Tables of nf_tables; changed by [`Netns::commit_nftables`].
    pub nft: Nftables,
    /// Sockets.
    pub sockets: SocketTable,
    pub(crate) hooks: HookList,
    /// Packets that stop on their way.
    pub(crate) holding: Option<Box<Holding>>,
    pub(crate) recent: RecentTables,
    /// Counters with a name, the oldest first.
    pub nfacct: Vec<Nfacct>,
    pub(crate) peers: LiteMap<Ipv4Addr, Peer>,
    pub(crate) redirects: LiteMap<Ipv4Addr, Ipv4Addr>,
    pub(crate) pmtu: LiteMap<Ipv4Addr, Pmtu>,
    pub(crate) frags: FragQueues,
    pub(crate) addrs6: Addrs6,
    /// Something from outside is being processed: no program is in a call.
    pub(crate) softirq: bool,
    /// A message of ICMP is on its way out (`icmp_xmit_lock`).
    pub(crate) icmp_busy: bool,
    /// Messages of ICMP that may still be sent to anybody.
    pub(crate) icmp_credit: IcmpCredit,
    /// The memory of a packet that has left the box, for the next one that comes in (`napi_skb_cache`, net/core/skbuff.c).
    spare: Option<Skb>,
    /// What stands in it meanwhile.
    no_frame: Rc<Frame>,
    /// The ways of flows, where they are taken again.
    pub(crate) shortcuts: Option<Box<Shortcuts>>,
    child: bool,
    net_ratelimit: log::RateLimit,
    /// Warnings of the network, for who keeps no log.
    warnings: Option<Vec<(crate::Instant, String)>>,
    pub(crate) devices: Vec<Device>,
    tables: [Option<LoadedTable>; 5],
    tables6: [Option<LoadedTable>; 5],
    /// Of each table, once a packet has needed them.
    entries: [Option<Rc<Entries>>; 5],
    table_order: Vec<TableId>,
    table_order6: Vec<TableId>,
    probe: bool,
    /// The marks of the templates of `-j CT` that have one.
    template_marks: LiteMap<TemplateId, u32>,
    /// The modules that were loaded by name, the newest first.
    module_order: Vec<&'static str>,
}

/// `DEFAULT_TX_QUEUE_LEN` (include/net/pkt_sched.h).
const DEFAULT_TX_QUEUE_LEN: u32 = 1000;

/// What a bridge without ports carries (include/uapi/linux/if_ether.h).
const ETH_DATA_LEN: u32 = 1500;

impl Netns {
    /// A namespace with nothing but `lo`, which is up.
    pub fn new(id: NetnsId, name: &str) -> Netns {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let nothing = Ip::new(any, any, L4::Other(Protocol(0), Vec::new()));
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
            nft: Nftables::default(),
            sockets: SocketTable::default(),
            hooks: HookList::default(),
            holding: None,
            recent: RecentTables::new(),
            nfacct: Vec::new(),
            peers: LiteMap::new(),
            redirects: LiteMap::new(),
            pmtu: LiteMap::new(),
            frags: FragQueues::default(),
            addrs6: Addrs6::default(),
            softirq: false,
            icmp_busy: false,
            icmp_credit: IcmpCredit::default(),
            spare: None,
            shortcuts: None,
            no_frame: Rc::new(Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: Payload::Ip(nothing) }),
            child: false,
            net_ratelimit: log::RateLimit::default(),
            warnings: None,
            devices: Vec::new(),
            tables: [const { None }; 5],
            tables6: [const { None }; 5],
            entries: [const { None }; 5],
            table_order: Vec::new(),
            table_order6: Vec::new(),
            probe: false,
            template_marks: LiteMap::new(),
            module_order: Vec::new(),
        };
        let lo = ns.add_device("lo", Mac::ZERO, DevKind::Loopback);
        ns.set_up(lo, true);
        if let Ok(net) = Ipv4Net::new(Ipv4Addr::LOCALHOST, 8) {
            let _ = ns.add_addr(lo, IfAddr::new(net));
        }
        ns.add_addr6(lo, Ipv6Addr::LOCALHOST.into());
        ns
    }

    // ------------------------------------------------------------------ packets and timers

    /// A frame comes in by `dev`.
    pub fn receive(&mut self, dev: DevId, id: PacketId, frame: Rc<Frame>, cx: &mut Cx<'_>) {
        match self.shortcuts {
            None => self.receive_whole(dev, id, frame, cx),
            Some(_) => self.receive_noted(dev, id, frame, cx),
        }
    }

    /// The whole way of a frame that comes in.
    pub(crate) fn receive_whole(&mut self, dev: DevId, id: PacketId, frame: Rc<Frame>, cx: &mut Cx<'_>) {
        let outer = std::mem::replace(&mut self.softirq, true);
        let skb = match self.spare.take() {
            Some(mut skb) => {
                skb.renew(id, frame);
                skb
            }
            None => Skb::from_frame(id, frame),
        };
        let _ = dev::netif_rx(self, skb, dev, cx);
        self.softirq = outer;
    }

    /// A packet that the box itself has made.
    pub(crate) fn local_skb(&mut self, id: PacketId, ip: Ip, owner: SkbOwner) -> Skb {
        let frame = Rc::new(Frame { src: Mac::ZERO, dst: Mac::ZERO, payload: Payload::Ip(ip) });
        let mut skb = match self.spare.take() {
            Some(mut skb) => {
                skb.renew(id, frame);
                skb
            }
            None => Skb::from_frame(id, frame),
        };
        skb.owner = owner;
        skb
    }

    /// What is left of a packet that leaves the box (`consume_skb`).
    pub(crate) fn consume_skb(&mut self, mut skb: Skb) -> Rc<Frame> {
        let frame = std::mem::replace(&mut skb.frame, Rc::clone(&self.no_frame));
        self.spare = Some(skb);
        frame
    }

    /// A packet that was sent over `lo` comes back in, or the host's own copy of what it has sent to all, or what came out of a
    /// tunnel.
    pub fn receive_loopback(&mut self, mut skb: Skb, cx: &mut Cx<'_>) {
        let outer = std::mem::replace(&mut self.softirq, true);
        let tunnel =
            |d: DevId| matches!(self.device(d).map(|d| &d.kind), Some(DevKind::Vxlan(_) | DevKind::Ipip(_)));
        let _ = match skb.dev {
            Some(dev) if tunnel(dev) => dev::netif_rx(self, skb, dev, cx),
            // Neither a capture nor a bridge sees such a copy.
            Some(dev) if dev != DevId(0) => crate::ipv4::ip_rcv(self, skb, dev, cx),
            _ => {
                skb.owner = SkbOwner::None;
                dev::netif_rx(self, skb, DevId(0), cx)
            }
        };
        self.softirq = outer;
    }

    /// A timer fires.
    pub fn timer(&mut self, timer: Timer, cx: &mut Cx<'_>) {
        let outer = std::mem::replace(&mut self.softirq, true);
        match timer {
            Timer::Tcp(id) => tcp_timer(self, id, cx),
            Timer::Frag(number) => frag_timer(self, number, cx),
            Timer::Neigh(dev, addr) => neigh_timer(self, dev, Ipv4Addr::from_bits(addr), cx),
        }
        self.softirq = outer;
    }

    /// Ends expectations whose time has come, and takes entries out of the conntrack table that have been over for
    /// some time (`gc_worker`).
    pub fn ct_gc(&mut self, cx: &mut Cx<'_>) {
        expire_expectations(self, cx);
        self.ipvs_gc(cx);
        let since = match self.era.conntrack_has_timers() {
            true => cx.now,
            false => crate::Instant(cx.now.0.saturating_sub(GC_INTERVAL_US)),
        };
        let over = self.ct.take_expired(since);
        let nobody = nobody();
        for some in over.chunks(AT_ONCE) {
            self.ct.read_ahead(some);
            for id in some {
                ct_kill(self, &nobody, *id, cx);
                // No packet is inside the box.
                self.ct.free_dead(*id);
            }
        }
    }

    /// Takes all entries out of the conntrack table that are over, as whoever lists the table does
    /// (`ctnetlink_dump_table`), and as timers do where each entry has one.
    pub fn ct_evict(&mut self, cx: &mut Cx<'_>) {
        for id in self.ct.take_expired(cx.now) {
            self.ct_delete(id, cx);
        }
    }

    /// An address of `dev` is gone, or all of them with the device (`masq_inet_event`, `masq_device_event`): the flows
    /// that were masqueraded with it end.
    pub fn masquerade_gone(&mut self, dev: DevId, addr: Option<Ipv4Addr>, cx: &mut Cx<'_>) {
        for id in self.ct.masqueraded(dev, addr) {
            self.ct_delete(id, cx);
        }
    }

    /// `conntrack -F`: empties the table.
    pub fn ct_flush(&mut self, cx: &mut Cx<'_>) {
        for id in self.ct.confirmed() {
            self.ct_delete(id, cx);
        }
    }

    /// `conntrack -F expect`
    pub fn expect_flush(&mut self, cx: &mut Cx<'_>) {
        flush_expectations(self, cx);
    }

    /// `conntrack -D` for one entry.
    pub fn ct_delete(&mut self, id: crate::ConnId, cx: &mut Cx<'_>) {
        ct_kill(self, &nobody(), id, cx);
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
            activated: false,
            promisc: false,
            mtu: if matches!(kind, DevKind::Loopback) { 65536 } else { 1500 },
            tx_queue_len: DEFAULT_TX_QUEUE_LEN,
            peer_mtu: None,
            peer_up: true,
            gone: false,
            kind,
            master: None,
            port: PortFlags::default(),
            addrs: Vec::new(),
            filter: Vec::new(),
            conf: self.sysctl.default.clone(),
        });
        // A bridge knows its own address from the start.
        self.fdb_add_local(id, id, mac);
        id
    }

    /// `ip link del DEV` (`unregister_netdevice`): its ports, its master, its addresses and its routes lose it, and what was
    /// masqueraded with its addresses ends.
    pub fn remove_device(&mut self, id: DevId, cx: &mut Cx<'_>) {
        let ports: Vec<DevId> = self.devices.iter().filter(|d| d.master == Some(id)).map(|d| d.id).collect();
        for port in ports {
            self.set_master(port, None);
        }
        self.set_up(id, false);
        self.set_master(id, None);
        let addrs: Vec<Ipv4Net> =
            self.device(id).map_or(Vec::new(), |d| d.addrs.iter().map(|a| a.net).collect());
        for net in addrs {
            self.del_addr(id, net);
        }
        self.masquerade_gone(id, None, cx);
        if let Some(d) = self.devices.get_mut(id.index()) {
            (d.gone, d.promisc) = (true, false);
        }
    }

    /// All devices, those that are gone too; the index is the [`DevId`].
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// A device.
    pub fn device(&self, id: DevId) -> Option<&Device> {
        self.devices.get(id.index())
    }

    /// The device of that name.
    pub fn device_by_name(&self, name: &str) -> Option<DevId> {
        self.devices.iter().find(|d| !d.gone && d.name == name).map(|d| d.id)
    }

    /// The name of a device; `?` if there is none.
    pub fn dev_name(&self, id: DevId) -> &str {
        self.device(id).map_or("?", |d| &d.name)
    }

    /// `ip link set DEV up|down`
    pub fn set_up(&mut self, id: DevId, up: bool) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.up = up;
            d.activated |= up;
        }
        if up {
            self.fib_add_ifaddr(id);
        } else {
            self.fib_sync_down_dev(id);
            self.neigh.forget(id);
            self.br_stp_disable_port(id);
            if let Some(b) = self.bridge_mut(id) {
                b.fdb.forget_learned(None);
            }
        }
    }

    /// `ip link set DEV promisc on|off`
    pub fn set_promisc(&mut self, id: DevId, on: bool) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.promisc = on;
        }
    }

    /// `ip link set DEV mtu N`. A bridge follows its ports, unless it was given an MTU of its own.
    pub fn set_mtu(&mut self, id: DevId, mtu: u32) {
        let Some(d) = self.devices.get_mut(id.index()) else { return };
        d.mtu = mtu;
        let master = d.master;
        if let Some(b) = self.bridge_mut(id) {
            b.mtu_set_by_user = true;
        }
        self.br_mtu_auto_adjust(master);
    }

    /// `br_mtu_auto_adjust` (net/bridge/br_if.c): the bridge has the smallest MTU of its ports.
    fn br_mtu_auto_adjust(&mut self, bridge: Option<DevId>) {
        let Some((id, b)) = bridge.and_then(|id| Some((id, self.bridge(id)?))) else { return };
        if b.mtu_set_by_user {
            return;
        }
        let smallest = b.ports.iter().filter_map(|p| self.device(*p)).map(|d| d.mtu).min();
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.mtu = smallest.unwrap_or(ETH_DATA_LEN);
        }
    }

    /// `ip link set DEV txqueuelen N`
    pub fn set_tx_queue_len(&mut self, id: DevId, packets: u32) {
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.tx_queue_len = packets;
        }
    }

    /// The other end of a veth has this MTU, and is up or not.
    pub fn set_peer(&mut self, id: DevId, mtu: u32, up: bool) {
        let Some(d) = self.devices.get_mut(id.index()) else { return };
        d.peer_mtu = Some(mtu);
        if std::mem::replace(&mut d.peer_up, up) && !up {
            self.neigh.carrier_down(id);
            self.br_stp_disable_port(id);
        }
    }

    /// `netif_carrier_ok` of a device that is up: somebody is up at the other end of a veth, and a port of a bridge forwards.
    pub fn has_carrier(&self, d: &Device) -> bool {
        d.up && match &d.kind {
            DevKind::Veth => d.peer_up,
            DevKind::Bridge(b) => {
                let mut ports = b.ports.iter().filter_map(|p| self.device(*p));
                !b.had_port || ports.any(|p| self.has_carrier(p))
            }
            DevKind::Loopback | DevKind::Dummy | DevKind::Vxlan(_) | DevKind::Ipip(_) => true,
        }
    }

    /// What was learned behind a port that is not in use any more is forgotten; so are the neighbours of a bridge that has no other.
    fn br_stp_disable_port(&mut self, id: DevId) {
        let Some(master) = self.device(id).and_then(|d| d.master) else { return };
        if let Some(b) = self.bridge_mut(master) {
            b.fdb.forget_learned(Some(id));
        }
        if !self.device(master).is_some_and(|d| self.has_carrier(d)) {
            self.neigh.carrier_down(master);
        }
    }

    /// `bridge link set dev DEV hairpin on|off ...`
    pub fn port_flags(&mut self, id: DevId) -> Option<&mut PortFlags> {
        self.devices.get_mut(id.index()).map(|d| &mut d.port)
    }

    /// The addresses that were added to the filter of a device.
    pub fn filter_mut(&mut self, id: DevId) -> Option<&mut Vec<Mac>> {
        self.devices.get_mut(id.index()).map(|d| &mut d.filter)
    }

    /// `ip link set DEV master BRIDGE`; `None` is `nomaster`. False if the master is not a bridge.
    pub fn set_master(&mut self, id: DevId, master: Option<DevId>) -> bool {
        let Some(d) = self.devices.get(id.index()) else { return false };
        let (old, mac) = (d.master, d.mac);
        if old.is_some() && old == master {
            return true;
        }
        // do_set_master: the old one is left in any case.
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.master = None;
            d.port = PortFlags::default();
        }
        if let Some(old) = old {
            if let Some(b) = self.bridge_mut(old) {
                b.ports.retain(|p| *p != id);
            }
            self.fdb_delete_local(old, id, mac);
            if let Some(b) = self.bridge_mut(old) {
                b.fdb.flush(id);
            }
            self.br_stp_recalculate_bridge_id(old);
        }
        // find_portno: the lowest that is free.
        let taken = |n: u16| {
            self.devices.iter().any(|d| d.master == master && d.master.is_some() && d.port.number == n)
        };
        let number = (1..u16::MAX).find(|n| !taken(*n)).filter(|_| master.is_some()).unwrap_or(0);
        if let Some(m) = master {
            let Some(b) = self.bridge_mut(m) else { return false };
            // The newest port stands first: a flood visits it first.
            b.ports.insert(0, id);
            b.had_port = true;
            self.fdb_add_local(m, id, mac);
            self.br_stp_recalculate_bridge_id(m);
        }
        if let Some(d) = self.devices.get_mut(id.index()) {
            d.master = master;
            d.port.number = number;
        }
        self.br_mtu_auto_adjust(old);
        self.br_mtu_auto_adjust(master);
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

    /// What kind of device it is, for writing.
    pub(crate) fn device_kind_mut(&mut self, id: DevId) -> Option<&mut DevKind> {
        self.devices.get_mut(id.index()).map(|d| &mut d.kind)
    }

    pub(crate) fn is_up(&self, id: DevId) -> bool {
        self.device(id).is_some_and(|d| d.up)
    }
}
