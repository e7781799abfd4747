//! Virtual networks over UDP (drivers/net/vxlan/vxlan_core.c; RFC 7348).

use super::DevKind;
use super::tunnel::{Outer, flow_hash, iptunnel_xmit, tunnel_rcv};
use crate::route::{Flow, Verdict};
use crate::{Cx, DevId, DropReason, Journey, Netns, Skb};
use packet::{L4, Mac, Udp};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes by which the outer packet is longer than the inner one (`VXLAN_HEADROOM`): Ethernet, VXLAN, UDP, IP.
pub const VXLAN_HEADROOM: u32 = 14 + 8 + 8 + 20;
/// `net.ipv4.ip_local_port_range`, out of which the source port comes.
const PORTS: (u16, u16) = (32768, 60999);

/// A device of type vxlan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vxlan {
    /// `id`: the network's number.
    pub vni: u32,
    /// `local`: the outer source address; routing chooses one without.
    pub local: Option<Ipv4Addr>,
    /// `remote`: where everything goes that no entry knows.
    pub remote: Option<Ipv4Addr>,
    /// `dev`: the device by which that goes.
    pub lower: Option<DevId>,
    /// `dstport`
    pub port: u16,
    /// `learning`: where a source address was seen is remembered.
    pub learning: bool,
    /// What is behind which host, in the order in which it was made known.
    pub fdb: Vec<VxlanFdb>,
}

/// An entry of the forwarding database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanFdb {
    /// The address; all zeros stands for all that are not known.
    pub mac: Mac,
    /// The hosts: one, or several for a group.
    pub remotes: Vec<Ipv4Addr>,
    /// Learned, not set by hand.
    pub learned: bool,
}

impl Vxlan {
    /// The hosts that a frame goes to (`vxlan_find_mac`, then the entry for all others).
    pub fn remotes(&self, mac: Mac) -> &[Ipv4Addr] {
        let find = |mac| self.fdb.iter().find(|e| e.mac == mac).map(|e| &e.remotes[..]);
        find(mac).or_else(|| find(Mac::ZERO)).unwrap_or(self.remote.as_slice())
    }

    /// `vxlan_snoop`: the address is behind that host.
    fn learn(&mut self, mac: Mac, remote: Ipv4Addr) {
        match self.fdb.iter_mut().find(|e| e.mac == mac) {
            // What was set by hand does not move.
            Some(e) if e.learned => e.remotes = vec![remote],
            Some(_) => {}
            None => self.fdb.push(VxlanFdb { mac, remotes: vec![remote], learned: true }),
        }
    }
}

impl Netns {
    /// The state of a device of type vxlan.
    pub fn vxlan(&self, id: DevId) -> Option<&Vxlan> {
        match &self.device(id)?.kind {
            DevKind::Vxlan(v) => Some(v),
            _ => None,
        }
    }

    /// The same, for writing.
    pub fn vxlan_mut(&mut self, id: DevId) -> Option<&mut Vxlan> {
        match self.device_kind_mut(id)? {
            DevKind::Vxlan(v) => Some(v),
            _ => None,
        }
    }

    /// A device that is up listens to this port.
    pub(crate) fn vxlan_listens(&self, port: u16) -> bool {
        self.devices().iter().any(|d| d.up && matches!(&d.kind, DevKind::Vxlan(v) if v.port == port))
    }
}

