//! Tunnels whose ends do not agree.

use super::super::plan::back;
use super::{Change, Met, Tries};
use crate::session::{At, Typed};
use kernel::dev::{DevKind, Device, Vxlan};
use kernel::{DropReason, Netns};

/// Against a number, port or own address of a vxlan that its peers do not have: it is made anew, with what it had.
pub(super) fn against(met: &Met<'_>, tries: &mut Tries) {
    let reason = met.end.reason;
    let lost =
        matches!(reason, DropReason::VxlanVniNotFound | DropReason::NoSocket | DropReason::Unreachable(_));
    let Some(begun) = met.begun.filter(|_| lost) else { return };
    let mut all: Vec<(&Netns, &Device, &Vxlan)> = Vec::new();
    for ns in begun.world.hosts() {
        for dev in ns.devices().iter().filter(|d| !d.gone) {
            if let DevKind::Vxlan(v) = &dev.kind {
                all.push((ns, dev, v));
            }
        }
    }
    let mut others: Vec<(usize, &Netns, &Device, Vxlan)> = Vec::new();
    for (ns, dev, v) in &all {
        let own = ns.devices().iter().filter(|d| !d.gone).flat_map(|d| &d.addrs).map(|a| a.net.addr());
        let own: Vec<_> = own.collect();
        let like = |p: &Vxlan| all.iter().filter(|(.., o)| (o.vni, o.port) == (p.vni, p.port)).count();
        let leads = |p: &Vxlan| {
            let mut to = p.fdb.iter().flat_map(|e| &e.remotes).chain(&p.remote).filter(|a| own.contains(a));
            to.next().copied()
        };
        for (at, _, peer) in &all {
            if let Some(addr) = leads(peer).filter(|_| at.id != ns.id) {
                let local = v.local.map(|l| if own.contains(&l) { l } else { addr });
                let other = Vxlan { vni: peer.vni, port: peer.port, local, ..Vxlan::clone(v) };
                if other != **v {
                    others.push((like(peer), ns, dev, other));
                }
            }
        }
    }
    // Who is alone is wrong, mostly.
    sorted::sort_by_key(&mut others, |(like, ..)| std::cmp::Reverse(*like));
    for (_, ns, dev, other) in others {
        let mut was = ns.clone();
        if let Some(v) = was.vxlan_mut(dev.id) {
            *v = other;
        }
        let typed = |line| Typed { at: At::Setup, on: Some(ns.name.clone()), line, stdin: String::new() };
        let made = Change::Box(ns.name.clone(), back(&was, ns).into_iter().map(typed).collect());
        if !tries.out.iter().any(|c| c.commands() == made.commands()) {
            tries.out.push(made);
        }
    }
}
