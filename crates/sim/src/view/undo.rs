//! What becomes of a request's translations when the reply comes: undone, or not, and then why.

use super::Story;
use super::place::Place;
use super::sides::{Gap, NatPair, SideBox, SidePlace, Visit};
use super::text::endpoint;
use super::title::{entry, is_harmless};
use crate::log::Entry;
use crate::{EventId, World};
use kernel::event::{BrNfStep, BridgeStep, CtStep, IpvsStep, What};
use kernel::netfilter::conntrack::{Row, Tuple};
use kernel::netfilter::nat::Manip;
use kernel::{ConnId, Netns, NetnsId, PacketId};

/// By what a packet was translated.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Nat(ConnId, Manip),
    Ipvs(u32),
}

fn by(what: &What) -> Option<By> {
    match what {
        What::Nat { conn, manip, .. } => Some(By::Nat(*conn, *manip)),
        What::Ipvs { step: IpvsStep::Rewritten { conn, .. }, .. } => Some(By::Ipvs(conn.id)),
        _ => None,
    }
}

fn undoes(made: By, other: By) -> bool {
    match (made, other) {
        (By::Nat(a, m), By::Nat(b, n)) => a == b && m != n,
        (By::Ipvs(a), By::Ipvs(b)) => a == b,
        _ => false,
    }
}

/// The translations of the request in a box, each with what became of it for the reply.
pub(super) fn nat_pairs(world: &World, story: &Story, b: &SideBox, reply: Option<PacketId>) -> Vec<NatPair> {
    let what = |step: usize| world.log().get(story.steps.get(step)?.key)?.what();
    let steps = |v: &Option<Visit>| -> Vec<usize> {
        v.iter().flat_map(|v| v.legs.iter().flat_map(|l| l.steps.clone())).collect()
    };
    let (there, back) = (steps(&b.request), steps(&b.reply));
    let mut out = Vec::new();
    // Where nobody answers there is nothing to be undone.
    let Some(reply) = reply else { return out };
    for made in there {
        let Some(how) = what(made).and_then(by) else { continue };
        let undone = back.iter().copied().find(|s| what(*s).and_then(by).is_some_and(|o| undoes(how, o)));
        let undone = undone.ok_or_else(|| gap(world, story, b, (how, made), reply));
        out.push(NatPair { made, undone });
    }
    out
}

fn gap(world: &World, story: &Story, b: &SideBox, (how, made): (By, usize), reply: PacketId) -> Gap {
    let Some(ns) = world.host(b.host) else { return Gap { why: String::new(), step: None, place: None } };
    if b.reply.is_none() {
        return Gap { why: elsewhere(world, story, ns, reply), step: None, place: None };
    }
    let (event, why) = reason(world, ns, how, reply);
    let at_event = |s: usize| story.steps.get(s).is_some_and(|s| Some(s.event.max(s.key)) >= event);
    let legs = || b.reply.iter().flat_map(|v| &v.legs);
    let step = legs().flat_map(|l| l.steps.iter().copied()).find(|s| at_event(*s));
    let leg = legs().find(|l| step.is_some_and(|s| l.steps.contains(&s)));
    let hook = story.steps.get(made).and_then(|s| s.hook());
    let place = leg.map(|l| l.place).or(hook.map(SidePlace::Hook));
    Gap { why, step, place }
}

fn entries(world: &World, host: NetnsId, packet: PacketId) -> impl Iterator<Item = (EventId, &Entry)> + '_ {
    let all = world.log().entries().iter().zip(0u32..).map(|(e, i)| (EventId(i), e));
    all.filter(move |(_, e)| e.host == host && e.packet == Some(packet))
}

/// The reply does not come to the box: where it goes instead.
fn elsewhere(world: &World, story: &Story, ns: &Netns, reply: PacketId) -> String {
    let Some(info) = story.packet(reply) else { return String::new() };
    let (maker, label) = (world.host(info.host), &info.label);
    let mine = story.steps.iter().filter(|s| s.packet == Some(reply));
    let end = mine.clone().rev().find(|s| {
        matches!(world.log().get(s.key).and_then(|e| e.what()), Some(What::Drop { reason, .. }) if !is_harmless(*reason))
    });
    let mut way: Vec<&str> = Vec::new();
    for s in mine {
        let Some(host) = world.host(s.host) else { continue };
        let is_box = !matches!(s.place, Place::Bridge(..));
        if is_box && !way.contains(&host.name.as_str()) {
            way.push(&host.name);
        }
    }
    let from = maker.map_or("?", |m| m.name.as_str());
    match end {
        Some(s) if way.len() < 2 => {
            format!("the {label} never comes to {}: it ends in {from}: {}", ns.name, s.title)
        }
        _ => format!("the {label} never comes to {}: its way is {}", ns.name, way.join(" → ")),
    }
}

