//! Where everything on the map is drawn. Computed from the world: nothing here knows a lab.

use crate::svg::Rect;
use kernel::dev::{DevKind, Device};
use kernel::{DevId, NetnsId};
use sim::World;
use sim::view::{Place, Role, Topology, badges};

/// A device with the link below it: a port of a bridge, or the node's end of a pod's link.
#[derive(Clone, Debug)]
pub struct Port {
    pub dev: DevId,
    pub name: String,
    /// A port in hairpin mode.
    pub hairpin: bool,
    pub x: i32,
    pub y: i32,
}

/// A bridge of a node.
#[derive(Clone, Debug)]
pub struct BridgeBox {
    pub dev: DevId,
    pub name: String,
    pub addr: String,
    pub rect: Rect,
    pub ports: Vec<Port>,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct PodBox {
    pub host: NetnsId,
    pub name: String,
    pub addr: String,
    pub rect: Rect,
}

/// A node, or a box that is neither node, pod nor LAN.
#[derive(Clone, Debug)]
pub struct NodeBox {
    pub host: NetnsId,
    pub name: String,
    pub rect: Rect,
    pub stack: Rect,
    /// What is set up in it, with where it is drawn.
    pub badges: Vec<(Rect, String)>,
    pub bridges: Vec<BridgeBox>,
    /// Ends of the links to pods that hang on no bridge.
    pub ports: Vec<Port>,
    pub pods: Vec<PodBox>,
    /// Devices that lead to the LAN or to another node: device, name and address, x.
    pub uplinks: Vec<(DevId, String, i32)>,
}

/// A LAN.
#[derive(Clone, Debug)]
pub struct LanBox {
    pub host: NetnsId,
    pub name: String,
    pub rect: Rect,
    pub ports: Vec<Port>,
}

/// The map.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub width: i32,
    pub height: i32,
    pub lans: Vec<LanBox>,
    pub nodes: Vec<NodeBox>,
    /// Names of nodes that are left out.
    pub hidden: Vec<String>,
}

/// Width of a text in the small fixed font.
pub fn text_width(text: &str) -> i32 {
    int(text.len()) * (LETTER + 4) / 10
}

/// A count as a length.
pub fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

const GAP: i32 = 14;
const LAN_H: i32 = 24;
/// Width of so many letters of the small fixed font, in tenths.
pub const LETTER: i32 = 58;
/// From the LAN to a node.
pub const UPLINK: i32 = 24;
const PAD: i32 = 12;
const HEAD: i32 = 26;
/// Of an IP stack: above its badges, a line of them, and the room for a packet below.
const STACK_HEAD: i32 = 26;
const BADGE_H: i32 = 16;
const STACK_FOOT: i32 = 36;
const STACK_GAP: i32 = 21;
const BRIDGE_H: i32 = 34;
/// From a bridge to a pod.
pub const LINK: i32 = 36;
const POD_H: i32 = 48;

/// Lays the map out in this width; only boxes in `only` are drawn, if it is given.
pub fn layout(world: &World, topo: &Topology, width: i32, only: Option<&[NetnsId]>) -> Layout {
    let all = topo.having(|r| matches!(r, Role::Node | Role::Host));
    let wanted = |id: &NetnsId| {
        let mut mine = vec![*id];
        mine.extend(topo.having(|r| matches!(r, Role::Pod { node, .. } if node == *id)));
        only.is_none_or(|only| mine.iter().any(|m| only.contains(m)))
    };
    let (drawn, hidden): (Vec<NetnsId>, Vec<NetnsId>) = all.into_iter().partition(wanted);
    let name = |id: &NetnsId| world.host(*id).map_or(String::new(), |h| h.name.clone());
    let mut out = Layout { width, hidden: hidden.iter().map(name).collect(), ..Layout::default() };
    let lans = topo.having(|r| r == Role::Switch);
    let top = if lans.is_empty() { 8 } else { 4 + LAN_H + UPLINK };
    nodes(world, topo, &drawn, top, &mut out);
    place_lans(world, &lans, &mut out);
    let bottom = out.nodes.iter().map(|n| n.rect.y + n.rect.h).fold(top, i32::max);
    for n in &mut out.nodes {
        n.rect.h = bottom - n.rect.y;
    }
    out.height = bottom + if out.hidden.is_empty() { 6 } else { 20 };
    out
}

/// A node is as wide as its pods ask, within the map.
fn nodes(world: &World, topo: &Topology, drawn: &[NetnsId], top: i32, out: &mut Layout) {
    let pods =
        |id: &NetnsId| topo.having(|r| matches!(r, Role::Pod { node, .. } if node == *id)).len().max(1);
    let total: usize = drawn.iter().map(pods).sum();
    let count = drawn.len();
    let free = out.width - 4 - GAP * (int(count.saturating_sub(1)));
    let least = (free / int(count.max(1))).min(150);
    let share = (free - least * int(count)) / int(total.max(1));
    // A node with one pod gets the least and a little; the rest goes by pods.
    let mut x = 2;
    for id in drawn {
        let w = least + share * int(pods(id));
        if let Some(node) = node(world, topo, *id, Rect { x, y: top, w, h: 0 }) {
            out.nodes.push(node);
        }
        x += w + GAP;
    }
}

