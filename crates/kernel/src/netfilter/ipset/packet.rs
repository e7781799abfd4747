//! A packet against a set (`ip_set_test`, net/netfilter/ipset/ip_set_core.c).

use super::elem::{Elem, SetType, masked, with_ports};
use super::sets::IpSets;
use crate::Instant;
use ::packet::{Ip, L4, Port, Protocol};
use std::net::Ipv4Addr;

/// `src` or `dst` for each part of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetDirs {
    /// How many there are, at most [`SetDirs::MAX`].
    pub dim: u8,
    /// Bit n is set if part n is looked for in the source.
    pub src: u8,
}

impl SetDirs {
    /// `IPSET_DIM_MAX`
    pub const MAX: u8 = 6;

    /// True if part `n`, counted from 0, is looked for in the source.
    pub fn is_src(self, n: u8) -> bool {
        self.src.checked_shr(u32::from(n)).unwrap_or(0) & 1 == 1
    }
}

impl IpSets {
    /// `ip_set_test`: is what the packet brings in the set? Never for a rule with fewer directions than the set has
    /// parts.
    pub(crate) fn test_packet(&mut self, name: &str, dirs: SetDirs, ip: &Ip, now: Instant) -> bool {
        let Some(set) = self.get_mut(name) else { return false };
        if dirs.dim < set.kind.dimension() {
            return false;
        }
        let Some(elem) = elem_of(set.kind, dirs, ip, set.options.netmask) else { return false };
        set.hit(&elem, ip.total_len(), now)
    }
}

/// The member that a packet stands for (`kadt`); `None` if it has no such parts.
fn elem_of(kind: SetType, dirs: SetDirs, ip: &Ip, netmask: u8) -> Option<Elem> {
    let addr = |n: u8| if dirs.is_src(n) { ip.src_v4() } else { ip.dst_v4() };
    let mut elem = Elem::ZERO;
    if kind == SetType::BitmapPort {
        let (proto, port) = get_port(ip, dirs.is_src(0))?;
        let plain = matches!(proto, Protocol::TCP | Protocol::UDP);
        return plain.then_some(Elem { port, ..elem });
    }
    elem.ip = masked(addr(0)?, netmask);
    if kind == SetType::HashIp && elem.ip == Ipv4Addr::UNSPECIFIED {
        return None;
    }
    if kind.has_port() {
        (elem.proto, elem.port) = get_port(ip, dirs.is_src(1))?;
    }
    if kind.has_second() {
        elem.ip2 = addr(2)?;
    }
    Some(elem)
}

/// `ip_set_get_ip4_port`: ICMP's port is its type and code; protocols without ports have port 0. A fragment that lacks the
/// header of a protocol with ports has none.
fn get_port(ip: &Ip, src: bool) -> Option<(Protocol, Port)> {
    let proto = ip.protocol();
    match &*ip.headers() {
        L4::Icmp(icmp) => Some((proto, Port::from(icmp.kind) << 8 | Port::from(icmp.code))),
        L4::Other(..) if proto == Protocol::ICMP => None,
        L4::Other(..) if !with_ports(proto) => Some((proto, 0)),
        L4::Other(_, bytes) if bytes.len() < header_len(proto) => None,
        _ => {
            let (sport, dport) = ip.ports()?;
            Some((proto, if src { sport } else { dport }))
        }
    }
}

/// The length of the header that must be there.
fn header_len(proto: Protocol) -> usize {
    match proto {
        Protocol::TCP => 20,
        Protocol::SCTP => 12,
        _ => 8,
    }
}
