//! What each event is called.

use super::step::{Area, Draft, Tone, ct_is_fine, is_for_us};
use super::strip::Spot;
use super::text::{endpoint, flow_text, icmp_name, segment};
use crate::apps::AppEvent;
use crate::operator::route_text;
use kernel::event::{
    BrNfStep, BridgeStep, ClashStep, CtEventKind, CtStep, ExpectEvent, ExpectEventKind, FragStep, HookCtx,
    IpvsStep, NeighStep, Origin, RuleOutcome, RuleStep, SocketStep, TapDir, TunnelStep,
};
use kernel::netfilter::Stop;
use kernel::netfilter::conntrack::{CtState, Direction, Row, status};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::ipvs::Endpoint;
use kernel::netfilter::nat::Manip;
use kernel::netfilter::xtables::RuleSet;
use kernel::netfilter::xtables::targets::Target;
use kernel::route::{RouteEvent, Verdict};
use kernel::{ConnId, DevId, DropReason, Netns};
use packet::{Frame, Mac};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// The number of a conntrack entry, counted from 1.
pub(super) fn entry(conn: ConnId) -> String {
    format!("#{}", conn.number().saturating_add(1))
}

/// `PREROUTING · in cnio0`
pub(super) fn hook_section(ns: &Netns, ctx: &HookCtx) -> String {
    let name = |d: Option<DevId>| d.map(|d| ns.dev_name(d).to_owned());
    let mut out = ctx.hook.chain().to_owned();
    match (name(ctx.indev), name(ctx.outdev)) {
        (Some(i), Some(o)) => out.push_str(&format!(" · {i} → {o}")),
        (Some(i), None) => out.push_str(&format!(" · in {i}")),
        (None, Some(o)) => out.push_str(&format!(" · out {o}")),
        (None, None) => {}
    }
    match (name(ctx.physin), name(ctx.physout)) {
        (_, Some(o)) => out.push_str(&format!(" · bridged, copy to {o}")),
        (Some(i), None) => out.push_str(&format!(" · bridged, port {i}")),
        (None, None) => {}
    }
    out
}

pub(super) fn app(event: &AppEvent) -> Draft {
    let to = |e: &(Ipv4Addr, u16)| endpoint(IpAddr::V4(e.0), Some(e.1));
    let d = |title: String| Draft::new(Area::App, title);
    match event {
        AppEvent::Accept { from, .. } => d(format!("the server accepts a connection from {}", to(from))),
        AppEvent::Datagram { from, len, .. } => {
            d(format!("the server receives {len} bytes from {}", to(from)))
        }
        AppEvent::ServerError { errno, .. } | AppEvent::SendError { errno, .. } => {
            d(format!("the server's socket: {}", errno.text())).tone(Tone::Bad)
        }
        AppEvent::TftpRequest { from, .. } => d(format!("the server receives a request from {}", to(from))),
        AppEvent::TftpData { error, .. } => {
            d(format!("the server's data socket: {}", error.errno.text())).tone(Tone::Bad)
        }
        AppEvent::TftpDone { bytes } => d(format!("the server has delivered {bytes} bytes")),
        AppEvent::TftpGet { file, .. } => d(format!("get {file}")),
        AppEvent::TftpTimedOut { .. } => d("Transfer timed out.".to_owned()).tone(Tone::Bad),
        AppEvent::TftpReceived { bytes, .. } => d(format!("Received {bytes} bytes")).tone(Tone::Strong),
        AppEvent::Connect { tcp, to: t } => {
            let call = if *tcp { "connect() to" } else { "sends to" };
            d(format!("{call} {}", to(t))).tone(Tone::Strong)
        }
        AppEvent::Connected { to: t } => d(format!("connected to {}", to(t))).tone(Tone::Strong),
        AppEvent::Reply { from, text } => {
            d(format!("reply from {}", to(from))).note(format!("{} bytes", text.len())).tone(Tone::Strong)
        }
        AppEvent::Failed { errno, .. } => d(errno.text().to_owned()).tone(Tone::Bad),
        AppEvent::Started { command } => d(command.clone()).tone(Tone::Strong),
        AppEvent::Printed { line, .. } if line.trim().is_empty() => {
            d("prints an empty line".to_owned()).tone(Tone::Dim)
        }
        AppEvent::Printed { line, error } => {
            d(line.clone()).tone(if *error { Tone::Bad } else { Tone::Strong })
        }
        AppEvent::TimedOut { connecting, after_ms, .. } => {
            let what = if *connecting { "connect() timed out" } else { "timed out, no reply" };
            d(format!("{what} after {}", seconds(*after_ms))).tone(Tone::Bad)
        }
    }
}

