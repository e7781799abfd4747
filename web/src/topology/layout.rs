//! Where everything on the map is drawn. Computed from the scene and the room there is: nothing here knows a lab.
//!
//! Nodes stand in rows, as many as make the map largest in its room. A LAN is a bar above each row that it reaches; the
//! bars of one LAN are joined at the left. Where that makes the map larger, boxes that do not route stand in a row of their
//! own over the bars of the next one. Pods are cards as long as they are few, and chips in a grid when they are many.

use super::index::{Index, Spot};
use super::scene::{Lan, Node, Pod, Scene};
use crate::svg::Rect;
use kernel::{DevId, NetnsId};
use sim::view::Place;

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
const GAP: i32 = 14;
const PAD: i32 = 9;
const HEAD: i32 = 24;
const LAN_H: i32 = 18;
const LAN_GAP: i32 = 6;
const STACK_HEAD: i32 = 20;
const BADGE_H: i32 = 16;
const BRIDGE_H: i32 = 22;
const CARD: (i32, i32) = (98, 38);
const CHIP: (i32, i32) = (86, 18);
const CHIP_GAP: (i32, i32) = (12, 4);
/// More pods on a node than this are chips.
const CARDS: usize = 5;
/// More pods on the map than this are chips everywhere.
const ALL_CARDS: usize = 24;
/// More nodes than this are drawn without what only a close look shows.
const MANY: usize = 12;

/// Lengths that grow where there is room: each as it is at least, and by how much it may grow.
struct Air(i32);

impl Air {
    fn of(&self, least: i32, more: i32) -> i32 {
        least + more * self.0 / 100
    }
    fn uplink(&self) -> i32 {
        self.of(13, 10)
    }
    fn foot(&self, dense: bool) -> i32 {
        if dense { 10 } else { self.of(30, 16) }
    }
    fn gap(&self) -> i32 {
        self.of(9, 9)
    }
    fn link(&self, chips: bool) -> i32 {
        if chips { 10 } else { self.of(34, 20) }
    }
    fn row_gap(&self) -> i32 {
        self.of(16, 14)
    }
}

/// What all nodes of a map have in common.
struct Style {
    air: Air,
    chips: bool,
    dense: bool,
}

/// Rows of nodes.
struct Rows {
    rows: Vec<Vec<usize>>,
    /// The first row stands over the bars of the second.
    over: bool,
}

