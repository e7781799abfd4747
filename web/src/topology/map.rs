//! The cluster: the map, what has been walked on it, and the packets where they are.

use super::camera::{Camera, hands};
use super::draw::{boxes, bridge_label};
use super::layout::{Layout, layout};
use super::lost::Lost;
use super::path::{Piece, Point, d, joined, pieces};
use super::place::{self, Mark};
use super::scene::scene;
use super::sprites::{Envelope, Sprites, letter, letter_shape, small, small_shape};
use super::zoom::Zoom;
use crate::dom::{El, View, el, part, resized, svg};
use crate::load::Loaded;
use crate::state::State;
use crate::svg::{Rect, Svg, clicked};
use crate::topology_kind as kind;
use gloo::timers::callback::Timeout;
use kernel::event::IpvsStep;
use kernel::{NetnsId, PacketId};
use leptos::prelude::untrack;
use sim::EventId;
use sim::view::{Flow, PacketInfo, Tone};
use std::cell::RefCell;
use std::rc::Rc;
use workshop::At;

/// A layout, and the ways that packets of one run take on it.
pub struct Map {
    pub layout: Rc<Layout>,
    /// What is written on it.
    pub written: Vec<Mark>,
    pub loaded: Rc<Loaded>,
    ways: RefCell<Vec<(PacketId, Rc<Vec<Piece>>)>>,
    /// What has been lost, at the step that was asked for last.
    lost: RefCell<Option<Rc<Lost>>>,
}

impl Map {
    fn way(&self, id: PacketId) -> Rc<Vec<Piece>> {
        let mut ways = self.ways.borrow_mut();
        if let Some((_, way)) = ways.iter().find(|(p, _)| *p == id) {
            return Rc::clone(way);
        }
        let way = Rc::new(pieces(&self.layout, &self.loaded.story.hops, id));
        ways.push((id, Rc::clone(&way)));
        way
    }

    fn lost(&self, cursor: usize) -> Rc<Lost> {
        let kept = self.lost.borrow().as_ref().filter(|l| l.step == cursor).map(Rc::clone);
        kept.unwrap_or_else(|| {
            let lost = Rc::new(Lost::at(self, cursor));
            self.lost.replace(Some(Rc::clone(&lost)));
            lost
        })
    }

    /// All of it.
    fn whole(&self) -> Rect {
        Rect { x: 0, y: 0, w: self.layout.width, h: self.layout.height }
    }

    /// The box in which something happens: of a pod the node's, of a LAN the whole map.
    pub fn around(&self, host: NetnsId) -> Rect {
        let node = self.layout.nodes.iter().find(|n| n.host == host || n.pods.iter().any(|p| p.host == host));
        node.map_or_else(|| self.whole(), |n| n.rect)
    }

    /// Where something lies best in a frame whose place is `at`; what comes after it keeps off.
    pub fn free(&self, at: Point, shape: Rect, frame: Rect, marks: &mut Vec<Mark>) -> Point {
        let at = place::best(at, shape, frame, marks);
        marks.push(Mark::taken(Rect { x: shape.x + at.0, y: shape.y + at.1, ..shape }));
        at
    }
}

/// A room of less pixels than this is small.
const DEAR: i32 = 640;

/// The map in its stage.
pub fn map(state: State) -> View {
    let zoom = state.lens();
    let drawn = part(move || {
        let loaded = state.loaded.get();
        let topo = &loaded.story.topology;
        let visited: Vec<NetnsId> = loaded.story.steps.iter().filter(|s| !s.noise).map(|s| s.host).collect();
        // Where room is dear, what no packet comes to is left out, unless somebody has added it.
        let added = loaded.session.typed.iter().any(|t| t.at == At::Setup);
        let dear = !added && (state.narrow.get() || zoom.room.get().0 < DEAR);
        let scene = scene(loaded.world(), topo, &visited, dear);
        let layout = Rc::new(layout(&scene, zoom.room.get()));
        zoom.size.set((layout.width, layout.height));
        zoom.refit();
        let written = place::written(&layout);
        let loaded = Rc::clone(&loaded);
        let (ways, lost) = (RefCell::default(), RefCell::default());
        picture(state, Rc::new(Map { layout, written, loaded, ways, lost }))
    });
    let stage = el("div")
        .class("stage")
        .id("stage")
        .attr("tabindex", "0")
        .attr("role", "group")
        .attr(
            "aria-label",
            "Map: arrow keys move it, plus and minus zoom, Enter goes into the box with the packet",
        )
        .watch(follow_room(zoom));
    hands(stage, zoom).add(drawn).into()
}

