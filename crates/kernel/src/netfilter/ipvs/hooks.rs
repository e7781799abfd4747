//! What IPVS does with a packet (net/netfilter/ipvs/ip_vs_core.c).

use super::conn::NewConn;
use super::era::PortReuse;
use super::expire::{ip_vs_conn_del, ip_vs_conn_gc};
use super::icmp::{ip_vs_in_icmp, ip_vs_out_icmp};
use super::persist::ip_vs_sched_persist;
use super::service::{FTP, FTP_DATA};
use super::xmit::{answer_in_conntrack, packet_xmit, rewritten};
use super::{Endpoint, Forward, IpvsState, ServiceId, Vs};
use crate::event::{HookCtx, IpvsStep, What};
use crate::ipv4::{icmp_send, ip_route_me_harder};
use crate::netfilter::hook::InetHook;
use crate::{Cut, Cx, DevId, DropReason, Netns, PktType, Skb};
use packet::{Ip, L4, Protocol, TcpFlags, icmp_type};
use std::net::IpAddr;
use std::rc::Rc;

/// Protocol, source and destination of a packet that IPVS can handle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub proto: Protocol,
    pub from: Endpoint,
    pub to: Endpoint,
}

impl Flow {
    pub fn of(ip: &Ip) -> Option<Flow> {
        let (from, to) = (ip.src_v4()?, ip.dst_v4()?);
        let (sport, dport) = ip.ports()?;
        Some(Flow { proto: ip.protocol(), from: (from, sport), to: (to, dport) })
    }

    /// The other way.
    pub fn inverse(self) -> Flow {
        Flow { proto: self.proto, from: self.to, to: self.from }
    }
}

/// What became of a new connection.
pub(super) enum Scheduled {
    /// It has a server.
    Conn(usize),
    /// It is none of IPVS's business.
    NotOurs,
    /// The virtual server has no server for it; `silent` without an answer.
    NoServer { silent: bool },
}

fn is_icmp(skb: &Skb) -> bool {
    skb.ip().is_some_and(|ip| matches!(ip.l4, L4::Icmp(_)))
}

/// `ip_vs_in_hook`: a packet to a virtual server goes to a real one. If it leaves by this function it is stolen; a server
/// on this host gets it by the rest of the hook.
pub(crate) fn ip_vs_in(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let foreign = skb.pkt_type != PktType::Host && ctx.hook != InetHook::LocalOut;
    if skb.ipvs_property || foreign || skb.dst.is_none() || ns.ipvs.on(Vs::BackupOnly) {
        return Ok(skb);
    }
    ip_vs_conn_gc(ns, cx);
    if is_icmp(&skb) {
        return ip_vs_in_icmp(ns, skb, ctx, cx);
    }
    let Some(flow) = skb.ip().and_then(Flow::of) else { return Ok(skb) };
    let known = ns.ipvs.conn_in(flow.proto, flow.from, flow.to);
    let conn = match known.map(|at| usable_conn(ns, at, &skb, cx)).transpose()?.flatten() {
        Some(conn) => conn,
        None => match try_to_schedule(ns, &skb, flow, ctx, cx) {
            Scheduled::Conn(conn) => conn,
            Scheduled::NotOurs => return Ok(skb),
            Scheduled::NoServer { silent } => {
                if !silent {
                    icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 3, None, cx);
                }
                return Err(cx.drop(&skb, DropReason::IpvsNoServer));
            }
        },
    };
    count(ns, conn, &skb, true, cx);
    ns.ipvs.set_state(conn, skb.tcp().map(|t| t.flags), true, ns.era(), cx.now);
    match ns.ipvs.conns.get(conn).copied() {
        Some(conn) => packet_xmit(ns, skb, conn, ctx, cx),
        None => Ok(skb),
    }
}

/// `ip_vs_conn_uses_old_conntrack`: conntrack would keep translating for the old server.
fn uses_old_conntrack(ns: &Netns, at: usize, skb: &Skb) -> bool {
    let follows = ns.ipvs.conns.get(at).is_some_and(|c| c.nfct);
    follows && skb.ct.conn().and_then(|id| ns.ct.get(id)).is_some_and(|c| c.is_confirmed())
}

