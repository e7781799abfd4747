//! How packets get to the real server (net/netfilter/ipvs/ip_vs_xmit.c, ip_vs_nfct.c).

use super::{Forward, IpvsConn};
use crate::event::{HookCtx, IpvsStep, What};
use crate::ipv4::{icmp_send, ip_decrease_ttl, ip_local_out_from};
use crate::netfilter::conntrack::{Direction, try_assign_helper};
use crate::netfilter::hook::InetHook;
use crate::route::{Flow, Verdict};
use crate::{Ct, Cut, Cx, DropReason, Netns, Skb};
use packet::{Frame, IcmpBody, L4, icmp_type};
use std::net::IpAddr;
use std::rc::Rc;

/// `ip_vs_nat_xmit`, `ip_vs_dr_xmit`: a packet sets out for the server as if this host had made it.
pub(super) fn packet_xmit(
    ns: &mut Netns,
    skb: Skb,
    conn: IpvsConn,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let (mut skb, local) = get_out_rt(ns, skb, &conn, cx)?;
    if conn.forward.translates() {
        let loops = conn.server.0.is_loopback() && ctx.hook == InetHook::LocalIn;
        if local && loops {
            return Err(cx.drop(&skb, DropReason::MartianDestination));
        }
        let before = Rc::clone(&skb.frame);
        if let Some(ip) = skb.ip_mut() {
            ip.dst = IpAddr::V4(conn.server.0);
            match &mut ip.l4 {
                L4::Tcp(t) => t.dport = conn.server.1,
                L4::Udp(u) => u.dport = conn.server.1,
                _ => {}
            }
        }
        rewritten(&skb, before, conn, ctx, cx);
    } else {
        cx.emit(skb.id, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::Forwarded(conn) });
    }
    send_or_cont(ns, skb, &conn, local, ctx, cx)
}

/// `ip_vs_icmp_xmit`: an error about an answer goes on to the server that had sent it.
pub(super) fn icmp_xmit(
    ns: &mut Netns,
    skb: Skb,
    conn: IpvsConn,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    if !conn.forward.translates() {
        return packet_xmit(ns, skb, conn, ctx, cx);
    }
    let (mut skb, local) = get_out_rt(ns, skb, &conn, cx)?;
    let before = Rc::clone(&skb.frame);
    nat_icmp(&mut skb, &conn, false);
    rewritten(&skb, before, conn, ctx, cx);
    send_or_cont(ns, skb, &conn, local, ctx, cx)
}

/// `ip_vs_nat_icmp`: the packet itself and the one that it quotes. `out` is towards the client.
pub(super) fn nat_icmp(skb: &mut Skb, conn: &IpvsConn, out: bool) {
    let Some(ip) = skb.ip_mut() else { return };
    let (addr, port) = if out { conn.virt } else { conn.server };
    *(if out { &mut ip.src } else { &mut ip.dst }) = IpAddr::V4(addr);
    let L4::Icmp(icmp) = &mut ip.l4 else { return };
    let IcmpBody::Error { inner, .. } = &mut icmp.body else { return };
    *(if out { &mut inner.dst } else { &mut inner.src }) = IpAddr::V4(addr);
    match &mut inner.l4 {
        L4::Tcp(t) => *(if out { &mut t.dport } else { &mut t.sport }) = port,
        L4::Udp(u) => *(if out { &mut u.dport } else { &mut u.sport }) = port,
        _ => {}
    }
}

/// `__ip_vs_get_out_rt`: the way to the server, and one hop less to live. True if the server is this host.
fn get_out_rt(ns: &mut Netns, mut skb: Skb, conn: &IpvsConn, cx: &mut Cx<'_>) -> Result<(Skb, bool), Cut> {
    let route = ns.route_packet(skb.id, &Flow::to(conn.server.0), cx);
    let Ok(mut dst) = route else {
        icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 1, None, cx);
        return Err(cx.drop(&skb, DropReason::Unreachable(crate::route::Unreachable::Host)));
    };
    let local = dst.verdict == Verdict::Local;
    if ns.era().ipvs_decrements_ttl() {
        skb = ip_decrease_ttl(ns, skb, cx)?;
    }
    if conn.forward == Forward::Route && !local {
        // The destination stays the virtual one; the next hop is the server (IP_VS_RT_MODE_KNOWN_NH).
        dst.gateway = dst.gateway.or(Some(conn.server.0));
    }
    skb.dst = Some(dst);
    Ok((skb, local))
}

/// `ip_vs_nat_send_or_cont`, `ip_vs_send_or_cont`: out by OUTPUT, or on in this hook if the server is this host.
fn send_or_cont(
    ns: &mut Netns,
    mut skb: Skb,
    conn: &IpvsConn,
    local: bool,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    skb.ipvs_property = true;
    if !conn.nfct {
        forget(&mut skb);
    } else if conn.forward.translates() {
        update_conntrack(ns, &skb, conn, true);
    }
    if local {
        return Ok(skb);
    }
    match ip_local_out_from(ns, skb, ctx.indev, cx) {
        Ok(_) => Err(Cut(DropReason::Stolen)),
        Err(cut) => Err(cut),
    }
}

/// `ip_vs_notrack`: conntrack forgets the packet.
fn forget(skb: &mut Skb) {
    skb.ct = Ct::Untracked;
}

/// What IPVS does with conntrack after it has rewritten an answer: the entry follows, or without `vs.conntrack` there is none.
pub(super) fn answer_in_conntrack(ns: &mut Netns, skb: &mut Skb, conn: &IpvsConn) {
    skb.ipvs_property = true;
    if conn.nfct {
        update_conntrack(ns, skb, conn, false);
    } else {
        forget(skb);
    }
}

/// `ip_vs_update_conntrack`: of an entry that is not confirmed yet the reply direction changes: a request's answer will
/// come from the server (`request`), an answer's requests went to the virtual server. No NAT bit is set by that.
fn update_conntrack(ns: &mut Netns, skb: &Skb, conn: &IpvsConn, request: bool) {
    let Ct::Tracked { conn: id, info } = skb.ct else { return };
    let (automatic, modules) = (ns.ct.auto_helper, ns.modules);
    let Some(c) = ns.ct.get_mut(id).filter(|c| !c.is_confirmed()) else { return };
    if conn.one_packet || info.dir != Direction::Original {
        return;
    }
    let (addr, port) = if request { conn.server } else { conn.virt };
    let addr = IpAddr::V4(addr);
    c.reply = match request {
        true => c.reply.with_src(addr).with_sport(port),
        false => c.reply.with_dst(addr).with_dport(port),
    };
    try_assign_helper(c, None, automatic, &modules);
}

/// Notes what was changed of a packet.
pub(super) fn rewritten(skb: &Skb, before: Rc<Frame>, conn: IpvsConn, ctx: &HookCtx, cx: &mut Cx<'_>) {
    let after = Rc::clone(&skb.frame);
    cx.emit(skb.id, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::Rewritten { before, after, conn } });
}
