//! Packets that stop between two hook functions and go on later, as with `NF_QUEUE` and `nf_reinject` (net/netfilter/nf_queue.c).
//!
//! One processor runs a packet from the moment it comes in to the moment it leaves; what is decided on the way (an entry of
//! conntrack, an endpoint, a port) others see only when the entry is confirmed. Between these points a second processor may
//! run another packet. A [`Hold`] names packets and the points at which they stop, so that it can be said who goes on first.

use super::hook::{HookFn, HookList, HookOps, HookPoint, InetHook, priority};
use super::reinject;
use crate::event::{HookCtx, What};
use crate::{ConnId, Ct, Cut, Cx, DevId, DropReason, Netns, PacketId, Skb};
use packet::{Family, Ip, Port, Protocol};
use std::net::IpAddr;

/// A point at which a packet can be overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Before conntrack looks for the packet's entry.
    Lookup,
    /// The packet has a new entry, which nobody else finds yet; NAT has not decided where it goes.
    Entry,
    /// Where it goes is decided; NAT has not chosen the source port, which nobody else may have.
    Port,
    /// All is decided; the entry is not in the table yet.
    Confirm,
    /// The packet waits in the queue of the veth by which it leaves the box; nobody has captured it there yet.
    Transmit,
}

impl Stop {
    /// All of them, in the order in which a packet meets them.
    pub const ALL: [Stop; 5] = [Stop::Lookup, Stop::Entry, Stop::Port, Stop::Confirm, Stop::Transmit];

    /// Those at which conntrack and NAT can be overtaken.
    pub const CONNTRACK: [Stop; 4] = [Stop::Lookup, Stop::Entry, Stop::Port, Stop::Confirm];

    /// `lookup`, `entry`, `port`, `confirm`, `transmit`.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Lookup => "lookup",
            Stop::Entry => "entry",
            Stop::Port => "port",
            Stop::Confirm => "confirm",
            Stop::Transmit => "transmit",
        }
    }

    /// The stop of that name.
    pub fn from_name(name: &str) -> Option<Stop> {
        Stop::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The hooks that have it, and its place among their functions.
    fn places(self) -> (&'static [InetHook], i32) {
        let first = &[InetHook::PreRouting, InetHook::LocalOut];
        let last = &[InetHook::LocalIn, InetHook::PostRouting];
        match self {
            Stop::Lookup => (first, priority::CONNTRACK - 1),
            Stop::Entry => (first, priority::CONNTRACK + 2),
            Stop::Port => (last, priority::NAT_SRC - 1),
            Stop::Confirm => (last, priority::CONNTRACK_CONFIRM - 1),
            // Behind all hooks.
            Stop::Transmit => (&[], i32::MAX),
        }
    }
}

/// Which packets are meant. What is not said is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketFilter {
    /// Protocol.
    pub proto: Option<Protocol>,
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Source port.
    pub sport: Option<Port>,
    /// Destination port.
    pub dport: Option<Port>,
}

impl PacketFilter {
    /// True if the packet is as asked.
    pub fn matches(&self, ip: &Ip) -> bool {
        let (sport, dport) = ip.ports().map_or((None, None), |(s, d)| (Some(s), Some(d)));
        self.proto.is_none_or(|p| p == ip.protocol())
            && self.src.is_none_or(|a| a == ip.src)
            && self.dst.is_none_or(|a| a == ip.dst)
            && self.sport.is_none_or(|p| Some(p) == sport)
            && self.dport.is_none_or(|p| Some(p) == dport)
    }
}

/// What follows when all functions of a hook have let a packet pass (`okfn` of `NF_HOOK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OkFn {
    /// `ip_rcv_finish`: it came in by this device.
    IpRcv(DevId),
    /// `ip_local_deliver_finish`
    IpLocalDeliver,
    /// `ip_forward_finish`: it came in by this device.
    IpForward(Option<DevId>),
    /// `dst_output`
    DstOutput {
        /// The device that it bears.
        indev: Option<DevId>,
        /// Another host has made it.
        forwarded: bool,
    },
    /// `ip_finish_output`
    IpFinishOutput {
        /// Another host has made it.
        forwarded: bool,
    },
    /// `ip_mc_finish_output`: it comes back in to this host.
    LoopBack,
    /// `br_nf_pre_routing_finish`
    BrPreRouting {
        /// The bridge.
        bridge: DevId,
        /// The port that it came in by.
        port: DevId,
    },
    /// `br_nf_forward_finish`
    BrForward {
        /// The bridge.
        bridge: DevId,
        /// The frame was addressed to somebody else.
        otherhost: bool,
    },
    /// `br_nf_dev_queue_xmit`
    BrPostRouting {
        /// The bridge.
        bridge: DevId,
    },
    /// `dev_hard_start_xmit`: out of this device.
    DevXmit(DevId),
    /// Nothing: somebody wants to see what the hook does.
    Nothing,
}

/// Which packets stop, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Packets of the box, as they are at the first of the stops.
    pub packets: PacketFilter,
    /// So many of them: the first runs on processor 0, the second on 1.
    pub count: usize,
    /// Where they stop, each at all of these.
    pub stops: Vec<Stop>,
}

/// A packet that has stopped (`struct nf_queue_entry`).
#[derive(Clone, Debug)]
struct Parked {
    cpu: usize,
    stop: Stop,
    skb: Skb,
    ctx: HookCtx,
    okfn: OkFn,
    softirq: bool,
}

