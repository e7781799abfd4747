//! What netfilter did to a packet between one capture and the next: the comment of a packet in a capture file.

use super::assoc::Assoc;
use super::text::endpoint;
use super::title;
use crate::{EventId, World};
use kernel::dev::DevKind;
use kernel::event::{ClashStep, CtStep, IpvsStep, NftOutcome, RuleOutcome, TapDir, TunnelStep, What};
use kernel::netfilter::conntrack::Direction;
use kernel::netfilter::nat::Manip;
use kernel::netfilter::nftables::NftVerdict;
use kernel::netfilter::xtables::Verdict;
use kernel::netfilter::xtables::targets::Target;
use kernel::{DevId, Netns, NetnsId};
use packet::Frame;

/// What is known of a packet in a box.
#[derive(Default)]
struct Way {
    /// The capture that saw it last, if it has not left since.
    seen: Option<EventId>,
    /// What happened before any capture in this box saw it.
    early: Vec<String>,
    dir: Option<Direction>,
    /// The rule that matched last: where it stands.
    matched: String,
    /// The rule that asked for a translation, until that is done.
    asked: Option<String>,
    /// The rule or policy that dropped it.
    dropped_by: Option<String>,
}

/// The captures of a run that have something to say, in order, each with what it is.
///
/// A packet that comes in by a device carries what the box did to it until the next capture there; one that the box has
/// made, what was done before the first. Of a packet that leaves by several ports the capture at which it came in has
/// it all, as the copies are one packet.
pub fn remarks(world: &World) -> Vec<(EventId, String)> {
    // By the packet's number; a packet is in few boxes.
    let mut ways: Vec<Assoc<NetnsId, Way>> = Vec::new();
    let mut out: Vec<(EventId, String)> = Vec::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let (Some(what), Some(packet)) = (entry.what(), entry.packet) else { continue };
        let Some(ns) = world.host(entry.host) else { continue };
        let number = packet.0 as usize;
        if ways.len() <= number {
            ways.resize_with(number + 1, Assoc::default);
        }
        let Some(way) = ways.get_mut(number).map(|w| w.or_default(entry.host)) else { continue };
        if let What::Tap { dev, dir, .. } = what {
            let early = std::mem::take(&mut way.early);
            if !early.is_empty() {
                out.push((event, format!("before: {}", early.join("; "))));
            }
            if *dir != TapDir::Out || stays(ns, *dev) {
                *way = Way { seen: Some(event), ..Way::default() };
            }
            continue;
        }
        let Some(text) = remark(ns, way, what) else { continue };
        match way.seen {
            Some(seen) => match out.iter_mut().rev().find(|(e, _)| *e == seen) {
                Some((_, said)) => said.push_str(&format!("; {text}")),
                None => out.push((seen, text)),
            },
            None => way.early.push(text),
        }
    }
    sorted::sort_by_key(&mut out, |(event, _)| *event);
    out
}

/// A packet that leaves by this device is still in the box.
fn stays(ns: &Netns, dev: DevId) -> bool {
    ns.device(dev).is_some_and(|d| !matches!(d.kind, DevKind::Veth | DevKind::Dummy))
}

/// What an event is in a few words, if it is worth any.
fn remark(ns: &Netns, way: &mut Way, what: &What) -> Option<String> {
    match what {
        What::Rule(step) => {
            let place = || format!("{} {} rule {}", step.table.name(), step.chain, step.n);
            match &step.outcome {
                RuleOutcome::Match { rule, .. } => {
                    way.matched = step.chain.to_string();
                    match rule.target {
                        Target::Drop => way.dropped_by = Some(place()),
                        Target::Reject(_) => {
                            way.dropped_by = Some(place());
                            return Some(format!("REJECT by {}", place()));
                        }
                        Target::Notrack => return Some(format!("NOTRACK by {}", place())),
                        _ => {}
                    }
                }
                RuleOutcome::Policy(Verdict::Drop) => {
                    way.dropped_by = Some(format!("policy of {} {}", step.table.name(), step.chain));
                }
                _ => {}
            }
            None
        }
        What::Nft(step) => {
            match &step.outcome {
                NftOutcome::Match { verdict, .. } => {
                    way.matched = step.chain.to_string();
                    if *verdict == NftVerdict::Drop {
                        way.dropped_by = Some(format!("{} {} rule {}", step.table, step.chain, step.n));
                    }
                }
                NftOutcome::Policy(Verdict::Drop) => {
                    way.dropped_by = Some(format!("policy of {} {}", step.table, step.chain));
                }
                _ => {}
            }
            None
        }
        What::Conntrack { state, dir, conn, step, .. } => {
            way.dir = *dir;
            let word =
                matches!(step, CtStep::Invalid(_) | CtStep::TableFull | CtStep::Expected | CtStep::Related);
            word.then(|| format!("conntrack: {}", title::conntrack(*step, *state, *dir, *conn).title))
        }
        What::Clash { winner, step, .. } => {
            (*step != ClashStep::Merged || way.seen.is_some()).then(|| title::clash(*step, *winner).title)
        }
        What::NatSetup { null: false, .. } => {
            way.asked = Some(std::mem::take(&mut way.matched));
            None
        }
        What::Nat { conn, manip, before, after, .. } => {
            let by = match way.asked.take() {
                Some(chain) => format!("by {chain}"),
                None => format!("by connection {}", title::entry(*conn)),
            };
            Some(translated(*manip, way.dir == Some(Direction::Reply), &by, before, after))
        }
        What::Ipvs { step, .. } => match step {
            // The way on tells.
            IpvsStep::Forwarded(_) => None,
            step => Some(format!("IPVS: {}", title::ipvs(step, way.dir == Some(Direction::Reply)).title)),
        },
        What::Tunnel { dev, step } => {
            let (word, outer) = match step {
                TunnelStep::Encapsulated { after, .. } => ("encapsulated by", after),
                TunnelStep::Decapsulated { before, .. } => ("decapsulated by", before),
            };
            let ends = outer.ip().map_or(String::new(), |ip| format!(" {} → {}", ip.src, ip.dst));
            Some(format!("{word} {}{ends}", ns.dev_name(*dev)))
        }
        What::Drop { reason, .. } if title::is_harmless(*reason) => None,
        What::Drop { reason, .. } => Some(match way.dropped_by.take() {
            Some(by) => format!("dropped by {by}"),
            None => format!("dropped: {reason}"),
        }),
        _ => None,
    }
}

/// `DNAT by KUBE-SEP-X → 10.244.2.7:8080`
fn translated(manip: Manip, reply: bool, by: &str, before: &Frame, after: &Frame) -> String {
    let side = |f: &Frame, source: bool| {
        f.ip().map_or(String::new(), |ip| {
            let ports = ip.ports();
            match source {
                true => endpoint(ip.src, ports.map(|p| p.0)),
                false => endpoint(ip.dst, ports.map(|p| p.1)),
            }
        })
    };
    let source = manip == Manip::Src;
    let (word, by) = match (source, reply) {
        (false, false) => ("DNAT", by),
        (true, false) => ("SNAT", by),
        (true, true) => ("DNAT undone:", "source"),
        (false, true) => ("SNAT undone:", "destination"),
    };
    // An error's own addresses may stay as they are, while those that it quotes change.
    let (was, is) = (side(before, source), side(after, source));
    if was == is { format!("{word} {by}, in what is quoted") } else { format!("{word} {by} → {is}") }
}