/// `1.5 s`
pub(super) fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        rest => format!("{}.{} s", ms / 1000, format!("{rest:03}").trim_end_matches('0')),
    }
}

pub(super) fn created(origin: Origin, frame: &Frame) -> Draft {
    let (what, flow) = (segment(frame), flow_text(frame));
    let (title, tone) = match origin {
        Origin::Socket(_) => (format!("{what} {flow}"), Tone::Strong),
        Origin::TcpReset => (format!("RST {flow}: no socket waits for that segment"), Tone::Bad),
        Origin::Icmp => (format!("ICMP {what} {flow}"), Tone::Strong),
        Origin::Arp => (format!("{what} {flow}"), Tone::Dim),
        Origin::Reject => (format!("{what} {flow}: the REJECT target answers"), Tone::Bad),
        Origin::Raw => (format!("crafted packet {flow}"), Tone::Strong),
        Origin::Fragment => (format!("fragment {flow}"), Tone::Strong),
    };
    Draft::new(Area::Socket, title).at(Spot::SocketsOut).tone(tone)
}

pub(super) fn tap(ns: &Netns, dev: DevId, dir: TapDir, frame: &Frame) -> Draft {
    let name = ns.dev_name(dev);
    let title = if dir == TapDir::Out { format!("out by {name}") } else { format!("in by {name}") };
    let bridge = ns.bridge(dev).map(|_| dev).or(ns.device(dev).and_then(|d| d.master));
    let draft = Draft::new(Area::Wire, title);
    let draft = if dir == TapDir::InOther { draft.note(format!("for {}", frame.dst)) } else { draft };
    let draft = match bridge {
        Some(bridge) => draft.section(format!("bridge {}", ns.dev_name(bridge))).at(Spot::Bridge),
        None => draft,
    };
    // A port of a bridge takes every frame.
    if dir == TapDir::Out || is_for_us(dir) || bridge.is_some() { draft } else { draft.tone(Tone::Dim) }
}

pub(super) fn fragment(step: &FragStep) -> Option<Draft> {
    let title = match step {
        FragStep::Waits => "fragment: waits for the others".to_owned(),
        FragStep::Joined { .. } => "fragment: the datagram is whole, and goes on as the first one".to_owned(),
        FragStep::Reassembled { others, .. } => format!("put together from {} fragments", others.len() + 1),
        FragStep::Cut { pieces, .. } => format!("leaves as {pieces} fragments"),
        FragStep::Reused => return None,
    };
    Some(Draft::new(Area::Route, title))
}

pub(super) fn tunnel(ns: &Netns, dev: DevId, step: &TunnelStep) -> Draft {
    let (what, frame) = match step {
        TunnelStep::Encapsulated { after, .. } => ("goes on inside", after),
        TunnelStep::Decapsulated { before, .. } => ("comes out of", before),
    };
    let outer = frame.ip().map_or(String::new(), |ip| format!("{} → {}", ip.src, ip.dst));
    Draft::new(Area::Route, format!("{}: {what} a packet {outer}", ns.dev_name(dev)))
}

/// The name of the chain that a target leads to.
pub(super) fn jump_name(set: Option<&RuleSet>, target: &Target) -> Option<String> {
    let to = target.chain()?;
    Some(set?.chains.get(usize::from(to.0))?.name.to_string())
}

pub(super) fn rule(ns: &Netns, step: &RuleStep, skipped: usize) -> Draft {
    let set = ns.table_of(step.ctx.family, step.table).map(|t| &*t.rules);
    let base = set.and_then(|s| s.base_chain(step.ctx.hook));
    let is_base = base.and_then(|b| set?.chains.get(usize::from(b.0))).is_some_and(|c| c.name == step.chain);
    let (title, note, tone) = match &step.outcome {
        RuleOutcome::Match { rule, .. } => {
            let title = match (jump_name(set, &rule.target), &rule.target) {
                (Some(chain), _) => format!("→ {chain}"),
                (None, Target::None) => "counted".to_owned(),
                (None, _) => target_text(set, rule),
            };
            let tone = match &rule.target {
                Target::Drop | Target::Reject(_) => Tone::Bad,
                Target::Dnat(_) | Target::Snat(_) | Target::Masquerade(_) | Target::Redirect(_) => {
                    Tone::Strong
                }
                _ => Tone::Plain,
            };
            (title, format!("rule {}", step.n), tone)
        }
        RuleOutcome::Policy(v) => {
            let tone =
                if matches!(v, kernel::netfilter::xtables::Verdict::Drop) { Tone::Bad } else { Tone::Plain };
            (format!("policy {v}"), none_matched(skipped), tone)
        }
        _ => (format!("end of {}: return", step.chain), none_matched(skipped), Tone::Dim),
    };
    let mut draft = Draft::new(Area::Table(step.table), title)
        .note(note)
        .tone(tone)
        .at(Spot::Fn(step.ctx.hook, Area::Table(step.table)))
        .section(hook_section(ns, &step.ctx));
    if !is_base && matches!(step.outcome, RuleOutcome::Match { .. }) {
        draft.chain = Some(Rc::clone(&step.chain));
    }
    draft
}