/// The connection of a packet, if it may go on with it. `None`: it is scheduled anew.
fn usable_conn(ns: &mut Netns, at: usize, skb: &Skb, cx: &mut Cx<'_>) -> Result<Option<usize>, Cut> {
    let Some(c) = ns.ipvs.conns.get(at).copied() else { return Ok(None) };
    let (reuse, era) = (ns.ipvs.vs(Vs::ConnReuseMode), ns.era());
    let controls = ns.ipvs.conns.iter().any(|o| o.control == Some(c.id));
    let expire = ns.ipvs.on(Vs::ExpireNodestConn);
    let dest = ns.ipvs.dest(c.dest).map(|d| d.spec.weight);
    // is_new_conn
    if skb.tcp().is_some_and(|t| t.flags.has(TcpFlags::SYN)) {
        // is_new_conn_expected
        let over = matches!(c.state, IpvsState::TimeWait | IpvsState::Close)
            || reuse & 2 != 0 && c.state == IpvsState::FinWait && c.no_output;
        let expected = era.ipvs_port_reuse() != PortReuse::Never && reuse != 0 && c.control.is_none() && over;
        if expire && dest == Some(0) || expected {
            let old = uses_old_conntrack(ns, at, skb);
            let drop = match era.ipvs_port_reuse() {
                PortReuse::Tracked => c.nfct && skb.ct.conn().is_some(),
                _ => old,
            };
            if !controls || !drop {
                return resched(ns, at, drop, skb, cx);
            }
        }
    }
    if dest.is_some() {
        return Ok(Some(at));
    }
    if !expire {
        return Err(cx.drop(skb, DropReason::IpvsNoServer));
    }
    let drop = !era.ipvs_flushes_nodest() || uses_old_conntrack(ns, at, skb);
    resched(ns, at, drop, skb, cx)
}

/// The old connection ends (`ip_vs_conn_expire_now`). The packet begins a new one, unless it belongs to an entry of
/// conntrack that only the next packet will not find any more.
fn resched(ns: &mut Netns, at: usize, drop: bool, skb: &Skb, cx: &mut Cx<'_>) -> Result<Option<usize>, Cut> {
    if let Some(c) = ns.ipvs.conns.get_mut(at) {
        c.nfct &= drop;
    }
    ip_vs_conn_del(ns, at, cx);
    if drop { Err(cx.drop(skb, DropReason::IpvsNoServer)) } else { Ok(None) }
}

