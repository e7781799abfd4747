//! The map as SVG. Hidden from screen readers, who have the outline instead.

use super::layout::{
    BridgeBox, LETTER, LINK, LanBox, Layout, NodeBox, PodBox, Port, UPLINK, int, layout, text_width,
};
use super::outline::outline;
use super::path::pieces;
use crate::dom::{NONE, View, el, part, svg};
use crate::load::Loaded;
use crate::state::State;
use crate::svg::{Rect, Svg, clicked};
use crate::topology_kind as kind;
use kernel::event::IpvsStep;
use kernel::{NetnsId, PacketId};
use sim::view::{Area, Flow, Place, Role, Tone};
use std::rc::Rc;

/// Width of the map in its own units.
const WIDE: i32 = 720;
const NARROW: i32 = 372;

/// The pane.
pub fn map(state: State) -> View {
    let drawn = part(move || {
        let loaded = state.loaded.get();
        let visited: Vec<NetnsId> = loaded.story.steps.iter().filter(|s| !s.noise).map(|s| s.host).collect();
        let narrow = state.narrow.get();
        let width = if narrow { NARROW } else { WIDE };
        let only = narrow.then_some(&visited[..]);
        let l = layout(loaded.world(), &loaded.story.topology, width, only);
        picture(state, boxes(&loaded, &l, &visited), Rc::new(l))
    });
    el("div").class("map").add(drawn).add(outline(state)).into()
}

fn picture(state: State, boxes: String, l: Rc<Layout>) -> View {
    let view_box = format!("0 0 {} {}", l.width, l.height);
    let for_packet = Rc::clone(&l);
    svg("svg")
        .class("picture")
        .attr("viewBox", view_box)
        .attr("aria-hidden", "true")
        .on("click", move |e| {
            if let Some(host) = clicked(e) {
                pin(state, NetnsId(u16::try_from(host).unwrap_or_default()));
            }
        })
        .add(svg("g").html(boxes))
        .add(svg("g").live_html(move || overlay(state, &l)))
        .add(envelope(state, for_packet))
        .into()
}

