//! When NAT asks the nat table, and what it does with the answer (net/netfilter/nf_nat_core.c, nf_nat_proto.c).

use super::packet::{icmp_reply_translation, manip_pkt};
use super::tuple::{Unique, get_unique_tuple};
use super::{Manip, NatRange};
use crate::event::{HookCtx, What};
use crate::ipv4::ip_route_me_harder;
use crate::netfilter::conntrack::{ConnInfo, CtState, Direction, Tuple, ct_kill, status, try_assign_helper};
use crate::netfilter::hook::{HookFn, HookPoint, InetHook};
use crate::netfilter::nftables::nft_do_chain;
use crate::netfilter::xtables::{TableId, ipt_do_table};
use crate::{ConnId, Ct, Cut, Cx, DropReason, Netns, Skb};
use packet::{L4, Protocol};
use std::rc::Rc;

/// `nf_nat_ipv4_pre_routing`, `_local_in`, `_local_fn`, `_out`
#[inline(never)]
pub(crate) fn nf_nat_ipv4_fn(ns: &mut Netns, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let arrives = ctx.hook == InetHook::PreRouting;
    let daddr = if arrives { skb.ip().map(|ip| ip.dst) } else { None };
    let mut skb = nf_nat_inet_fn(ns, skb, ctx, cx)?;
    match ctx.hook {
        // A new destination needs a new route.
        InetHook::PreRouting if skb.ip().map(|ip| ip.dst) != daddr => skb.dst = None,
        InetHook::LocalOut => {
            if let Ct::Tracked { conn, info } = skb.ct
                && let Some(c) = ns.ct.get(conn)
                && c.tuple(info.dir).dst() != c.tuple(info.dir.flip()).src()
            {
                return ip_route_me_harder(ns, skb, cx);
            }
        }
        _ => {}
    }
    Ok(skb)
}

/// `nf_nat_inet_fn`
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) fn nf_nat_inet_fn(
    ns: &mut Netns,
    mut skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let Ct::Tracked { conn, info } = skb.ct else { return Ok(skb) };
    let manip = Manip::of(ctx.hook);
    let is_icmp = matches!(skb.ip().map(|ip| &ip.l4), Some(L4::Icmp(_) | L4::Icmp6(_)));
    if info.state == CtState::Related && is_icmp {
        return icmp_reply_translation(ns, skb, conn, info, ctx, cx);
    }
    let undecided = matches!(info.state, CtState::New | CtState::Related) && !initialized(ns, conn, manip);
    if !undecided {
        if oif_changed(ns, conn, info, ctx) {
            ct_kill(ns, &skb, conn, cx);
            return Err(cx.drop(&skb, DropReason::MasqueradeMoved));
        }
        return nf_nat_packet(ns, skb, conn, info.dir, ctx, cx);
    }
    // The first one that decides ends it.
    let point = HookPoint { family: ctx.family, hook: ctx.hook };
    let mut n = 0;
    while let Some(func) = ns.hooks.nat(point, n) {
        n += 1;
        let said = match func {
            &HookFn::Nft(base) => nft_do_chain(ns, base, &mut skb, ctx, cx),
            _ => ipt_do_table(ns, TableId::Nat, &mut skb, ctx, cx),
        };
        if let Err(reason) = said {
            return Err(cx.drop(&skb, reason));
        }
        if initialized(ns, conn, manip) {
            return nf_nat_packet(ns, skb, conn, info.dir, ctx, cx);
        }
    }
    if let Err(reason) = null_binding(ns, &skb, conn, manip, cx) {
        return Err(cx.drop(&skb, reason));
    }
    nf_nat_packet(ns, skb, conn, info.dir, ctx, cx)
}

/// `nf_nat_oif_changed`: the flow has the address of a device by which this packet does not leave.
fn oif_changed(ns: &Netns, conn: ConnId, info: ConnInfo, ctx: &HookCtx) -> bool {
    let leaves = ctx.hook == InetHook::PostRouting && info.dir == Direction::Original;
    let masq = ns.ct.get(conn).and_then(|c| c.masq);
    leaves && masq.is_some() && masq != ctx.outdev
}

fn initialized(ns: &Netns, conn: ConnId, manip: Manip) -> bool {
    let bit = done_bit(manip);
    ns.ct.get(conn).is_none_or(|c| c.status & bit != 0)
}

fn done_bit(manip: Manip) -> u32 {
    match manip {
        Manip::Src => status::SRC_NAT_DONE,
        Manip::Dst => status::DST_NAT_DONE,
    }
}

fn nat_bit(manip: Manip) -> u32 {
    match manip {
        Manip::Src => status::SRC_NAT,
        Manip::Dst => status::DST_NAT,
    }
}