fn node(world: &World, topo: &Topology, id: NetnsId, at: Rect) -> Option<NodeBox> {
    let ns = world.host(id)?;
    let mut inner = Rect { x: at.x + PAD, y: at.y + HEAD, w: at.w - 2 * PAD, h: 0 };
    let bridges: Vec<_> = ns.devices().iter().filter(|d| matches!(d.kind, DevKind::Bridge(_))).collect();
    let words = if topo.role(id) == Role::Node { badges(ns) } else { Vec::new() };
    let (badges, lines) = place_badges(words, &inner);
    inner.h = STACK_HEAD + lines * BADGE_H + STACK_FOOT;
    let mut y = inner.y + inner.h;
    if !bridges.is_empty() {
        y += STACK_GAP;
    }
    let mut node = NodeBox {
        host: id,
        name: ns.name.clone(),
        rect: at,
        stack: inner,
        badges,
        bridges: Vec::new(),
        ports: Vec::new(),
        pods: Vec::new(),
        uplinks: Vec::new(),
    };
    let alone = topo.pods_of(id, None);
    let count: usize = bridges.iter().map(|b| topo.pods_of(id, Some(b.id)).len().max(1)).sum();
    let slot = inner.w / int((count + alone.len()).max(1));
    let below = y + if bridges.is_empty() { 0 } else { BRIDGE_H };
    let mut x = inner.x;
    let mut hang = |pods: &[NetnsId], x: i32, y: i32| {
        let mut ports = Vec::new();
        for (i, pod) in pods.iter().enumerate() {
            let Role::Pod { port, .. } = topo.role(*pod) else { continue };
            let (cx, pw) = (x + slot * int(i) + slot / 2, slot - 10);
            let hairpin = ns.device(port).is_some_and(|d| d.port.hairpin);
            ports.push(Port { dev: port, name: ns.dev_name(port).to_owned(), hairpin, x: cx, y });
            let rect = Rect { x: cx - pw / 2, y: below + LINK, w: pw, h: POD_H };
            node.pods.extend(pod_box(world, *pod, (id, port), rect));
        }
        ports
    };
    let mut drawn = Vec::new();
    for b in &bridges {
        let pods = topo.pods_of(id, Some(b.id));
        let w = slot * int(pods.len().max(1));
        let rect = Rect { x, y, w: w - if bridges.len() > 1 { 8 } else { 0 }, h: BRIDGE_H };
        let ports = hang(&pods, x, y + BRIDGE_H);
        x += w;
        drawn.push(BridgeBox { dev: b.id, name: b.name.clone(), addr: addr(&b.addrs), rect, ports });
    }
    let ports = hang(&alone, x, inner.y + inner.h);
    (node.bridges, node.ports) = (drawn, ports);
    let is_up = |d: &&Device| {
        d.master.is_none() && matches!(d.kind, DevKind::Veth) && node.ports.iter().all(|p| p.dev != d.id)
    };
    let ups: Vec<_> = ns.devices().iter().filter(is_up).collect();
    for (i, d) in ups.iter().enumerate() {
        // To the right, so that the name has room before the cable.
        let share = at.w / int(ups.len());
        let x = at.x + share * int(i) + share * 2 / 3;
        let whole = format!("{} {}", d.name, addr(&d.addrs));
        let short = whole.split('/').next().unwrap_or_default().to_owned();
        let names = [whole, short, d.name.clone()];
        let room = x - at.x - 8;
        let name = names.into_iter().find(|n| text_width(n) <= room).unwrap_or_default();
        node.uplinks.push((d.id, name, x));
    }
    node.rect.h = below - at.y + PAD + if node.pods.is_empty() { 0 } else { LINK + POD_H };
    Some(node)
}

/// Lays badges out in lines; also says how many lines.
fn place_badges(words: Vec<String>, stack: &Rect) -> (Vec<(Rect, String)>, i32) {
    let (left, right) = (stack.x + 10, stack.x + stack.w - 8);
    let (mut x, mut line) = (left, 0);
    let mut out = Vec::new();
    for word in words {
        let w = int(word.len()) * LETTER / 10 + 10;
        if x > left && x + w > right {
            (x, line) = (left, line + 1);
        }
        let rect = Rect { x, y: stack.y + STACK_HEAD + line * BADGE_H, w, h: BADGE_H - 3 };
        out.push((rect, word));
        x += w + 4;
    }
    let lines = if out.is_empty() { 0 } else { line + 1 };
    (out, lines)
}

