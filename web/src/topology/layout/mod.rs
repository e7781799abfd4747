//! Where everything on the map is drawn. Computed from the scene and the room there is: nothing here knows a lab.
//!
//! Nodes stand in rows, as many as make the map largest in its room. A LAN is a bar above each row that it reaches; the
//! bars of one LAN are joined at the left. Where that makes the map larger, boxes that do not route stand in a row of their
//! own over the bars of the next one. Pods are cards as long as they are few, and chips in a grid when they are many.

mod nodes;
mod rows;
mod style;

use super::index::{Index, Spot};
use super::scene::Scene;
use crate::svg::Rect;
use kernel::{DevId, NetnsId};
use rows::{Rows, arrangements, place, size};
use sim::view::Place;
use style::Style;

/// A pod, with the end of its link at the node.
#[derive(Clone, Debug)]
pub struct PodBox {
    pub host: NetnsId,
    pub name: String,
    pub addr: String,
    pub rect: Rect,
    /// It is one of many.
    pub chip: bool,
    pub port: DevId,
    pub port_name: String,
    pub hairpin: bool,
    /// The node's end of the link.
    pub port_at: (i32, i32),
}

/// A bridge of a node.
#[derive(Clone, Debug)]
pub struct BridgeBox {
    pub dev: DevId,
    pub name: String,
    pub rect: Rect,
}

/// A device that leads out of a box.
#[derive(Clone, Debug)]
pub struct UplinkBox {
    pub dev: DevId,
    pub label: String,
    /// Where the label ends.
    pub label_at: (i32, i32),
    /// Where it is, on the edge of the box.
    pub at: (i32, i32),
    /// The other end, if it is not a LAN's.
    pub to: Option<(NetnsId, DevId)>,
}

/// A node, or a box that is neither node, pod nor LAN.
#[derive(Clone, Debug)]
pub struct NodeBox {
    pub host: NetnsId,
    pub name: String,
    pub rect: Rect,
    /// Its IP stack, if that is drawn as a box of its own.
    pub stack: Option<Rect>,
    /// What is set up in it, with where it is drawn.
    pub badges: Vec<(Rect, String)>,
    pub bridges: Vec<BridgeBox>,
    pub pods: Vec<PodBox>,
    pub uplinks: Vec<UplinkBox>,
    pub idle: bool,
}

/// A LAN.
#[derive(Clone, Debug)]
pub struct LanBox {
    pub host: NetnsId,
    pub name: String,
    /// One for each row of nodes that it reaches.
    pub bars: Vec<Rect>,
    /// Where the bars are joined, if there are several.
    pub trunk: i32,
    /// x of each cable, and from where to where it goes.
    pub cables: Vec<(i32, i32, i32)>,
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
    pub index: Index,
}

/// A count as a length.
pub fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Width of so many letters of the small fixed font, in tenths.
pub const LETTER: i32 = 61;
/// Half of a port's side.
pub const PORT: i32 = 4;

/// Lays the map out for a room of this size, in pixels.
pub fn layout(scene: &Scene, (w, h): (i32, i32)) -> Layout {
    let style = |air| Style::of(scene, air);
    let (w, h) = (w.max(200), h.max(150));
    // The rows that make everything largest; of those that are alike the first.
    let scale = |rows: &Rows| {
        let (rw, rh) = size(scene, rows, &style(0));
        (w * 1000 / rw.max(1)).min(h * 1000 / rh.max(1))
    };
    let (mut rows, mut best) = (Rows { rows: Vec::new(), over: false }, 0);
    for next in arrangements(scene) {
        let k = scale(&next);
        if k > best {
            (rows, best) = (next, k);
        }
    }
    // Where there is more room than that, boxes become wider and links longer, and only then letters larger.
    let most = (w * 1000 / 760).clamp(1000, 1600);
    let k = best.clamp(1, most);
    let room = (w * 1000 / k, h * 1000 / k);
    let (least, greatest) = (size(scene, &rows, &style(0)).1, size(scene, &rows, &style(100)).1);
    let air = (room.1 - least) * 100 / (greatest - least).max(1);
    place(scene, &rows, &style(air.clamp(0, 100)), room.0)
}

/// Says where each place is.
fn index(out: &mut Layout) {
    let mut index = std::mem::take(&mut out.index);
    for lan in &out.lans {
        if let Some(bar) = lan.bars.first() {
            let at = bar.center();
            index.wide_host(lan.host, Spot { at, line: at });
        }
    }
    for n in &out.nodes {
        let low = n.rect.y + n.rect.h;
        let at = match n.stack {
            Some(s) => (s.x + s.w / 2, s.y + s.h - 19),
            None => (n.rect.x + n.rect.w / 2, low - 20),
        };
        let line = n.stack.map_or((at.0, low - 12), |s| (at.0, s.y + s.h - 7));
        index.put(Place::Stack(n.host), Spot { at, line });
        for b in &n.bridges {
            let at = b.rect.center();
            index.put(Place::Bridge(n.host, b.dev), Spot { at, line: at });
        }
        for u in &n.uplinks {
            index.put(Place::Dev(n.host, u.dev), Spot::narrow(u.at));
        }
        for p in &n.pods {
            index.put(Place::Dev(n.host, p.port), Spot::narrow(p.port_at));
            let r = p.rect;
            let (x, y) = r.center();
            if p.chip {
                index.wide_host(p.host, Spot { at: (x, y), line: (r.x, y) });
                index.devs_of(p.host, Spot::narrow((p.port_at.0, y)));
            } else {
                index.wide_host(p.host, Spot { at: (x, r.y + 3), line: (x, r.y) });
                index.devs_of(p.host, Spot { at: (x, r.y - 12), line: (x, r.y) });
            }
        }
    }
    index.sort();
    out.index = index;
}

impl Layout {
    /// Where the packet is drawn when it is at a place. `None` if the place is not drawn.
    pub fn point(&self, place: Place) -> Option<(i32, i32)> {
        self.index.get(place).map(|s| s.at)
    }

    /// Where the packet is drawn, or its box if the place is not drawn.
    pub fn spot(&self, place: Place) -> Option<(i32, i32)> {
        self.point(place).or_else(|| self.point(Place::Stack(place.host())))
    }

    /// The box around a host, for a ring around it.
    pub fn rect_of(&self, host: NetnsId) -> Option<Rect> {
        let lan = self.lans.iter().find(|l| l.host == host).and_then(|l| l.bars.first().copied());
        let node = || self.nodes.iter().find(|n| n.host == host).map(|n| n.rect);
        let pod = || self.nodes.iter().flat_map(|n| &n.pods).find(|p| p.host == host).map(|p| p.rect);
        lan.or_else(node).or_else(pod)
    }
}
