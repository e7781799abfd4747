//! Rewriting packets (net/netfilter/nf_nat_proto.c).

use super::Manip;
use super::core::report;
use crate::event::HookCtx;
use crate::netfilter::conntrack::{ConnInfo, Direction, L4Key, Tuple, status};
use crate::{ConnId, Cut, Cx, DropReason, Netns, Skb};
use packet::{IcmpBody, Ip, L4, icmp_type};
use std::rc::Rc;

/// `nf_nat_ipv4_manip_pkt`: source or destination of the packet become those of `target`.
pub(super) fn manip_pkt(ip: &mut Ip, target: &Tuple, manip: Manip) {
    let (sport, dport) = match (&mut ip.l4, target.key) {
        (L4::Tcp(t), L4Key::Ports { .. }) => (&mut t.sport, &mut t.dport),
        (L4::Udp(u), L4Key::Ports { .. }) => (&mut u.sport, &mut u.dport),
        (L4::Icmp(icmp), L4Key::Echo { id: new, .. }) => {
            // The id is the port of both sides.
            if let IcmpBody::Query { id, .. } = &mut icmp.body {
                *id = new;
            }
            return addresses(ip, target, manip);
        }
        _ => return addresses(ip, target, manip),
    };
    match manip {
        Manip::Src => *sport = target.key.sport(),
        Manip::Dst => *dport = target.key.dport(),
    }
    addresses(ip, target, manip);
}

fn addresses(ip: &mut Ip, target: &Tuple, manip: Manip) {
    match manip {
        Manip::Src => ip.src = target.src,
        Manip::Dst => ip.dst = target.dst,
    }
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
    let before = Rc::clone(&skb.frame);
    if let Some(ip) = skb.ip_mut() {
        if let L4::Icmp(icmp) = &mut ip.l4
            && let IcmpBody::Error { inner, .. } = &mut icmp.body
        {
            // The quoted packet travelled the other way: its other end is the one to change.
            let opposite = match manip {
                Manip::Src => Manip::Dst,
                Manip::Dst => Manip::Src,
            };
            manip_pkt(inner, &other, opposite);
        }
        addresses(ip, &target, manip);
    }
    report(&skb, before, conn, manip, ctx, cx);
    Ok(skb)
}
