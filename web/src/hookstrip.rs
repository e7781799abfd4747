//! The hook diagram of a box, after Jan Engelhardt's packet-flow picture: same order, same bands; only what is
//! registered is drawn.

use crate::dom::{NONE, View, el, part, svg};
use crate::load::Loaded;
use crate::state::State;
use crate::svg::{Rect, Svg, clicked};
use crate::topology::int;
use crate::topology_kind as kind;
use kernel::dev::DevKind;
use kernel::netfilter::hook::InetHook;
use kernel::{Netns, NetnsId, PacketId};
use sim::view::{Area, HookBox, Role, Spot, Visit, bridge_ports, bridged_by_iptables, registered, visits};

/// Where everything is drawn; of a hook, the first of its boxes.
struct Plan {
    width: i32,
    height: i32,
    /// Lower edge of the network layer's band.
    split: i32,
    route: (i32, i32),
    sockets_in: Rect,
    sockets_out: Rect,
    hooks: [(InetHook, Rect); 5],
    wide: bool,
}

/// A click on the name of a hook is this and its number; less is a step.
const HOOKS: usize = 1 << 30;
/// Between two boxes.
const STEP: i32 = 3;
/// Width of the slot of a hook at which nothing is registered.
const EMPTY: i32 = 62;
/// Width of a box of the lower row, and of the upper.
const BIG: i32 = 27;
const SMALL: i32 = 22;

/// Width of so many boxes.
fn span(count: usize, w: i32) -> i32 {
    if count == 0 { EMPTY } else { int(count) * (w + STEP) - STEP }
}

fn big(x: i32, y: i32) -> Rect {
    Rect { x, y, w: BIG, h: 32 }
}

fn small(x: i32, y: i32) -> Rect {
    Rect { x, y, w: SMALL, h: 26 }
}

fn plan(count: impl Fn(InetHook) -> usize, narrow: bool) -> Plan {
    use InetHook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
    let sockets = |x, y| Rect { x, y, w: 66, h: 26 };
    if narrow {
        let input = small(14, 40);
        let output = small(94, 98);
        return Plan {
            width: 372,
            height: 282,
            split: 222,
            sockets_in: sockets((input.x + span(count(LocalIn), SMALL) + 14).max(154), 40),
            sockets_out: sockets(14, 98),
            route: ((output.x + span(count(LocalOut), SMALL) + 34).max(318), 76),
            hooks: [
                (PreRouting, big(14, 164)),
                (Forward, big(26 + span(count(PreRouting), BIG).max(76), 164)),
                (PostRouting, big(358 - span(count(PostRouting), BIG), 164)),
                (LocalIn, input),
                (LocalOut, output),
            ],
            wide: false,
        };
    }
    let route = 24 + span(count(PreRouting), BIG) + 40;
    let input = small(route - 11, 34);
    let sockets_in = sockets(input.x + span(count(LocalIn), SMALL) + 14, 34);
    let sockets_out = sockets(sockets_in.x + 72, 34);
    let output = small(sockets_out.x + 80, 34);
    let post = 700 - span(count(PostRouting), BIG);
    // Where OUTPUT reaches over POSTROUTING, the way down needs room between the rows.
    let y = if output.x + span(count(LocalOut), SMALL) > post - 22 { 104 } else { 90 };
    let (pre, post) = (big(24, y), big(post, y));
    let forward = big((route + 22 + post.x - span(count(Forward), BIG)) / 2, y);
    Plan {
        width: 720,
        height: y + 116,
        split: y + 56,
        route: (route, y + 16),
        sockets_in,
        sockets_out,
        hooks: [
            (PreRouting, pre),
            (Forward, forward),
            (PostRouting, post),
            (LocalIn, input),
            (LocalOut, output),
        ],
        wide: true,
    }
}

impl Plan {
    fn hook(&self, hook: InetHook) -> Rect {
        self.hooks.iter().find(|(h, _)| *h == hook).map_or(self.sockets_in, |(_, at)| *at)
    }
}

/// The diagram of one box for one packet at one moment.
struct Diagram<'a> {
    loaded: &'a Loaded,
    ns: &'a Netns,
    packet: Option<PacketId>,
    visits: Vec<Visit>,
    current: Option<Spot>,
    ports: Option<(String, String)>,
    boxes: [(InetHook, Vec<HookBox>); 5],
    plan: Plan,
    /// A bridge and nothing else.
    switch: bool,
}

/// What a switch does.
pub const SWITCH: &str = "a switch: it forwards frames by destination MAC; no IP stack, no hooks";

