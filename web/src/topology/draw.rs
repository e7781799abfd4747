//! The map as SVG: everything that does not move. Written as text, once for each layout.

use super::layout::{BridgeBox, LETTER, LanBox, Layout, NodeBox, PORT, PodBox, int};
use super::path::d;
use crate::svg::{Rect, Svg, cut};
use sim::view::Place;

/// So many letters of the fixed font have room in a width.
fn letters(w: i32) -> i32 {
    w * 10 / LETTER
}

/// So many letters of a name have room in a width, in tenths of a pixel for each.
fn name_letters(w: i32, each: i32) -> i32 {
    w * 10 / each
}

/// The whole map.
pub fn boxes(l: &Layout) -> String {
    let mut s = Svg::default();
    for name in ["req", "rep", "rst"] {
        s.marker(name);
    }
    for lan in &l.lans {
        draw_lan(&mut s, lan);
    }
    direct_links(&mut s, l);
    for node in &l.nodes {
        s.group(if node.idle { "node idle" } else { "node" }, None);
        draw_node(&mut s, node);
        s.end();
    }
    if !l.hidden.is_empty() {
        s.text("dim tiny", 8, l.height - 4, &format!("not on the way: {}", l.hidden.join(", ")));
    }
    s.done()
}

fn line(s: &mut Svg, x: i32, from: i32, to: i32) {
    s.path("cable", &format!("M{x} {from}V{to}"));
}

fn draw_lan(s: &mut Svg, lan: &LanBox) {
    if let (Some(first), Some(last)) = (lan.bars.first(), lan.bars.last())
        && lan.bars.len() > 1
    {
        let (x, y) = (lan.trunk, first.center().1);
        s.path("trunk", &format!("M{} {y}H{x}V{}H{}", first.x, last.center().1, last.x));
        for bar in &lan.bars {
            s.path("trunk", &format!("M{x} {}H{}", bar.center().1, bar.x));
        }
    }
    for (x, from, to) in &lan.cables {
        line(s, *x, *from, *to);
    }
    s.group("hit", Some(lan.host.index()));
    for bar in &lan.bars {
        s.rect("lan", *bar, 6);
        s.text("name small", bar.x + 10, bar.y + 13, &lan.name);
    }
    s.end();
}

/// Links between boxes that are no LAN: above the boxes.
fn direct_links(s: &mut Svg, l: &Layout) {
    for n in &l.nodes {
        for u in &n.uplinks {
            let Some((host, dev)) = u.to else { continue };
            let Some((x, y)) = l.point(Place::Dev(host, dev)) else { continue };
            // Each once.
            if (n.host, u.dev) < (host, dev) {
                let lane = u.at.1.min(y) - 9;
                s.path("cable", &d(&[u.at, (u.at.0, lane), (x, lane), (x, y)]));
            }
        }
    }
}

fn draw_node(s: &mut Svg, n: &NodeBox) {
    let r = n.rect;
    s.group("hit", Some(n.host.index()));
    s.title(&n.name);
    s.rect(if n.stack.is_some() { "card-box" } else { "card-box plain" }, r, 10);
    let right = n.uplinks.first().filter(|_| n.uplinks.len() == 1);
    let right = right.map_or(r.x + r.w, |u| u.label_at.0 - int(u.label.chars().count()) * LETTER / 10);
    let room = name_letters(right - r.x - 14, 76);
    s.text("name", r.x + 10, r.y + 16, &cut(&n.name, room));
    if let Some(stack) = n.stack {
        s.rect("stack", stack, 7);
        s.text("dim tiny fine", stack.x + 9, stack.y + 14, "IP stack");
    }
    for (at, word) in &n.badges {
        s.rect("badge fine", *at, 4);
        s.text("mono dim fine", at.x + 5, at.y + 10, word);
    }
    s.end();
    for b in &n.bridges {
        if let Some(stack) = n.stack {
            line(s, b.rect.center().0, stack.y + stack.h, b.rect.y);
        }
    }
    cables(s, n);
    for b in &n.bridges {
        draw_bridge(s, b, n.host.index());
    }
    for u in &n.uplinks {
        port(s, u.at);
        s.text("mono dim end fine", u.label_at.0, u.label_at.1, &u.label);
    }
    for p in &n.pods {
        draw_pod(s, p);
    }
}

fn port(s: &mut Svg, (x, y): (i32, i32)) {
    s.rect("port", Rect { x: x - PORT, y: y - PORT, w: 2 * PORT, h: 2 * PORT }, 2);
}

/// The links of a node's pods; those of chips in a column are drawn as one.
fn cables(s: &mut Svg, n: &NodeBox) {
    let mut column: Option<(i32, i32, i32)> = None;
    let mut stubs = String::new();
    for p in &n.pods {
        let (x, y) = p.port_at;
        if !p.chip {
            line(s, x, y, p.rect.y);
            port(s, p.port_at);
            if let Some((x, y, name)) = port_label(p) {
                s.text("mono dim portname fine", x, y, name);
            }
            if p.hairpin {
                s.text("mono dim end portname fine", x - 9, middle(p), "hairpin");
            }
            continue;
        }
        let low = p.rect.center().1;
        stubs.push_str(&format!("M{x} {low}H{}", p.rect.x));
        match &mut column {
            Some(c) if c.0 == x && c.1 == y => c.2 = low,
            _ => {
                if let Some((x, from, to)) = column.replace((x, y, low)) {
                    line(s, x, from, to);
                }
                port(s, p.port_at);
            }
        }
    }
    if let Some((x, from, to)) = column {
        line(s, x, from, to);
        s.path("cable", &stubs);
    }
}

/// Half way down a pod's link.
fn middle(p: &PodBox) -> i32 {
    (p.port_at.1 + p.rect.y) / 2 + 4
}

/// The name of a pod's port and where it stands, where there is room for it. Half a name tells nothing: the outline and
/// the pod's title have it.
pub fn port_label(p: &PodBox) -> Option<(i32, i32, &str)> {
    let x = p.port_at.0;
    let room = letters(p.rect.x + p.rect.w + 6 - x - 9) + 1;
    (!p.chip && room >= int(p.port_name.len())).then_some((x + 9, middle(p), p.port_name.as_str()))
}

fn draw_bridge(s: &mut Svg, b: &BridgeBox, host: usize) {
    let r = b.rect;
    s.group("hit", Some(host));
    s.rect("bridge-out", r, 7);
    s.rect("bridge-in", r.grown(-3), 5);
    let (x, y, name) = bridge_label(b);
    s.text("mono strong", x, y, &name);
    s.end();
}

/// A bridge's name and where it stands.
pub fn bridge_label(b: &BridgeBox) -> (i32, i32, String) {
    (b.rect.x + 10, b.rect.y + 15, cut(&b.name, letters(b.rect.w - 20)))
}

fn draw_pod(s: &mut Svg, p: &PodBox) {
    let (r, (x, y)) = (p.rect, p.rect.center());
    s.group(if p.chip { "hit chip-box" } else { "hit" }, Some(p.host.index()));
    s.title(&format!("{} {} on {}", p.name, p.addr, p.port_name));
    s.rect("pod", r, if p.chip { 4 } else { 8 });
    if p.chip {
        s.text("mono fine", r.x + 5, y + 3, &cut(&p.name, letters(r.w - 8)));
    } else {
        s.text("name small center", x, r.y + 17, &cut(&p.name, name_letters(r.w - 6, 79)));
        s.text("mono dim center fine", x, r.y + 30, &cut(&p.addr, letters(r.w - 4)));
    }
    s.end();
}
