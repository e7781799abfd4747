//! Tunnels whose ends do not agree.

use super::super::plan::back;
use super::{Change, Met, Tries};
use crate::session::{At, Typed};
use kernel::DropReason;
use kernel::dev::{DevKind, Vxlan};
use sim::view::copy;
use std::net::Ipv4Addr;

/// Against a number, port or own address of a vxlan that its peers do not have: it is made anew, with what it had.
pub(super) fn against(met: &Met<'_>, tries: &mut Tries) {
    let reason = met.end.reason;
    let lost =
        matches!(reason, DropReason::VxlanVniNotFound | DropReason::NoSocket | DropReason::Unreachable(_));
    // Once for all ends.
    let done = tries.out.iter().any(|c| matches!(c, Change::Box(..)));
    let Some(begun) = met.begun.filter(|_| lost && !done) else { return };
    let mut all = Vec::new();
    for ns in begun.world.hosts() {
        for dev in ns.devices().iter().filter(|d| !d.gone) {
            if let DevKind::Vxlan(v) = &dev.kind {
                all.push((ns, dev.id, &**v));
            }
        }
    }
    let mut made = Vec::new();
    for (ns, id, v) in &all {
        let has = |a: Ipv4Addr| {
            ns.devices().iter().any(|d| !d.gone && d.addrs.iter().any(|own| own.net.addr() == a))
        };
        for (.., peer) in all.iter().filter(|(at, ..)| at.id != ns.id) {
            let leads = peer.fdb.iter().flat_map(|e| &e.remotes).chain(&peer.remote).find(|a| has(**a));
            let local = v.local.and_then(|l| if has(l) { Some(l) } else { leads.copied() });
            let other = Vxlan { vni: peer.vni, port: peer.port, local, ..Vxlan::clone(v) };
            if leads.is_some() && other != **v {
                let mut was = copy(ns);
                was.vxlan_mut(*id).into_iter().for_each(|v| v.clone_from(&other));
                // Who is alone is wrong, mostly.
                let like = all.iter().filter(|(.., o)| (o.vni, o.port) == (peer.vni, peer.port)).count();
                let line =
                    |line| Typed { at: At::Setup, on: Some(ns.name.clone()), line, stdin: String::new() };
                let lines = back(&was, ns).into_iter().map(line);
                made.push((like, Change::Box(ns.name.clone(), lines.collect())));
            }
        }
    }
    sorted::sort_by_key(&mut made, |(like, _)| std::cmp::Reverse(*like));
    tries.out.extend(made.into_iter().map(|(_, change)| change));
}
