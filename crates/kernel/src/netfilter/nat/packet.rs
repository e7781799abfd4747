//! Rewriting packets (net/netfilter/nf_nat_proto.c).

use super::Manip;
use super::core::report;
use crate::event::HookCtx;
use crate::netfilter::conntrack::{ConnInfo, Direction, L4Key, Tuple, status};
use crate::{ConnId, Cut, Cx, DropReason, Netns, Skb};
use packet::{IcmpBody, Ip, L4, Protocol, Sctp, icmp_type};
use std::rc::Rc;

/// `nf_nat_ipv4_manip_pkt`: source or destination of the packet become those of `target`. False if they are already.
pub(super) fn manip_pkt(ip: &mut Ip, target: &Tuple, manip: Manip) -> bool {
    let (sport, dport) = match (&mut ip.l4, target.key()) {
        (L4::Tcp(t), L4Key::Ports { .. }) => (&mut t.sport, &mut t.dport),
        (L4::Udp(u), L4Key::Ports { .. }) => (&mut u.sport, &mut u.dport),
        (L4::Icmp(icmp), L4Key::Echo { id: new, .. }) => {
            // The id is the port of both sides.
            let id = match &mut icmp.body {
                IcmpBody::Query { id, .. } => set(id, new),
                _ => false,
            };
            return addresses(ip, target, manip) | id;
        }
        (L4::Icmp6(icmp), L4Key::Echo { id: new, .. }) => {
            let id = match &mut icmp.body {
                IcmpBody::Query { id, .. } => set(id, new),
                _ => false,
            };
            return addresses(ip, target, manip) | id;
        }
        (L4::Other(proto, _), L4Key::Ports { .. }) if proto.has_ports() => {
            return other_ports(ip, target, manip);
        }
        _ => return addresses(ip, target, manip),
    };
    let port = match manip {
        Manip::Src => set(sport, target.sport()),
        Manip::Dst => set(dport, target.dport()),
    };
    addresses(ip, target, manip) | port
}

/// Ports of a protocol that is bytes here: SCTP has a checksum over them, UDP-Lite one over the addresses as well.
fn other_ports(ip: &mut Ip, target: &Tuple, manip: Manip) -> bool {
    let (from, to) = (ip.src, ip.dst);
    let mut changed = addresses(ip, target, manip);
    let (proto, src, dst) = (ip.protocol(), ip.src, ip.dst);
    let Some((sport, dport)) = ip.ports() else { return changed };
    let before = (sport, dport);
    let (sport, dport) = match manip {
        Manip::Src => (target.sport(), dport),
        Manip::Dst => (sport, target.dport()),
    };
    let L4::Other(_, bytes) = &mut ip.l4 else { return changed };
    if proto == Protocol::SCTP {
        Sctp::set_ports(bytes, sport, dport);
    } else {
        packet::set_ports(bytes, proto, (from, to), (src, dst), (sport, dport));
    }
    changed |= (sport, dport) != before;
    changed
}

fn addresses(ip: &mut Ip, target: &Tuple, manip: Manip) -> bool {
    match manip {
        Manip::Src => set(&mut ip.src, target.src()),
        Manip::Dst => set(&mut ip.dst, target.dst()),
    }
}

/// Writes a value; false if it stands there already.
fn set<T: PartialEq>(place: &mut T, value: T) -> bool {
    let changes = *place != value;
    *place = value;
    changes
}

/// `nf_nat_icmp_reply_translation`: an ICMP error about a translated flow is translated outside and inside.
pub(super) fn icmp_reply_translation(
    ns: &Netns,
    mut skb: Skb,
    conn: ConnId,
    info: ConnInfo,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let Some(c) = ns.ct.get(conn) else { return Ok(skb) };
    // Redirects of IPv6 are not tracked.
    let is_redirect = skb.ip().and_then(Ip::icmp).is_some_and(|i| i.kind == icmp_type::REDIRECT);
    let both_done = status::SRC_NAT_DONE | status::DST_NAT_DONE;
    if is_redirect && (c.status & both_done != both_done || c.status & status::NAT_MASK != 0) {
        // A host that followed it would talk past the translation.
        return Err(cx.drop(&skb, DropReason::NatIcmpRedirect));
    }
    let manip = Manip::of(ctx.hook);
    let bit = match (manip, info.dir) {
        (Manip::Src, Direction::Original) | (Manip::Dst, Direction::Reply) => status::SRC_NAT,
        (Manip::Dst, Direction::Original) | (Manip::Src, Direction::Reply) => status::DST_NAT,
    };
    if c.status & bit == 0 {
        return Ok(skb);
    }
    let other = *c.tuple(info.dir.flip());
    let Some(target) = other.invert() else { return Ok(skb) };
    let before = cx.explains().then(|| Rc::clone(&skb.frame));
    let mut changed = false;
    if let Some(ip) = skb.ip_mut() {
        let body = match &mut ip.l4 {
            L4::Icmp(icmp) => Some(&mut icmp.body),
            L4::Icmp6(icmp) => Some(&mut icmp.body),
            _ => None,
        };
        if let Some(IcmpBody::Error { inner, .. }) = body {
            // The quoted packet travelled the other way: its other end is the one to change.
            let opposite = match manip {
                Manip::Src => Manip::Dst,
                Manip::Dst => Manip::Src,
            };
            changed = manip_pkt(inner, &other, opposite);
        }
        changed |= addresses(ip, &target, manip);
    }
    if changed {
        report(&skb, before, conn, manip, ctx, cx);
    }
    Ok(skb)
}