/// Lays the map out for a room of this size, in pixels.
pub fn layout(scene: &Scene, (w, h): (i32, i32)) -> Layout {
    let pods: usize = scene.nodes.iter().map(|n| pods_of(n).count()).sum();
    let style = |air| Style { air: Air(air), chips: pods > ALL_CARDS, dense: scene.nodes.len() > MANY };
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

/// Each number of rows, and the same with what does not route over the first bars.
fn arrangements(scene: &Scene) -> Vec<Rows> {
    let all: Vec<usize> = (0..scene.nodes.len()).collect();
    let plain = |i: &usize| scene.nodes.get(*i).is_some_and(|n| !n.routes);
    let (hosts, others): (Vec<usize>, Vec<usize>) = all.iter().partition(|i| plain(i));
    let mut out: Vec<Rows> = (1..=all.len()).map(|n| Rows { rows: split(&all, n), over: false }).collect();
    if !hosts.is_empty() && !is_direct(scene, &hosts) {
        out.extend((1..=others.len()).map(|n| {
            let mut rows = split(&others, n);
            rows.insert(0, hosts.clone());
            Rows { rows, over: true }
        }));
    }
    out
}

fn pods_of(node: &Node) -> impl Iterator<Item = &Pod> {
    node.bridges.iter().flat_map(|b| &b.pods).chain(&node.pods)
}

/// So many rows of about as many nodes.
fn split(nodes: &[usize], rows: usize) -> Vec<Vec<usize>> {
    let each = nodes.len().div_ceil(rows).max(1);
    nodes.chunks(each).map(<[usize]>::to_vec).collect()
}

impl Style {
    fn chips_on(&self, node: &Node) -> bool {
        self.chips || pods_of(node).count() > CARDS
    }

    /// Columns of chips for so many pods.
    fn columns(count: usize) -> usize {
        let mut columns = 1;
        while columns * columns * 100 < count * 40 {
            columns += 1;
        }
        columns.min(count.max(1))
    }

    /// Groups of pods: those of each bridge, and those that hang on none.
    fn groups(node: &Node) -> Vec<(Option<usize>, &[Pod])> {
        let bridged = node.bridges.iter().enumerate().map(|(i, b)| (Some(i), b.pods.as_slice()));
        bridged.chain((!node.pods.is_empty()).then_some((None, node.pods.as_slice()))).collect()
    }

    fn group_width(&self, node: &Node, pods: &[Pod]) -> i32 {
        if self.chips_on(node) {
            int(Self::columns(pods.len())) * (CHIP.0 + CHIP_GAP.0)
        } else {
            int(pods.len().max(1)) * (CARD.0 + 8)
        }
    }

    /// The least width of a node.
    fn width(&self, node: &Node) -> i32 {
        let groups: i32 = Self::groups(node).iter().map(|(_, p)| self.group_width(node, p)).sum();
        // An address is written without its prefix length where room is dear.
        let short = |addr: &str| addr.find('/').unwrap_or(addr.len());
        let label = |u: &super::scene::Uplink| int(u.name.len() + short(&u.addr) + 1) * LETTER / 10;
        let head = int(node.name.chars().count()) * 8
            + if node.uplinks.len() == 1 { node.uplinks.iter().map(label).sum() } else { 0 }
            + 46;
        let least = if self.dense { 110 } else { head.clamp(150, 260) };
        (groups + 2 * PAD).max(least)
    }

    fn head(&self, node: &Node) -> i32 {
        HEAD + if node.uplinks.len() > 1 { 14 } else { 0 }
    }

    fn stack_height(&self, node: &Node, width: i32) -> i32 {
        let lines = if self.dense { 0 } else { badge_lines(node, width) };
        STACK_HEAD + int(lines) * BADGE_H + self.air.foot(self.dense)
    }

    /// The height of a node of this width.
    fn height(&self, node: &Node, width: i32) -> i32 {
        let mut h = self.head(node);
        if !node.routes {
            return h + self.air.foot(self.dense) + 2;
        }
        h += self.stack_height(node, width - 2 * PAD) + PAD;
        if !node.bridges.is_empty() {
            h += self.air.gap() + BRIDGE_H;
        }
        let chips = self.chips_on(node);
        let pods = Self::groups(node).iter().map(|(_, pods)| self.pods_height(pods.len(), chips)).max();
        h + pods.unwrap_or(0)
    }

    fn pods_height(&self, count: usize, chips: bool) -> i32 {
        match (count, chips) {
            (0, _) => 0,
            (_, false) => self.air.link(false) + CARD.1,
            (_, true) => {
                self.air.link(true) + int(count.div_ceil(Self::columns(count))) * (CHIP.1 + CHIP_GAP.1)
            }
        }
    }
}

/// Which LANs reach a row.
fn lans_of(scene: &Scene, row: &[usize]) -> Vec<usize> {
    let here = |lan: &Lan| {
        let host =
            |end: &(NetnsId, DevId)| row.iter().any(|n| scene.nodes.get(*n).is_some_and(|n| n.host == end.0));
        lan.ports.iter().any(|(_, end)| host(end))
    };
    (0..scene.lans.len()).filter(|i| scene.lans.get(*i).is_some_and(here)).collect()
}

/// What stands above a row: the bars, and room for the cables.
fn above(lans: usize, direct: bool, style: &Style) -> i32 {
    int(lans) * (LAN_H + LAN_GAP)
        + if lans > 0 { style.air.uplink() - LAN_GAP } else { 0 }
        + if direct { 14 } else { 0 }
}

fn is_direct(scene: &Scene, row: &[usize]) -> bool {
    row.iter().filter_map(|i| scene.nodes.get(*i)).any(|n| n.uplinks.iter().any(|u| u.to.is_some()))
}

impl Rows {
    /// Room for the lines that join bars.
    fn margin(&self, scene: &Scene) -> i32 {
        if self.rows.len() - usize::from(self.over) > 1 { int(scene.lans.len()) * 12 } else { 0 }
    }

    /// The LANs whose bars stand above a row.
    fn lans(&self, scene: &Scene, row: usize) -> Vec<usize> {
        match (self.over, row) {
            (true, 0) => Vec::new(),
            (true, 1) => lans_of(scene, &self.rows.iter().take(2).flatten().copied().collect::<Vec<_>>()),
            _ => lans_of(scene, self.rows.get(row).map_or(&[], Vec::as_slice)),
        }
    }

    /// What stands below a row before the next.
    fn gap(&self, row: usize, style: &Style) -> i32 {
        if self.over && row == 0 { style.air.uplink() } else { style.air.row_gap() }
    }
}

/// The nodes of a row.
fn nodes<'a>(scene: &'a Scene, row: &[usize]) -> Vec<&'a Node> {
    row.iter().filter_map(|i| scene.nodes.get(*i)).collect()
}