/// Why the reply, which was in the box, was not translated there, and the event that shows it.
fn reason(world: &World, ns: &Netns, how: By, reply: PacketId) -> (Option<EventId>, String) {
    let mine = || entries(world, ns.id, reply);
    let looked_up = mine().find_map(|(id, e)| match e.what()? {
        What::Conntrack { step, conn, .. } if *step != CtStep::Attached => Some((id, *step, *conn)),
        _ => None,
    });
    if let Some((id, step, conn)) = looked_up
        && let Some(why) = lookup(world, ns, how, (step, conn), (reply, id))
    {
        return (Some(id), why);
    }
    let drop = mine().find_map(|(id, e)| match e.what()? {
        What::Drop { reason, .. } if !is_harmless(*reason) => Some((id, *reason)),
        _ => None,
    });
    if let Some((id, reason)) = drop {
        return (Some(id), format!("the reply ends here before that: {reason}"));
    }
    if looked_up.is_none() {
        let bridged = mine().find_map(|(id, e)| match e.what()? {
            What::BrNetfilter { bridge, step: BrNfStep::NotCalled { loaded, hook } } => {
                Some((id, *bridge, Some((*loaded, *hook))))
            }
            _ => None,
        });
        let switched = || {
            mine().find_map(|(id, e)| match e.what()? {
                What::Bridge { bridge, step: BridgeStep::Forwarded(_) | BridgeStep::Flooded(_), .. } => {
                    Some((id, *bridge, None))
                }
                _ => None,
            })
        };
        if let Some((id, bridge, called)) = bridged.or_else(switched) {
            let name = ns.dev_name(bridge);
            let because = match called {
                Some((false, hook)) => format!("br_netfilter is not loaded, so it never meets {hook}"),
                Some((true, hook)) => {
                    format!("net.bridge.bridge-nf-call-iptables is 0, so it never meets {hook}")
                }
                None => "it never meets an IP hook".to_owned(),
            };
            let looks = if matches!(how, By::Nat(..)) { "conntrack lookup" } else { "look by IPVS" };
            return (Some(id), format!("no {looks} here, because {name} switches the frame and {because}"));
        }
    }
    let first = mine().next().map(|(id, _)| id);
    let why = match how {
        By::Nat(conn, _) if looked_up.is_some() => {
            format!("entry {} has nothing to undo in this direction", entry(conn))
        }
        By::Nat(..) => "no conntrack lookup here".to_owned(),
        By::Ipvs(_) => "no hook of IPVS took it for the answer of a real server".to_owned(),
    };
    (first, why)
}

/// What conntrack's lookup says about a missing translation; `None` if it found the right entry.
fn lookup(
    world: &World,
    ns: &Netns,
    how: By,
    (step, conn): (CtStep, Option<ConnId>),
    (reply, at): (PacketId, EventId),
) -> Option<String> {
    let By::Nat(mine, _) = how else { return None };
    let waits = row_at(world, ns.id, mine, at).map(|row| tuple(&row.reply));
    let waits = waits.map_or(String::new(), |t| format!("; entry {} waits for {t}", entry(mine)));
    match step {
        CtStep::Invalid(reason) => {
            Some(format!("conntrack calls it INVALID ({reason}), and nat leaves it alone"))
        }
        CtStep::Untracked => {
            Some("a rule asks not to track it, and nat knows tracked packets only".to_owned())
        }
        CtStep::TableFull => Some("the conntrack table is full".to_owned()),
        CtStep::New | CtStep::Expected => {
            let here = super::frame_at(world, reply, at);
            let is = here.as_deref().and_then(|f| f.ip()).map(|ip| {
                let ports = ip.ports();
                format!("{} → {}", endpoint(ip.src, ports.map(|p| p.0)), endpoint(ip.dst, ports.map(|p| p.1)))
            });
            let is = is.unwrap_or_default();
            Some(format!("conntrack finds no entry for {is} and takes it for a new connection{waits}"))
        }
        CtStep::Found | CtStep::Ignored | CtStep::Related | CtStep::Attached => match conn {
            Some(other) if other != mine => {
                Some(format!("it belongs to entry {}, not to {}{waits}", entry(other), entry(mine)))
            }
            _ => None,
        },
    }
}

fn tuple(t: &Tuple) -> String {
    format!("{} → {}", endpoint(t.src(), Some(t.sport())), endpoint(t.dst(), Some(t.dport())))
}

/// An entry as it stood at an event.
fn row_at(world: &World, host: NetnsId, conn: ConnId, until: EventId) -> Option<&Row> {
    let end = world.log().len().min(until.index() + 1);
    let mine = world.log().entries()[..end].iter().rev().filter(|e| e.host == host);
    mine.filter_map(|e| match e.what()? {
        What::Conntrack { row: Some(row), .. } | What::NatSetup { row, .. } => Some(&**row),
        What::CtEvent(e) => Some(&e.row),
        _ => None,
    })
    .find(|row| row.id == conn)
}
