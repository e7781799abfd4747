//! A node and what is in it.

use super::style::{BADGE_H, BRIDGE_H, CARD, CHIP, CHIP_GAP, PAD, STACK_HEAD, Style};
use super::{BridgeBox, LETTER, NodeBox, PodBox, UplinkBox, int};
use crate::svg::Rect;
use crate::topology::scene::{Node, Pod};

/// How many lines badges need.
pub fn badge_lines(node: &Node, width: i32) -> usize {
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
pub fn node_box(node: &Node, rect: Rect, style: &Style, over: bool) -> NodeBox {
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
    let mut before = rect.x + if count > 1 { 4 } else { 12 + int(node.name.chars().count()) * 9 };
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