pub(super) fn none_matched(n: usize) -> String {
    match n {
        0 => String::new(),
        1 => "1 rule, no match".to_owned(),
        n => format!("{n} rules, no match"),
    }
}

/// What stands behind `-j`.
pub(super) fn target_text(set: Option<&RuleSet>, rule: &kernel::netfilter::xtables::Rule) -> String {
    let tokens = set.map(|set| userland::iptables::rule_tokens(set, rule)).unwrap_or_default();
    let target = tokens.last().and_then(|t| t.text.strip_prefix("-j ").or(t.text.strip_prefix("-g ")));
    target.unwrap_or("no target").to_owned()
}

pub(super) fn conntrack(step: CtStep, state: CtState, dir: Option<Direction>, conn: Option<ConnId>) -> Draft {
    let title = match step {
        CtStep::New => "new connection: an unconfirmed entry".to_owned(),
        CtStep::Expected => "RELATED: a helper has announced this connection".to_owned(),
        CtStep::Found | CtStep::Attached => {
            let dir = dir.map_or("", Direction::name);
            format!("{state}, {dir} direction")
        }
        CtStep::Ignored => format!("{state}, and the packet changes nothing"),
        CtStep::Related => "RELATED: an error about a known connection".to_owned(),
        CtStep::Invalid(why) => format!("INVALID: {why}"),
        CtStep::Untracked => "not tracked".to_owned(),
        CtStep::TableFull => "the table is full".to_owned(),
    };
    let tone = if ct_is_fine(step) { Tone::Plain } else { Tone::Bad };
    Draft::new(Area::Conntrack, title).note(conn.map(entry).unwrap_or_default()).tone(tone)
}

pub(super) fn expect_event(e: &ExpectEvent) -> Draft {
    let t = &e.row.tuple;
    let flow = format!("{} → {}", endpoint(t.src(), None), endpoint(t.dst(), Some(t.dport())));
    let title = match e.kind {
        ExpectEventKind::New => format!("helper {} expects {flow}", e.row.helper.name()),
        ExpectEventKind::Destroy => format!("no longer expected: {flow}"),
    };
    Draft::new(Area::Conntrack, title)
}

/// A packet stops while others overtake it, or goes on.
pub(super) fn parked(cpu: usize, stop: Stop, stops: bool) -> Draft {
    let place = match stop {
        Stop::Lookup => "before conntrack looks it up",
        Stop::Entry => "with an entry that nobody else finds",
        Stop::Port => "before NAT chooses a port",
        Stop::Confirm => "before its entry is in the table",
        Stop::Transmit => "in the queue of its device",
    };
    let verb = if stops { "waits" } else { "goes on" };
    Draft::new(Area::Conntrack, format!("CPU {cpu} {verb} {place}")).tone(Tone::Strong)
}

/// Two entries want the same tuple.
pub(super) fn clash(step: ClashStep, winner: ConnId) -> Draft {
    let (title, tone) = match step {
        ClashStep::Merged => ("clash: goes on with the entry in the table", Tone::Strong),
        ClashStep::ReplyOnly => ("clash: the entry is in the table for answers only", Tone::Strong),
        ClashStep::Lost => ("clash: the tuple is taken, insert_failed", Tone::Bad),
    };
    Draft::new(Area::Conntrack, title).tone(tone).note(entry(winner))
}

pub(super) fn ct_event(kind: CtEventKind, row: &Row) -> Draft {
    let title = match kind {
        CtEventKind::New => "entry made".to_owned(),
        CtEventKind::Update => {
            let state = row.tcp.map_or("", |t| t.state.name());
            let assured = if row.status & status::ASSURED != 0 { " [ASSURED]" } else { "" };
            format!("entry updated: {state}{assured}")
        }
        CtEventKind::Destroy => "entry removed".to_owned(),
    };
    Draft::new(Area::Conntrack, title).note(entry(row.id))
}

