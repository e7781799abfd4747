//! A large cluster that is made up, on the same stage and by the same code as a lab's: for measuring how fast the picture
//! is. `?bench=scene` in the page's address shows it; docs/BENCHMARKS.md tells how it is measured.

use super::camera::hands;
use super::layout::layout;
use super::map::{Stage, follow_room, world};
use super::path::{Point, joined, pieces};
use super::scene::{Bridge, Lan, Node, Pod, Scene, Uplink};
use super::sprites::{Envelope, Sprites, small};
use super::zoom::Zoom;
use crate::dom::{View, before_paint, el, keep, svg};
use gloo::timers::callback::Interval;
use kernel::{DevId, NetnsId, PacketId};
use leptos::prelude::window;
use sim::EventId;
use sim::view::{Hop, Place};
use std::rc::Rc;

const NODES: u16 = 50;
const PODS: u16 = 20;
const PACKETS: u32 = 200;
/// A hop, in milliseconds; packets do not set out all at once, but in so many parts.
const HOP: u32 = 400;
const PARTS: usize = 8;

const LAN: NetnsId = NetnsId(0);
const UP: DevId = DevId(1);
const BRIDGE: DevId = DevId(2);
const ETH0: DevId = DevId(1);

fn node_id(n: u16) -> NetnsId {
    NetnsId(1 + n)
}

fn pod_id(n: u16, p: u16) -> NetnsId {
    NetnsId(1 + NODES + n * PODS + p)
}

fn port(p: u16) -> DevId {
    DevId(10 + p)
}

/// The cluster.
fn scene() -> Scene {
    let pod = |n: u16, p: u16| Pod {
        host: pod_id(n, p),
        name: format!("web-{:04x}-{p}", u32::from(n) * 40503 % 65536),
        addr: format!("10.244.{n}.{}", p + 2),
        port: port(p),
        port_name: format!("veth{n:02x}{p:02x}"),
        hairpin: false,
    };
    let node = |n: u16| Node {
        host: node_id(n),
        name: format!("worker-{}", n + 1),
        routes: true,
        badges: vec!["Linux 6.18".to_owned()],
        bridges: vec![Bridge {
            dev: BRIDGE,
            name: "cni0".to_owned(),
            addr: format!("10.244.{n}.1/24"),
            pods: (0..PODS).map(|p| pod(n, p)).collect(),
        }],
        pods: Vec::new(),
        uplinks: vec![Uplink {
            dev: UP,
            name: "eth0".to_owned(),
            addr: format!("10.0.0.{}/16", n + 10),
            to: None,
        }],
        idle: false,
    };
    let ports = (0..NODES).map(|n| (port(n), (node_id(n), UP))).collect();
    Scene {
        lans: vec![Lan { host: LAN, name: "lan".to_owned(), ports }],
        nodes: (0..NODES).map(node).collect(),
        hidden: Vec::new(),
    }
}

/// The way of a packet from one pod to another on another node.
fn hops(packet: PacketId, from: (u16, u16), to: (u16, u16)) -> Vec<Hop> {
    let (a, b) = (node_id(from.0), node_id(to.0));
    let (client, server) = (pod_id(from.0, from.1), pod_id(to.0, to.1));
    let places = [
        Place::Stack(client),
        Place::Dev(client, ETH0),
        Place::Dev(a, port(from.1)),
        Place::Bridge(a, BRIDGE),
        Place::Stack(a),
        Place::Dev(a, UP),
        Place::Dev(LAN, port(from.0)),
        Place::Bridge(LAN, DevId(0)),
        Place::Dev(LAN, port(to.0)),
        Place::Dev(b, UP),
        Place::Stack(b),
        Place::Bridge(b, BRIDGE),
        Place::Dev(b, port(to.1)),
        Place::Dev(server, ETH0),
        Place::Stack(server),
    ];
    let pairs = places.windows(2).zip(0u32..);
    pairs
        .filter_map(|(w, i)| Some(Hop { event: EventId(i), packet, from: *w.first()?, to: *w.get(1)? }))
        .collect()
}

/// A packet that goes to and fro on its way, hop by hop.
struct Traveller {
    envelope: Envelope,
    way: Vec<Vec<Point>>,
    next: usize,
}

impl Traveller {
    fn step(&mut self) {
        // Out as a request and back as a reply.
        let n = self.way.len();
        let (i, back) = if self.next < n { (self.next, false) } else { (2 * n - 1 - self.next, true) };
        let mut points = self.way.get(i).cloned().unwrap_or_default();
        if back {
            points.reverse();
        }
        let class = if back { "envelope little rep" } else { "envelope little req" };
        if self.envelope.class != class {
            self.envelope.class = class.to_owned();
        }
        self.envelope.at = points.last().copied().unwrap_or(self.envelope.at);
        self.envelope.way = points;
        self.next = (self.next + 1) % (2 * n).max(1);
    }
}

/// True if the page's address asks for the scene.
pub fn wanted() -> bool {
    window().location().search().is_ok_and(|s| s.contains("bench=scene"))
}

/// The page.
pub fn page() -> View {
    let zoom: &'static Zoom = Box::leak(Box::new(Zoom::new()));
    let size =
        |v: Result<wasm_bindgen::JsValue, _>| v.ok().and_then(|v| v.as_f64()).map_or(800, |f| f as i32);
    let room = (size(window().inner_width()), size(window().inner_height()));
    let l = Rc::new(layout(&scene(), room));
    zoom.room.set(room);
    zoom.size.set((l.width, l.height));
    zoom.refit();
    let mut all = Vec::new();
    for i in 0..PACKETS {
        let n = |k: u32, of: u16| u16::try_from(i * k % u32::from(of)).unwrap_or(0);
        let (from, to) =
            ((n(7, NODES), n(3, PODS)), ((n(7, NODES) + 1 + n(11, NODES - 1)) % NODES, n(13, PODS)));
        let way: Vec<Vec<Point>> =
            pieces(&l, &hops(PacketId(i), from, to), PacketId(i)).into_iter().map(|p| p.points).collect();
        let at = joined(way.iter().map(Vec::as_slice)).first().copied().unwrap_or_default();
        let envelope = Envelope {
            id: PacketId(i),
            class: "envelope little req".to_owned(),
            face: small("face", if i % 3 == 0 { "SYN" } else { "UDP" }),
            at,
            way: Vec::new(),
        };
        all.push(Traveller { envelope, way, next: usize::try_from(i).unwrap_or(0) % 14 });
    }
    let packets = el("div").class("packets").watch(move |layer| {
        let layer = layer.clone();
        let mut all = std::mem::take(&mut all);
        let mut sprites = Sprites::default();
        let mut part = 0;
        let turn = move || {
            for t in all.iter_mut().skip(part).step_by(PARTS) {
                t.step();
            }
            part = (part + 1) % PARTS;
            sprites.show(&layer, all.iter().map(|t| t.envelope.clone()).collect(), 400);
        };
        let every = HOP / u32::try_from(PARTS).unwrap_or(1);
        keep(Interval::new(every, turn));
    });
    let stage = el("div")
        .class("stage benchstage")
        .id("stage")
        .attr("data-scene", "")
        .attr("tabindex", "0")
        .attr("role", "group")
        .attr("aria-label", "Fifty nodes, a thousand pods, two hundred packets")
        .watch(follow_room(zoom));
    let drawn = world(Stage { zoom, layout: l }, move |_| {}, svg("g"), packets);
    before_paint(|| crate::focus_on("stage"));
    el("main").id("lab").attr("aria-label", "Benchmark").add(hands(stage, zoom).add(drawn)).into()
}
