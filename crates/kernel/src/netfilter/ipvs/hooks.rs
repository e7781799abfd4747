//! What IPVS does with a packet (net/netfilter/ipvs/ip_vs_core.c, ip_vs_xmit.c, ip_vs_nfct.c).

use super::{Endpoint, IpvsConn, IpvsState, ServiceId};
use crate::event::{HookCtx, IpvsStep, What};
use crate::ipv4::{icmp_send, ip_local_out_from, ip_route_me_harder};
use crate::netfilter::conntrack::{CtState, Direction, L4Key, try_assign_helper};
use crate::netfilter::hook::InetHook;
use crate::{Ct, Cut, Cx, DropReason, Netns, Skb};
use packet::{Ip, L4, Protocol, TcpFlags, icmp_type};
use std::net::IpAddr;
use std::rc::Rc;

/// Protocol, source and destination of a packet that IPVS can handle.
fn flow(ip: &Ip) -> Option<(Protocol, Endpoint, Endpoint)> {
    let (src, dst) = (ip.src_v4()?, ip.dst_v4()?);
    match &ip.l4 {
        L4::Tcp(t) => Some((Protocol::TCP, (src, t.sport), (dst, t.dport))),
        L4::Udp(u) => Some((Protocol::UDP, (src, u.sport), (dst, u.dport))),
        _ => None,
    }
}

/// `ip_vs_in_hook`: a packet to a virtual server goes to a real one. It leaves by this function: to the caller it is
/// stolen.
pub(crate) fn ip_vs_in(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let Some((proto, from, to)) = skb.ip().and_then(flow).filter(|_| !skb.ipvs_property) else {
        return Ok(skb);
    };
    let conn = match ns.ipvs.conn_in(proto, from, to, cx.now) {
        Some(conn) => conn,
        None => match schedule(ns, &skb, (proto, from, to), ctx, cx) {
            Scheduled::Conn(conn) => conn,
            Scheduled::NotOurs => return Ok(skb),
            Scheduled::NoServer => {
                icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 3, None, cx);
                return Err(cx.drop(&skb, DropReason::IpvsNoServer));
            }
        },
    };
    let (dest, service) = match ns.ipvs.conns.get(conn) {
        Some(c) => (c.dest, c.service),
        None => return Ok(skb),
    };
    // The server may be gone while its connections are not.
    let known = ns.ipvs.service(proto, service.addr).is_some_and(|s| s.dests.iter().any(|d| d.addr == dest));
    if !known {
        if ns.ipvs.expire_nodest_conn != 0 {
            ns.ipvs.conns.remove(conn);
        }
        return Err(cx.drop(&skb, DropReason::IpvsNoServer));
    }
    let tcp = skb.tcp().cloned();
    ns.ipvs.set_state(conn, tcp.as_ref(), true, cx.now);
    match ns.ipvs.conns.get(conn).copied() {
        Some(conn) => nat_xmit(ns, skb, conn, ctx, cx),
        None => Ok(skb),
    }
}

enum Scheduled {
    Conn(usize),
    NotOurs,
    NoServer,
}

/// `ip_vs_schedule`: a new connection gets its server. TCP begins with a SYN.
fn schedule(
    ns: &mut Netns,
    skb: &Skb,
    (proto, from, to): (Protocol, Endpoint, Endpoint),
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Scheduled {
    let begins = skb.tcp().is_none_or(|t| {
        t.flags.has(TcpFlags::SYN) && !t.flags.has(TcpFlags::ACK) && !t.flags.has(TcpFlags::RST)
    });
    let service = ServiceId { proto, addr: to };
    let Some(s) = ns.ipvs.services.iter_mut().find(|s| s.id == service).filter(|_| begins) else {
        return Scheduled::NotOurs;
    };
    let Some(server) = s.schedule() else {
        cx.emit(skb.id, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::NoServer(service) });
        return Scheduled::NoServer;
    };
    cx.emit(skb.id, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::Scheduled(service, server.addr) });
    let now = cx.now;
    ns.ipvs.conns.retain(|c| c.expires > now && !(c.service == service && c.client == from));
    let conn = IpvsConn { service, client: from, dest: server.addr, state: IpvsState::None, expires: now };
    ns.ipvs.conns.push(conn);
    Scheduled::Conn(ns.ipvs.conns.len() - 1)
}