/// The pane.
pub fn strip(state: State) -> View {
    part(move || {
        let loaded = state.loaded.get();
        let host = state.host();
        let Some(ns) = loaded.world().host(host) else { return NONE };
        let (packet, now) = (state.packet(), state.now());
        // Defragmentation is shown where there is more room.
        let small = |hook| {
            let mut boxes = registered(ns, hook);
            boxes.retain(|b| !matches!(b.spot, Spot::Defrag(_)));
            boxes
        };
        let boxes = InetHook::ALL.map(|hook| (hook, small(hook)));
        let count = |hook| boxes.iter().find(|(h, _)| *h == hook).map_or(0, |(_, b)| b.len());
        let mut plan = plan(count, state.lens().slim(state.narrow.get()));
        let switch = loaded.story.topology.role(host) == Role::Switch;
        if switch {
            plan.split = 0;
        }
        let d = Diagram {
            visits: packet.map(|p| visits(loaded.world(), host, p, now)).unwrap_or_default(),
            current: state.with_step(|_, s, _| s.spot.filter(|_| s.host == host)).flatten(),
            ports: packet.and_then(|p| bridge_ports(loaded.world(), host, p, now)),
            loaded: &loaded,
            ns,
            packet,
            boxes,
            plan,
            switch,
        };
        let flow = packet.and_then(|id| loaded.story.packet(id)).map(|p| kind(p.flow)).unwrap_or_default();
        let view_box = format!("0 0 {} {}", d.plan.width, d.plan.height);
        let drawing = svg("svg")
            .class("strip")
            .class(flow)
            .attr("viewBox", view_box)
            .attr("aria-hidden", "true")
            .on("click", move |e| match clicked(e) {
                Some(hook) if hook >= HOOKS => {
                    let hook = InetHook::ALL.get(hook - HOOKS);
                    hook.into_iter().for_each(|h| state.enter_hook(*h));
                }
                Some(step) => state.go(step),
                None => {}
            })
            .html(d.draw());
        View::All(vec![drawing.into(), el("p").class("sr").add(d.summary()).into()])
    })
}

/// The class of an area's colour.
pub fn color(area: Area) -> &'static str {
    use kernel::netfilter::xtables::TableId;
    match area {
        Area::Table(TableId::Raw) => "raw",
        Area::Conntrack => "ct",
        Area::Table(TableId::Mangle) => "mangle",
        Area::Table(TableId::Nat) => "nat",
        Area::Table(TableId::Filter) => "filter",
        Area::Table(TableId::Security) => "security",
        Area::Nft => "filter",
        Area::Bridge => "bridge",
        Area::Ipvs => "ipvs",
        Area::Drop => "drop",
        Area::App | Area::Socket => "app",
        Area::Route | Area::Wire | Area::Neigh => "plain",
    }
}