/// The least size of these rows.
fn size(scene: &Scene, rows: &Rows, style: &Style) -> (i32, i32) {
    let (mut width, mut height, mut gap) = (0, 4, 0);
    for (i, row) in rows.rows.iter().enumerate() {
        let nodes = nodes(scene, row);
        let w: i32 = nodes.iter().map(|n| style.width(n) + GAP).sum();
        let h = nodes.iter().map(|n| style.height(n, style.width(n))).max().unwrap_or(0);
        width = width.max(w);
        height += gap + above(rows.lans(scene, i).len(), is_direct(scene, row), style) + h;
        gap = rows.gap(i, style);
    }
    (width + rows.margin(scene) - GAP + 4, height)
}

/// Draws the rows, widened to this width where they are narrower.
fn place(scene: &Scene, rows: &Rows, style: &Style, width: i32) -> Layout {
    let mut out = Layout { hidden: scene.hidden.clone(), ..Layout::default() };
    let left = rows.margin(scene);
    out.lans = scene.lans.iter().zip(0..).map(|(l, i)| lan_box(l, 6 + 12 * i)).collect();
    let gaps = |nodes: usize| GAP * int(nodes.saturating_sub(1));
    let least = |row: &[usize]| nodes(scene, row).iter().map(|n| style.width(n)).sum::<i32>();
    // All rows are widened alike, as the widest one can be.
    let factor = |row: &Vec<usize>| (width - left - 4 - gaps(row.len())) * 1000 / least(row).max(1);
    let factor = rows.rows.iter().map(factor).min().unwrap_or(1000).max(1000);
    let wide = |row: &[usize]| {
        nodes(scene, row).iter().map(|n| style.width(n) * factor / 1000).sum::<i32>() + gaps(row.len())
    };
    let widest = rows.rows.iter().map(|row| wide(row)).max().unwrap_or(0);
    let (mut y, mut first) = (2, 0);
    for (i, row) in rows.rows.iter().enumerate() {
        let lans = rows.lans(scene, i);
        let over = rows.over && i == 0;
        let top = y + above(lans.len(), is_direct(scene, row), style);
        let mut x = left + 2 + if over { (widest - wide(row)) / 2 } else { 0 };
        let mut bottom = top;
        if !rows.over || i != 1 {
            first = out.nodes.len();
        }
        // Those over the bars are all as high, so that their ways out are level.
        let boxes = nodes(scene, row);
        let sizes = boxes.iter().map(|n| {
            let w = style.width(n) * factor / 1000;
            (w, style.height(n, w))
        });
        let highest = sizes.clone().map(|(_, h)| h).max().unwrap_or(0);
        for (node, (w, h)) in boxes.iter().zip(sizes) {
            let rect = Rect { x, y: top, w, h: if over { highest } else { h } };
            out.nodes.push(node_box(node, rect, style, over));
            x += w + GAP;
            bottom = bottom.max(rect.y + rect.h);
        }
        let right = left + 2 + if rows.over && i == 1 { widest } else { wide(row) };
        for (i, lan) in lans.iter().enumerate() {
            let bar = Rect { x: left + 2, y: y + int(i) * (LAN_H + LAN_GAP), w: right - left - 2, h: LAN_H };
            bars(&mut out, scene, *lan, bar, first);
        }
        out.width = out.width.max(right + 2);
        out.height = bottom + 2;
        y = bottom + rows.gap(i, style);
    }
    if !out.hidden.is_empty() {
        out.height += 16;
    }
    index(&mut out);
    out
}

