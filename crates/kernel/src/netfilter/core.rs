//! `nf_hook`: the one place that interprets what hook functions say (net/netfilter/core.c).

use super::OkFn;
use super::conntrack::{ct_probe, nf_confirm, nf_conntrack_in};
use super::hold::nf_queue;
use super::hook::{HookFn, HookPoint, InetHook};
use super::ipvs::{ip_vs_forward_icmp, ip_vs_in, ip_vs_out};
use super::nat::{nf_nat_inet_fn, nf_nat_ipv4_fn};
use super::nftables::{ChainType, NftBase, nft_do_chain};
use super::xtables::{RouteKey, TableId, Verdict, ipt_do_table, only_policy};
use crate::bridge::{br_forward_finish, br_nf_dev_queue_xmit, br_pre_routing_go_on};
use crate::dev::dev_hard_start_xmit;
use crate::event::{HookCtx, What};
use crate::ipv4::{
    dev_loopback_xmit, dst_output, ip_finish_output, ip_local_deliver_finish, ip_output, ip_rcv_finish,
    ip_route_me_harder, ipv4_conntrack_defrag,
};
use crate::{Cut, Cx, Delivery, DevId, Journey, Netns, Skb};
use packet::{Family, Ip};

/// Runs the functions of a hook in the order of their priority. `Ok` gives the packet back, changed perhaps; `Err`
/// means that it ended here.
pub(crate) fn nf_hook(
    ns: &mut Netns,
    hook: InetHook,
    skb: Skb,
    indev: Option<DevId>,
    outdev: Option<DevId>,
    okfn: OkFn,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let point = HookPoint { family: Family::V4, hook };
    let Some(first) = ns.hooks.get(point, 0) else { return Ok(skb) };
    let ctx = HookCtx {
        family: Family::V4,
        hook,
        indev,
        outdev,
        physin: skb.nf_bridge.map(|b| b.physin),
        physout: skb.nf_bridge.and_then(|b| b.physout),
    };
    // That one comes first, and alone it does nothing here.
    if !matches!(first, HookFn::Sabotage) || ns.hooks.get(point, 1).is_some() {
        cx.emit(skb.id, || What::Hook(ctx.clone()));
    }
    nf_iterate(ns, skb, ctx, (0, okfn), cx)
}

/// `nf_iterate`: the functions of a hook, beginning with the `n`th.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn nf_iterate(
    ns: &mut Netns,
    mut skb: Skb,
    mut ctx: HookCtx,
    (mut n, okfn): (usize, OkFn),
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let point = HookPoint { family: Family::V4, hook: ctx.hook };
    while let Some(func) = ns.hooks.get(point, n) {
        n += 1;
        skb = match *func {
            HookFn::ConntrackIn => nf_conntrack_in(ns, skb, &ctx, cx)?,
            HookFn::Table(table) => table_hook(ns, table, skb, &ctx, cx)?,
            HookFn::Nat => nf_nat_ipv4_fn(ns, skb, &ctx, cx)?,
            HookFn::Confirm => nf_confirm(ns, skb, &ctx, cx)?,
            // Whole datagrams are no concern of it.
            HookFn::Defrag if skb.ip().is_none_or(|ip| !ip.is_fragment()) => skb,
            HookFn::Sabotage if skb.nf_bridge.is_none_or(|b| b.in_prerouting) => skb,
            HookFn::Sabotage => {
                cx.emit(skb.id, || What::HookSkipped(ctx.clone()));
                return Ok(skb);
            }
            HookFn::Hold(stop) => {
                ns.spoil();
                nf_queue(ns, skb, (stop, okfn), &ctx, cx)?
            }
            func => {
                let skb = rare_hook(ns, func, skb, &ctx, cx)?;
                // A datagram that was put together came in where its first fragment did.
                ctx.physin = skb.nf_bridge.map(|b| b.physin);
                skb
            }
        };
    }
    Ok(skb)
}

/// `nf_reinject`: a packet that has stopped goes on with the `n`th function, and then to where the hook would have led.
pub(crate) fn reinject(
    ns: &mut Netns,
    skb: Skb,
    ctx: HookCtx,
    (n, okfn): (usize, OkFn),
    cx: &mut Cx<'_>,
) -> Journey {
    let skb = nf_iterate(ns, skb, ctx, (n, okfn), cx)?;
    match okfn {
        OkFn::IpRcv(dev) => ip_rcv_finish(ns, skb, dev, cx),
        OkFn::IpLocalDeliver => ip_local_deliver_finish(ns, skb, cx),
        OkFn::IpForward(indev) => ip_output(ns, skb, indev, cx),
        OkFn::DstOutput { indev, forwarded } => dst_output(ns, skb, indev, forwarded, cx),
        OkFn::IpFinishOutput { forwarded } => ip_finish_output(ns, skb, forwarded, cx),
        OkFn::LoopBack => dev_loopback_xmit(ns, skb, cx),
        OkFn::BrPreRouting { bridge, port } => br_pre_routing_go_on(ns, skb, bridge, port, cx),
        OkFn::BrForward { bridge, otherhost } => br_forward_finish(ns, skb, bridge, otherhost, cx),
        OkFn::BrPostRouting { bridge } => br_nf_dev_queue_xmit(ns, skb, bridge, cx),
        OkFn::DevXmit(dev) => dev_hard_start_xmit(ns, skb, dev, cx),
        OkFn::Nothing => Ok(Delivery::Local),
    }
}