/// `ip_vs_nat_xmit`: the destination becomes the server, and the packet sets out as if this host had made it.
fn nat_xmit(
    ns: &mut Netns,
    mut skb: Skb,
    conn: IpvsConn,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let ttl = skb.ip().map_or(0, |ip| ip.ttl);
    if ttl <= 1 {
        icmp_send(ns, &skb, icmp_type::TIME_EXCEEDED, 0, None, cx);
        return Err(cx.drop(&skb, DropReason::TtlExpired));
    }
    let (before, dest) = (Rc::clone(&skb.frame), conn.dest);
    if let Some(ip) = skb.ip_mut() {
        ip.dst = IpAddr::V4(dest.0);
        ip.ttl = ttl - 1;
        match &mut ip.l4 {
            L4::Tcp(t) => t.dport = dest.1,
            L4::Udp(u) => u.dport = dest.1,
            _ => {}
        }
    }
    rewritten(&skb, before, conn, ctx, cx);
    let mut skb = ip_route_me_harder(ns, skb, cx)?;
    skb.ipvs_property = true;
    if ns.ipvs.conntrack == 0 {
        ip_vs_notrack(&mut skb);
    } else {
        update_conntrack(ns, &skb, dest);
    }
    let indev = ctx.indev;
    match ip_local_out_from(ns, skb, indev, cx) {
        Ok(_) => Err(Cut(DropReason::Stolen)),
        Err(cut) => Err(cut),
    }
}

/// `ip_vs_notrack`: conntrack forgets the packet.
fn ip_vs_notrack(skb: &mut Skb) {
    skb.ct = Ct::Untracked;
}

/// `ip_vs_update_conntrack`: the answer of an entry that is not confirmed yet will come from the server. No NAT bit is
/// set by that.
fn update_conntrack(ns: &mut Netns, skb: &Skb, dest: Endpoint) {
    let Ct::Tracked { conn, info } = skb.ct else { return };
    let (automatic, modules) = (ns.ct.auto_helper, ns.modules);
    let Some(c) = ns.ct.get_mut(conn).filter(|c| !c.is_confirmed()) else { return };
    if info.state != CtState::New || info.dir != Direction::Original {
        return;
    }
    c.reply.src = IpAddr::V4(dest.0);
    if let L4Key::Ports { sport, .. } = &mut c.reply.key {
        *sport = dest.1;
    }
    try_assign_helper(c, None, automatic, &modules);
}

/// `ip_vs_out_hook`: an answer from a real server gets the address of the virtual one.
pub(crate) fn ip_vs_out(ns: &mut Netns, mut skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let Some((proto, from, to)) = skb.ip().and_then(flow).filter(|_| !skb.ipvs_property) else {
        return Ok(skb);
    };
    let Some(conn) = ns.ipvs.conn_out(proto, from, to, cx.now) else { return Ok(skb) };
    let tcp = skb.tcp().cloned();
    ns.ipvs.set_state(conn, tcp.as_ref(), false, cx.now);
    let Some(conn) = ns.ipvs.conns.get(conn).copied() else { return Ok(skb) };
    let service = conn.service;
    let before = Rc::clone(&skb.frame);
    if let Some(ip) = skb.ip_mut() {
        ip.src = IpAddr::V4(service.addr.0);
        match &mut ip.l4 {
            L4::Tcp(t) => t.sport = service.addr.1,
            L4::Udp(u) => u.sport = service.addr.1,
            _ => {}
        }
    }
    rewritten(&skb, before, conn, ctx, cx);
    skb.ipvs_property = true;
    if ns.ipvs.conntrack == 0 {
        ip_vs_notrack(&mut skb);
    }
    if ctx.hook == InetHook::LocalOut {
        return ip_route_me_harder(ns, skb, cx);
    }
    Ok(skb)
}

fn rewritten(skb: &Skb, before: Rc<packet::Frame>, conn: IpvsConn, ctx: &HookCtx, cx: &mut Cx<'_>) {
    let after = Rc::clone(&skb.frame);
    cx.emit(skb.id, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::Rewritten { before, after, conn } });
}