fn lan_box(lan: &Lan, trunk: i32) -> LanBox {
    LanBox { host: lan.host, name: lan.name.clone(), bars: Vec::new(), trunk, cables: Vec::new() }
}

/// A bar of a LAN, and its cables to the nodes from `first` on.
fn bars(out: &mut Layout, scene: &Scene, lan: usize, bar: Rect, first: usize) {
    let (Some(to), Some(from)) = (out.lans.get_mut(lan), scene.lans.get(lan)) else { return };
    to.bars.push(bar);
    for (port, (host, dev)) in &from.ports {
        let Some(node) = out.nodes.get(first..).and_then(|n| n.iter().find(|n| n.host == *host)) else {
            continue;
        };
        let Some(up) = node.uplinks.iter().find(|u| u.dev == *dev) else { continue };
        let (x, end) = up.at;
        let y = if end < bar.y { bar.y } else { bar.y + bar.h };
        to.cables.push((x, y, end));
        out.index.put(Place::Dev(from.host, *port), Spot::narrow((x, y)));
    }
}

/// How many lines badges need.
fn badge_lines(node: &Node, width: i32) -> usize {
    let stack = Rect { x: 0, y: 0, w: width, h: 0 };
    place_badges(&node.badges, &stack)
        .iter()
        .map(|(r, _)| (r.y - STACK_HEAD + 4) / BADGE_H)
        .max()
        .map_or(0, |n| usize::try_from(n + 1).unwrap_or(0))
}

/// Lays badges out in lines, the first beside the title where there is room.
fn place_badges(words: &[String], stack: &Rect) -> Vec<(Rect, String)> {
    let (left, right) = (stack.x + 10, stack.x + stack.w - 8);
    let (mut x, mut line) = (left + 58, -1);
    let mut out = Vec::new();
    for word in words {
        let w = int(word.chars().count()) * LETTER / 10 + 9;
        if x > left && x + w > right {
            (x, line) = (left, line + 1);
        }
        let rect = Rect { x, y: stack.y + STACK_HEAD - 1 + line * BADGE_H, w, h: BADGE_H - 3 };
        out.push((rect, word.clone()));
        x += w + 4;
    }
    out
}

