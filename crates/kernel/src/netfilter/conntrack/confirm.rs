//! The last hook: new entries enter the table, changes are reported (`nf_confirm`, `__nf_conntrack_confirm`).

use super::clash::resolve_clash;
use super::core::bury;
use super::expect::remove_expectations;
use super::helper::help;
use super::seqadj::nf_ct_seq_adjust;
use super::{CtState, Direction, ipct};
use crate::event::{CtEvent, CtEventKind, HookCtx, What};
use crate::{ConnId, Ct, Cut, Cx, DevId, Netns, Skb};

/// `nf_confirm` (net/netfilter/nf_conntrack_proto.c)
#[inline(never)]
pub(crate) fn nf_confirm(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let Ct::Tracked { conn, info } = skb.ct else { return Ok(skb) };
    // An ICMP error about an answer changes nothing.
    let mut skb = match (info.state, info.dir) {
        (CtState::Related, Direction::Reply) => skb,
        _ => help(ns, skb, conn, info, cx)?,
    };
    // A packet that comes back from loopback has been adjusted on its way out.
    if ctx.indev != Some(DevId(0)) {
        nf_ct_seq_adjust(ns, &mut skb, conn, info);
    }
    let skb = confirm(ns, skb, cx)?;
    // Another one, if this packet's own was not needed.
    if let Some(conn) = skb.ct.conn() {
        deliver_cached_events(ns, &skb, conn, cx);
    }
    Ok(skb)
}

/// `__nf_conntrack_confirm`: a new entry enters the table. Nobody is told yet.
pub(crate) fn confirm(ns: &mut Netns, skb: Skb, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let Ct::Tracked { conn, info } = skb.ct else { return Ok(skb) };
    let Some(c) = ns.ct.get(conn) else { return Ok(skb) };
    // An answer that the box made itself (ICMP error, RST) does not put the flow into the table.
    if c.is_confirmed() || info.dir != Direction::Original {
        return Ok(skb);
    }
    if ns.ct.insert(conn, cx.now).is_err() {
        let Some((orig, reply, zone)) = ns.ct.get(conn).map(|c| (c.orig, c.reply, c.zone)) else {
            return Ok(skb);
        };
        bury(ns, &skb, &orig, zone, cx);
        bury(ns, &skb, &reply, zone, cx);
        if let Err(winner) = ns.ct.insert(conn, cx.now) {
            return resolve_clash(ns, skb, (conn, info), winner, cx);
        }
    }
    cx.emit(skb.id, || What::Confirmed(conn));
    if let Some(c) = ns.ct.get_mut(conn) {
        c.pending |= if c.master.is_some() { ipct::RELATED } else { ipct::NEW };
        if c.helper.is_some() {
            c.pending |= ipct::HELPER;
        }
    }
    Ok(skb)
}

/// `nf_ct_deliver_cached_events`
fn deliver_cached_events(ns: &mut Netns, skb: &Skb, conn: ConnId, cx: &mut Cx<'_>) {
    let now = cx.now;
    if let Some(c) = ns.ct.get_mut(conn).filter(|c| c.has_news()) {
        let events = std::mem::take(&mut c.pending);
        let new = events & (ipct::NEW | ipct::RELATED) != 0;
        let kind = if new { CtEventKind::New } else { CtEventKind::Update };
        let (proto, mark) = (events & ipct::PROTOINFO != 0, events & ipct::MARK != 0);
        cx.ct_event(skb.id, || CtEvent { kind, row: c.row(now), proto, mark });
    }
}

/// `nf_ct_kill`: the entry leaves the table at once.
pub(crate) fn ct_kill(ns: &mut Netns, skb: &Skb, conn: ConnId, cx: &mut Cx<'_>) {
    let told = ns.ct.get(conn).is_some_and(|c| !c.silent && c.events.conntrack & ipct::DESTROY != 0);
    let helped = ns.ct.get(conn).is_some_and(|c| c.helper.is_some());
    let Some(row) = ns.ct.remove(conn, told && cx.explains(), cx.now) else { return };
    match row {
        Some(row) => {
            cx.ct_event(skb.id, || CtEvent { kind: CtEventKind::Destroy, row, proto: true, mark: false })
        }
        None => cx.pass_over(usize::from(told)),
    }
    if helped {
        remove_expectations(ns, skb.id, conn, cx);
    }
}
