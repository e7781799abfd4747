//! Network devices (drivers/net, net/core/dev.c).

mod ipip;
mod tunnel;
mod vxlan;

pub(crate) use ipip::tunnel4_rcv;
pub use ipip::{IPIP_HEADROOM, Ipip};
pub(crate) use vxlan::vxlan_rcv;
pub use vxlan::{VXLAN_HEADROOM, Vxlan, VxlanFdb};

use crate::event::{TapDir, What};
use crate::netfilter::queue_xmit;
use crate::route::Scope;
use crate::sysctl::DevConf;
use crate::{Cx, Delivery, DevId, DropReason, Journey, Netns, Output, PktType, Skb, bridge};
use ipnet::Ipv4Net;
use packet::{Mac, Payload};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// An address of a device (`struct in_ifaddr`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfAddr {
    /// Address and prefix length.
    pub net: Ipv4Net,
    /// Scope.
    pub scope: Scope,
    /// `brd`
    pub broadcast: Option<Ipv4Addr>,
    /// Another address of the device has the same network and was there before (`IFA_F_SECONDARY`).
    pub secondary: bool,
    /// `noprefixroute`: no route to its network.
    pub noprefixroute: bool,
    /// `metric` of that route.
    pub metric: u32,
    /// `label`: what is shown instead of the device's name.
    pub label: Option<String>,
}

impl IfAddr {
    /// As `ip addr add` makes it if nothing more is said.
    pub fn new(net: Ipv4Net) -> IfAddr {
        let scope = if net.addr().is_loopback() { Scope::Host } else { Scope::Universe };
        IfAddr { net, scope, broadcast: None, secondary: false, noprefixroute: false, metric: 0, label: None }
    }
}

/// What kind of device it is.
#[derive(Clone, Debug)]
pub enum DevKind {
    /// `lo`
    Loopback,
    /// One end of a veth pair; the world knows the peer.
    Veth,
    /// A bridge.
    Bridge(Box<bridge::Bridge>),
    /// A dummy: swallows what it is given.
    Dummy,
    /// Ethernet frames in UDP datagrams.
    Vxlan(Box<Vxlan>),
    /// IPv4 packets in IPv4 packets.
    Ipip(Ipip),
}

/// A network device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its number in the namespace.
    pub id: DevId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub mac: Mac,
    /// `IFF_UP`
    pub up: bool,
    /// It has been up: since then it has a queue.
    pub activated: bool,
    /// `IFF_PROMISC`
    pub promisc: bool,
    /// Bytes of IP packet.
    pub mtu: u32,
    /// Packets that its queue may hold: none here has one, and `ip` tells of it all the same.
    pub tx_queue_len: u32,
    /// The MTU of a veth's other end, which takes no longer frame.
    pub peer_mtu: Option<u32>,
    /// The other end of a veth is up.
    pub peer_up: bool,
    /// It was deleted: its number is not given again, and who reads what has been finds its name.
    pub gone: bool,
    /// Kind.
    pub kind: DevKind,
    /// The bridge that it is a port of.
    pub master: Option<DevId>,
    /// What the bridge does with it as a port.
    pub port: bridge::PortFlags,
    /// IPv4 addresses in the order in which they were added.
    pub addrs: Vec<IfAddr>,
    /// Hardware addresses that somebody added to its filter (`dev_uc_add`, `dev_mc_add`). Frames are not chosen by them.
    pub filter: Vec<Mac>,
    /// `net.ipv4.conf.NAME.*`
    pub conf: DevConf,
}

/// `dev_queue_xmit`: the frame leaves by `dev`.
pub(crate) fn dev_queue_xmit(ns: &mut Netns, mut skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    if ns.holding.is_some() && matches!(ns.device(dev).map(|d| &d.kind), Some(DevKind::Veth)) {
        skb = queue_xmit(ns, skb, dev, cx)?;
    }
    dev_hard_start_xmit(ns, skb, dev, cx)
}