impl Diagram<'_> {
    fn times(&self, spot: Spot) -> u32 {
        self.visits.iter().find(|v| v.spot == spot).map_or(0, |v| v.times)
    }

    fn class(&self, spot: Spot) -> &'static str {
        match (self.times(spot) > 0, self.current == Some(spot)) {
            (_, true) => "on now",
            (true, false) => "on",
            (false, false) => "off",
        }
    }

    fn of(&self, hook: InetHook) -> &[HookBox] {
        self.boxes.iter().find(|(h, _)| *h == hook).map_or(&[], |(_, b)| b)
    }

    /// First box of a hook, and the right end of its last one.
    fn ends(&self, hook: InetHook) -> (Rect, i32) {
        let at = self.plan.hook(hook);
        (at, at.x + span(self.of(hook).len(), at.w))
    }

    /// The chosen packet's first step at a place of the diagram.
    fn step_at(&self, spot: Spot) -> Option<usize> {
        let host: NetnsId = self.ns.id;
        let steps = &self.loaded.story.steps;
        steps.iter().position(|s| s.host == host && s.packet == self.packet && s.spot == Some(spot))
    }

    fn summary(&self) -> String {
        if self.switch {
            return format!("{} is {SWITCH}.", self.ns.name);
        }
        let mut out = format!("Hooks of {}: ", self.ns.name);
        for (hook, list) in &self.boxes {
            let names: Vec<String> = list
                .iter()
                .map(|b| match self.times(b.spot) {
                    0 => b.name.to_owned(),
                    n => format!("{} (visited {n})", b.name),
                })
                .collect();
            let text = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            out.push_str(&format!("{hook}: {text}. "));
        }
        out
    }

    fn draw(&self) -> String {
        let p = &self.plan;
        let mut s = Svg::default();
        if self.switch {
            self.link_layer(&mut s);
            return s.done();
        }
        s.rect("band l3", Rect { x: 4, y: 4, w: p.width - 8, h: p.split - 8 }, 10);
        s.text("dim tiny", 14, 19, "network layer");
        if p.wide {
            self.wires(&mut s);
        }
        for (hook, at) in &p.hooks {
            self.hook(&mut s, *hook, *at);
        }
        self.diamond(&mut s);
        self.station(&mut s, "sockets", p.sockets_in, "sockets in", self.class(Spot::SocketsIn));
        self.station(&mut s, "sockets", p.sockets_out, "sockets out", self.class(Spot::SocketsOut));
        self.link_layer(&mut s);
        s.done()
    }

    fn hook(&self, s: &mut Svg, hook: InetHook, at: Rect) {
        let boxes = self.of(hook);
        let width = span(boxes.len(), at.w);
        let active = self.times(Spot::Hook(hook)) > 0 || boxes.is_empty();
        s.group("hookgo", InetHook::ALL.iter().position(|h| *h == hook).map(|i| HOOKS + i));
        s.text(if active { "hookname" } else { "hookname idle" }, at.x + width / 2, at.y - 8, hook.chain());
        s.end();
        if boxes.is_empty() {
            s.rect("slot", Rect { w: EMPTY, ..at }, 5);
            s.text("dim tiny center", at.x + EMPTY / 2, at.y + at.h / 2 + 3, "nothing");
        }
        for (i, b) in boxes.iter().enumerate() {
            let r = Rect { x: at.x + int(i) * (at.w + STEP), ..at };
            let (cx, cy) = r.center();
            s.group(&format!("hk {} {}", color(b.area), self.class(b.spot)), self.step_at(b.spot));
            match b.area {
                Area::Ipvs => s.path("box", &hexagon(r)),
                _ => s.rect("box", r, 5),
            }
            s.text("", cx, cy + 4, b.letter);
            if self.times(b.spot) > 0 {
                s.text("times", cx, r.y + r.h + 10, &self.times(b.spot).to_string());
            }
            if self.current == Some(b.spot) {
                s.rect("now-ring", r.grown(3), 8);
            }
            s.end();
        }
    }

    fn diamond(&self, s: &mut Svg) {
        let (x, y) = self.plan.route;
        s.group(&format!("diamond {}", self.class(Spot::Route)), self.step_at(Spot::Route));
        s.path("", &format!("M{} {y}L{x} {}L{} {y}L{x} {}z", x - 25, y - 21, x + 25, y + 21));
        s.text("", x, y + 4, "route");
        s.end();
    }

    fn station(&self, s: &mut Svg, kind: &str, at: Rect, name: &str, class: &str) {
        let (x, y) = at.center();
        s.group(&format!("{kind} {class}"), None);
        s.rect("", at, 6);
        s.text("", x, y + 4, name);
        s.end();
    }

    fn wires(&self, s: &mut Svg) {
        use InetHook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
        let p = &self.plan;
        let ((x, y), low) = (p.route, 47);
        let (_, pre_end) = self.ends(PreRouting);
        let (fwd, fwd_end) = self.ends(Forward);
        let (post, _) = self.ends(PostRouting);
        let (_, in_end) = self.ends(LocalIn);
        let (output, out_end) = self.ends(LocalOut);
        let routed = self.times(Spot::Route) > 0 && self.times(Spot::SocketsOut) == 0;
        // Hooks that the packet met as an IP packet, not lent by the bridge.
        let own = |hook| self.times(Spot::Hook(hook)) > self.times(Spot::Call(hook));
        let received = self.times(Spot::SocketsIn) > 0 && routed;
        let sent = self.times(Spot::SocketsOut) > 0;
        let out_x = p.sockets_out.x + p.sockets_out.w;
        for (d, lit) in [
            (format!("M{pre_end} {y}H{}", x - 25), routed),
            (format!("M{} {y}H{}", x + 25, fwd.x), own(Forward)),
            (format!("M{fwd_end} {y}H{}", post.x), own(Forward) && own(PostRouting)),
            (format!("M{x} {}V60", y - 21), received),
            (format!("M{in_end} {low}H{}", p.sockets_in.x), received),
            (format!("M{out_x} {low}H{}", output.x), sent),
            (self.way_down(out_end, low, post), own(LocalOut)),
            (format!("M{} {y}H716", p.width - 20), own(PostRouting) || sent),
        ] {
            wire(s, &d, lit);
        }
        self.second_walk(s);
    }

    /// From the end of OUTPUT to POSTROUTING, beside it or under it.
    fn way_down(&self, from: i32, at: i32, post: Rect) -> String {
        let (before, y) = (post.x - 16, post.y + 16);
        if from <= before {
            return format!("M{from} {at}H{before}V{y}H{}", post.x);
        }
        let under = post.y - 27;
        format!("M{from} {at}H{}V{under}H{before}V{y}H{}", from + 7, post.x)
    }

    /// IPVS takes a request at INPUT and sends it out again as if the box had made it: OUTPUT, POSTROUTING.
    fn second_walk(&self, s: &mut Svg) {
        let (input, inputs) = (self.plan.hook(InetHook::LocalIn), self.of(InetHook::LocalIn));
        let Some(i) = inputs.iter().rposition(|b| b.area == Area::Ipvs) else { return };
        let output = self.plan.hook(InetHook::LocalOut);
        let x = input.x + int(i) * (input.w + STEP) + input.w / 2;
        let lit = self.times(Spot::Fn(InetHook::LocalIn, Area::Ipvs)) > 0
            && self.times(Spot::Hook(InetHook::LocalOut)) > 0;
        let to = output.x + output.w / 2;
        s.group(if lit { "walk lit" } else { "walk" }, None);
        s.path("", &format!("M{x} {}V15H{to}V{}", input.y, output.y));
        s.text("tiny center", (x + to) / 2, 29, "IPVS: a second walk");
        s.end();
    }

    /// The bridges of the box, and whether the frames on them meet iptables.
    fn link_layer(&self, s: &mut Svg) {
        let p = &self.plan;
        let names: Vec<&str> = bridges(self.ns).collect();
        let calls = bridged_by_iptables(self.ns);
        let title = match (names.is_empty(), calls) {
            _ if self.switch => SWITCH.to_owned(),
            (true, _) => "link layer: no bridge in this box".to_owned(),
            (false, true) => {
                format!("link layer: bridge {}, lent to iptables by br_netfilter", names.join(", "))
            }
            (false, false) => format!("link layer: bridge {}, not seen by iptables", names.join(", ")),
        };
        let top = p.split + 4;
        s.rect("band l2", Rect { x: 4, y: top, w: p.width - 8, h: p.height - 4 - top }, 10);
        let large = self.switch && p.wide;
        s.text(if large { "dim" } else { "dim tiny" }, 14, top + if large { 20 } else { 15 }, &title);
        if names.is_empty() {
            return;
        }
        let y = if self.switch { p.height / 2 } else { top + 35 };
        let lit = self.times(Spot::Bridge) > 0;
        let (a, b, c) = if p.wide { (72, 360, 648) } else { (64, 186, 308) };
        wire(s, &format!("M{a} {y}H{c}"), lit);
        let ports = self.ports.as_ref().map(|(from, to)| (from.as_str(), to.as_str()));
        let (from, to) = ports.unwrap_or(("port in", "port out"));
        let passed = if lit { "on" } else { "off" };
        for (x, half, name, class) in
            [(a, 48, from, passed), (b, 28, "FDB", self.class(Spot::Bridge)), (c, 48, to, passed)]
        {
            self.station(s, "sockets", Rect { x: x - half, y: y - 11, w: 2 * half, h: 22 }, name, class);
        }
        for hook in [InetHook::PreRouting, InetHook::Forward, InetHook::PostRouting] {
            if self.switch {
                break;
            }
            let (at, end) = self.ends(hook);
            lend(s, (at.x + end) / 2, at.y + at.h + 13, top, calls, self.class(Spot::Call(hook)));
        }
    }
}

