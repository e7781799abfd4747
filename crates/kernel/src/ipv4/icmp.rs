//! ICMP: errors sent, messages received (net/ipv4/icmp.c).

use super::icmp_limit::icmp_allowed;
use super::ip_local_out;
use crate::event::{Origin, What};
use crate::netfilter::conntrack::attach;
use crate::route::{Flow, Scope, Verdict};
use crate::socket::{ping_rcv, raw_icmp_deliver, socket_icmp_error};
use crate::{Cx, Delivery, DropReason, Journey, Netns, PktType, Skb, SkbOwner};
use packet::{Icmp, IcmpBody, Ip, L4, icmp_type};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// Precedence of ICMP errors: internetwork control.
const ERROR_TOS: u8 = 0xc0;

/// `icmp_send`: an error about `about` to its sender, if one may be sent.
pub(crate) fn icmp_send(
    ns: &mut Netns,
    about: &Skb,
    kind: u8,
    code: u8,
    gateway: Option<Ipv4Addr>,
    cx: &mut Cx<'_>,
) {
    send_error(ns, about, (kind, code), gateway, 0, cx);
}

/// `icmp_send(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED)`: only so many bytes fit.
pub(crate) fn icmp_frag_needed(ns: &mut Netns, about: &Skb, mtu: usize, cx: &mut Cx<'_>) {
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    send_error(ns, about, (icmp_type::DEST_UNREACH, 4), None, mtu, cx);
}

fn send_error(
    ns: &mut Netns,
    about: &Skb,
    (kind, code): (u8, u8),
    gateway: Option<Ipv4Addr>,
    mtu: u16,
    cx: &mut Cx<'_>,
) {
    // `icmp_xmit_lock`: while a message of ICMP is on its way out, no other is made.
    if ns.icmp_busy {
        return;
    }
    let Some(cause) = about.ip() else { return };
    let (Some(src), Some(dst)) = (cause.src_v4(), cause.dst_v4()) else { return };
    // RFC 1122, 3.2.2: never about broadcasts, later fragments, or other errors.
    if about.pkt_type != PktType::Host || about.dst.is_some_and(|d| d.is_group()) {
        return;
    }
    if cause.frag.offset != 0 || cause.icmp().is_some_and(|i| Icmp::is_error_type(i.kind)) {
        return;
    }
    if src.is_unspecified() || src.is_multicast() || src.is_broadcast() {
        return;
    }
    // From the address that was asked, if it is ours; else from the one nearest to the sender.
    let to_us = about.dst.is_some_and(|d| d.verdict == Verdict::Local);
    let tos = cause.tos & 0x1e | ERROR_TOS;
    let flow = Flow { tos, proto: 1, sport: u16::from(kind), dport: u16::from(code), ..Flow::to(src) };
    // An error about a received packet may come from the device that it came in by (icmp_errors_use_inbound_ifaddr).
    let inbound = about.iif.filter(|_| ns.sysctl.icmp_errors_use_inbound_ifaddr != 0);
    let near = inbound.and_then(|dev| ns.inet_select_addr(dev, src, Scope::Link));
    let flow = flow.from(if to_us { dst } else { near.unwrap_or(Ipv4Addr::UNSPECIFIED) });
    let Ok((route, _)) = ns.ip_route_output(&flow) else { return };
    if !icmp_allowed(ns, about, src, route.dev, (kind, code), cx.now) {
        return;
    }
    let body = IcmpBody::Error { gateway, mtu, inner: Box::new(cause.clone()), quoted: None };
    let icmp = Icmp { kind, code, checksum_ok: true, body };
    let mut ip = Ip::new(IpAddr::V4(route.source), cause.src, L4::Icmp(icmp));
    (ip.tos, ip.ttl, ip.id) = (tos, ns.default_ttl(), cx.ip_id());
    let id = cx.ids.packet();
    let mut skb = Skb::local(id, ip, SkbOwner::Kernel);
    skb.dst = Some(route);
    attach(&mut skb, about);
    let (parent, frame) = (Some(about.id), Rc::clone(&skb.frame));
    cx.emit(id, || What::Created { origin: Origin::Icmp, parent, frame });
    // An error about an error is never sent, so its own fate matters to nobody.
    push(ns, skb, cx);
}

/// `icmp_push_reply`
fn push(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) {
    ns.icmp_busy = true;
    let _ = ip_local_out(ns, skb, cx);
    ns.icmp_busy = false;
}

