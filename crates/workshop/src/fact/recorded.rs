//! The other way round: the fact that speaks of an event, as a lab's text has it.

use super::events::done_by;
use super::reading::frame_at;
use super::words::{reason_name, word};
use crate::session::quoted;
use crate::{By, Lab, LabRun};
use kernel::event::{NftOutcome, RuleOutcome, TapDir, What};
use packet::{Frame, L4};
use sim::{AppEvent, EventId, Seen};

/// The text of a fact that is about this event: what happened, on which box, to which packet, in which of the lab's steps. The first event that it
/// speaks of may be an earlier one of the same kind. `None` if no fact has a word for it.
pub fn recorded(lab: &Lab, run: &LabRun, event: EventId) -> Option<String> {
    let world = &run.run.world;
    let entry = world.log().get(event)?;
    let host = world.host(entry.host)?;
    let frame = entry.packet.and_then(|packet| frame_at(world, packet, event));
    let filter = frame.map(filter);
    let packet = filter.as_ref().map(|f| format!(", packet: {}", quoted(f))).unwrap_or_default();
    let what = match &*entry.seen {
        Seen::App(AppEvent::Printed { line, .. }) => Some(format!("printed: {}", quoted(line))),
        Seen::Kernel(what) => happening(what, filter.as_deref(), &packet),
        _ => None,
    };
    let what = what.or_else(|| Some(format!("event: {}{packet}", quoted(word(entry)?))))?;
    let step = done_by(run, event).and_then(|by| match by {
        By::Step(n) => lab.steps.get(n).filter(|s| !s.id.is_empty()),
        By::Typed(_) | By::End => None,
    });
    let step = step.map(|s| format!(", step: {}", quoted(&s.id))).unwrap_or_default();
    Some(format!("{{{what}, on: {}{step}}}", quoted(&host.name)))
}

/// What the kernel did, as a fact has it, where a fact has a word of its own for it. `packet` is the part that says to which packet.
fn happening(what: &What, filter: Option<&str>, packet: &str) -> Option<String> {
    let chain = |word: &str, table: &str, chain: &str| {
        format!("{word}: {}{packet}", quoted(&format!("{table} {chain}")))
    };
    Some(match what {
        What::Tap { dir, .. } => {
            let dir = if *dir == TapDir::Out { "out" } else { "in" };
            format!("captured: {}, dir: {dir}", quoted(filter?))
        }
        What::Drop { reason, .. } => format!("dropped: {}{packet}", reason_name(*reason)),
        What::Nat { .. } => format!("nat: {}", quoted(filter?)),
        What::Rule(step) if matches!(step.outcome, RuleOutcome::Match { .. }) => {
            format!("{}, number: {}", chain("rule", step.table.name(), &step.chain), step.n)
        }
        What::Rule(step) if step.rule().is_some() => chain("asked", step.table.name(), &step.chain),
        What::Nft(step) if matches!(step.outcome, NftOutcome::NoMatch { .. } | NftOutcome::Match { .. }) => {
            chain("asked", &step.table, &step.chain)
        }
        // The end of a chain.
        What::Rule(step) => chain("enters", step.table.name(), &step.chain),
        What::Nft(step) => chain("enters", &step.table, &step.chain),
        _ => return None,
    })
}

/// A filter for packets like this one. Ports are left out: what is not said to be otherwise has another one in each run.
fn filter(frame: &Frame) -> String {
    let Some(ip) = frame.ip() else { return "arp".to_owned() };
    let l4 = match &ip.l4 {
        L4::Tcp(tcp) => format!(" and tcp[tcpflags] == {}", tcp.flags.0),
        L4::Udp(_) => " and udp".to_owned(),
        L4::Icmp(_) => " and icmp".to_owned(),
        L4::Icmp6(_) | L4::Other(..) => String::new(),
    };
    format!("src host {} and dst host {}{l4}", ip.src, ip.dst)
}