pub(super) fn ipvs(step: &IpvsStep, reply: bool) -> Draft {
    let at = |e: &Endpoint| endpoint(e.0.into(), Some(e.1));
    let (title, tone) = match step {
        IpvsStep::Scheduled(service, server) => {
            (format!("virtual server {service} chooses {}", at(server)), Tone::Strong)
        }
        IpvsStep::NoServer(service) => (format!("virtual server {service} has no real server"), Tone::Bad),
        IpvsStep::Forwarded(conn) => (format!("goes on to {} as it is", at(&conn.server)), Tone::Strong),
        IpvsStep::Rewritten { before, after, .. } => {
            let manip = if changed_source(before, after) { Manip::Src } else { Manip::Dst };
            return Draft { area: Area::Ipvs, ..nat(manip, reply, before, after) };
        }
    };
    Draft::new(Area::Ipvs, title).tone(tone)
}

fn changed_source(before: &Frame, after: &Frame) -> bool {
    let source = |f: &Frame| f.ip().map(|ip| (ip.src, ip.ports().map(|p| p.0)));
    source(before) != source(after)
}

pub(super) fn nat(manip: Manip, reply: bool, before: &Frame, after: &Frame) -> Draft {
    let side = |f: &Frame| {
        f.ip().map(|ip| {
            let ports = ip.ports();
            match manip {
                Manip::Src => endpoint(ip.src, ports.map(|p| p.0)),
                Manip::Dst => endpoint(ip.dst, ports.map(|p| p.1)),
            }
        })
    };
    let (word, side_name) = match (manip, reply) {
        (Manip::Dst, false) => ("DNAT", "destination"),
        (Manip::Src, false) => ("SNAT", "source"),
        (Manip::Src, true) => ("DNAT undone", "source"),
        (Manip::Dst, true) => ("SNAT undone", "destination"),
    };
    let (a, b) = (side(before).unwrap_or_default(), side(after).unwrap_or_default());
    Draft::new(
        Area::Table(kernel::netfilter::xtables::TableId::Nat),
        format!("{word}: {side_name} {a} → {b}"),
    )
    .tone(Tone::Strong)
}

pub(super) fn route(ns: &Netns, e: &RouteEvent) -> Draft {
    let note = e.route.as_ref().map(|r| route_text(ns, r)).unwrap_or_default();
    let (title, tone) = match &e.outcome {
        Ok(dst) => {
            let title = match (dst.verdict, e.input) {
                (Verdict::Local, _) => format!("{} is this host", e.dst),
                (Verdict::Broadcast, _) => format!("{} is a broadcast address", e.dst),
                (Verdict::Multicast, _) => format!("{} is a group", e.dst),
                (Verdict::Out, true) => format!("forward {} out by {}", e.dst, ns.dev_name(dst.dev)),
                (Verdict::Out, false) => format!("send to {} by {}", e.dst, ns.dev_name(dst.dev)),
            };
            (title, Tone::Plain)
        }
        Err(reason) => (format!("no way to {}: {reason}", e.dst), Tone::Bad),
    };
    // A heading of its own only between hooks.
    let hooked = InetHook::ALL.into_iter().any(|h| !ns.hooks_at(h).is_empty());
    let section = if hooked { "routing" } else { "" };
    Draft::new(Area::Route, title).note(note).tone(tone).at(Spot::Route).section(section)
}

pub(super) fn bridge(
    ns: &Netns,
    bridge: DevId,
    from: Option<DevId>,
    step: &BridgeStep,
    frame: Option<&Frame>,
    walks_forward: bool,
) -> Draft {
    let name = ns.dev_name(bridge);
    let dst = frame.map_or(Mac::ZERO, |f| f.dst);
    let (title, tone) = match step {
        BridgeStep::Learned { mac, port } => (format!("{mac} is behind {}", ns.dev_name(*port)), Tone::Plain),
        BridgeStep::Forwarded(to) => {
            let way = from.map_or(String::new(), |f| format!("{} → ", ns.dev_name(f)));
            (
                format!("{dst} is behind {}: switched {way}{}", ns.dev_name(*to), ns.dev_name(*to)),
                Tone::Strong,
            )
        }
        BridgeStep::Flooded(ports) => {
            let names: Vec<&str> = ports.iter().map(|p| ns.dev_name(*p)).collect();
            let why = if dst.is_broadcast() {
                format!("{name} floods a broadcast")
            } else if dst.is_multicast() {
                format!("{name} floods a group")
            } else {
                format!("{name} does not know the port of {dst}")
            };
            let each = match (walks_forward, names.len()) {
                (true, 2..) => " – each copy walks FORWARD",
                _ => "",
            };
            let copies = if names.len() == 1 { "a copy" } else { "copies" };
            (format!("{why}: {copies} to {}{each}", list(&names)), Tone::Strong)
        }
        BridgeStep::PassedUp => (format!("the frame is for {name}: up to the IP stack"), Tone::Plain),
        BridgeStep::PassedUpPromiscuous => (format!("{name} is promiscuous: a copy goes up"), Tone::Plain),
    };
    Draft::new(Area::Bridge, title).tone(tone).at(Spot::Bridge).section(format!("bridge {name}"))
}

