//! The events of a run that are of a kind.

use super::words::{fits, has, reason_name, word};
use super::{Happening, Kind};
use crate::{By, LabRun};
use kernel::event::{NftOutcome, RuleOutcome, What};
use kernel::netfilter::xtables::{Rule, RuleSet, TableId};
use kernel::{Netns, NetnsId, PacketId};
use packet::Frame;
use sim::view::Story;
use sim::{AppEvent, Entry, EventId, Run, Seen, World};
use sorted::Set;
use userland::iptables::print_rule;
use userland::tcpdump::Filter;

/// Log entries of a span of the log, with their ids.
pub(super) fn entries(
    world: &World,
    span: (EventId, EventId),
) -> impl Iterator<Item = (EventId, &Entry)> + '_ {
    let all = world.log().entries();
    let (from, to) = (span.0.index().min(all.len()), span.1.index().min(all.len()));
    let ids = (span.0.0..).map(EventId);
    all.get(from..to).unwrap_or_default().iter().zip(ids).map(|(e, id)| (id, e))
}

/// The packet of an event, as it was there.
pub(super) fn frames(what: &What) -> [Option<&Frame>; 2] {
    match what {
        What::Created { frame, .. } | What::Tap { frame, .. } | What::Drop { frame, .. } => {
            [Some(frame), None]
        }
        What::Rule(step) => [Some(&step.frame), None],
        What::Nft(step) => [Some(&step.frame), None],
        What::Nat { before, after, .. } => [Some(before), Some(after)],
        _ => [None, None],
    }
}

/// Who did what an event belongs to.
pub(super) fn done_by(run: &LabRun, event: EventId) -> Option<By> {
    let all = run.run.steps.iter().zip(&run.stimuli);
    all.into_iter().find(|(record, _)| (record.first..record.end).contains(&event)).map(|(_, s)| s.by)
}

/// The packets that were once like this on a box, in the order in which they were first.
pub(super) fn packets(
    world: &World,
    host: Option<NetnsId>,
    span: (EventId, EventId),
    filter: &Filter,
) -> Vec<PacketId> {
    let mut seen = Set::new();
    let mut out = Vec::new();
    for (_, e) in entries(world, span).filter(|(_, e)| host.is_none_or(|h| e.host == h)) {
        let (Some(packet), Some(what)) = (e.packet, e.what()) else { continue };
        if frames(what).into_iter().flatten().any(|f| filter.matches(f)) && seen.insert(packet) {
            out.push(packet);
        }
    }
    out
}

/// The events of a kind, in order.
pub(super) fn happened(
    run: &Run,
    span: (EventId, EventId),
    want: &Happening,
    story: impl FnOnce() -> std::rc::Rc<Story>,
) -> Vec<EventId> {
    let world = &run.world;
    let hosts: Vec<NetnsId> = want.on.iter().flat_map(|name| world.hosts_named(name)).collect();
    let on = |host: NetnsId| want.on.is_empty() || hosts.contains(&host);
    let only: Option<Vec<(NetnsId, Set<PacketId>)>> = want.packet.as_ref().map(|filter| {
        let all = world.hosts().iter().map(|ns| ns.id).filter(|h| on(*h));
        all.map(|h| (h, packets(world, Some(h), span, filter).into_iter().collect())).collect()
    });
    let chosen = |e: &Entry| {
        only.as_ref().is_none_or(|only| {
            e.packet
                .is_some_and(|p| only.iter().any(|(host, packets)| *host == e.host && packets.contains(&p)))
        })
    };
    if let Kind::Says(text) = &want.what {
        let story = story();
        let steps = story.steps.iter().filter(|s| on(s.host) && (span.0..span.1).contains(&s.key));
        let steps = steps.filter(|s| has(text, &s.title) || has(text, &s.note));
        let steps = steps.filter(|s| world.log().get(s.key).is_some_and(chosen));
        return steps.map(|s| s.key).collect();
    }
    entries(world, span)
        .filter(|(_, e)| on(e.host) && chosen(e) && is(world, e, &want.what))
        .map(|(id, _)| id)
        .collect()
}

fn is(world: &World, e: &Entry, kind: &Kind) -> bool {
    if let (Kind::Printed(text), Seen::App(AppEvent::Printed { line, .. })) = (kind, &*e.seen) {
        return has(text, line);
    }
    match (kind, e.what()) {
        (Kind::Event(want), _) => word(e) == Some(want),
        (Kind::Captured { filter, dir, dev }, Some(What::Tap { dev: at, dir: way, frame })) => {
            let named = |name: &String| world.host(e.host).is_some_and(|ns| ns.dev_name(*at) == *name);
            dir.is_none_or(|d| d.has(*way)) && dev.as_ref().is_none_or(named) && filter.matches(frame)
        }
        (Kind::Dropped(reason), Some(What::Drop { reason: why, .. })) => {
            reason.as_ref().is_none_or(|r| reason_name(*why) == r)
        }
        (Kind::Rule { table, chain, number, target }, Some(What::Rule(step))) => {
            let RuleOutcome::Match { rule, .. } = &step.outcome else { return false };
            let set = world.host(e.host).and_then(|ns| rules(ns, step.table));
            let leads =
                |t: &String| set.is_some_and(|set| leads_to(set, rule).is_some_and(|to| fits(t, &to)));
            fits(table, step.table.name())
                && fits(chain, &step.chain)
                && number.is_none_or(|n| n == step.n)
                && target.as_ref().is_none_or(leads)
        }
        (Kind::Enters(table, chain), Some(What::Rule(step))) => {
            step.n == 1 && fits(table, step.table.name()) && fits(chain, &step.chain)
        }
        (Kind::Enters(table, chain), Some(What::Nft(step))) => {
            step.n == 1 && fits(table, &step.table) && fits(chain, &step.chain)
        }
        (Kind::Asked(table, chain), Some(What::Rule(step))) => {
            step.rule().is_some() && fits(table, step.table.name()) && fits(chain, &step.chain)
        }
        (Kind::Asked(table, chain), Some(What::Nft(step))) => {
            let asked = matches!(step.outcome, NftOutcome::NoMatch { .. } | NftOutcome::Match { .. });
            asked && fits(table, &step.table) && fits(chain, &step.chain)
        }
        (Kind::Nat(filter), Some(What::Nat { after, .. })) => filter.matches(after),
        (Kind::Log(text), Some(What::KernelLog(line))) => has(text, line),
        _ => false,
    }
}

fn rules(ns: &Netns, table: TableId) -> Option<&RuleSet> {
    ns.table(table).map(|t| &*t.rules)
}

/// What is behind `-j` or `-g`.
fn leads_to(set: &RuleSet, rule: &Rule) -> Option<String> {
    let text = print_rule(set, rule);
    let (_, target) = text.rsplit_once(" -j ").or_else(|| text.rsplit_once(" -g "))?;
    Some(target.split(' ').next()?.to_owned())
}