/// `icmp_rcv`
pub(crate) fn icmp_rcv(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Journey {
    let Some(ip) = skb.ip() else { return Err(cx.drop(&skb, DropReason::NoProtocol)) };
    let Some(icmp) = ip.icmp() else { return Err(cx.drop(&skb, DropReason::NoProtocol)) };
    if !icmp.checksum_ok {
        return Err(cx.drop(&skb, DropReason::BadChecksum));
    }
    raw_icmp_deliver(ns, &skb, cx);
    let Some(icmp) = skb.ip().and_then(Ip::icmp) else { return Ok(Delivery::Local) };
    match (icmp.kind, &icmp.body) {
        (icmp_type::ECHO, IcmpBody::Query { id, seq, payload }) => {
            let body = IcmpBody::Query { id: *id, seq: *seq, payload: payload.clone() };
            query_reply(ns, &skb, icmp_type::ECHO_REPLY, body, cx)
        }
        (icmp_type::TIMESTAMP, IcmpBody::Query { id, seq, payload }) => {
            // The sender's time, then this host's, twice; a request that has none is not answered.
            let Some(theirs) = payload.get(..4) else {
                return Err(cx.drop(&skb, DropReason::NotForUs));
            };
            let ours = (cx.now.millis() & 0xffff_ffff) as u32;
            let payload = [theirs, &ours.to_be_bytes(), &ours.to_be_bytes()].concat();
            let body = IcmpBody::Query { id: *id, seq: *seq, payload };
            query_reply(ns, &skb, icmp_type::TIMESTAMP_REPLY, body, cx)
        }
        (icmp_type::ECHO_REPLY, _) => ping_rcv(ns, skb, cx),
        (_, IcmpBody::Error { .. }) => {
            if icmp.kind == icmp_type::REDIRECT {
                accept_redirect(ns, &skb, cx);
            }
            socket_icmp_error(ns, skb, cx)
        }
        _ => Err(cx.drop(&skb, DropReason::NotModelled)),
    }
}

/// `icmp_echo`, `icmp_timestamp`, `icmp_reply`: from the address that was asked.
fn query_reply(ns: &mut Netns, skb: &Skb, kind: u8, body: IcmpBody, cx: &mut Cx<'_>) -> Journey {
    let broadcast = skb.dst.is_some_and(|d| d.is_group());
    let ignored =
        ns.sysctl.icmp_echo_ignore_all != 0 || broadcast && ns.sysctl.icmp_echo_ignore_broadcasts != 0;
    let addrs = skb.ip().and_then(|ip| Some((ip.src_v4()?, ip.dst_v4()?, ip.tos)));
    let Some((src, dst, tos)) = addrs.filter(|_| !ignored) else {
        return Err(cx.drop(skb, DropReason::NotForUs));
    };
    let flow = Flow { tos, proto: 1, ..Flow::to(src) };
    let flow = if broadcast { flow } else { flow.from(dst) };
    let Ok((route, _)) = ns.ip_route_output(&flow) else {
        return Err(cx.drop(skb, DropReason::Unreachable(crate::route::Unreachable::Net)));
    };
    if !icmp_allowed(ns, skb, src, route.dev, (kind, 0), cx.now) {
        return Ok(Delivery::Local);
    }
    let icmp = Icmp { kind, code: 0, checksum_ok: true, body };
    let mut ip = Ip::new(IpAddr::V4(route.source), IpAddr::V4(src), L4::Icmp(icmp));
    (ip.tos, ip.ttl, ip.id) = (tos, ns.default_ttl(), cx.ip_id());
    let id = cx.ids.packet();
    let mut reply = Skb::local(id, ip, SkbOwner::Kernel);
    reply.dst = Some(route);
    let (parent, frame) = (Some(skb.id), Rc::clone(&reply.frame));
    cx.emit(id, || What::Created { origin: Origin::Icmp, parent, frame });
    push(ns, reply, cx);
    Ok(Delivery::Local)
}

/// `__ip_do_redirect`: the gateway in use says that another one is better. Believed only if that one answers ARP.
fn accept_redirect(ns: &mut Netns, skb: &Skb, cx: &mut Cx<'_>) {
    let Some(dev) = skb.dev else { return };
    let forwarding = ns.dev_conf(dev).forwarding != 0;
    let (all, own) = (ns.sysctl.all.accept_redirects != 0, ns.dev_conf(dev).accept_redirects != 0);
    let accepts = if forwarding { all && own } else { all || own };
    let Some(ip) = skb.ip().filter(|_| accepts) else { return };
    let Some(from) = ip.src_v4() else { return };
    let Some(IcmpBody::Error { gateway: Some(gateway), inner, .. }) = ip.icmp().map(|i| &i.body) else {
        return;
    };
    let (gateway, Some(dst)) = (*gateway, inner.dst_v4()) else { return };
    let in_use = ns.ip_route_output(&Flow::to(dst)).ok().and_then(|(d, _)| d.gateway);
    if in_use != Some(from) || gateway == from || gateway.is_multicast() || gateway.is_broadcast() {
        return;
    }
    if ns.neigh.is_valid(dev, gateway) {
        ns.redirects.insert(dst, gateway);
    } else {
        crate::neigh::neigh_probe(ns, dev, gateway, cx);
    }
}