fn addr(addrs: &[kernel::dev::IfAddr]) -> String {
    addrs.first().map_or(String::new(), |a| a.net.to_string())
}

fn pod_box(world: &World, pod: NetnsId, port: (NetnsId, DevId), rect: Rect) -> Option<PodBox> {
    let ns = world.host(pod)?;
    let (_, dev) = world.peer(port)?;
    let addr = ns.device(dev)?.addrs.first().map_or(String::new(), |a| a.net.addr().to_string());
    Some(PodBox { host: pod, name: ns.name.clone(), addr, rect })
}

/// LANs lie above the nodes; their ports stand above the uplinks that they lead to.
fn place_lans(world: &World, lans: &[NetnsId], out: &mut Layout) {
    let count = int(lans.len().max(1));
    for (i, id) in lans.iter().enumerate() {
        let Some(ns) = world.host(*id) else { continue };
        let Some(bridge) = ns.devices().iter().find(|d| matches!(d.kind, DevKind::Bridge(_))) else {
            continue;
        };
        let w = (out.width - 4) / count;
        let rect = Rect { x: 2 + w * int(i), y: 4, w: w - if count > 1 { GAP } else { 0 }, h: LAN_H };
        let ports = ns.devices().iter().filter(|d| d.master == Some(bridge.id)).filter_map(|d| {
            let (peer, dev) = world.peer((*id, d.id))?;
            let node = out.nodes.iter().find(|n| n.host == peer)?;
            let (_, _, x) = node.uplinks.iter().find(|(u, ..)| *u == dev)?;
            let y = rect.y + rect.h;
            Some(Port { dev: d.id, name: d.name.clone(), hairpin: d.port.hairpin, x: *x, y })
        });
        let ports = ports.collect();
        out.lans.push(LanBox { host: *id, name: ns.name.clone(), rect, ports });
    }
}

impl Layout {
    /// Where a line to a place ends: at the edge of its box. For a stack or bridge the horizontal middle.
    pub fn anchor(&self, place: Place) -> Option<(i32, i32)> {
        let host = place.host();
        if let Some(pod) = self.nodes.iter().flat_map(|n| &n.pods).find(|p| p.host == host) {
            return Some((pod.rect.x + pod.rect.w / 2, pod.rect.y));
        }
        let (x, y) = self.point(place)?;
        let node = self.nodes.iter().find(|n| n.host == host);
        match (place, node) {
            (Place::Stack(_), Some(n)) => Some((x, n.stack.y + n.stack.h - 8)),
            _ => Some((x, y)),
        }
    }

    /// Where the packet is drawn when it is at a place. `None` if the place is not drawn.
    pub fn point(&self, place: Place) -> Option<(i32, i32)> {
        for lan in &self.lans {
            match place {
                Place::Bridge(h, _) | Place::Stack(h) if h == lan.host => return Some(lan.rect.center()),
                Place::Dev(h, d) if h == lan.host => {
                    return lan.ports.iter().find(|p| p.dev == d).map(|p| (p.x, p.y));
                }
                _ => {}
            }
        }
        for node in &self.nodes {
            if let Some(at) = node_point(node, place) {
                return Some(at);
            }
        }
        None
    }

    /// The box around a host, for a ring around it.
    pub fn rect_of(&self, host: NetnsId) -> Option<Rect> {
        let lan = self.lans.iter().find(|l| l.host == host).map(|l| l.rect);
        let node = || self.nodes.iter().find(|n| n.host == host).map(|n| n.rect);
        let pod = || self.nodes.iter().flat_map(|n| &n.pods).find(|p| p.host == host).map(|p| p.rect);
        lan.or_else(node).or_else(pod)
    }
}

fn node_point(node: &NodeBox, place: Place) -> Option<(i32, i32)> {
    if let Some(pod) = node.pods.iter().find(|p| p.host == place.host()) {
        let r = pod.rect;
        return Some(match place {
            Place::Dev(..) => (r.x + r.w / 2, r.y - 14),
            _ => (r.x + r.w / 2, r.y + r.h - 10),
        });
    }
    if place.host() != node.host {
        return None;
    }
    Some(match place {
        Place::Stack(_) => (node.stack.x + node.stack.w / 2, node.stack.y + node.stack.h - 20),
        Place::Bridge(_, d) => node.bridges.iter().find(|b| b.dev == d)?.rect.center(),
        Place::Dev(_, d) => {
            let mut ports = node.bridges.iter().flat_map(|b| &b.ports).chain(&node.ports);
            let port = ports.find(|p| p.dev == d).map(|p| (p.x, p.y));
            let up = || node.uplinks.iter().find(|(u, ..)| *u == d).map(|(_, _, x)| (*x, node.rect.y));
            port.or_else(up)?
        }
    })
}