/// A hold in force.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    hold: Hold,
    /// The packets that are meant, in the order in which they came; the place is the processor.
    seen: Vec<PacketId>,
    parked: Vec<Parked>,
}

/// A packet that waits at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// On which processor.
    pub cpu: usize,
    /// Which packet.
    pub packet: PacketId,
    /// Where.
    pub stop: Stop,
}

/// `nf_queue`: the packet stops here, if it is one of those that do; otherwise it is given back.
#[cold]
#[inline(never)]
pub(super) fn nf_queue(
    ns: &mut Netns,
    skb: Skb,
    (stop, okfn): (Stop, OkFn),
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let (softirq, waits) = (ns.softirq, unconfirmed(ns, &skb));
    let Some(holding) = &mut ns.holding else { return Ok(skb) };
    let known = holding.seen.iter().position(|id| *id == skb.id);
    let first = || {
        let wanted = skb.ip().is_some_and(|ip| holding.hold.packets.matches(ip));
        (wanted && holding.seen.len() < holding.hold.count).then_some(holding.seen.len())
    };
    let Some(cpu) = known.or_else(first) else { return Ok(skb) };
    if known.is_none() {
        holding.seen.push(skb.id);
    }
    cx.emit(skb.id, || What::Parked { ctx: ctx.clone(), cpu, stop });
    holding.parked.push(Parked { cpu, stop, skb, ctx: ctx.clone(), okfn, softirq });
    if let Some(conn) = waits {
        ns.ct.hold(conn);
    }
    Err(Cut(DropReason::Stolen))
}

/// A packet in the queue of a device stops there, if it is one of those that do.
#[cold]
#[inline(never)]
pub(crate) fn queue_xmit(ns: &mut Netns, skb: Skb, dev: DevId, cx: &mut Cx<'_>) -> Result<Skb, Cut> {
    let stops = ns.holding.as_ref().is_some_and(|h| h.hold.stops.contains(&Stop::Transmit));
    if !stops || skb.ip().is_none() {
        return Ok(skb);
    }
    let hook = InetHook::PostRouting;
    let ctx =
        HookCtx { family: Family::V4, hook, indev: None, outdev: Some(dev), physin: None, physout: None };
    nf_queue(ns, skb, (Stop::Transmit, OkFn::DevXmit(dev)), &ctx, cx)
}

/// The entry of a packet that nobody but it knows.
fn unconfirmed(ns: &Netns, skb: &Skb) -> Option<ConnId> {
    let Ct::Tracked { conn, .. } = skb.ct else { return None };
    ns.ct.get(conn).filter(|c| !c.is_confirmed()).map(|c| c.id)
}

impl Netns {
    /// From now on these packets stop at these points. There is one hold at a time: what the last one has stopped goes on first.
    pub fn hold(&mut self, hold: Hold, cx: &mut Cx<'_>) {
        self.release_all(cx);
        self.ct.set_cpus(hold.count);
        for stop in &hold.stops {
            let (hooks, priority) = stop.places();
            for hook in hooks {
                let point = HookPoint { family: Family::V4, hook: *hook };
                self.hooks.register(HookOps { point, priority, func: HookFn::Hold(*stop) });
            }
        }
        self.holding = Some(Box::new(Holding { hold, seen: Vec::new(), parked: Vec::new() }));
    }

    /// Who waits where, the one that has waited longest first.
    pub fn held(&self) -> Vec<Waiting> {
        let parked = self.holding.iter().flat_map(|h| &h.parked);
        parked.map(|p| Waiting { cpu: p.cpu, packet: p.skb.id, stop: p.stop }).collect()
    }

    /// How many packets the hold has met.
    pub fn held_count(&self) -> usize {
        self.holding.as_ref().map_or(0, |h| h.seen.len())
    }

    /// `nf_reinject`: the packet on this processor goes on, to its next stop or to its end. False if none waits there.
    pub fn release(&mut self, cpu: usize, cx: &mut Cx<'_>) -> bool {
        let Some(holding) = &mut self.holding else { return false };
        let Some(at) = holding.parked.iter().position(|p| p.cpu == cpu) else { return false };
        let Parked { stop, skb, ctx, okfn, softirq, .. } = holding.parked.remove(at);
        if let Some(conn) = skb.ct.conn() {
            self.ct.release(conn);
        }
        cx.emit(skb.id, || What::Resumed { ctx: ctx.clone(), cpu, stop });
        let outer = std::mem::replace(&mut self.softirq, softirq);
        self.ct.run_on(cpu);
        // Behind the function that has stopped it, wherever that stands by now.
        let point = HookPoint { family: ctx.family, hook: ctx.hook };
        let next = self.hooks.behind(point, HookFn::Hold(stop), stop.places().1);
        let _ = reinject(self, skb, ctx, (next, okfn), cx);
        self.ct.run_on(0);
        self.softirq = outer;
        true
    }

    /// All that wait go on to their ends, the lowest processor first, and nothing is held any more.
    pub fn release_all(&mut self, cx: &mut Cx<'_>) {
        for stop in Stop::ALL {
            self.hooks.unregister(HookFn::Hold(stop));
        }
        while let Some(cpu) = self.held().iter().map(|w| w.cpu).min() {
            self.release(cpu, cx);
        }
        self.holding = None;
    }
}

impl HookList {
    /// The place behind a function, or where it would be.
    fn behind(&self, point: HookPoint, func: HookFn, priority: i32) -> usize {
        let before = || self.at(point).filter(|o| o.priority <= priority).count();
        self.at(point).position(|o| o.func == func).map_or_else(before, |n| n + 1)
    }
}
