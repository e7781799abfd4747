//! The hook diagram of a box, after Jan Engelhardt's packet-flow picture: same order, same bands; only what is
//! registered is drawn.

use crate::diagram::{
    Bridge, DIAMOND, SWITCH, bridges, color, devices, diamond, hexagon, link_band, port, ports, spoken,
    station, wire,
};
use crate::dom::{NONE, View, el, part, svg};
use crate::load::Loaded;
use crate::state::State;
use crate::svg::{Rect, Svg, clicked};
use crate::topology::int;
use crate::topology_kind as kind;
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
        let y = 178;
        let row = |x| Rect { w: BIG - 2, ..big(x, y) };
        let width = |hook| span(count(hook), BIG - 2);
        // Between PREROUTING and FORWARD.
        let route = 20 + width(PreRouting).max(76);
        let after = span(count(LocalIn), SMALL) + 10;
        let input = small((route - 4).min(294 - after), 96);
        let post = 358 - width(PostRouting);
        return Plan {
            width: 372,
            height: y + 118,
            split: y + 58,
            route: (route, y - 34),
            sockets_in: sockets(input.x + after, input.y),
            sockets_out: sockets(14, 34),
            hooks: [
                (PreRouting, row(14)),
                (Forward, row(route + 6)),
                (PostRouting, row(post)),
                (LocalIn, input),
                (LocalOut, small(94, 34)),
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
    /// By which devices the packet came in and went out.
    through: (Option<String>, Option<String>),
    plan: Plan,
}

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
        let plan = plan(count, state.lens().slim(state.narrow.get()));
        let d = Diagram {
            visits: packet.map(|p| visits(loaded.world(), host, p, now)).unwrap_or_default(),
            current: state.with_step(|_, s, _| s.spot.filter(|_| s.host == host)).flatten(),
            ports: packet.and_then(|p| bridge_ports(loaded.world(), host, p, now)),
            loaded: &loaded,
            ns,
            packet,
            boxes,
            through: devices(state, ns, packet),
            plan,
        };
        let (drawn, says) = match loaded.story.topology.role(host) {
            Role::Switch => (d.switch(), format!("{} is {SWITCH}.", ns.name)),
            _ => (d.draw(), d.summary()),
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
            .html(drawn);
        View::All(vec![drawing.into(), el("p").class("sr").add(says).into()])
    })
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
        let visited = |b: &HookBox| match self.times(b.spot) {
            0 => String::new(),
            n => format!(" (visited {n})"),
        };
        format!("Hooks of {}:{}", self.ns.name, spoken(&self.boxes, &visited))
    }

    /// All of a box that is a bridge and nothing else.
    fn switch(&self) -> String {
        let mut s = Svg::default();
        self.bridge().alone(&mut s, self.plan.width, self.plan.height);
        s.done()
    }

    fn draw(&self) -> String {
        let p = &self.plan;
        let mut s = Svg::default();
        s.rect("band l3", Rect { x: 4, y: 4, w: p.width - 8, h: p.split - 8 }, 10);
        s.text("dim tiny", 14, 19, "network layer");
        self.wires(&mut s);
        for (hook, at) in &p.hooks {
            self.hook(&mut s, *hook, *at);
        }
        diamond(&mut s, p.route, "route", self.class(Spot::Route), self.step_at(Spot::Route));
        station(&mut s, p.sockets_in, "sockets in", self.class(Spot::SocketsIn));
        station(&mut s, p.sockets_out, "sockets out", self.class(Spot::SocketsOut));
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

    fn wires(&self, s: &mut Svg) {
        use InetHook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
        let p = &self.plan;
        let ((x, y), (half, high)) = (p.route, DIAMOND);
        let (pre, pre_end) = self.ends(PreRouting);
        let (fwd, fwd_end) = self.ends(Forward);
        let (post, _) = self.ends(PostRouting);
        let (input, in_end) = self.ends(LocalIn);
        let (output, out_end) = self.ends(LocalOut);
        let [row, in_row, out_row] = [pre, input, output].map(|r| r.center().1);
        let routed = self.times(Spot::Route) > 0 && self.times(Spot::SocketsOut) == 0;
        let received = self.times(Spot::SocketsIn) > 0 && routed;
        let sent = self.times(Spot::SocketsOut) > 0;
        let out_x = p.sockets_out.x + p.sockets_out.w;
        // The decision is made in the row, or above it.
        let (to, from) = if p.wide {
            (format!("M{pre_end} {y}H{}", x - half), format!("M{} {y}H{}", x + half, fwd.x))
        } else {
            (format!("M{pre_end} {row}H{x}V{}", y + high), format!("M{x} {}V{row}H{}", y + high, fwd.x))
        };
        for (d, lit) in [
            (to, routed),
            (from, self.own(Forward)),
            (format!("M{fwd_end} {row}H{}", post.x), self.own(Forward) && self.own(PostRouting)),
            (format!("M{x} {}V{}", y - high, input.y + input.h), received),
            (format!("M{in_end} {in_row}H{}", p.sockets_in.x), received),
            (format!("M{out_x} {out_row}H{}", output.x), sent),
            (self.way_down(out_end, out_row, post), self.own(LocalOut)),
        ] {
            wire(s, &d, lit);
        }
        self.second_walk(s);
    }

    /// The packet met the hook as an IP packet, not lent by the bridge.
    fn own(&self, hook: InetHook) -> bool {
        self.times(Spot::Hook(hook)) > self.times(Spot::Call(hook))
    }

    /// From the end of OUTPUT to POSTROUTING, beside it or under it.
    fn way_down(&self, from: i32, at: i32, post: Rect) -> String {
        let (before, right) = if self.plan.wide { (post.x - 16, from + 7) } else { (post.x - 4, 364) };
        let y = post.y + 16;
        if self.plan.wide && from <= before {
            return format!("M{from} {at}H{before}V{y}H{}", post.x);
        }
        let under = post.y - 27;
        format!("M{from} {at}H{right}V{under}H{before}V{y}H{}", post.x)
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
        if self.plan.wide {
            s.path("", &format!("M{x} {}V15H{to}V{}", input.y, output.y));
            s.text("tiny center", (x + to) / 2, 29, "IPVS: a second walk");
        } else {
            s.path("", &format!("M{x} {}V77H{to}V{}", input.y, output.y + output.h));
        }
        s.end();
    }

    /// The devices by which the packet came in and left.
    fn devices(&self, s: &mut Svg, y: i32) {
        use InetHook::{PostRouting, PreRouting};
        let ((pre, _), (post, end)) = (self.ends(PreRouting), self.ends(PostRouting));
        let [a, b] = ports(self.plan.width, y);
        let (row, left) = (pre.center().1, pre.x - 6);
        let (came, went) = (self.through.0.as_deref(), self.through.1.as_deref());
        wire(s, &format!("M{} {y}H{left}V{row}H{}", a.x, pre.x), came.is_some());
        wire(s, &format!("M{end} {}H{}V{y}H{}", post.center().1, end + 6, b.x + b.w), went.is_some());
        port(s, a, came, "device in");
        port(s, b, went, "device out");
    }

    /// The bridge as the packet meets it.
    fn bridge(&self) -> Bridge<'_> {
        let port = |of: fn(&(String, String)) -> &String| self.ports.as_ref().map(|p| of(p).as_str());
        Bridge { from: port(|p| &p.0), to: port(|p| &p.1), fdb: self.class(Spot::Bridge) }
    }

    /// The bridges of the box, and whether the frames on them meet iptables.
    fn link_layer(&self, s: &mut Svg) {
        let p = &self.plan;
        let top = p.split + 4;
        link_band(s, self.ns, Rect { x: 4, y: top, w: p.width - 8, h: p.height - 4 - top });
        if bridges(self.ns).is_empty() {
            return self.devices(s, top + 34);
        }
        let (post, end) = self.ends(InetHook::PostRouting);
        let sent = self.own(InetHook::PostRouting) || self.times(Spot::SocketsOut) > 0;
        wire(s, &format!("M{end} {}H{}", post.center().1, p.width - 4), sent);
        self.bridge().draw(s, p.width, top + 34);
        let calls = bridged_by_iptables(self.ns);
        for hook in [InetHook::PreRouting, InetHook::Forward, InetHook::PostRouting] {
            let (at, end) = self.ends(hook);
            lend(s, (at.x + end) / 2, at.y + at.h + 13, top, calls, self.class(Spot::Call(hook)));
        }
    }
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
