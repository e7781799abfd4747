//! The hook diagram of a box: what is registered where, and what a packet has met.

use super::assoc::Assoc;
use super::step::Area;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{BrNfStep, BridgeStep, CtEventKind, IpvsStep, TapDir, What};
use kernel::netfilter::hook::{HookFn, HookOps, InetHook};
use kernel::netfilter::nftables::{ChainType, NftBase};
use kernel::netfilter::xtables::TableId;
use kernel::{Netns, NetnsId, PacketId};
use packet::{Family, Frame};

/// A place in the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// A hook as a whole.
    Hook(InetHook),
    /// A function of a hook.
    Fn(InetHook, Area),
    /// IPVS's function for the answers of real servers; that for requests is its [`Spot::Fn`].
    IpvsOut(InetHook),
    /// Where fragments are put together.
    Defrag(InetHook),
    /// The routing decision.
    Route,
    /// Sockets that receive.
    SocketsIn,
    /// Sockets that send.
    SocketsOut,
    /// The bridge.
    Bridge,
    /// br_netfilter's call of a hook.
    Call(InetHook),
}

/// A function that is registered at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookBox {
    /// Its place.
    pub spot: Spot,
    /// What it belongs to.
    pub area: Area,
    /// One letter.
    pub letter: &'static str,
    /// A few words.
    pub name: &'static str,
    /// Its priority: lower runs first.
    pub priority: i32,
    /// For a chain of nf_tables: which one.
    pub base: Option<NftBase>,
}

/// How often a packet came by a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The place.
    pub spot: Spot,
    /// How often.
    pub times: u32,
}

fn chain_type(kind: ChainType) -> &'static str {
    match kind {
        ChainType::Route => "nft route",
        ChainType::Filter | ChainType::Nat => "nft",
    }
}

/// What is registered at a hook of a box for IPv4, in the order in which it runs.
pub fn registered(ns: &Netns, hook: InetHook) -> Vec<HookBox> {
    registered_for(ns, Family::V4, hook)
}

/// What is registered at a hook of a box for a family, in the order in which it runs.
pub fn registered_for(ns: &Netns, family: Family, hook: InetHook) -> Vec<HookBox> {
    let made = |ops: HookOps| {
        let (area, name) = match ops.func {
            HookFn::ConntrackIn => (Area::Conntrack, "conntrack: which connection?"),
            HookFn::Confirm => (Area::Conntrack, "conntrack: confirm the entry"),
            HookFn::Defrag => (Area::Conntrack, "defrag: put fragments together"),
            HookFn::Table(t) => (Area::Table(t), t.name()),
            HookFn::IpvsIn => (Area::Ipvs, "IPVS: requests to virtual servers"),
            HookFn::IpvsOut => (Area::Ipvs, "IPVS: answers of real servers"),
            HookFn::Nft(base) => (Area::Nft, chain_type(base.kind)),
            HookFn::Nat => (Area::Table(TableId::Nat), "nat"),
            HookFn::Sabotage => (Area::Bridge, "br_netfilter: not a second time"),
            // The function for errors looks at nothing else.
            HookFn::CtProbe | HookFn::IpvsForwardIcmp | HookFn::Hold(_) => return None,
        };
        let (spot, letter) = match ops.func {
            HookFn::IpvsOut => (Spot::IpvsOut(hook), area.letter()),
            HookFn::Defrag => (Spot::Defrag(hook), "D"),
            _ => (Spot::Fn(hook, area), area.letter()),
        };
        let base = if let HookFn::Nft(base) = ops.func { Some(base) } else { None };
        Some(HookBox { spot, area, letter, name, priority: ops.priority, base })
    };
    ns.hook_ops(family, hook).into_iter().filter_map(made).collect()
}

/// True if bridged packets meet iptables in this box.
pub fn bridged_by_iptables(ns: &Netns) -> bool {
    ns.modules.br_netfilter && ns.sysctl.bridge_nf_call_iptables != 0
}

/// Which of IPVS's functions it was: the one for answers changes the source.
pub(crate) fn ipvs_spot(hook: InetHook, step: &IpvsStep) -> Spot {
    let source = |frame: &Frame| frame.ip().map(|ip| (ip.src, ip.ports().map(|p| p.0)));
    match step {
        IpvsStep::Rewritten { before, after, .. } if source(before) != source(after) => Spot::IpvsOut(hook),
        _ => Spot::Fn(hook, Area::Ipvs),
    }
}

