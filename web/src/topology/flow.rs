//! The packet flow of one box, whole: after Jan Engelhardt's picture, the same order and bands; only what is registered is
//! drawn, with how many packets have come by. Hooks are lists in the order of priority, and lead nearer.

use super::layout::int;
use super::map::{content, short_flow};
use super::path::{Point, d};
use super::sprites::{letter, small};
use crate::dom::{NONE, View, el, part, svg};
use crate::hookstrip::{SWITCH, bridges, color, hexagon};
use crate::state::State;
use crate::svg::{Rect, Svg, clicked, cut};
use crate::topology_kind as kind;
use kernel::netfilter::hook::InetHook;
use kernel::{Netns, PacketId};
use sim::view::{
    Area, HookBox, Place, Role, Spot, Visit, bridge_ports, bridged_by_iptables, met, registered, trail,
};

/// What [`bridge_ports`] calls the box itself.
const UP: &str = "IP stack";
const ROW: i32 = 17;
const HEAD: i32 = 22;
/// Half of a diamond.
const DIAMOND: Point = (26, 20);

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
    bridges: Vec<String>,
    /// A bridge and nothing else.
    switch: bool,
    plan: Plan,
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
    let bridges: Vec<String> = bridges(ns).map(str::to_owned).collect();
    let of = |hook| boxes.iter().find(|(h, _)| *h == hook).map_or(0, |(_, b)| b.len());
    let mut plan = plan(of, !bridges.is_empty(), state.lens().slim(state.narrow.get()));
    let switch = loaded.story.topology.role(host) == Role::Switch;
    if switch {
        // The link layer alone, with room for the packet under it.
        plan.height += 50 - plan.split;
        plan.split = 0;
        plan.label = (plan.width / 2, plan.height - 26);
    }
    let flow = Flow {
        plan,
        switch,
        seen: met(loaded.world(), host, now),
        trail: packet.map(|p| trail(loaded.world(), host, p, now)).unwrap_or_default(),
        current: state.with_step(|_, s, _| s.spot.filter(|_| s.host == host)).flatten(),
        ports: packet.and_then(|p| bridge_ports(loaded.world(), host, p, now)),
        devices: devices(state, ns, packet),
        boxes,
        bridges,
        ns,
    };
    let view_box = format!("0 0 {} {}", flow.plan.width, flow.plan.height);
    let class = packet.and_then(|id| loaded.story.packet(id)).map_or("", |p| kind(p.flow));
    let focused = state.zoom.outlined.get();
    let mut s = flow.draw(focused);
    let content = packet.and_then(|id| content(state, &loaded, id));
    if let Some((frame, face)) = &content {
        let (x, y) = flow.plan.label;
        s.group(&format!("envelope {class}"), None);
        s.shift(x, y);
        s.raw(&letter(face, &sim::view::segment(frame), &short_flow(frame), (0, 0)));
        s.end();
        s.end();
    }
    let at = flow.current.and_then(|spot| flow.at(spot));
    let here = content.zip(at).map(|((frame, _), (x, y))| {
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
        .attr("viewBox", view_box)
        .attr("aria-hidden", "true")
        .on("click", move |e| {
            if let Some(hook) = clicked(e).and_then(|i| InetHook::ALL.get(i)) {
                state.enter_hook(*hook);
            }
        })
        .add(svg("g").html(s.done()))
        .add(here);
    View::All(vec![picture.into(), el("p").class("sr").add(flow.summary()).into()])
}

/// The devices by which the packet came into the box and left it, so far.
fn devices(state: State, ns: &Netns, packet: Option<PacketId>) -> (Option<String>, Option<String>) {
    let (loaded, now) = (state.loaded.get(), state.now());
    let mine = || loaded.story.hops.iter().rev().filter(|h| Some(h.packet) == packet && h.event <= now);
    let dev = |place: Place| match place {
        Place::Dev(h, dev) if h == ns.id => Some(ns.dev_name(dev).to_owned()),
        _ => None,
    };
    let came = mine().filter(|h| h.from.host() != ns.id).find_map(|h| dev(h.to));
    let left = mine().filter(|h| h.from.host() == ns.id).find_map(|h| dev(h.to));
    (came, left)
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
        if self.switch {
            return format!("{} is {SWITCH}.", self.ns.name);
        }
        let mut out = format!("Packet flow of {}. ", self.ns.name);
        for (hook, list) in &self.boxes {
            let names: Vec<String> = list
                .iter()
                .map(|b| {
                    format!(
                        "{} ({} seen{})",
                        b.name,
                        self.seen(b.spot),
                        if self.walked(b.spot) { ", visited" } else { "" }
                    )
                })
                .collect();
            let text = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            out.push_str(&format!("{hook}: {text}. "));
        }
        out
    }

    fn draw(&self, focused: Option<InetHook>) -> Svg {
        let p = &self.plan;
        let mut s = Svg::default();
        if self.switch {
            s.rect("band l2", Rect { x: 4, y: 4, w: p.width - 8, h: p.height - 60 }, 10);
            self.link_layer(&mut s, 4);
            return s;
        }
        s.rect("band l3", Rect { x: 4, y: 4, w: p.width - 8, h: p.split - 8 }, 10);
        s.text("dim tiny", 14, 18, "network layer");
        let top = p.split + 4;
        s.rect("band l2", Rect { x: 4, y: top, w: p.width - 8, h: p.height - 4 - top }, 10);
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
            diamond(&mut s, at, "route", class);
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
        s.text("", badge.center().0, r.y + 12, b.letter);
        if self.current == Some(b.spot) {
            s.rect("now-ring", Rect { h: ROW, ..r }, 5);
        }
        s.end();
        let short = b.name.split(':').next().unwrap_or_default();
        let class = if self.walked(b.spot) { "fn" } else { "fn dim" };
        s.text(class, r.x + 23, r.y + 12, &cut(short, 12));
        let n = self.seen(b.spot);
        if n > 0 {
            s.text("count end", r.x + r.w - 4, r.y + 12, &n.to_string());
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
                s.path(if lit { "wire lit" } else { "wire" }, &d(points));
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

    /// Devices, bridges, and whether the frames on these meet iptables.
    fn link_layer(&self, s: &mut Svg, top: i32) {
        let p = &self.plan;
        let calls = bridged_by_iptables(self.ns);
        let title = match (self.bridges.is_empty(), calls) {
            _ if self.switch => SWITCH.to_owned(),
            (true, _) => "link layer".to_owned(),
            (false, true) => {
                format!("link layer: bridge {}, lent to iptables by br_netfilter", self.bridges.join(", "))
            }
            (false, false) => format!("link layer: bridge {}, not seen by iptables", self.bridges.join(", ")),
        };
        s.text("dim tiny", 14, top + 15, &title);
        let y = top + 44;
        let (came, left) = (self.upper(&self.devices.0), self.upper(&self.devices.1));
        let name = |n: Option<&str>, none: &str| cut(n.unwrap_or(none), if p.narrow { 12 } else { 16 });
        let w = if p.narrow { 84 } else { 112 };
        let (a, b) = (Rect { x: 16, y: y - 12, w, h: 24 }, Rect { x: p.width - 16 - w, y: y - 12, w, h: 24 });
        let on = |on: bool| if on { "on" } else { "off" };
        let (pre, post) = (p.card(InetHook::PreRouting), p.card(InetHook::PostRouting));
        let up = self.own(InetHook::PreRouting) || self.walked(Spot::Route) && !self.walked(Spot::SocketsOut);
        let down = left.is_some() && (self.walked(Spot::Route) || self.hook(InetHook::PostRouting));
        let bridged = self.walked(Spot::Bridge);
        if !self.switch {
            wire(s, &[(a.x + 12, a.y), (a.x + 12, pre.y + pre.h)], came.is_some() && up);
            wire(s, &[(b.x + w - 12, post.y + post.h), (b.x + w - 12, b.y)], down);
        }
        if !self.bridges.is_empty() {
            let low = y + 34;
            let c = p.width / 2;
            let ports = self.ports.as_ref();
            let port = |name: Option<&str>| name.filter(|n| *n != UP).map(str::to_owned);
            let (pin, pout) = (port(ports.map(|x| x.0.as_str())), port(ports.map(|x| x.1.as_str())));
            let from = pin.as_deref().unwrap_or("port in");
            let to = pout.as_deref().unwrap_or("port out");
            // Between the bridge as a device of the box, and the bridge's ports.
            let passed = |end: Option<&str>| bridged && end == Some(UP);
            if !self.switch {
                wire(s, &[(c - 8, low), (c - 8, y), (a.x + w, y)], passed(ports.map(|x| x.1.as_str())));
                wire(s, &[(b.x, y), (c + 8, y), (c + 8, low)], passed(ports.map(|x| x.0.as_str())));
            }
            let (ra, rb) = (Rect { y: low - 12, ..a }, Rect { y: low - 12, ..b });
            wire(s, &[(ra.x + w, low), (c, low)], pin.is_some());
            wire(s, &[(c, low), (rb.x, low)], pout.is_some());
            station(s, ra, &cut(from, if p.narrow { 12 } else { 16 }), on(pin.is_some()));
            diamond(s, (c, low), "FDB", self.class(Spot::Bridge));
            station(s, rb, &cut(to, if p.narrow { 12 } else { 16 }), on(pout.is_some()));
            for (hook, x) in [
                (InetHook::PreRouting, (ra.x + w + c - DIAMOND.0) / 2),
                (InetHook::Forward, c + DIAMOND.0 + (rb.x - c - DIAMOND.0) / 3 - 10),
                (InetHook::PostRouting, c + DIAMOND.0 + (rb.x - c - DIAMOND.0) * 3 / 4),
            ] {
                if !self.switch {
                    self.lent(s, hook, (x, low), calls);
                }
            }
        }
        if self.switch {
            return;
        }
        if self.bridges.is_empty() || came.is_some() {
            station(s, a, &name(came, "device in"), on(came.is_some()));
        }
        if self.bridges.is_empty() || left.is_some() {
            station(s, b, &name(left, "device out"), on(left.is_some()));
        }
    }

    /// The device as the IP stack knows it: of a bridge's port, the bridge.
    fn upper<'a>(&'a self, name: &'a Option<String>) -> Option<&'a str> {
        let name = name.as_deref()?;
        let dev = self.ns.devices().iter().find(|d| d.name == name)?;
        Some(dev.master.map_or(name, |m| self.ns.dev_name(m)))
    }

    /// A hook of the bridge, which br_netfilter lends to the IP hook of the same name, or does not.
    fn lent(&self, s: &mut Svg, hook: InetHook, (x, y): Point, calls: bool) {
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

fn wire(s: &mut Svg, points: &[Point], lit: bool) {
    s.path(if lit { "wire lit" } else { "wire" }, &d(points));
}

fn diamond(s: &mut Svg, (x, y): Point, name: &str, class: &str) {
    let (w, h) = DIAMOND;
    s.group(&format!("diamond {class}"), None);
    s.path("", &format!("M{} {y}L{x} {}L{} {y}L{x} {}z", x - w, y - h, x + w, y + h));
    s.text("", x, y + 4, name);
    s.end();
}

fn station(s: &mut Svg, at: Rect, name: &str, class: &str) {
    let (x, y) = at.center();
    s.group(&format!("sockets {class}"), None);
    s.rect("", at, 6);
    s.text("", x, y + 4, name);
    s.end();
}