/// As [`nf_hook`] for a packet of either family, which nothing follows.
pub(crate) fn nf_hook_of(
    ns: &mut Netns,
    hook: InetHook,
    skb: Skb,
    indev: Option<DevId>,
    outdev: Option<DevId>,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    match skb.ip().map_or(Family::V4, Ip::family) {
        Family::V4 => nf_hook(ns, hook, skb, indev, outdev, OkFn::Nothing, cx),
        Family::V6 => nf_hook6(ns, hook, skb, indev, outdev, cx),
    }
}

/// `nf_hook` for IPv6, where there are no fragments, no IPVS and no br_netfilter here.
fn nf_hook6(
    ns: &mut Netns,
    hook: InetHook,
    mut skb: Skb,
    indev: Option<DevId>,
    outdev: Option<DevId>,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let point = HookPoint { family: Family::V6, hook };
    let ctx = HookCtx { family: Family::V6, hook, indev, outdev, physin: None, physout: None };
    if ns.hooks.get(point, 0).is_some() {
        cx.emit(skb.id, || What::Hook(ctx.clone()));
    }
    let mut n = 0;
    while let Some(&func) = ns.hooks.get(point, n) {
        n += 1;
        skb = match func {
            HookFn::ConntrackIn => nf_conntrack_in(ns, skb, &ctx, cx)?,
            HookFn::Table(table) => {
                if let Err(reason) = ipt_do_table(ns, table, &mut skb, &ctx, cx) {
                    return Err(cx.drop(&skb, reason));
                }
                skb
            }
            HookFn::Nft(base) => {
                if let Err(reason) = nft_do_chain(ns, base, &mut skb, &ctx, cx) {
                    return Err(cx.drop(&skb, reason));
                }
                skb
            }
            HookFn::Nat => nf_nat_inet_fn(ns, skb, &ctx, cx)?,
            HookFn::Confirm => nf_confirm(ns, skb, &ctx, cx)?,
            HookFn::Sabotage
            | HookFn::Defrag
            | HookFn::CtProbe
            | HookFn::IpvsIn
            | HookFn::IpvsForwardIcmp
            | HookFn::IpvsOut
            | HookFn::Hold(_) => skb,
        };
    }
    Ok(skb)
}

/// Functions that most packets do not meet, apart from those that they do.
#[cfg_attr(not(target_arch = "wasm32"), inline(never))]
fn rare_hook(ns: &mut Netns, func: HookFn, skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    ns.spoil();
    match func {
        HookFn::Defrag => ipv4_conntrack_defrag(ns, skb, ctx.hook, cx),
        HookFn::Nft(base) => nft_hook(ns, base, skb, ctx, cx),
        HookFn::IpvsIn => ip_vs_in(ns, skb, ctx, cx),
        HookFn::IpvsForwardIcmp => ip_vs_forward_icmp(ns, skb, ctx, cx),
        HookFn::IpvsOut => ip_vs_out(ns, skb, ctx, cx),
        HookFn::CtProbe => {
            ct_probe(&skb, ctx, cx);
            Ok(skb)
        }
        HookFn::Sabotage
        | HookFn::ConntrackIn
        | HookFn::Table(_)
        | HookFn::Nat
        | HookFn::Confirm
        | HookFn::Hold(_) => Ok(skb),
    }
}

/// `iptable_*_hook`; mangle OUTPUT routes anew when it has changed what routing looks at (`ipt_mangle_out`).
#[inline]
fn table_hook(
    ns: &mut Netns,
    table: TableId,
    mut skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let reroutes = table == TableId::Mangle && ctx.hook == InetHook::LocalOut;
    let before = reroutes.then(|| RouteKey::of(&skb)).flatten();
    let said = match only_policy(ns, table, &skb, ctx.hook, cx) {
        Some((Verdict::Accept, _)) => return Ok(skb),
        Some((Verdict::Drop, reason)) => Err(reason),
        None => ipt_do_table(ns, table, &mut skb, ctx, cx),
    };
    if let Err(reason) = said {
        return Err(cx.drop(&skb, reason));
    }
    if reroutes && RouteKey::of(&skb) != before {
        return ip_route_me_harder(ns, skb, cx);
    }
    Ok(skb)
}

/// `nft_do_chain_ipv4`, and `nf_route_table_hook4` for chains of type route, after which a packet may need another route.
fn nft_hook(ns: &mut Netns, base: NftBase, mut skb: Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let reroutes = base.kind == ChainType::Route;
    let before = reroutes.then(|| RouteKey::of(&skb)).flatten();
    if let Err(reason) = nft_do_chain(ns, base, &mut skb, ctx, cx) {
        return Err(cx.drop(&skb, reason));
    }
    if reroutes && RouteKey::of(&skb) != before {
        return ip_route_me_harder(ns, skb, cx);
    }
    Ok(skb)
}