/// The place in the diagram that an event of a packet is about; `hook` is the hook that the packet is in, and kept up to
/// date.
fn spot_of(what: &What, hook: &mut Option<InetHook>) -> Option<Spot> {
    Some(match what {
        What::Hook(ctx) => {
            *hook = Some(ctx.hook);
            Spot::Hook(ctx.hook)
        }
        What::HookSkipped(ctx) => Spot::Fn(ctx.hook, Area::Bridge),
        What::Rule(step) => Spot::Fn(step.ctx.hook, Area::Table(step.table)),
        What::Nft(step) => Spot::Fn(step.ctx.hook, Area::Nft),
        What::Nat { hook, .. } => Spot::Fn(*hook, Area::Table(TableId::Nat)),
        What::Ipvs { ctx, step } => ipvs_spot(ctx.hook, step),
        What::Conntrack { ctx, .. } => Spot::Fn(ctx.hook, Area::Conntrack),
        What::Fragment(_) => {
            Spot::Defrag(hook.filter(|h| matches!(h, InetHook::PreRouting | InetHook::LocalOut))?)
        }
        What::Confirmed(_) | What::Clash { .. } | What::CtEvent(_) => {
            let removed = matches!(what, What::CtEvent(e) if e.kind == CtEventKind::Destroy);
            let at = |h: &InetHook| !removed && matches!(h, InetHook::LocalIn | InetHook::PostRouting);
            Spot::Fn(hook.filter(at)?, Area::Conntrack)
        }
        What::Route(_) => Spot::Route,
        What::Socket { .. } => Spot::SocketsIn,
        What::Created { .. } => Spot::SocketsOut,
        What::Bridge { .. } => Spot::Bridge,
        What::BrNetfilter { step: BrNfStep::Calls(hook), .. } => Spot::Call(*hook),
        What::Drop { reason: kernel::DropReason::NoSocket, .. } => Spot::SocketsIn,
        What::Tap { dir: TapDir::Out, .. } => {
            *hook = None;
            return None;
        }
        _ => return None,
    })
}

/// The places that a packet came by in a box up to and including an event, in order. A walk through a table is many
/// events but one visit.
pub fn trail(world: &World, host: NetnsId, packet: PacketId, until: EventId) -> Vec<Spot> {
    let end = world.log().len().min(until.index() + 1);
    let mut out = Vec::new();
    let mut hook = None;
    for entry in world.log().entries()[..end].iter().filter(|e| e.host == host && e.packet == Some(packet)) {
        let Seen::Kernel(what) = &*entry.seen else { continue };
        let Some(spot) = spot_of(what, &mut hook) else { continue };
        if out.last() != Some(&spot) || matches!(what, What::Hook(_)) {
            out.push(spot);
        }
    }
    out
}

fn counted(spots: impl Iterator<Item = Spot>) -> Vec<Visit> {
    let mut count: Assoc<Spot, u32> = Assoc::default();
    for spot in spots {
        *count.or_default(spot) += 1;
    }
    count.iter().map(|(spot, times)| Visit { spot: *spot, times: *times }).collect()
}

/// What a packet has met in a box up to and including an event.
pub fn visits(world: &World, host: NetnsId, packet: PacketId, until: EventId) -> Vec<Visit> {
    counted(trail(world, host, packet, until).into_iter())
}

/// How many packets have come by each place of a box up to and including an event; one that comes by twice counts
/// twice.
pub fn met(world: &World, host: NetnsId, until: EventId) -> Vec<Visit> {
    let end = world.log().len().min(until.index() + 1);
    // For each packet the hook that it is in, and where it was last.
    let mut at: Assoc<PacketId, (Option<InetHook>, Option<Spot>)> = Assoc::default();
    let spots = world.log().entries()[..end].iter().filter(|e| e.host == host).filter_map(move |e| {
        let Seen::Kernel(what) = &*e.seen else { return None };
        let (hook, last) = at.or_default(e.packet?);
        let spot = spot_of(what, hook)?;
        let again = last.replace(spot) == Some(spot) && !matches!(what, What::Hook(_));
        (!again).then_some(spot)
    });
    counted(spots)
}

/// The port by which a packet came onto a bridge of the box last, and where it went from there: a port, several, or
/// up.
pub fn bridge_ports(
    world: &World,
    host: NetnsId,
    packet: PacketId,
    until: EventId,
) -> Option<(String, String)> {
    let ns = world.host(host)?;
    let end = world.log().len().min(until.index() + 1);
    let mine =
        world.log().entries()[..end].iter().rev().filter(|e| e.host == host && e.packet == Some(packet));
    mine.filter_map(|e| match e.what() {
        Some(What::Bridge { from, step, .. }) => {
            let to = match step {
                BridgeStep::Forwarded(to) => ns.dev_name(*to).to_owned(),
                BridgeStep::Flooded(ports) if ports.len() == 1 => ns.dev_name(*ports.first()?).to_owned(),
                BridgeStep::Flooded(ports) => format!("{} ports", ports.len()),
                BridgeStep::PassedUp | BridgeStep::PassedUpPromiscuous => "IP stack".to_owned(),
                BridgeStep::Learned { .. } => return None,
            };
            Some((from.map_or("IP stack", |f| ns.dev_name(f)).to_owned(), to))
        }
        _ => None,
    })
    .next()
}