/// `a`, `a and b`, `a, b and c`
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

pub(super) fn br_netfilter(ns: &Netns, bridge: DevId, step: &BrNfStep) -> Draft {
    let name = ns.dev_name(bridge);
    let draft = match step {
        BrNfStep::NotCalled { loaded, hook } => {
            let why = if *loaded { "bridge-nf-call-iptables is 0" } else { "br_netfilter is not loaded" };
            Draft::new(Area::Bridge, format!("{hook} not called: {why}"))
                .tone(Tone::Dim)
                .at(Spot::Call(*hook))
        }
        BrNfStep::Calls(hook) => {
            Draft::new(Area::Bridge, format!("br_netfilter lends the frame to {hook}")).at(Spot::Call(*hook))
        }
        BrNfStep::BridgedDnat { to } => {
            Draft::new(Area::Bridge, format!("{to} is behind {name} too: the frame stays on the bridge"))
                .at(Spot::Bridge)
        }
        BrNfStep::RoutedDnat { to } => {
            Draft::new(Area::Bridge, format!("{to} is not behind {name}: up to be routed")).at(Spot::Bridge)
        }
    };
    draft.section(format!("bridge {name}"))
}

pub(super) fn neigh(ns: &Netns, dev: DevId, addr: Ipv4Addr, step: NeighStep) -> Draft {
    let dev = ns.dev_name(dev);
    let (title, tone) = match step {
        NeighStep::Waiting => (format!("waits: who has {addr}?"), Tone::Plain),
        NeighStep::Failed => (format!("nobody answers for {addr}"), Tone::Bad),
        NeighStep::Learned(mac) | NeighStep::Resolved(mac) => (format!("{addr} is at {mac}"), Tone::Plain),
    };
    Draft::new(Area::Neigh, title).note(dev.to_owned()).tone(tone)
}

pub(super) fn socket(step: &SocketStep) -> Draft {
    let (title, tone) = match step {
        SocketStep::TcpState { from, to } => (format!("{from} → {to}"), Tone::Strong),
        SocketStep::Received(n) => (format!("{n} bytes for the program"), Tone::Strong),
        SocketStep::Segment => ("acknowledgement".to_owned(), Tone::Plain),
        SocketStep::IcmpError { kind, code } => {
            (format!("told: {} (ICMP {kind}/{code})", icmp_name(*kind, *code)), Tone::Bad)
        }
        SocketStep::EchoReply => ("echo reply".to_owned(), Tone::Strong),
    };
    Draft::new(Area::Socket, title).at(Spot::SocketsIn).tone(tone)
}

/// Nothing is lost: the packet was for somebody else, or only a hint.
pub(super) fn is_harmless(reason: DropReason) -> bool {
    matches!(reason, DropReason::OtherHost | DropReason::NotForUs | DropReason::NatIcmpRedirect)
}

/// The last box that ignores a frame which nobody else has taken either.
pub(super) fn unclaimed(frame: &Frame) -> String {
    format!("nobody takes it: addressed to {}", frame.dst)
}

pub(super) fn drop(reason: DropReason, frame: &Frame) -> Draft {
    let title = match reason {
        DropReason::NoSocket => format!("no socket for {}", flow_text(frame)),
        DropReason::OtherHost => format!("ignored: addressed to {}", frame.dst),
        reason => reason.to_string(),
    };
    let tone = if is_harmless(reason) { Tone::Dim } else { Tone::Bad };
    let spot = if reason == DropReason::NoSocket { Some(Spot::SocketsIn) } else { None };
    Draft { spot, ..Draft::new(Area::Drop, title).tone(tone) }
}