/// Everything that does not move.
fn boxes(loaded: &Loaded, l: &Layout, visited: &[NetnsId]) -> String {
    let mut s = Svg::default();
    for name in ["req", "rep", "rst"] {
        s.marker(name);
    }
    for lan in &l.lans {
        draw_lan(&mut s, lan);
    }
    for node in &l.nodes {
        let topo = &loaded.story.topology;
        let mut mine = topo.having(|r| matches!(r, Role::Pod { node: n, .. } if n == node.host));
        mine.push(node.host);
        let idle = !mine.iter().any(|m| visited.contains(m));
        s.group(if idle { "node idle" } else { "node" }, None);
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
    for p in &lan.ports {
        line(s, p.x, p.y, p.y + UPLINK);
    }
    s.group("hit", Some(lan.host.index()));
    s.rect("lan", lan.rect, 8);
    s.text("name small", lan.rect.x + 12, lan.rect.y + 17, &lan.name);
    s.end();
}

fn draw_node(s: &mut Svg, n: &NodeBox) {
    let (r, stack) = (n.rect, n.stack);
    s.group("hit", Some(n.host.index()));
    s.rect("card-box", r, 14);
    s.text("name", r.x + 14, r.y + 18, &n.name);
    let wide = stack.w > 300;
    s.rect("stack", stack, 10);
    let title = if wide { "IP stack and netfilter" } else { "IP stack" };
    s.text("name small", stack.x + 12, stack.y + 18, title);
    let addrs: Vec<String> = n.bridges.iter().map(|b| format!("{} {}", b.name, b.addr)).collect();
    let (x, y) = (stack.x + if wide { 164 } else { 76 }, stack.y + 18);
    let addrs = addrs.join("  ");
    if x + text_width(&addrs) <= stack.x + stack.w {
        s.text("mono dim", x, y, &addrs);
    }
    for (at, word) in &n.badges {
        s.rect("badge", *at, 4);
        s.text("mono dim", at.x + 5, at.y + 10, word);
    }
    s.end();
    for (_, name, x) in &n.uplinks {
        s.text("mono dim end", x - 7, r.y - 7, name);
    }
    for b in &n.bridges {
        draw_bridge(s, b, &stack);
    }
    for p in &n.ports {
        draw_port(s, p, r.x + r.w);
    }
    for p in &n.pods {
        draw_pod(s, p);
    }
}

fn draw_bridge(s: &mut Svg, b: &BridgeBox, stack: &Rect) {
    let r = b.rect;
    let half = r.w / (2 * int(b.ports.len().max(1)));
    line(s, r.x + r.w / 2, stack.y + stack.h, r.y);
    for p in &b.ports {
        draw_port(s, p, p.x + half + 10);
    }
    s.rect("bridge-out", r, 10);
    s.rect("bridge-in", r.grown(-4), 7);
    match b.ports.as_slice() {
        [first, _, ..] => s.text("name small", first.x + 14, r.y - 7, &format!("bridge {}", b.name)),
        _ => s.text("name small", r.x + 4, r.y - 7, &b.name),
    }
}

fn draw_port(s: &mut Svg, p: &Port, right: i32) {
    line(s, p.x, p.y, p.y + LINK);
    s.rect("port", Rect { x: p.x - 5, y: p.y - 5, w: 10, h: 10 }, 2);
    if p.hairpin {
        s.text("mono dim end portname", p.x - 9, p.y + 15, "hairpin");
    }
    // The outline has the names that do not fit.
    if p.x + 10 + int(p.name.len()) * LETTER / 10 <= right {
        s.text("mono dim portname", p.x + 10, p.y + 15, &p.name);
    }
}

fn draw_pod(s: &mut Svg, p: &PodBox) {
    let x = p.rect.x + p.rect.w / 2;
    s.group("hit", Some(p.host.index()));
    s.rect("pod", p.rect, 10);
    s.text("name small center", x, p.rect.y + 19, &p.name);
    s.text("mono dim center", x, p.rect.y + 33, &p.addr);
    s.end();
}

/// Chooses a box, or lets go of it.
pub(super) fn pin(state: State, host: NetnsId) {
    let now = state.pinned.get_untracked();
    state.pinned.set(if now == Some(host) { None } else { Some(host) });
}

/// What has been walked, what has fallen, and what is chosen.
fn overlay(state: State, l: &Layout) -> String {
    let mut s = Svg::default();
    for (host, class) in [(state.pinned.get(), "ring pinned"), (state.outlined.get(), "ring focus")] {
        if let Some(r) = host.and_then(|h| l.rect_of(h)) {
            s.rect(class, r.grown(1), 13);
        }
    }
    ways(&mut s, state, l);
    fallen(&mut s, state, l);
    s.done()
}

/// The way of the chosen packet so far, and faintly those of the packets that led to it.
fn ways(s: &mut Svg, state: State, l: &Layout) {
    let (loaded, now) = (state.loaded.get(), state.now());
    let mut family = Vec::new();
    let mut next = state.packet();
    while let Some(p) = next.and_then(|id| loaded.story.packet(id)).filter(|_| family.len() < 3) {
        family.push((p.id, p.flow));
        next = p.parent;
    }
    for (i, (id, flow)) in family.iter().enumerate().rev() {
        let walked: Vec<_> =
            pieces(l, &loaded.story.hops, *id).into_iter().filter(|p| p.event <= now).collect();
        let class = format!("way {}{}", kind(*flow), if i > 0 { " old" } else { "" });
        for (n, piece) in walked.iter().enumerate() {
            if i == 0 && n + 1 == walked.len() && *flow != Flow::Noise {
                s.arrow(&class, &piece.d(), kind(*flow));
            } else {
                s.path(&class, &piece.d());
            }
        }
    }
}

/// Packets that have ended so far, where they fell.
fn fallen(s: &mut Svg, state: State, l: &Layout) {
    let loaded = state.loaded.get();
    let (cursor, current) = (state.cursor.get(), state.packet());
    let dropped = loaded.story.steps.iter().take(cursor + 1).filter(|s| s.area == Area::Drop && !s.noise);
    for step in dropped {
        let Some((x, y)) = l.point(step.place) else { continue };
        let dim = step.tone == Tone::Dim || step.packet != current;
        let x = if matches!(step.place, Place::Stack(_)) { x + 44 } else { x + 18 };
        let d = format!("M{} {}l10 10m0-10-10 10", x - 5, y - 5);
        s.path(if dim { "fallen dim" } else { "fallen" }, &d);
    }
}

/// Where the envelope of the current step is.
fn spot(state: State, l: &Layout) -> Option<(i32, i32)> {
    let loaded = state.loaded.get();
    let packet = state.packet();
    let steps = loaded.story.steps.get(..=state.cursor.get())?;
    let place = steps.iter().rev().find(|s| s.packet == packet)?.place;
    l.point(place).or_else(|| l.point(Place::Stack(place.host())))
}

/// Half of the least width of an envelope.
const HALF: i32 = 88;

/// Half of the width of an envelope with this address line.
fn half(flow: &str) -> i32 {
    (int(flow.chars().count()) * (LETTER + 4) / 20 + 8).max(HALF)
}

fn envelope(state: State, l: Rc<Layout>) -> View {
    part(move || {
        let l = Rc::clone(&l);
        let Some(id) = state.chosen.get() else { return NONE };
        let at = move || {
            let (x, y) = spot(state, &l).unwrap_or((-999, -999));
            let edge = content(state, id).map_or(HALF, |(frame, _)| half(&short_flow(&frame))) + 2;
            format!("translate({}px,{y}px)", x.min(l.width - edge).max(edge))
        };
        let flow = state.loaded.with(|d| d.story.packet(id).map_or(Flow::Noise, |p| p.flow));
        svg("g")
            .class("envelope")
            .class(kind(flow))
            .flag("still", move || !state.tween.get())
            .style("transform", at)
            .add(svg("g").live_html(move || face(state, id).unwrap_or_default()))
            .into()
    })
}

/// A packet as it is at the cursor, and what happens to it there.
fn content(state: State, id: PacketId) -> Option<(Rc<packet::Frame>, &'static str)> {
    let (loaded, now) = (state.loaded.get(), state.now());
    let first = || loaded.story.steps.iter().find(|s| s.packet == Some(id)).map(|s| s.event);
    let frame = sim::view::frame_at(loaded.world(), id, now);
    let frame = frame.or_else(|| sim::view::frame_at(loaded.world(), id, first()?))?;
    let step = loaded.story.steps.get(state.cursor.get())?;
    let event = loaded.world().log().get(step.key).and_then(|e| e.what());
    let class = match event {
        Some(kernel::What::Nat { .. }) => "face flip",
        Some(kernel::What::Ipvs { step: IpvsStep::Rewritten { .. }, .. }) => "face flip",
        Some(kernel::What::Drop { .. }) if step.tone == Tone::Bad => "face tipped",
        _ => "face",
    };
    Some((frame, class))
}

/// The envelope's label: kind of segment and addresses.
fn face(state: State, id: PacketId) -> Option<String> {
    let (frame, class) = content(state, id)?;
    let flow = short_flow(&frame);
    let half = half(&flow);
    let mut s = Svg::default();
    s.group(class, None);
    s.rect("", Rect { x: -half, y: -17, w: 2 * half, h: 34 }, 7);
    s.path("letter", &format!("M{x} -12h11v8h-11zM{x} -12l5.5 4.5 5.5 -4.5", x = 6 - half));
    s.text("what", 22 - half, -3, &sim::view::segment(&frame));
    s.text("mono addr", 0, 11, &flow);
    s.end();
    Some(s.done())
}

/// Addresses of a frame; a client's own port is left out.
fn short_flow(frame: &packet::Frame) -> String {
    let Some(ip) = frame.ip() else { return sim::view::flow_text(frame) };
    let end = |addr, port: Option<u16>| sim::view::endpoint(addr, port.filter(|p| *p < 32768));
    let ports = ip.ports();
    format!("{} → {}", end(ip.src, ports.map(|p| p.0)), end(ip.dst, ports.map(|p| p.1)))
}
