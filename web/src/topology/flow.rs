//! The packet flow of one box, whole: after Jan Engelhardt's picture, the same order and bands; only what is registered is
//! drawn, with how many packets have come by. Hooks are lists in the order of priority, and lead nearer.

use super::layout::int;
use super::map::{content, short_flow};
use super::path::{Point, d};
use super::sprites::{letter, small};
use crate::diagram::{
    Bridge, DIAMOND, SWITCH, bridges, color, devices, diamond, hexagon, link_band, port, ports, spoken,
    station, wire,
};
use crate::dom::{NONE, View, el, part, svg};
use crate::state::State;
use crate::svg::{Rect, Svg, clicked, cut};
use crate::topology_kind as kind;
use kernel::Netns;
use kernel::netfilter::hook::InetHook;
use sim::view::{
    Area, HookBox, Role, Spot, Visit, bridge_ports, bridged_by_iptables, met, registered, trail,
};

/// What [`bridge_ports`] calls the box itself.
const UP: &str = "IP stack";
const ROW: i32 = 20;
const HEAD: i32 = 22;

/// Where everything is drawn.
struct Plan {
    width: i32,
    height: i32,
    /// Lower edge of the network layer's band.
    split: i32,
    cards: [(InetHook, Rect); 5],
    route: Point,
    route_out: Point,
    sockets_in: Rect,
    sockets_out: Rect,
    label: Point,
    narrow: bool,
}

fn plan(count: impl Fn(InetHook) -> usize, bridge: bool, narrow: bool) -> Plan {
    use InetHook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
    let height = |hook| HEAD + int(count(hook).max(1)) * ROW + 5;
    let upper = height(LocalIn).max(height(LocalOut)).max(96);
    let lower = height(PreRouting).max(height(Forward)).max(height(PostRouting));
    let link = if bridge { 104 } else { 66 };
    if narrow {
        let top = 76;
        let below = top + upper + 70;
        let card = |hook, x, y| (hook, Rect { x, y, w: 112, h: height(hook) });
        let split = below + lower + 12;
        return Plan {
            width: 372,
            height: split + 8 + link,
            split,
            cards: [
                card(PreRouting, 10, below),
                card(Forward, 130, below),
                card(PostRouting, 250, below),
                card(LocalIn, 10, top),
                card(LocalOut, 250, top),
            ],
            route: (66, below - 36),
            route_out: (186, top + 80),
            sockets_in: Rect { x: 138, y: top + 2, w: 96, h: 24 },
            sockets_out: Rect { x: 138, y: top + 34, w: 96, h: 24 },
            label: (186, 44),
            narrow,
        };
    }
    let below = 30 + upper + 34;
    let split = below + lower + 12;
    let card = |hook, x, y| (hook, Rect { x, y, w: 122, h: height(hook) });
    Plan {
        width: 720,
        height: split + 8 + link,
        split,
        cards: [
            card(PreRouting, 16, below),
            card(Forward, 304, below),
            card(PostRouting, 582, below),
            card(LocalIn, 206, 30),
            card(LocalOut, 582, 30),
        ],
        route: (172, below + 11),
        route_out: (536, 41),
        sockets_in: Rect { x: 338, y: 28, w: 80, h: 26 },
        sockets_out: Rect { x: 424, y: 28, w: 82, h: 26 },
        label: (455, 30 + upper - 8),
        narrow,
    }
}

impl Plan {
    fn card(&self, hook: InetHook) -> Rect {
        self.cards.iter().find(|(h, _)| *h == hook).map_or(self.sockets_in, |(_, r)| *r)
    }
}

/// The flow of one box for one packet at one moment.
struct Flow<'a> {
    ns: &'a Netns,
    boxes: [(InetHook, Vec<HookBox>); 5],
    seen: Vec<Visit>,
    trail: Vec<Spot>,
    current: Option<Spot>,
    ports: Option<(String, String)>,
    /// By which devices the packet came in and went out.
    devices: (Option<String>, Option<String>),
    plan: Plan,
}

/// What is to be drawn, and where the packet is in it.
struct Picture {
    size: Point,
    drawn: Svg,
    says: String,
    /// Where the packet is told with its addresses.
    label: Point,
    /// Where it is now.
    at: Option<Point>,
}

/// The view.
pub fn flow(state: State) -> View {
    let drawn = part(move || drawing(state));
    el("div").class("stage flowstage").add(drawn).into()
}

