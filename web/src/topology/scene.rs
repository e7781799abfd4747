//! What is on the map: boxes, bridges, links and what they are called. Read off the world, or made up; where it is drawn
//! is said by the layout.

use kernel::dev::{DevKind, Device, IfAddr};
use kernel::{DevId, Netns, NetnsId};
use sim::World;
use sim::view::{Role, Topology, badges};

/// The map's content.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// LANs.
    pub lans: Vec<Lan>,
    /// Nodes, and boxes that are neither node, pod nor LAN.
    pub nodes: Vec<Node>,
    /// Names of nodes that are left out.
    pub hidden: Vec<String>,
}

/// A LAN: a bridge that is a box of its own.
#[derive(Clone, Debug)]
pub struct Lan {
    pub host: NetnsId,
    pub name: String,
    /// Its ports, each with the end that it leads to.
    pub ports: Vec<(DevId, (NetnsId, DevId))>,
}

/// A node, or a plain box.
#[derive(Clone, Debug)]
pub struct Node {
    pub host: NetnsId,
    pub name: String,
    /// It forwards, or has a bridge: its IP stack is drawn as a box of its own.
    pub routes: bool,
    /// What is set up in it.
    pub badges: Vec<String>,
    pub bridges: Vec<Bridge>,
    /// Pods that hang on no bridge.
    pub pods: Vec<Pod>,
    /// Devices that lead to a LAN or to another box.
    pub uplinks: Vec<Uplink>,
    /// No packet comes by.
    pub idle: bool,
}

/// A bridge of a node.
#[derive(Clone, Debug)]
pub struct Bridge {
    pub dev: DevId,
    pub name: String,
    pub addr: String,
    pub pods: Vec<Pod>,
}

/// A pod, and the node's end of its link.
#[derive(Clone, Debug)]
pub struct Pod {
    pub host: NetnsId,
    pub name: String,
    pub addr: String,
    pub port: DevId,
    pub port_name: String,
    /// The port is in hairpin mode.
    pub hairpin: bool,
}

/// A device that leads out of a box.
#[derive(Clone, Debug)]
pub struct Uplink {
    pub dev: DevId,
    pub name: String,
    pub addr: String,
    /// The other end, if it is not a LAN's.
    pub to: Option<(NetnsId, DevId)>,
}

/// Reads a scene off a world; only boxes in `only` are drawn, if it is given. Nodes that none of `visited` belongs to
/// are idle.
pub fn scene(world: &World, topo: &Topology, visited: &[NetnsId], only: bool) -> Scene {
    let mut out = Scene::default();
    for id in topo.having(|r| matches!(r, Role::Node | Role::Host)) {
        let Some(ns) = world.host(id) else { continue };
        let mut mine = topo.having(|r| matches!(r, Role::Pod { node, .. } if node == id));
        mine.push(id);
        let idle = !mine.iter().any(|m| visited.contains(m));
        if only && idle {
            out.hidden.push(ns.name.clone());
        } else {
            out.nodes.push(node(world, topo, ns, idle));
        }
    }
    let drawn = |end: &(NetnsId, DevId)| out.nodes.iter().any(|n| n.host == end.0);
    for id in topo.having(|r| r == Role::Switch) {
        let Some(ns) = world.host(id) else { continue };
        let ports = ns.devices().iter().filter_map(|d| Some((d.id, world.peer((id, d.id))?)));
        let ports = ports.filter(|(_, end)| drawn(end)).collect();
        out.lans.push(Lan { host: id, name: ns.name.clone(), ports });
    }
    out
}

fn node(world: &World, topo: &Topology, ns: &Netns, idle: bool) -> Node {
    let id = ns.id;
    let pods = |bridge| -> Vec<Pod> {
        topo.pods_of(id, bridge).into_iter().filter_map(|p| pod(world, topo, ns, p)).collect()
    };
    let is_bridge = |d: &&Device| matches!(d.kind, DevKind::Bridge(_));
    let bridge =
        |d: &Device| Bridge { dev: d.id, name: d.name.clone(), addr: addr(&d.addrs), pods: pods(Some(d.id)) };
    let bridges: Vec<Bridge> = ns.devices().iter().filter(is_bridge).map(bridge).collect();
    let alone = pods(None);
    let leads_out = |d: &&Device| {
        matches!(d.kind, DevKind::Veth)
            && !d.gone
            && d.master.is_none()
            && alone.iter().all(|p| p.port != d.id)
    };
    let uplink = |d: &Device| {
        let to = world.peer((id, d.id)).filter(|(h, _)| topo.role(*h) != Role::Switch);
        Uplink { dev: d.id, name: d.name.clone(), addr: addr(&d.addrs), to }
    };
    let routes = topo.role(id) == Role::Node;
    Node {
        host: id,
        name: ns.name.clone(),
        routes,
        badges: if routes { badges(ns) } else { Vec::new() },
        bridges,
        uplinks: ns.devices().iter().filter(leads_out).map(uplink).collect(),
        pods: alone,
        idle,
    }
}

fn addr(addrs: &[IfAddr]) -> String {
    addrs.first().map_or(String::new(), |a| a.net.to_string())
}

fn pod(world: &World, topo: &Topology, node: &Netns, id: NetnsId) -> Option<Pod> {
    let Role::Pod { port, .. } = topo.role(id) else { return None };
    let ns = world.host(id)?;
    // A pod that has been deleted is drawn where it was: packets have been there.
    let past = || world.past_end((node.id, port)).map(|p| p.peer);
    let end = world.peer((node.id, port)).or_else(past)?;
    let addr = ns.device(end.1)?.addrs.first().map(|a| a.net.addr());
    let addr = addr.or_else(|| world.past_end(end)?.addr).map_or(String::new(), |a| a.to_string());
    Some(Pod {
        host: id,
        name: ns.name.clone(),
        addr,
        port,
        port_name: node.dev_name(port).to_owned(),
        hairpin: node.device(port).is_some_and(|d| d.port.hairpin),
    })
}