/// `dev_hard_start_xmit`
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn dev_hard_start_xmit(ns: &mut Netns, mut skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    let Some(device) = ns.device(dev).filter(|d| d.up) else {
        skb.dev = Some(dev);
        return Err(cx.drop(&skb, DropReason::DevDown));
    };
    let is_bridge = matches!(device.kind, DevKind::Bridge(_));
    let is_veth = matches!(device.kind, DevKind::Veth);
    let peer_mtu = device.peer_mtu;
    let is_vxlan = matches!(device.kind, DevKind::Vxlan(_));
    let ipip = match device.kind {
        DevKind::Ipip(tunnel) => Some(tunnel),
        _ => None,
    };
    let is_loopback = matches!(device.kind, DevKind::Loopback);
    skb.dev = Some(dev);
    cx.emit(skb.id, || What::Tap { dev, dir: TapDir::Out, frame: Rc::clone(&skb.frame) });
    if is_bridge {
        // Neighbour output has put the bridge's own address there; a capture sees it, the ports do not.
        if let Some(physin_mac) = bridge::bridged_dnat_source(&skb) {
            skb.frame_mut().src = physin_mac;
        }
        return bridge::br_dev_xmit(ns, skb, dev, cx);
    }
    if is_veth {
        // veth_forward_skb
        if !fits(&skb.frame, peer_mtu.unwrap_or(u32::MAX)) {
            return Err(cx.drop(&skb, DropReason::TooLongForPeer));
        }
        let (id, frame) = (skb.id, ns.consume_skb(skb));
        cx.out.push(Output::Transmit { dev, id, frame });
        return Ok(Delivery::Transmitted);
    }
    if is_loopback {
        cx.out.push(Output::Loopback(Box::new(skb)));
        return Ok(Delivery::Transmitted);
    }
    if cfg!(feature = "tunnels") && is_vxlan {
        ns.spoil();
        return vxlan::vxlan_xmit(ns, skb, dev, cx);
    }
    if let Some(tunnel) = ipip.filter(|_| cfg!(feature = "tunnels")) {
        return ipip::ipip_xmit(ns, skb, dev, tunnel, cx);
    }
    Ok(Delivery::Transmitted)
}

/// Bytes by which a frame may be longer than the MTU says: its header and a VLAN tag.
const ROOM: usize = 14 + 4;

/// `is_skb_forwardable`: does the frame fit a device? A segment that stands for several does.
pub(crate) fn is_skb_forwardable(ns: &Netns, frame: &packet::Frame, dev: DevId) -> bool {
    fits(frame, ns.device(dev).map_or(0, |d| d.mtu))
}

fn fits(frame: &packet::Frame, mtu: u32) -> bool {
    frame.len() <= (mtu as usize).saturating_add(ROOM) || frame.ip().is_some_and(|ip| ip.gso_size != 0)
}

/// `netif_receive_skb` for a frame that has just come in by `dev`.
pub(crate) fn netif_rx(ns: &mut Netns, mut skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    let Some(device) = ns.device(dev).filter(|d| d.up) else {
        skb.dev = Some(dev);
        return Err(cx.drop(&skb, DropReason::DevDown));
    };
    skb.pkt_type = eth_type_trans(skb.frame.dst, device.mac);
    if matches!(device.kind, DevKind::Loopback | DevKind::Ipip(_)) {
        skb.pkt_type = PktType::Host;
    }
    let master = device.master;
    tap_in(&skb, dev, cx);
    skb.dev = Some(dev);
    match master {
        Some(bridge) => bridge::br_handle_frame(ns, skb, bridge, dev, cx),
        None => deliver(ns, skb, dev, cx),
    }
}

/// Hands a frame to the network layer, as received on `dev`.
pub(crate) fn deliver(ns: &mut Netns, skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    match &skb.frame.payload {
        Payload::Arp(arp) => {
            let arp = *arp;
            crate::neigh::arp_rcv(ns, skb, &arp, dev, cx)
        }
        Payload::Ip(ip) if ip.src.is_ipv4() => crate::ipv4::ip_rcv(ns, skb, dev, cx),
        Payload::Ip(_) => Err(cx.drop(&skb, DropReason::NotModelled)),
    }
}

/// A capture on `dev` sees a frame come in.
pub(crate) fn tap_in(skb: &Skb, dev: DevId, cx: &mut Cx<'_>) {
    let dir = match skb.pkt_type {
        PktType::Host => TapDir::In,
        PktType::Broadcast => TapDir::InBroadcast,
        PktType::Multicast => TapDir::InMulticast,
        PktType::OtherHost => TapDir::InOther,
    };
    cx.emit(skb.id, || What::Tap { dev, dir, frame: Rc::clone(&skb.frame) });
}

/// `eth_type_trans`: to whom is the frame addressed?
fn eth_type_trans(dst: Mac, own: Mac) -> PktType {
    if dst.is_broadcast() {
        PktType::Broadcast
    } else if dst.is_multicast() {
        PktType::Multicast
    } else if dst == own {
        PktType::Host
    } else {
        PktType::OtherHost
    }
}

impl Device {
    /// True for `lo`.
    pub fn kind_is_loopback(&self) -> bool {
        matches!(self.kind, DevKind::Loopback)
    }
}