fn drawing(state: State) -> View {
    let loaded = state.loaded.get();
    let host = state.host();
    let Some(ns) = loaded.world().host(host) else { return NONE };
    let (packet, now) = (state.packet(), state.now());
    let boxes = InetHook::ALL.map(|hook| (hook, registered(ns, hook)));
    let of = |hook| boxes.iter().find(|(h, _)| *h == hook).map_or(0, |(_, b)| b.len());
    let flow = Flow {
        plan: plan(of, !bridges(ns).is_empty(), state.lens().slim(state.narrow.get())),
        seen: met(loaded.world(), host, now),
        trail: packet.map(|p| trail(loaded.world(), host, p, now)).unwrap_or_default(),
        current: state.with_step(|_, s, _| s.spot.filter(|_| s.host == host)).flatten(),
        ports: packet.and_then(|p| bridge_ports(loaded.world(), host, p, now)),
        devices: devices(state, ns, packet),
        boxes,
        ns,
    };
    let mut p = match loaded.story.topology.role(host) {
        Role::Switch => flow.switch(),
        _ => flow.whole(state.zoom.outlined.get()),
    };
    let class = packet.and_then(|id| loaded.story.packet(id)).map_or("", |p| kind(p.flow));
    let content = packet.and_then(|id| content(state, &loaded, id));
    if let Some((frame, face)) = &content {
        p.drawn.group(&format!("envelope {class}"), None);
        p.drawn.shift(p.label.0, p.label.1);
        p.drawn.raw(&letter(face, &sim::view::segment(frame), &short_flow(frame), (0, 0)));
        p.drawn.end();
        p.drawn.end();
    }
    let here = content.zip(p.at).map(|((frame, _), (x, y))| {
        svg("g")
            .class("envelope little")
            .class(class)
            .flag("still", move || !state.tween.get())
            .style("transform", move || format!("translate({x}px,{y}px)"))
            .html(small("face", &sim::view::segment(&frame)).to_string())
    });
    let picture = svg("svg")
        .class("flowpic")
        .class(class)
        .attr("viewBox", format!("0 0 {} {}", p.size.0, p.size.1))
        .attr("aria-hidden", "true")
        .on("click", move |e| {
            if let Some(hook) = clicked(e).and_then(|i| InetHook::ALL.get(i)) {
                state.enter_hook(*hook);
            }
        })
        .add(svg("g").html(p.drawn.done()))
        .add(here);
    View::All(vec![picture.into(), el("p").class("sr").add(p.says).into()])
}

