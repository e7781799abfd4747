//! ICMP errors about connections (`ip_vs_in_icmp`, `ip_vs_out_icmp`, net/netfilter/ipvs/ip_vs_core.c).

use super::Vs;
use super::hooks::{Flow, Scheduled, count, reroute, try_to_schedule};
use super::xmit::{answer_in_conntrack, icmp_xmit, nat_icmp, rewritten};
use crate::event::HookCtx;
use crate::{Cut, Cx, DropReason, Netns, Skb};
use packet::{Icmp, Ip, icmp_type};
use std::rc::Rc;

/// The flow of the packet that an error quotes, and whether the error itself is intact. Only these types are looked at.
fn quoted(skb: &Skb) -> Option<(Flow, bool)> {
    let icmp = skb.ip().and_then(Ip::icmp)?;
    let types = [icmp_type::DEST_UNREACH, icmp_type::SOURCE_QUENCH, icmp_type::TIME_EXCEEDED];
    let inner = types.contains(&icmp.kind).then(|| Icmp::inner(icmp)).flatten()?;
    // A later fragment has no ports.
    (inner.frag.offset == 0).then(|| Flow::of(inner)).flatten().map(|flow| (flow, icmp.checksum_ok))
}

/// An error about an answer, from the client's side: it goes on to the real server.
pub(super) fn ip_vs_in_icmp(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let Some((flow, intact)) = quoted(&skb) else { return Ok(skb) };
    let flow = flow.inverse();
    let conn = match ns.ipvs.conn_in(flow.proto, flow.from, flow.to) {
        Some(conn) => conn,
        None if !ns.ipvs.on(Vs::ScheduleIcmp) => return Ok(skb),
        None => match try_to_schedule(ns, &skb, flow, ctx, cx) {
            Scheduled::Conn(conn) => conn,
            Scheduled::NotOurs => return Ok(skb),
            Scheduled::NoServer { .. } => return Err(cx.drop(&skb, DropReason::IpvsNoServer)),
        },
    };
    if !intact {
        return Err(cx.drop(&skb, DropReason::BadChecksum));
    }
    count(ns, conn, &skb, true, cx);
    match ns.ipvs.conns.get(conn).copied() {
        Some(conn) => icmp_xmit(ns, skb, conn, ctx, cx),
        None => Ok(skb),
    }
}

/// An error about a request, from the real server's side: it comes from the virtual server now.
pub(super) fn ip_vs_out_icmp(
    ns: &mut Netns,
    mut skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let Some((flow, intact)) = quoted(&skb) else { return Ok(skb) };
    let flow = flow.inverse();
    let Some(at) = ns.ipvs.conn_out(flow.proto, flow.from, flow.to) else { return Ok(skb) };
    let Some(conn) = ns.ipvs.conns.get(at).copied() else { return Ok(skb) };
    // handle_response_icmp
    if !intact {
        return Err(cx.drop(&skb, DropReason::BadChecksum));
    }
    let before = Rc::clone(&skb.frame);
    nat_icmp(&mut skb, &conn, true);
    rewritten(&skb, before, conn, ctx, cx);
    let mut skb = reroute(ns, skb, ctx, cx)?;
    count(ns, at, &skb, false, cx);
    answer_in_conntrack(ns, &mut skb, &conn);
    Ok(skb)
}