/// `vxlan_xmit`: to each host that the frame's destination is behind.
pub(super) fn vxlan_xmit(ns: &mut Netns, skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Journey {
    let remotes = ns.vxlan(dev).map_or(Vec::new(), |v| v.remotes(skb.frame.dst).to_vec());
    let Some((first, others)) = remotes.split_first() else {
        return Err(cx.drop(&skb, DropReason::VxlanNoRemote));
    };
    for remote in others {
        let _ = vxlan_xmit_one(ns, skb.clone(), dev, *remote, cx);
    }
    vxlan_xmit_one(ns, skb, dev, *first, cx)
}

fn vxlan_xmit_one(ns: &mut Netns, skb: Skb, dev: DevId, remote: Ipv4Addr, cx: &mut Cx<'_>) -> Journey {
    let Some(v) = ns.vxlan(dev) else { return Err(cx.drop(&skb, DropReason::DevDown)) };
    // udp_flow_src_port: packets of one flow stay together.
    let (low, high) = (u64::from(PORTS.0), u64::from(PORTS.1));
    let port = low + ((u64::from(flow_hash(&skb.frame)) * (high - low)) >> 32);
    let sport = u16::try_from(port).unwrap_or(PORTS.0);
    let frame = (*skb.frame).clone();
    let Some(payload) = (packet::Vxlan { vni: v.vni, frame }).to_bytes() else {
        return Err(cx.drop(&skb, DropReason::NotModelled));
    };
    let flow = Flow {
        mark: skb.mark,
        // Entries that were made by hand say no device.
        oif: v.lower.filter(|_| v.remote == Some(remote)),
        proto: 17,
        sport,
        dport: v.port,
        ..Flow::to(remote).from(v.local.unwrap_or(Ipv4Addr::UNSPECIFIED))
    };
    let dport = v.port;
    let route = match ns.route_packet(skb.id, &flow, cx) {
        Ok(route) => route,
        Err(why) => return Err(cx.drop(&skb, DropReason::Unreachable(why))),
    };
    if route.dev == dev {
        return Err(cx.drop(&skb, DropReason::TunnelLoop));
    }
    if route.verdict == Verdict::Local {
        // encap_bypass_if_local
        let frame = (*skb.frame).clone();
        return tunnel_rcv(skb, dev, frame, cx);
    }
    // skb_tunnel_check_pmtu: whoever sent it here is told by the route; the outer packet may be cut all the same.
    let mtu = ns.dst_mtu(&route, remote, false, cx).saturating_sub(VXLAN_HEADROOM as usize);
    let inner = skb.ip().and_then(|ip| Some((ip.segment_len(), ip.dst_v4()?)));
    if let Some((_, to)) = inner.filter(|(len, _)| *len > mtu) {
        ns.update_pmtu(to, u32::try_from(mtu).unwrap_or(u32::MAX), cx.now);
    }
    let udp = Udp { sport, dport, checksum_ok: true, payload: payload.into() };
    let ttl = ns.default_ttl();
    let outer = Outer { route, to: IpAddr::V4(remote), ttl, df: false, l4: L4::Udp(udp) };
    iptunnel_xmit(ns, skb, dev, outer, cx)
}

/// `vxlan_rcv`: a datagram for a port that a device of this type listens to.
pub(crate) fn vxlan_rcv(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let parsed = skb.ip().and_then(|ip| match &ip.l4 {
        L4::Udp(u) => Some((ip.src_v4()?, u.dport, packet::Vxlan::from_bytes(&u.payload)?)),
        _ => None,
    });
    let Some((from, port, vxlan)) = parsed else { return Err(cx.drop(&skb, DropReason::SocketRefused)) };
    let dev = ns
        .devices()
        .iter()
        .find(|d| d.up && matches!(&d.kind, DevKind::Vxlan(v) if v.port == port && v.vni == vxlan.vni))
        .map(|d| (d.id, d.mac));
    let Some((dev, own)) = dev else { return Err(cx.drop(&skb, DropReason::VxlanVniNotFound)) };
    let source = vxlan.frame.src;
    if source == own || source.is_multicast() || source == Mac::ZERO {
        return Err(cx.drop(&skb, DropReason::VxlanSource));
    }
    if let Some(v) = ns.vxlan_mut(dev).filter(|v| v.learning) {
        v.learn(source, from);
    }
    tunnel_rcv(skb, dev, vxlan.frame, cx)
}