/// The names of a box's bridges.
pub fn bridges(ns: &Netns) -> impl Iterator<Item = &str> {
    ns.devices().iter().filter(|d| matches!(d.kind, DevKind::Bridge(_))).map(|d| d.name.as_str())
}

/// A box of IPVS is a hexagon.
pub fn hexagon(r: Rect) -> String {
    let (x, right, top, low) = (r.x, r.x + r.w, r.y, r.y + r.h);
    let (cut, mid) = (6, r.y + r.h / 2);
    format!("M{x} {mid}L{} {top}H{}L{right} {mid}L{} {low}H{}z", x + cut, right - cut, right - cut, x + cut)
}

fn wire(s: &mut Svg, d: &str, lit: bool) {
    s.path(if lit { "wire lit" } else { "wire" }, d);
}

/// br_netfilter's way from the bridge to a hook: there, or not.
fn lend(s: &mut Svg, x: i32, from: i32, to: i32, calls: bool, class: &str) {
    if calls {
        s.group(&format!("lend {class}"), None);
        s.path("", &format!("M{x} {to}V{from}"));
        s.path("", &format!("M{} {}l4 -6 4 6", x - 4, from + 6));
    } else {
        let (mid, gap) = ((from + to) / 2, 6);
        s.group(&format!("lend cut {class}"), None);
        s.path(
            "",
            &format!("M{x} {to}V{}M{x} {}V{from}M{} {}l8 8m0 -8l-8 8", mid + gap, mid - gap, x - 4, mid - 4),
        );
    }
    s.end();
}
