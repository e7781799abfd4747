//! Why nobody on a link takes a frame.

use super::{At, End};
use crate::World;
use kernel::bridge::FdbEntry;
use kernel::neigh::Nud;
use kernel::{DevId, Netns};
use packet::{Frame, Mac};
use std::net::Ipv4Addr;

pub(super) fn unclaimed(at: &At<'_>, frame: &Frame) -> End {
    let to = frame.dst;
    let end = End::by("the link: a box takes only frames to its own MAC");
    let believed = neighbour_with(at.world, frame.src, to);
    let end = match believed {
        Some((ns, dev, addr, state)) => {
            let dev = ns.dev_name(dev);
            let end = end.look(
                format!("neighbour of {}: ip neigh show {addr}", ns.name),
                format!("dev {dev} lladdr {to} {}", state.name()),
                format!("the MAC of the box that has {addr}"),
            );
            end.or(format!("ip neigh del {addr} dev {dev}, on {}: then ARP asks who has it.", ns.name))
        }
        None => end,
    };
    let owner = at.world.hosts().iter().find(|ns| ns.devices().iter().any(|d| d.mac == to));
    match (owner, pinned_port(at.world, to)) {
        (Some(owner), Some((ns, bridge, entry))) => {
            let (port, bridge) = (ns.dev_name(entry.dev), ns.dev_name(bridge));
            end.look(
                format!("{to}, which {} has, in the forwarding database of {bridge}", owner.name),
                format!("behind {port}, set by hand"),
                "the port behind which that box is",
            )
            .or(format!("bridge fdb del {to} dev {port} master, on {}: then {bridge} learns it.", ns.name))
        }
        (Some(owner), None) => end
            .look("box with that MAC", format!("{}, on another link", owner.name), "one on this link")
            .or(format!("A next hop on this link: {} is not on it.", owner.name)),
        (None, _) => end.look("box with that MAC", "none", "one on this link"),
    }
}

/// Who is wrong to believe that a neighbour has the MAC `to`, the box that sends frames from `from`: the box, its device, the neighbour's
/// address, and the state of the entry.
pub fn neighbour_with(world: &World, from: Mac, to: Mac) -> Option<(&Netns, DevId, Ipv4Addr, Nud)> {
    let devices = || world.hosts().iter().flat_map(Netns::devices);
    let right = |addr| devices().any(|d| d.mac == to && d.addrs.iter().any(|a| a.net.addr() == addr));
    world.hosts().iter().find_map(|ns| {
        let sends = |dev| ns.device(dev).is_some_and(|d| d.mac == from);
        let wrong = |addr, mac| mac == to && !right(addr);
        let (dev, addr, neigh) = ns.neigh.entries().find(|(d, a, n)| sends(*d) && wrong(*a, n.mac))?;
        Some((ns, dev, addr, neigh.state))
    })
}

/// Where somebody has said by hand behind which port a MAC is: the box, its bridge, and the entry.
pub fn pinned_port(world: &World, mac: Mac) -> Option<(&Netns, DevId, FdbEntry)> {
    world.hosts().iter().find_map(|ns| {
        ns.devices().iter().find_map(|d| {
            let entry = ns.bridge(d.id)?.find(mac, world.now())?;
            (entry.is_static && !entry.local).then_some((ns, d.id, entry))
        })
    })
}
