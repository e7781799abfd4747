//! Where packets are: the IP stack of a box, a bridge, a device. And their way from one to the next.

use super::assoc::Assoc;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{TapDir, What};
use kernel::{DevId, DropReason, NetnsId, PacketId};

/// A place on the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The IP stack of a box, sockets and programs included.
    Stack(NetnsId),
    /// A bridge.
    Bridge(NetnsId, DevId),
    /// A device other than a bridge.
    Dev(NetnsId, DevId),
}

impl Place {
    /// The box.
    pub fn host(self) -> NetnsId {
        match self {
            Place::Stack(h) | Place::Bridge(h, _) | Place::Dev(h, _) => h,
        }
    }
}

/// A packet goes from one place to a neighbouring one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The event by which it has arrived.
    pub event: EventId,
    /// The packet.
    pub packet: PacketId,
    /// From.
    pub from: Place,
    /// To.
    pub to: Place,
}

/// The bridge that a device is, or is a port of.
fn bridge_of(world: &World, host: NetnsId, dev: DevId) -> Option<DevId> {
    let ns = world.host(host)?;
    let d = ns.device(dev)?;
    if ns.bridge(dev).is_some() { Some(dev) } else { d.master }
}

fn is_bridge(world: &World, host: NetnsId, dev: DevId) -> bool {
    world.host(host).is_some_and(|ns| ns.bridge(dev).is_some())
}

/// Where an event happens, as far as it tells by itself. `None`: where the packet is already.
pub(crate) fn place_of(world: &World, host: NetnsId, what: &What) -> Option<Place> {
    Some(match what {
        What::Tap { dev, .. } if is_bridge(world, host, *dev) => Place::Stack(host),
        What::Tap { dev, .. } => Place::Dev(host, *dev),
        What::Bridge { bridge, .. } | What::BrNetfilter { bridge, .. } => Place::Bridge(host, *bridge),
        What::Drop { reason, dev: Some(dev), .. } => match reason {
            DropReason::OtherHost => Place::Dev(host, *dev),
            DropReason::BridgeNoHairpin | DropReason::BridgeNoPort => {
                Place::Bridge(host, bridge_of(world, host, *dev)?)
            }
            _ => return None,
        },
        What::Drop { .. } | What::KernelLog(_) | What::CtEvent(_) => return None,
        _ => Place::Stack(host),
    })
}

/// The way of every packet, in the order of the log.
pub fn hops(world: &World) -> Vec<Hop> {
    let mut out = Vec::new();
    let mut at: Assoc<(PacketId, NetnsId), Place> = Assoc::default();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Seen::Kernel(what), Some(packet)) = (&*entry.seen, entry.packet) else { continue };
        let host = entry.host;
        let here = at.get(&(packet, host)).copied();
        let mut go = |from: Option<Place>, to: Place| {
            if let Some(from) = from.filter(|f| *f != to) {
                out.push(Hop { event, packet, from, to });
            }
        };
        match what {
            What::Tap { dev, dir, .. } if is_bridge(world, host, *dev) => {
                let bridge = Place::Bridge(host, *dev);
                let (from, to) =
                    if *dir == TapDir::Out { (here, bridge) } else { (Some(bridge), Place::Stack(host)) };
                go(from, to);
                at.set((packet, host), to);
            }
            What::Tap { dev, dir: TapDir::Out, .. } => {
                let port = Place::Dev(host, *dev);
                let from = bridge_of(world, host, *dev).map_or(here, |b| Some(Place::Bridge(host, b)));
                go(from, port);
                // A further copy starts where this one did.
                at.set((packet, host), from.unwrap_or(Place::Stack(host)));
            }
            What::Tap { dev, .. } => {
                let to = Place::Dev(host, *dev);
                go(world.peer((host, *dev)).map(|(h, d)| Place::Dev(h, d)), to);
                at.set((packet, host), to);
            }
            What::Created { .. } => {
                at.set((packet, host), Place::Stack(host));
            }
            _ => {
                if let Some(to) = place_of(world, host, what) {
                    go(here, to);
                    at.set((packet, host), to);
                }
            }
        }
    }
    out
}