/// `nf_nat_alloc_null_binding`: no rule asked for anything, but the tuple must still be unique.
fn null_binding(
    ns: &mut Netns,
    skb: &Skb,
    conn: ConnId,
    manip: Manip,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    let Some(c) = ns.ct.get(conn) else { return Ok(()) };
    if !c.is_confirmed() && ns.ct.find(&c.reply, c.zone, cx.now).is_none() {
        // Nobody is in the way.
        decided(ns, skb, conn, manip, true, cx);
        return Ok(());
    }
    let addr = match manip {
        // Whatever the other direction has been decided to be.
        Manip::Src => c.reply.dst(),
        Manip::Dst => c.reply.src(),
    };
    let range = NatRange { addr: Some((addr, addr)), ..NatRange::default() };
    nf_nat_setup_info(ns, skb, conn, &range, manip, true, cx)
}

/// `nf_nat_setup_info`: decides one direction of an entry.
pub(crate) fn nf_nat_setup_info(
    ns: &mut Netns,
    skb: &Skb,
    conn: ConnId,
    range: &NatRange,
    manip: Manip,
    null: bool,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    let Some(c) = ns.ct.get(conn) else { return Ok(()) };
    if c.is_confirmed() || c.status & done_bit(manip) != 0 {
        return Ok(());
    }
    // Every entry has an answer that can be inverted: it could not have been made otherwise.
    let current = c.reply.invert().ok_or(DropReason::CtInsertFailed)?;
    let reply = match get_unique_tuple(ns, &current, range, conn, manip, cx) {
        Unique::Same => None,
        Unique::Changed(new, old) => {
            if let Some(old) = old {
                ct_kill(ns, skb, old, cx);
            }
            Some(new.invert().ok_or(DropReason::CtInsertFailed)?)
        }
    };
    if let Some(reply) = reply {
        alter_reply(ns, conn, reply, manip);
    }
    decided(ns, skb, conn, manip, null, cx);
    Ok(())
}

/// `nf_conntrack_alter_reply`: another server port may be that of a helper.
fn alter_reply(ns: &mut Netns, conn: ConnId, reply: Tuple, manip: Manip) {
    let (automatic, modules) = (ns.ct.auto_helper, ns.modules);
    if let Some(c) = ns.ct.get_mut(conn).filter(|c| c.reply != reply) {
        c.reply = reply;
        c.status |= nat_bit(manip);
        try_assign_helper(c, None, automatic, &modules);
    }
}

/// One direction of an entry has been decided.
fn decided(ns: &mut Netns, skb: &Skb, conn: ConnId, manip: Manip, null: bool, cx: &mut Cx<'_>) {
    let now = cx.now;
    if let Some(c) = ns.ct.get_mut(conn) {
        c.status |= done_bit(manip);
        cx.emit(skb.id, || What::NatSetup { conn, manip, null, row: Box::new(c.row(now)) });
    }
}

/// `nf_nat_packet`: rewrites the packet as its entry says.
fn nf_nat_packet(
    ns: &Netns,
    mut skb: Skb,
    conn: ConnId,
    dir: Direction,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let manip = Manip::of(ctx.hook);
    let Some(c) = ns.ct.get(conn) else { return Ok(skb) };
    let bit = match (manip, dir) {
        (_, Direction::Original) => nat_bit(manip),
        (Manip::Src, Direction::Reply) => status::DST_NAT,
        (Manip::Dst, Direction::Reply) => status::SRC_NAT,
    };
    if c.status & bit == 0 {
        return Ok(skb);
    }
    let Some(target) = c.tuple(dir.flip()).invert() else { return Ok(skb) };
    // gre_manip_pkt wants to write into a header that is not there.
    if skb
        .ip()
        .is_some_and(|ip| matches!(&ip.l4, L4::Other(Protocol::GRE, b) if b.len() < written(Protocol::GRE)))
    {
        return Err(cx.drop(&skb, DropReason::NetfilterDrop));
    }
    let before = cx.explains().then(|| Rc::clone(&skb.frame));
    // A header that the first fragment does not hold whole is put together; the fragments do not fit any more.
    let first = skb.frag_list.as_ref().and_then(|parts| parts.first());
    if first.is_some_and(|(_, len)| skb.ip().is_some_and(|ip| *len < written(ip.protocol()))) {
        skb.frag_list = None;
    }
    let changed = skb.ip_mut().is_some_and(|ip| manip_pkt(ip, &target, manip));
    if changed {
        report(&skb, before, conn, manip, ctx, cx);
    }
    Ok(skb)
}

/// Bytes of the transport header that NAT writes (`l4proto_manip_pkt`).
fn written(proto: Protocol) -> usize {
    match proto {
        Protocol::TCP => 20,
        Protocol::SCTP => 12,
        _ => 8,
    }
}

/// Logs a rewriting. Only who keeps a log has kept the packet as it was: keeping it means a copy.
pub(super) fn report(
    skb: &Skb,
    before: Option<Rc<packet::Frame>>,
    conn: ConnId,
    manip: Manip,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) {
    let Some(before) = before else { return cx.pass_over(1) };
    let (hook, after) = (ctx.hook, Rc::clone(&skb.frame));
    cx.emit(skb.id, || What::Nat { hook, conn, manip, before, after });
}