/// `ip_vs_try_to_schedule`, `tcp_conn_schedule`, `udp_conn_schedule`: TCP begins with a SYN.
pub(super) fn try_to_schedule(
    ns: &mut Netns,
    skb: &Skb,
    flow: Flow,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Scheduled {
    let sloppy = ns.ipvs.on(Vs::SloppyTcp);
    let begins = |t: &packet::Tcp| !t.flags.has(TcpFlags::RST) && (sloppy || t.flags.has(TcpFlags::SYN));
    if !skb.tcp().is_none_or(begins) {
        return Scheduled::NotOurs;
    }
    let Some(at) = ns.ipvs.service_find(skb.mark, flow.proto, flow.to) else { return Scheduled::NotOurs };
    ip_vs_schedule(ns, at, skb, flow, ctx, cx)
}

/// `ip_vs_schedule`: a new connection gets its server.
fn ip_vs_schedule(
    ns: &mut Netns,
    at: usize,
    skb: &Skb,
    flow: Flow,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Scheduled {
    let Some(spec) = ns.ipvs.services.get(at).map(|s| s.spec) else { return Scheduled::NotOurs };
    if flow.from.1 == FTP_DATA {
        return Scheduled::NotOurs;
    }
    // An answer of a real server on this host.
    let own = skb.dev.is_none_or(|d| d == DevId(0));
    if own && ns.ipvs.conn_in(flow.proto, flow.to, flow.from).is_some() {
        return Scheduled::NotOurs;
    }
    let made = if spec.persistent.is_some() {
        ip_vs_sched_persist(ns, at, flow, ctx, skb.id, cx)
    } else if spec.id.fwmark == 0 && flow.to.1 != spec.id.addr.1 {
        None
    } else {
        choose(ns, at, flow, ctx, skb.id, cx).map(|(dest, server, forward)| {
            let server = (server.0, if server.1 == 0 { flow.to.1 } else { server.1 });
            let one_packet = spec.one_packet && flow.proto == Protocol::UDP;
            let new = NewConn::plain(spec.id, flow, server, dest, forward, one_packet);
            ns.ipvs.conn_new(new, cx.now)
        })
    };
    let Some(conn) = made else {
        // ip_vs_leave: a packet to another port of FTP's address is not refused.
        if spec.id.addr.1 == FTP && flow.to.1 != FTP {
            return Scheduled::NotOurs;
        }
        return Scheduled::NoServer { silent: is_icmp(skb) };
    };
    let Some(c) = ns.ipvs.conns.get(conn).copied() else { return Scheduled::NotOurs };
    cx.emit(skb.id, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::Scheduled(c.service, c.server) });
    each_counter(ns, conn, &mut |stats| stats.conn(cx.now));
    Scheduled::Conn(conn)
}

/// The scheduler's choice: number, address and port of the server, and how to get there.
pub(super) fn choose(
    ns: &mut Netns,
    at: usize,
    flow: Flow,
    ctx: &HookCtx,
    packet: crate::PacketId,
    cx: &mut Cx<'_>,
) -> Option<(u32, Endpoint, Forward)> {
    let era = ns.era();
    let service = ns.ipvs.services.get_mut(at)?;
    let place = service.schedule(flow.from, flow.to, era);
    if let Some(d) = place.and_then(|p| service.dests.get(p)) {
        return Some((d.id, d.spec.addr, d.spec.forward));
    }
    let (id, name) = (service.id, service.spec.scheduler.name());
    cx.emit(packet, || What::Ipvs { ctx: ctx.clone(), step: IpvsStep::NoServer(id) });
    ns.net_warn(packet, format_args!("{}", no_destination(id, name)), cx);
    None
}

/// `ip_vs_scheduler_err`, one of the messages that are held back when there are too many (`IP_VS_ERR_RL`).
fn no_destination(id: ServiceId, scheduler: &str) -> String {
    let what = match id.fwmark {
        0 => format!("{} {id}", id.proto.to_string().to_ascii_uppercase()),
        mark => format!("FWM {mark} 0x{mark:08X}"),
    };
    format!("IPVS: {scheduler}: {what} - no destination available")
}

/// Changes the counters of a connection's real server, of its virtual server, and of everything.
fn each_counter(ns: &mut Netns, conn: usize, change: &mut dyn FnMut(&mut super::Stats)) {
    let Some(c) = ns.ipvs.conns.get(conn).copied() else { return };
    if !ns.ipvs.is_available(c.dest) {
        return;
    }
    if let Some(d) = ns.ipvs.dest_mut(c.dest) {
        change(&mut d.stats);
    }
    if let Some(s) = ns.ipvs.services.iter_mut().find(|s| s.dests.iter().any(|d| d.id == c.dest)) {
        change(&mut s.stats);
    }
    change(&mut ns.ipvs.stats);
}

/// `ip_vs_in_stats`, `ip_vs_out_stats`
pub(super) fn count(ns: &mut Netns, conn: usize, skb: &Skb, request: bool, cx: &Cx<'_>) {
    let bytes = skb.ip().map_or(0, Ip::total_len);
    each_counter(ns, conn, &mut |stats| stats.packet(request, bytes, cx.now));
}

/// `ip_vs_out_hook`: an answer from a real server gets the address of the virtual one.
pub(crate) fn ip_vs_out(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    // br_netfilter lends a route to what the bridge forwards (`bridge_parent_rtable`).
    let routed = skb.dst.is_some() || skb.nf_bridge.is_some();
    if skb.ipvs_property || !routed {
        return Ok(skb);
    }
    ip_vs_conn_gc(ns, cx);
    if is_icmp(&skb) {
        return ip_vs_out_icmp(ns, skb, ctx, cx);
    }
    let Some(flow) = skb.ip().and_then(Flow::of) else { return Ok(skb) };
    match ns.ipvs.conn_out(flow.proto, flow.from, flow.to) {
        Some(conn) => handle_response(ns, skb, conn, ctx, cx),
        None => {
            // ip_vs_has_real_service
            let serves = |s: &super::Service| {
                s.id.proto == flow.proto && s.dests.iter().any(|d| d.spec.addr == flow.from)
            };
            let reset = skb.tcp().is_some_and(|t| t.flags.has(TcpFlags::RST));
            if ns.ipvs.on(Vs::NatIcmpSend) && !reset && ns.ipvs.services.iter().any(serves) {
                icmp_send(ns, &skb, icmp_type::DEST_UNREACH, 3, None, cx);
                return Err(cx.drop(&skb, DropReason::IpvsNoServer));
            }
            Ok(skb)
        }
    }
}

/// `handle_response`
fn handle_response(
    ns: &mut Netns,
    mut skb: Skb,
    at: usize,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let Some(conn) = ns.ipvs.conns.get(at).copied() else { return Ok(skb) };
    let before = Rc::clone(&skb.frame);
    if let Some(ip) = skb.ip_mut() {
        ip.src = IpAddr::V4(conn.virt.0);
        match &mut ip.l4 {
            L4::Tcp(t) => t.sport = conn.virt.1,
            L4::Udp(u) => u.sport = conn.virt.1,
            _ => {}
        }
    }
    skb = reroute(ns, skb, ctx, cx)?;
    count(ns, at, &skb, false, cx);
    ns.ipvs.set_state(at, skb.tcp().map(|t| t.flags), false, ns.era(), cx.now);
    if let Some(now) = ns.ipvs.conns.get(at).copied() {
        rewritten(&skb, before, now, ctx, cx);
    }
    answer_in_conntrack(ns, &mut skb, &conn);
    Ok(skb)
}

/// `ip_vs_route_me_harder`: the source is another one now. Answers to this host stay where they are.
pub(super) fn reroute(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    if !ns.ipvs.on(Vs::SnatReroute) || ctx.hook == InetHook::LocalIn {
        return Ok(skb);
    }
    ip_route_me_harder(ns, skb, cx)
}

/// `ip_vs_forward_icmp`: errors about connections whose virtual address is not this host's.
pub(crate) fn ip_vs_forward_icmp(
    ns: &mut Netns,
    skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    if !is_icmp(&skb) || skb.ipvs_property || ns.ipvs.on(Vs::BackupOnly) {
        return Ok(skb);
    }
    ip_vs_conn_gc(ns, cx);
    ip_vs_in_icmp(ns, skb, ctx, cx)
}