/// A node where it is drawn; `over` the bars to which its ways out lead.
fn node_box(node: &Node, rect: Rect, style: &Style, over: bool) -> NodeBox {
    let head = style.head(node);
    let inner = Rect { x: rect.x + PAD, y: rect.y + head, w: rect.w - 2 * PAD, h: 0 };
    let mut out = NodeBox {
        host: node.host,
        name: node.name.clone(),
        rect,
        stack: None,
        badges: Vec::new(),
        bridges: Vec::new(),
        pods: Vec::new(),
        uplinks: uplinks(node, rect, over),
        idle: node.idle,
    };
    if !node.routes {
        return out;
    }
    let stack = Rect { h: style.stack_height(node, inner.w), ..inner };
    out.stack = Some(stack);
    if !style.dense {
        out.badges = place_badges(&node.badges, &stack);
    }
    let chips = style.chips_on(node);
    let bottom = stack.y + stack.h;
    let top = bottom + style.air.gap();
    let groups = Style::groups(node);
    let least: i32 = groups.iter().map(|(_, p)| style.group_width(node, p)).sum();
    let mut x = inner.x;
    for (i, (bridge, pods)) in groups.iter().enumerate() {
        let last = i + 1 == groups.len();
        let w =
            if last { inner.x + inner.w - x } else { style.group_width(node, pods) * inner.w / least.max(1) };
        let mut y = bottom;
        if let Some(b) = bridge.and_then(|b| node.bridges.get(b)) {
            let name = if b.addr.is_empty() { b.name.clone() } else { format!("{} {}", b.name, b.addr) };
            let rect = Rect { x, y: top, w: if last { w } else { w - 8 }, h: BRIDGE_H };
            out.bridges.push(BridgeBox { dev: b.dev, name, rect });
            y = top + BRIDGE_H;
        } else if !node.bridges.is_empty() {
            y = bottom;
        }
        let area = Rect { x, y, w, h: 0 };
        let link = if bridge.is_none() && !node.bridges.is_empty() {
            // Past the row of bridges.
            style.air.gap() + BRIDGE_H + style.air.link(chips)
        } else {
            style.air.link(chips)
        };
        out.pods.extend(pod_boxes(pods, area, link, chips));
        x += w;
    }
    out
}

fn pod_boxes(pods: &[Pod], area: Rect, link: i32, chips: bool) -> Vec<PodBox> {
    let made = |p: &Pod, rect: Rect, port_at| PodBox {
        host: p.host,
        name: p.name.clone(),
        addr: p.addr.clone(),
        rect,
        chip: chips,
        port: p.port,
        port_name: p.port_name.clone(),
        hairpin: p.hairpin,
        port_at,
    };
    let top = area.y + link;
    let mut out = Vec::new();
    if chips {
        let columns = Style::columns(pods.len());
        let rows = pods.len().div_ceil(columns).max(1);
        let step = area.w / int(columns);
        for (i, p) in pods.iter().enumerate() {
            let (column, row) = (int(i / rows), int(i % rows));
            let x = area.x + column * step;
            let w = (step - CHIP_GAP.0).min(150);
            let rect = Rect { x: x + CHIP_GAP.0 - 2, y: top + row * (CHIP.1 + CHIP_GAP.1), w, h: CHIP.1 };
            out.push(made(p, rect, (x + 3, area.y)));
        }
        return out;
    }
    let slot = area.w / int(pods.len().max(1));
    for (i, p) in pods.iter().enumerate() {
        let w = (slot - 8).min(170);
        let x = area.x + slot * int(i) + slot / 2;
        out.push(made(p, Rect { x: x - w / 2, y: top, w, h: CARD.1 }, (x, area.y)));
    }
    out
}

/// The ways out of a node, from the left; the last one near its right edge.
fn uplinks(node: &Node, rect: Rect, over: bool) -> Vec<UplinkBox> {
    let count = int(node.uplinks.len());
    let mut out = Vec::new();
    let mut before = rect.x + if count > 1 { 4 } else { 22 + int(node.name.chars().count()) * 8 };
    for (u, i) in node.uplinks.iter().zip(1..) {
        let x = rect.x + rect.w * i / count.max(1) - 16;
        let whole = format!("{} {}", u.name, u.addr);
        let short = whole.split('/').next().unwrap_or_default().to_owned();
        let names = [whole, short, u.name.clone()];
        let fits = |n: &String| int(n.chars().count()) * LETTER / 10 <= x - 9 - before;
        let label = names.into_iter().find(fits).unwrap_or_default();
        let line = if count > 1 { rect.y + 32 } else { rect.y + 16 };
        let at = (x, if over { rect.y + rect.h } else { rect.y });
        out.push(UplinkBox { dev: u.dev, label, label_at: (x - 8, line), at, to: u.to });
        before = x + 8;
    }
    out
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
