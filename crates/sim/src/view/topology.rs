//! What kind of box each is, and what is connected to what.

use crate::World;
use kernel::dev::DevKind;
use kernel::{DevId, Netns, NetnsId};

/// What a box is on the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has a bridge with an address, or forwards: pods may hang on it.
    Node,
    /// Its only link leads to a port of a node's bridge, or to a device of a node that has no address (Calico).
    Pod {
        /// The node.
        node: NetnsId,
        /// The bridge, if there is one.
        bridge: Option<DevId>,
        /// The node's end of the link.
        port: DevId,
    },
    /// A bridge without an address: a LAN.
    Switch,
    /// Anything else.
    Host,
}

/// A veth between two boxes, or inside one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// One end.
    pub a: (NetnsId, DevId),
    /// The other end.
    pub b: (NetnsId, DevId),
}

/// Boxes and links.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Topology {
    /// The role of each box; the index is the [`NetnsId`].
    pub roles: Vec<Role>,
    /// All links, each once.
    pub links: Vec<Link>,
}

impl Topology {
    /// The role of a box.
    pub fn role(&self, host: NetnsId) -> Role {
        self.roles.get(host.index()).copied().unwrap_or(Role::Host)
    }

    /// The boxes of a role.
    pub fn having(&self, test: impl Fn(Role) -> bool) -> Vec<NetnsId> {
        self.those(&test)
    }

    fn those(&self, test: &dyn Fn(Role) -> bool) -> Vec<NetnsId> {
        let all = self.roles.iter().zip(0u16..);
        all.filter(|(r, _)| test(**r)).map(|(_, i)| NetnsId(i)).collect()
    }

    /// The pods on a port of this bridge, or those without a bridge.
    pub fn pods_of(&self, node: NetnsId, bridge: Option<DevId>) -> Vec<NetnsId> {
        self.having(|r| matches!(r, Role::Pod { node: n, bridge: b, .. } if n == node && b == bridge))
    }
}

/// The box has an address of its own; a switch has none.
pub(super) fn has_address(ns: &Netns) -> bool {
    ns.devices().iter().any(|d| !matches!(d.kind, DevKind::Loopback) && !d.addrs.is_empty())
}

fn has_bridge(ns: &Netns) -> bool {
    ns.devices().iter().any(|d| matches!(d.kind, DevKind::Bridge(_)))
}

fn own_role(world: &World, ns: &Netns) -> Role {
    match (has_bridge(ns), has_address(ns)) {
        (true, false) => Role::Switch,
        (true, true) => Role::Node,
        // A pod begins with the settings of its node.
        (false, _) if ns.sysctl.all.forwarding != 0 && world.machine(ns.id) == ns.id => Role::Node,
        _ => Role::Host,
    }
}

/// Reads the topology off the world.
pub fn topology(world: &World) -> Topology {
    let mut roles: Vec<Role> = world.hosts().iter().map(|ns| own_role(world, ns)).collect();
    let own = roles.clone();
    let mut links = Vec::new();
    for ns in world.hosts() {
        let mut ends = Vec::new();
        for d in ns.devices() {
            let here = (ns.id, d.id);
            // A link that has been removed had its place, and its packets have theirs.
            let past = world.past_end(here);
            let Some(there) = world.peer(here).or(past.map(|p| p.peer)) else { continue };
            ends.push(there);
            if here < there {
                links.push(Link { a: here, b: there });
            }
        }
        let [(node, port)] = ends.as_slice() else { continue };
        let Some(end) = world.host(*node).and_then(|n| n.device(*port)) else { continue };
        let master = end.master.or_else(|| world.past_end((*node, *port))?.master);
        let hangs = master.is_some() || end.addrs.is_empty();
        if let (Role::Host, Some(Role::Node), true) =
            (own_role(world, ns), own.get(node.index()).copied(), hangs)
            && let Some(role) = roles.get_mut(ns.id.index())
        {
            *role = Role::Pod { node: *node, bridge: master, port: *port };
        }
    }
    Topology { roles, links }
}
