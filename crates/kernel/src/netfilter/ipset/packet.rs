//! A packet against a set (`ip_set_test`, `ip_set_add`, `ip_set_del`, net/netfilter/ipset/ip_set_core.c).

use super::SetError;
use super::elem::{Elem, with_ports};
use super::kind::SetType;
use super::member::{Compare, Count, ElemInfo, SkbInfo};
use super::set::{Found, IpSet};
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

/// How a rule looks into a set (`struct ip_set_adt_opt`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetQuery {
    /// What is looked for in the source and what in the destination.
    pub dirs: SetDirs,
    /// `--return-nomatch`: only holes match.
    pub return_nomatch: bool,
    /// `! --update-counters`
    pub skip_counters: bool,
    /// `! --update-subcounters`
    pub skip_subcounters: bool,
    /// `--packets-eq` and its siblings.
    pub packets: Option<Compare>,
    /// `--bytes-eq` and its siblings.
    pub bytes: Option<Compare>,
}

/// A packet as sets see it.
#[derive(Clone, Copy, Debug)]
pub struct SetCx<'a> {
    /// The packet.
    pub ip: &'a Ip,
    /// The names of the devices that it came in by and goes out by; empty if there is none.
    pub devs: (&'a str, &'a str),
    /// When.
    pub now: Instant,
}

impl IpSets {
    /// `ip_set_test`: is what the packet brings in the set? If so, what the set keeps with it. Never for a rule with fewer
    /// directions than the set has parts.
    pub(crate) fn test_packet(&mut self, name: &str, q: &SetQuery, cx: &SetCx<'_>) -> Option<SkbInfo> {
        let set = self.get_mut(name)?;
        if q.dirs.dim < set.kind.dimension() {
            return None;
        }
        if set.kind == SetType::ListSet {
            return self.test_list(name, q, cx);
        }
        let elem = elem_of(set, q.dirs, cx, true)?;
        let found = set.find(&elem, &q.count(cx), cx.now)?;
        let wanted = q.return_nomatch && set.kind.has_nomatch();
        (found.nomatch == wanted).then_some(found.skbinfo)
    }

    /// `list_set_ktest`: the first set that has it. Conditions on counters are for the list's own.
    fn test_list(&mut self, name: &str, q: &SetQuery, cx: &SetCx<'_>) -> Option<SkbInfo> {
        let skip_counters = q.skip_counters || q.skip_subcounters;
        let inner = SetQuery { packets: None, bytes: None, skip_counters, ..*q };
        for (at, set) in self.names_in(name, cx.now) {
            let Some(inside) = self.test_packet(&set, &inner, cx) else { continue };
            let list = self.get_mut(name)?;
            let own = list.options.skbinfo;
            if let Some(Found { skbinfo, .. }) = list.find_listed(at, &q.count(cx), cx.now) {
                return Some(if own { skbinfo } else { inside });
            }
        }
        None
    }

    /// The sets in a list with their places.
    fn names_in(&self, name: &str, now: Instant) -> Vec<(usize, Box<str>)> {
        let slots = self.get(name).map(IpSet::listed).unwrap_or_default().iter().enumerate();
        slots.filter(|(_, s)| !s.member.gone(now)).map(|(at, s)| (at, s.elem.name.clone())).collect()
    }

    /// `ip_set_add`: the packet's member. In a list, the first set that takes it.
    pub(crate) fn add_packet(
        &mut self,
        name: &str,
        dirs: SetDirs,
        timeout: Option<u32>,
        exist: bool,
        cx: &SetCx<'_>,
    ) -> Result<(), SetError> {
        let set = self.get_mut(name).ok_or(SetError::NoSet)?;
        if dirs.dim < set.kind.dimension() {
            return Err(SetError::TypeMismatch);
        }
        if set.kind == SetType::ListSet {
            let mut names = self.names_in(name, cx.now).into_iter();
            let taken = names.any(|(_, set)| self.add_packet(&set, dirs, timeout, exist, cx).is_ok());
            return if taken { Ok(()) } else { Err(SetError::NoElem) };
        }
        let elem = elem_of(set, dirs, cx, false).ok_or(SetError::Invalid)?;
        let counters = set.options.counters;
        let info = ElemInfo {
            timeout: timeout.filter(|_| set.options.timeout.is_some()),
            packets: counters.then_some(1),
            bytes: counters.then_some(cx.ip.total_len() as u64),
            ..ElemInfo::default()
        };
        set.add_one(elem, &info, exist, false, cx.now)
    }

    /// `ip_set_del`: the packet's member. In a list, the first set that had it.
    pub(crate) fn del_packet(&mut self, name: &str, dirs: SetDirs, cx: &SetCx<'_>) -> Result<(), SetError> {
        let set = self.get_mut(name).ok_or(SetError::NoSet)?;
        if dirs.dim < set.kind.dimension() {
            return Err(SetError::TypeMismatch);
        }
        if set.kind == SetType::ListSet {
            let mut names = self.names_in(name, cx.now).into_iter();
            let gone = names.any(|(_, set)| self.del_packet(&set, dirs, cx).is_ok());
            return if gone { Ok(()) } else { Err(SetError::NoElem) };
        }
        let elem = elem_of(set, dirs, cx, false).ok_or(SetError::Invalid)?;
        set.del_one(&elem, cx.now)
    }
}

impl SetQuery {
    fn count(&self, cx: &SetCx<'_>) -> Count {
        Count {
            bytes: cx.ip.total_len() as u64,
            skip: self.skip_counters,
            packets_are: self.packets,
            bytes_are: self.bytes,
        }
    }
}

/// The member that a packet stands for (`kadt`); `None` if it has no such parts. Without `test` a network has the longest
/// prefix that is in the set.
fn elem_of(set: &IpSet, dirs: SetDirs, cx: &SetCx<'_>, test: bool) -> Option<Elem> {
    let (ip, kind) = (cx.ip, set.kind);
    let addr = |n: u8| if dirs.is_src(n) { ip.src_v4() } else { ip.dst_v4() };
    let mut elem = Elem::default();
    if kind == SetType::BitmapPort {
        let (proto, port) = get_port(ip, dirs.is_src(0))?;
        let plain = matches!(proto, Protocol::TCP | Protocol::UDP);
        let inside = (set.options.ports.0..=set.options.ports.1).contains(&port);
        return (plain && inside).then_some(Elem { port, ..elem });
    }
    elem.ip = Ipv4Addr::from_bits(addr(0)?.to_bits() & set.options.mask.bits());
    match kind {
        SetType::HashIp | SetType::HashIpPort if elem.ip.is_unspecified() => return None,
        SetType::BitmapIp if addr(0)? < set.options.ips.0 || addr(0)? > set.options.ips.1 => return None,
        _ => {}
    }
    if kind.has_port() {
        (elem.proto, elem.port) = get_port(ip, dirs.is_src(1))?;
    }
    if kind.has_second() {
        elem.ip2 = addr(2)?;
    }
    if kind == SetType::HashNetIface {
        let (input, output) = cx.devs;
        elem.name = Some(if dirs.is_src(1) { input } else { output }).filter(|n| !n.is_empty())?.into();
    }
    if kind.has_nomatch() && !test {
        elem = elem.shortened(kind, set.longest_net().unwrap_or(32));
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