/// Keeps [`Zoom::room`] what the stage has.
pub fn follow_room(zoom: &'static Zoom) -> impl FnMut(&web_sys::Element) + 'static {
    resized(move || {
        if zoom.measure() {
            zoom.refit();
        }
    })
}

fn picture(state: State, map: Rc<Map>) -> View {
    let (for_overlay, for_packets) = (Rc::clone(&map), Rc::clone(&map));
    let stage = Stage { zoom: state.lens(), layout: Rc::clone(&map.layout) };
    let enter = move |host| state.enter(host);
    let over = svg("g").live_html(move || overlay(state, &for_overlay));
    world(stage, enter, over, packets(state, for_packets))
}

/// A layout on the stage.
pub struct Stage {
    pub zoom: &'static Zoom,
    pub layout: Rc<Layout>,
}

/// The drawing of a layout, with what lies over it: seen through the camera, and only what is in sight. `enter` is told
/// which box was clicked.
pub fn world(stage: Stage, enter: impl Fn(NetnsId) + 'static, over: El, packets: El) -> View {
    let Stage { zoom, layout } = stage;
    let moved = move || zoom.camera.with(Camera::transform);
    let drawing = boxes(&layout);
    let (width, height) = (layout.width.to_string(), layout.height.to_string());
    let sized = |class| svg("svg").class(class).attr("width", width.clone()).attr("height", height.clone());
    // Three layers: what stands, what has been walked, and packets, each of them a drawing of its own. So the browser
    // paints the map once and only moves it and them.
    el("div")
        .class("world")
        .attr("aria-hidden", "true")
        .style("transform", moved)
        .watch(moving(zoom))
        .live("data-detail", move || zoom.camera.with(|c| c.detail().to_owned()))
        .on("click", move |e| {
            // The end of a drag is no click.
            if zoom.dragged.get_untracked() {
                zoom.dragged.set(false);
            } else if let Some(host) = clicked(e).and_then(|n| u16::try_from(n).ok()) {
                enter(NetnsId(host));
            }
        })
        .on("pointerdown", move |_| zoom.dragged.set(false))
        .add(sized("picture").html(drawing).watch(cull(zoom, layout)))
        .add(sized("overlay").add(over))
        .add(packets)
        .into()
}

/// While the map moves, the browser may move what it has painted; when it stands, it is painted as sharp as can be.
fn moving(zoom: &'static Zoom) -> impl FnMut(&web_sys::Element) + 'static {
    let mut timer = None;
    let mut before = None;
    move |el| {
        let camera = zoom.camera.get();
        if before.replace(camera).is_none_or(|b| b == camera) {
            return;
        }
        let _ = el.class_list().add_1("moving");
        drop(timer.take());
        let el = el.clone();
        timer = Some(Timeout::new(200, move || drop(el.class_list().remove_1("moving"))));
    }
}

/// Takes nodes that are out of sight out of the drawing. Only those that come or go are touched.
fn cull(zoom: &'static Zoom, layout: Rc<Layout>) -> impl FnMut(&web_sys::Element) + 'static {
    let mut out = vec![false; layout.nodes.len()];
    let mut found: Vec<web_sys::Element> = Vec::new();
    let mut kept = (0.0, 0.0, 0.0, 0.0);
    move |el| {
        let (left, top, right, low) = zoom.camera.get().sight(zoom.room.get());
        let (w, h) = (right - left, low - top);
        // What lies around is kept, too: a map that is moved a little needs nothing new, one that came much nearer does.
        let inside = left >= kept.0 && top >= kept.1 && right <= kept.2 && low <= kept.3;
        if inside && kept.2 - kept.0 < 4.5 * w {
            return;
        }
        let (left, top, right, low) = (left - w, top - h, right + w, low + h);
        kept = (left, top, right, low);
        if found.is_empty() {
            let all = el.get_elements_by_class_name("node");
            found = (0..all.length()).filter_map(|i| all.item(i)).collect();
        }
        for ((node, el), out) in layout.nodes.iter().zip(&found).zip(&mut out) {
            let r = node.rect;
            let (x, y, x2, y2) = (f64::from(r.x), f64::from(r.y), f64::from(r.x + r.w), f64::from(r.y + r.h));
            let gone = x2 < left || x > right || y2 < top || y > low;
            if gone != *out {
                let _ = el.class_list().toggle_with_force("out", gone);
                *out = gone;
            }
        }
    }
}

/// What has been walked, what has fallen, and what is chosen.
fn overlay(state: State, map: &Map) -> String {
    let mut s = Svg::default();
    for (host, class) in [(state.pinned.get(), "ring pinned"), (state.outlined.get(), "ring focus")] {
        if let Some(r) = host.and_then(|h| map.layout.rect_of(h)) {
            s.rect(class, r.grown(2), 11);
        }
    }
    ghost(&mut s, state, map);
    ways(&mut s, state, map);
    labels(&mut s, &map.layout);
    map.lost(state.cursor.get()).draw(&mut s, state.packet());
    s.done()
}

/// The way of the chosen packet so far, and faintly those of the packets that led to it.
fn ways(s: &mut Svg, state: State, map: &Map) {
    let story = &map.loaded.story;
    let now = state.now();
    let mut family = Vec::new();
    let mut next = state.packet();
    while let Some(p) = next.and_then(|id| story.packet(id)).filter(|_| family.len() < 3) {
        family.push((p.id, p.flow));
        next = p.parent;
    }
    for (i, (id, flow)) in family.iter().enumerate().rev() {
        let way = map.way(*id);
        let walked: Vec<&Piece> = way.iter().filter(|p| p.event <= now).collect();
        let class = format!("way {}{}", kind(*flow), if i > 0 { " old" } else { "" });
        for (n, piece) in walked.iter().enumerate() {
            if i == 0 && n + 1 == walked.len() && *flow != Flow::Noise {
                s.arrow(&class, &d(&piece.points), kind(*flow));
            } else {
                s.path(&class, &d(&piece.points));
            }
        }
    }
}

/// Names that a way may cross, once more above it.
fn labels(s: &mut Svg, layout: &Layout) {
    for lan in &layout.lans {
        for bar in &lan.bars {
            s.text("name small above-way", bar.x + 10, bar.y + 13, &lan.name);
        }
    }
    for b in layout.nodes.iter().filter(|n| !n.idle).flat_map(|n| &n.bridges) {
        let (x, y, name) = bridge_label(b);
        s.text("mono strong above-way on-bridge", x, y, &name);
    }
    for u in layout.nodes.iter().filter(|n| !n.idle).flat_map(|n| &n.uplinks) {
        s.text("mono dim end fine above-way", u.label_at.0, u.label_at.1, &u.label);
    }
}

/// The way that the same packet took before the last change, whole.
fn ghost(s: &mut Svg, state: State, map: &Map) {
    if state.zoom.ghost_gone.get() {
        return;
    }
    let Some(before) = state.before.get() else { return };
    // Boxes have the numbers that they had, or it is another map.
    if before.story.topology.roles != map.loaded.story.topology.roles {
        return;
    }
    let Some(now) = state.packet().and_then(|id| map.loaded.story.packet(id)) else { return };
    let same = |p: &&PacketInfo| p.host == now.host && p.label == now.label && p.flow == now.flow;
    let earlier = |list: &[PacketInfo], id| list.iter().take_while(|p| p.id != id).filter(same).count();
    let nth = earlier(&map.loaded.story.packets, now.id);
    let Some(then) = before.story.packets.iter().filter(same).nth(nth) else { return };
    for piece in pieces(&map.layout, &before.story.hops, then.id) {
        s.path("way ghost", &d(&piece.points));
    }
}

/// The layer of packets.
fn packets(state: State, map: Rc<Map>) -> El {
    let mut sprites = None;
    let mut before = untrack(|| state.now());
    el("div").class("packets").watch(move |layer| {
        let now = state.now();
        let pace = if state.tween.get() { pace(state) } else { 0 };
        let wanted = envelopes(state, &map, before, now);
        before = now;
        // The layer may have been another map's.
        let sprites = sprites.get_or_insert_with(|| {
            layer.set_inner_html("");
            Sprites::default()
        });
        sprites.show(layer, wanted, pace);
    })
}

/// How long a movement may take: a step, at the speed at which it plays.
fn pace(state: State) -> i32 {
    if crate::media("(prefers-reduced-motion: reduce)") {
        return 0;
    }
    let speed = i32::try_from(state.speed.get_untracked().max(1)).unwrap_or(4);
    if state.playing.get_untracked() { (2400 / speed).min(400) } else { 400 }
}

/// At most so many packets at once beside the one that is looked at.
const CROWD: usize = 60;

fn envelopes(state: State, map: &Map, before: EventId, now: EventId) -> Vec<Envelope> {
    let cursor = state.cursor.get();
    let noise = state.noise.get();
    let story = &map.loaded.story;
    let chosen = state.chosen.get();
    let steps = map.loaded.exchanges.get(map.loaded.exchange_at(cursor)).map_or((0, usize::MAX), |e| e.steps);
    let on_way = |p: &&PacketInfo| {
        Some(p.id) != chosen
            && (p.steps.0..p.steps.1).contains(&cursor)
            && p.steps.0 >= steps.0
            && (noise || p.flow != Flow::Noise)
    };
    let mut out = Vec::new();
    // Nothing hides why another one was lost.
    let mut marks = map.lost(cursor).marks.clone();
    let main = chosen.and_then(|id| story.packet(id));
    for p in main.into_iter().chain(story.packets.iter().filter(on_way).take(CROWD)) {
        let is_main = Some(p.id) == chosen;
        let lies = map.lost(cursor).place(p.id);
        let Some(true_at) = lies.or_else(|| spot(state, map, p.id)) else { continue };
        let (at, face, class): (Point, Rc<str>, String) = if is_main {
            let Some((frame, class)) = content(state, &map.loaded, p.id) else { continue };
            let flow = short_flow(&frame);
            let at = map.free(
                true_at,
                letter_shape(&flow).tilted(class == TIPPED).grown(3),
                map.whole(),
                &mut marks,
            );
            let aside = (true_at.0 - at.0, true_at.1 - at.1);
            let face = letter(class, &sim::view::segment(&frame), &flow, aside);
            (at, face, format!("envelope {}", kind(p.flow)))
        } else {
            let at = map.free(true_at, small_shape(&p.label), map.whole(), &mut marks);
            (at, small("face", &p.label), format!("envelope little {}", kind(p.flow)))
        };
        let way = if before == now { Vec::new() } else { between(&map.way(p.id), before, now) };
        out.push(Envelope { id: p.id, class, face, at, way });
    }
    // The one that is looked at lies on top.
    let last = usize::from(main.is_some() && out.len() > 1);
    out.rotate_left(last);
    out
}

/// The corners between two moments.
fn between(way: &[Piece], before: EventId, now: EventId) -> Vec<Point> {
    let (from, to) = (before.min(now), before.max(now));
    let walked = way.iter().filter(|p| p.event > from && p.event <= to).map(|p| p.points.as_slice());
    let mut out = joined(walked);
    if now < before {
        out.reverse();
    }
    out
}

/// Where a packet is.
fn spot(state: State, map: &Map, packet: PacketId) -> Option<Point> {
    let steps = map.loaded.story.steps.get(..=state.cursor.get())?;
    let place = steps.iter().rev().find(|s| s.packet == Some(packet))?.place;
    map.layout.spot(place)
}

/// A packet as it is at the cursor, and what happens to it there.
pub fn content(state: State, loaded: &Loaded, id: PacketId) -> Option<(Rc<packet::Frame>, &'static str)> {
    let now = state.now();
    let first = || loaded.story.steps.iter().find(|s| s.packet == Some(id)).map(|s| s.event);
    let frame = sim::view::frame_at(loaded.world(), id, now);
    let frame = frame.or_else(|| sim::view::frame_at(loaded.world(), id, first()?))?;
    let step = loaded.story.steps.get(state.cursor.get())?;
    let event = loaded.world().log().get(step.key).and_then(|e| e.what());
    let class = match event {
        Some(kernel::What::Nat { .. }) => "face flip",
        Some(kernel::What::Ipvs { step: IpvsStep::Rewritten { .. }, .. }) => "face flip",
        Some(kernel::What::Drop { .. }) if step.tone == Tone::Bad => TIPPED,
        _ => "face",
    };
    Some((frame, class))
}

/// The class of an envelope that falls.
const TIPPED: &str = "face tipped";

/// Addresses of a frame; a client's own port is left out.
pub fn short_flow(frame: &packet::Frame) -> String {
    let Some(ip) = frame.ip() else { return sim::view::flow_text(frame) };
    let end = |addr, port: Option<u16>| sim::view::endpoint(addr, port.filter(|p| *p < 32768));
    let ports = ip.ports();
    format!("{} → {}", end(ip.src, ports.map(|p| p.0)), end(ip.dst, ports.map(|p| p.1)))
}