impl Flow<'_> {
    fn seen(&self, spot: Spot) -> u32 {
        self.seen.iter().find(|v| v.spot == spot).map_or(0, |v| v.times)
    }

    fn walked(&self, spot: Spot) -> bool {
        self.trail.contains(&spot)
    }

    fn hook(&self, hook: InetHook) -> bool {
        self.walked(Spot::Hook(hook))
    }

    /// The packet met the hook as an IP packet, not only lent by the bridge.
    fn own(&self, hook: InetHook) -> bool {
        let count = |spot| self.trail.iter().filter(|s| **s == spot).count();
        count(Spot::Hook(hook)) > count(Spot::Call(hook))
    }

    fn class(&self, spot: Spot) -> &'static str {
        match (self.walked(spot), self.current == Some(spot)) {
            (_, true) => "on now",
            (true, false) => "on",
            (false, false) => "off",
        }
    }

    fn of(&self, hook: InetHook) -> &[HookBox] {
        self.boxes.iter().find(|(h, _)| *h == hook).map_or(&[], |(_, b)| b)
    }

    fn row(&self, hook: InetHook, i: usize) -> Rect {
        let c = self.plan.card(hook);
        Rect { x: c.x + 4, y: c.y + HEAD + int(i) * ROW, w: c.w - 8, h: ROW }
    }

    /// Where the packet is drawn.
    fn at(&self, spot: Spot) -> Option<Point> {
        let beside = |hook: InetHook, y: i32| {
            let c = self.plan.card(hook);
            let left = matches!(hook, InetHook::PostRouting | InetHook::LocalOut);
            (if left { c.x - 30 } else { c.x + c.w + 30 }, y)
        };
        Some(match spot {
            Spot::Hook(h) | Spot::Call(h) => beside(h, self.plan.card(h).y + HEAD / 2),
            Spot::Fn(h, _) | Spot::IpvsOut(h) | Spot::Defrag(h) => {
                let i = self.of(h).iter().position(|b| b.spot == spot)?;
                beside(h, self.row(h, i).center().1)
            }
            Spot::Route => (self.route_spot().0, self.route_spot().1 + 30),
            Spot::SocketsIn => (self.plan.sockets_in.center().0, self.plan.sockets_in.y + 38),
            Spot::SocketsOut => (self.plan.sockets_out.center().0, self.plan.sockets_out.y + 38),
            Spot::Bridge => (self.plan.width / 2, self.plan.split + 76),
        })
    }

    /// The routing decision that the packet has met last: that for packets of sockets, or that for packets of devices.
    fn route_spot(&self) -> Point {
        if self.walked(Spot::SocketsOut) && !self.hook(InetHook::PreRouting) {
            self.plan.route_out
        } else {
            self.plan.route
        }
    }

    fn summary(&self) -> String {
        let seen = |b: &HookBox| {
            let visited = if self.walked(b.spot) { ", visited" } else { "" };
            format!(" ({} seen{visited})", self.seen(b.spot))
        };
        format!("Packet flow of {}.{}", self.ns.name, spoken(&self.boxes, &seen))
    }

    /// All of a box that is a bridge and nothing else.
    fn switch(&self) -> Picture {
        let (w, h) = (self.plan.width, 128);
        let mut drawn = Svg::default();
        self.bridge().alone(&mut drawn, w, h);
        let at = self.current.map(|_| (w / 2, h - 26));
        let says = format!("{} is {SWITCH}.", self.ns.name);
        Picture { size: (w, h + 48), drawn, says, label: (w / 2, h + 24), at }
    }

    fn whole(&self, focused: Option<InetHook>) -> Picture {
        let p = &self.plan;
        Picture {
            size: (p.width, p.height),
            drawn: self.draw(focused),
            says: self.summary(),
            label: p.label,
            at: self.current.and_then(|spot| self.at(spot)),
        }
    }

    fn draw(&self, focused: Option<InetHook>) -> Svg {
        let p = &self.plan;
        let mut s = Svg::default();
        s.rect("band l3", Rect { x: 4, y: 4, w: p.width - 8, h: p.split - 8 }, 10);
        s.text("dim tiny", 14, 18, "network layer");
        let top = p.split + 4;
        link_band(&mut s, self.ns, Rect { x: 4, y: top, w: p.width - 8, h: p.height - 4 - top });
        self.wires(&mut s);
        self.link_layer(&mut s, top);
        for (hook, card) in &p.cards {
            self.card(&mut s, *hook, *card, focused == Some(*hook));
        }
        let out = self.walked(Spot::SocketsOut) && !self.hook(InetHook::PreRouting);
        let routed = self.walked(Spot::Route);
        let now = self.current == Some(Spot::Route);
        for (at, mine) in [(p.route, !out), (p.route_out, out)] {
            let class = match (routed && mine, now && mine) {
                (_, true) => "on now",
                (true, _) => "on",
                _ => "off",
            };
            diamond(&mut s, at, "route", class, None);
        }
        self.station(&mut s, p.sockets_in, "sockets in", Spot::SocketsIn);
        self.station(&mut s, p.sockets_out, "sockets out", Spot::SocketsOut);
        s
    }

    fn station(&self, s: &mut Svg, at: Rect, name: &str, spot: Spot) {
        let n = self.seen(spot);
        let counted = if n > 0 { format!("{name} {n}") } else { name.to_owned() };
        station(s, at, &counted, self.class(spot));
    }

    fn card(&self, s: &mut Svg, hook: InetHook, c: Rect, focused: bool) {
        let list = self.of(hook);
        let met = self.hook(hook);
        let number = InetHook::ALL.iter().position(|h| *h == hook);
        s.group(if met { "hookcard met" } else { "hookcard" }, number);
        s.title(&format!("{hook}: open its tables, chains and rules"));
        s.rect("hookbox", c, 8);
        s.text("hooktitle", c.x + 10, c.y + 15, hook.chain());
        let total = self.seen(Spot::Hook(hook));
        if total > 0 {
            s.text("count end", c.x + c.w - 8, c.y + 15, &total.to_string());
        }
        // The way through the list, as far as the packet has come.
        let last = list.iter().rposition(|b| self.walked(b.spot));
        if let Some(last) = last.filter(|_| met) {
            s.path("wire lit", &format!("M{} {}V{}", c.x, c.y + HEAD / 2, self.row(hook, last).center().1));
        }
        for (i, b) in list.iter().enumerate() {
            self.function(s, b, self.row(hook, i));
        }
        if list.is_empty() {
            s.text("dim tiny", c.x + 10, c.y + HEAD + 11, "nothing registered");
        }
        if focused {
            s.rect("ring focus", c.grown(3), 10);
        }
        s.end();
    }

    fn function(&self, s: &mut Svg, b: &HookBox, r: Rect) {
        let badge = Rect { x: r.x + 1, y: r.y + 1, w: 16, h: ROW - 3 };
        s.group(&format!("hk {} {}", color(b.area), self.class(b.spot)), None);
        s.title(&format!("{}, priority {}", b.name, b.priority));
        match b.area {
            Area::Ipvs => s.path("box", &hexagon(badge)),
            _ => s.rect("box", badge, 4),
        }
        s.text("", badge.center().0, r.y + 14, b.letter);
        if self.current == Some(b.spot) {
            s.rect("now-ring", Rect { h: ROW, ..r }, 5);
        }
        s.end();
        let short = b.name.split(':').next().unwrap_or_default();
        let class = if self.walked(b.spot) { "fn" } else { "fn dim" };
        s.text(class, r.x + 23, r.y + 14, &cut(short, 12));
        let n = self.seen(b.spot);
        if n > 0 {
            s.text("count end", r.x + r.w - 4, r.y + 14, &n.to_string());
        }
    }

    fn wires(&self, s: &mut Svg) {
        use InetHook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
        let p = &self.plan;
        let mid = |hook| {
            let c = p.card(hook);
            (c.x, c.x + c.w, c.y + HEAD / 2)
        };
        let (pre, input, fwd) = (mid(PreRouting), mid(LocalIn), mid(Forward));
        let (output, post) = (mid(LocalOut), mid(PostRouting));
        let (rx, ry) = p.route;
        let (ox, oy) = p.route_out;
        let sent = self.walked(Spot::SocketsOut);
        let received =
            self.walked(Spot::SocketsIn) && self.own(PreRouting) | self.walked(Spot::Route) && !sent;
        let routed = self.walked(Spot::Route) && (!sent || self.hook(PreRouting));
        let forwarded = self.own(Forward);
        let (si, so) = (p.sockets_in, p.sockets_out);
        let out_card = p.card(LocalOut);
        let list: Vec<(Vec<Point>, bool)> = if p.narrow {
            let pre_top = p.card(PreRouting).y;
            let in_card = p.card(LocalIn);
            let low = p.card(Forward).y;
            vec![
                (vec![(rx, pre_top), (rx, ry)], routed),
                (vec![(rx, ry), (rx, in_card.y + in_card.h)], received),
                (vec![(rx, ry), (186, ry), (186, low)], forwarded),
                (vec![(input.1, si.center().1), (si.x, si.center().1)], received),
                (vec![(186, so.y + so.h), (186, oy)], sent),
                (vec![(ox, oy), (out_card.x, oy)], self.own(LocalOut) || sent),
                (vec![(fwd.1, fwd.2), (post.0, post.2)], forwarded && self.own(PostRouting)),
                (vec![(306, out_card.y + out_card.h), (306, low)], self.own(LocalOut) && sent),
            ]
        } else {
            vec![
                (vec![(pre.1, pre.2), (rx, ry)], routed),
                (vec![(rx, ry), (rx, input.2), (input.0, input.2)], received),
                (vec![(rx, ry), (fwd.0, fwd.2)], forwarded),
                (vec![(fwd.1, fwd.2), (post.0, post.2)], forwarded && self.own(PostRouting)),
                (vec![(input.1, input.2), (si.x, si.center().1)], received),
                (vec![(so.x + so.w, oy), (ox, oy)], sent),
                (vec![(ox, oy), (output.0, output.2)], sent),
                (
                    vec![
                        (out_card.center().0, out_card.y + out_card.h),
                        (out_card.center().0, p.card(PostRouting).y),
                    ],
                    sent && self.own(PostRouting) || self.own(LocalOut),
                ),
            ]
        };
        // What has been walked lies over what has not.
        for lit in [false, true] {
            for (points, _) in list.iter().filter(|(_, l)| *l == lit) {
                wire(s, &d(points), lit);
            }
        }
        self.second_walk(s);
    }

    /// IPVS takes a request at INPUT and sends it out again as if the box had made it: OUTPUT, POSTROUTING.
    fn second_walk(&self, s: &mut Svg) {
        let Some(i) = self.of(InetHook::LocalIn).iter().rposition(|b| b.area == Area::Ipvs) else { return };
        let from = self.row(InetHook::LocalIn, i);
        let to = self.plan.card(InetHook::LocalOut);
        let lit = self.walked(Spot::Fn(InetHook::LocalIn, Area::Ipvs)) && self.hook(InetHook::LocalOut);
        let (x, y) = (from.x + from.w + 4, from.center().1);
        s.group(if lit { "walk lit" } else { "walk" }, None);
        s.path("", &d(&[(x, y), (to.x - 8, y), (to.x - 8, to.y + 13), (to.x, to.y + 13)]));
        if !self.plan.narrow {
            s.text("tiny center", (x + to.x) / 2, y - 5, "IPVS: a second walk, as if sent from here");
        }
        s.end();
    }

    /// The bridge as the packet meets it. Its other side, the box itself, is drawn as a device.
    fn bridge(&self) -> Bridge<'_> {
        let port = |of: fn(&(String, String)) -> &String| {
            self.ports.as_ref().map(|p| of(p).as_str()).filter(|name| *name != UP)
        };
        Bridge { from: port(|p| &p.0), to: port(|p| &p.1), fdb: self.class(Spot::Bridge) }
    }

    /// Devices, bridges, and whether the frames on these meet iptables.
    fn link_layer(&self, s: &mut Svg, top: i32) {
        let p = &self.plan;
        let y = top + 44;
        let (came, left) = (self.upper(&self.devices.0), self.upper(&self.devices.1));
        let [a, b] = ports(p.width, y);
        let (pre, post) = (p.card(InetHook::PreRouting), p.card(InetHook::PostRouting));
        let up = self.own(InetHook::PreRouting) || self.walked(Spot::Route) && !self.walked(Spot::SocketsOut);
        let down = left.is_some() && (self.walked(Spot::Route) || self.hook(InetHook::PostRouting));
        let (in_x, out_x) = (a.x + 12, b.x + b.w - 12);
        wire(s, &d(&[(in_x, a.y), (in_x, pre.y + pre.h)]), came.is_some() && up);
        wire(s, &d(&[(out_x, post.y + post.h), (out_x, b.y)]), down);
        port(s, a, came, "device in");
        port(s, b, left, "device out");
        if !bridges(self.ns).is_empty() {
            let low = y + 34;
            let c = p.width / 2;
            // Between the bridge as a device of the box, and the bridge's ports.
            let ports = self.ports.as_ref().filter(|_| self.walked(Spot::Bridge));
            wire(s, &d(&[(c - 8, low), (c - 8, y), (a.x + a.w, y)]), ports.is_some_and(|p| p.1 == UP));
            wire(s, &d(&[(b.x, y), (c + 8, y), (c + 8, low)]), ports.is_some_and(|p| p.0 == UP));
            self.bridge().draw(s, p.width, low);
            let (before, behind) = (c - DIAMOND.0 - a.x - a.w, b.x - c - DIAMOND.0);
            for (hook, x) in [
                (InetHook::PreRouting, a.x + a.w + before / 2),
                (InetHook::Forward, b.x - behind * 2 / 3 - 10),
                (InetHook::PostRouting, b.x - behind / 4),
            ] {
                self.lent(s, hook, (x, low));
            }
        }
    }

    /// The device as the IP stack knows it: of a bridge's port, the bridge.
    fn upper<'a>(&'a self, name: &'a Option<String>) -> Option<&'a str> {
        let name = name.as_deref()?;
        let dev = self.ns.devices().iter().find(|d| d.name == name)?;
        Some(dev.master.map_or(name, |m| self.ns.dev_name(m)))
    }

    /// A hook of the bridge, which br_netfilter lends to the IP hook of the same name, or does not.
    fn lent(&self, s: &mut Svg, hook: InetHook, (x, y): Point) {
        let calls = bridged_by_iptables(self.ns);
        let name = match hook {
            InetHook::PreRouting => "prerouting",
            InetHook::Forward => "forward",
            _ => "postrouting",
        };
        let class = self.class(Spot::Call(hook));
        s.group(&format!("lend {} {class}", if calls { "" } else { "cut" }), None);
        let top = y - 11 - if calls { 14 } else { 12 };
        if calls {
            s.path("", &format!("M{x} {}V{top}M{} {}l4 -6 4 6", y - 11, x - 4, top + 6));
        } else {
            s.path("", &format!("M{} {top}l8 8m0 -8l-8 8", x - 4));
        }
        s.end();
        let n = self.seen(Spot::Call(hook));
        if !self.plan.narrow {
            station(s, Rect { x: x - 33, y: y - 10, w: 66, h: 20 }, name, class);
        }
        if n > 0 {
            s.text("count", x + 7, top + 8, &n.to_string());
        }
    }
}
