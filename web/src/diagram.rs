//! What both drawings of a packet's way through a box are made of (`hookstrip`, `topology::flow`): their signs, and the bridge.

use crate::state::State;
use crate::svg::{Rect, Svg, cut};
use kernel::dev::DevKind;
use kernel::netfilter::hook::InetHook;
use kernel::{Netns, PacketId};
use sim::view::{Area, HookBox, Place, bridged_by_iptables};

/// What a switch does.
pub const SWITCH: &str = "a switch: it forwards frames by destination MAC; no IP stack, no hooks";

/// Half of a diamond's width, and of its height.
pub const DIAMOND: (i32, i32) = (25, 17);

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

/// A box of IPVS is a hexagon.
pub fn hexagon(r: Rect) -> String {
    let (x, right, top, low) = (r.x, r.x + r.w, r.y, r.y + r.h);
    let (cut, mid) = (6, r.y + r.h / 2);
    format!("M{x} {mid}L{} {top}H{}L{right} {mid}L{} {low}H{}z", x + cut, right - cut, right - cut, x + cut)
}

/// A way between two places; lit if the packet has taken it.
pub fn wire(s: &mut Svg, d: &str, lit: bool) {
    s.path(if lit { "wire lit" } else { "wire" }, d);
}

/// A place that is no hook.
pub fn station(s: &mut Svg, at: Rect, name: &str, class: &str) {
    let (x, y) = at.center();
    s.group(&format!("sockets {class}"), None);
    s.rect("", at, 6);
    s.text("", x, y + 4, name);
    s.end();
}

/// A decision. `go` is the step at which it was made.
pub fn diamond(s: &mut Svg, (x, y): (i32, i32), name: &str, class: &str, go: Option<usize>) {
    let (w, h) = DIAMOND;
    s.group(&format!("diamond {class}"), go);
    s.path("", &format!("M{} {y}L{x} {}L{} {y}L{x} {}z", x - w, y - h, x + w, y + h));
    s.text("", x, y + 4, name);
    s.end();
}

/// The names of a box's bridges.
pub fn bridges(ns: &Netns) -> Vec<&str> {
    ns.devices().iter().filter(|d| matches!(d.kind, DevKind::Bridge(_))).map(|d| d.name.as_str()).collect()
}

/// The band of a box's link layer: its bridges, and whether the frames on these meet iptables.
pub fn link_band(s: &mut Svg, ns: &Netns, band: Rect) {
    let title = match (bridges(ns).join(", "), bridged_by_iptables(ns)) {
        (names, _) if names.is_empty() => "link layer: no bridge".to_owned(),
        (names, true) => format!("link layer: bridge {names}, lent to iptables by br_netfilter"),
        (names, false) => format!("link layer: bridge {names}, not seen by iptables"),
    };
    s.rect("band l2", band, 10);
    // Beside the way up from a device.
    s.text("dim tiny", band.x + 32, band.y + 15, &title);
}

/// What is registered at a box's hooks, in words, each with what `note` says of it.
pub fn spoken(hooks: &[(InetHook, Vec<HookBox>)], note: &dyn Fn(&HookBox) -> String) -> String {
    let mut out = String::new();
    for (hook, list) in hooks {
        let names: Vec<String> = list.iter().map(|b| format!("{}{}", b.name, note(b))).collect();
        let text = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        out.push_str(&format!(" {hook}: {text}."));
    }
    out
}

/// The devices by which the packet came into the box and left it, so far.
pub fn devices(state: State, ns: &Netns, packet: Option<PacketId>) -> (Option<String>, Option<String>) {
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

/// A bridge as a packet meets it.
pub struct Bridge<'a> {
    /// By what it came in.
    pub from: Option<&'a str>,
    /// By what it goes out.
    pub to: Option<&'a str>,
    /// The class of the table that tells the port.
    pub fdb: &'static str,
}

/// Where devices stand in a row of this width whose middle is at `y`: that on the left, and that on the right.
pub fn ports(width: i32, y: i32) -> [Rect; 2] {
    let (w, h) = (if width < 480 { 84 } else { 112 }, 24);
    [16, width - 16 - w].map(|x| Rect { x, y: y - h / 2, w, h })
}

/// The device by which a packet came or went, or what stands there as long as it did not.
pub fn port(s: &mut Svg, at: Rect, name: Option<&str>, none: &str) {
    station(s, at, &cut(name.unwrap_or(none), at.w / 7), if name.is_some() { "on" } else { "off" });
}

impl Bridge<'_> {
    /// Draws it: in by a port, past the table, out by a port.
    pub fn draw(&self, s: &mut Svg, width: i32, y: i32) {
        let c = width / 2;
        let [a, b] = ports(width, y);
        wire(s, &format!("M{} {y}H{c}", a.x + a.w), self.from.is_some());
        wire(s, &format!("M{c} {y}H{}", b.x), self.to.is_some());
        port(s, a, self.from, "port in");
        port(s, b, self.to, "port out");
        diamond(s, (c, y), "FDB", self.fdb, None);
    }

    /// Draws a box that is a bridge and nothing else.
    pub fn alone(&self, s: &mut Svg, width: i32, height: i32) {
        s.rect("band l2", Rect { x: 4, y: 4, w: width - 8, h: height - 8 }, 10);
        s.text(if width < 480 { "dim tiny" } else { "dim" }, 14, 22, SWITCH);
        self.draw(s, width, height / 2 + 6);
    }
}
