//! Changes against what packets met: each for the very rule, route, neighbour, device or object at which one ended.

mod rules;
mod services;
mod ways;

use super::Change;
use super::wish::{Dropped, Wish, drops, origin, within};
use crate::lab::{Begun, By, LabRun};
use crate::query::answered;
use crate::session::{At, Typed};
use kernel::Netns;
use kernel::event::What;
use sim::{Entry, World};

/// The end of a packet that did not come out as wanted, and where it is.
struct Met<'a> {
    world: &'a World,
    /// The cluster before the first step.
    begun: Option<&'a Begun>,
    end: Dropped<'a>,
    ns: &'a Netns,
}

impl<'a> Met<'a> {
    /// What befell the packet in this box up to its end, the latest first.
    fn before(&self) -> impl Iterator<Item = &'a What> + use<'a> {
        let end = self.end.entry;
        let log = self.world.log().entries().get(..self.end.event.index()).unwrap_or_default();
        let mine = move |e: &&Entry| e.packet == end.packet && e.host == end.host;
        log.iter().rev().filter(mine).filter_map(Entry::what)
    }

    /// A command on this box.
    fn here(&self, line: String) -> Typed {
        typed(Some(&self.ns.name), line)
    }

    /// This box is a node of the cluster.
    fn at_node(&self) -> bool {
        self.begun.is_some_and(|b| b.objects.nodes.contains_key(&self.ns.name))
    }
}

fn typed(on: Option<&str>, line: String) -> Typed {
    Typed { at: At::Setup, on: on.map(str::to_owned), line, stdin: String::new() }
}

/// Commands against the ends of packets in the exchanges that a wish is about, each once, in the order in which the ends came.
pub(super) fn against(run: &LabRun, begun: Option<&Begun>, wish: &Wish) -> Vec<Change> {
    let only = wish.exchange(run, None);
    let failed = |n: usize| {
        only.is_none_or(|only| only == n) && (matches!(wish, Wish::Packet(..)) || !answered(&run.run, n))
    };
    let world = &run.run.world;
    let mut all: Vec<(usize, Vec<Typed>)> = Vec::new();
    for end in drops(run) {
        // A packet may wait for its neighbour until others have long been sent.
        let n = end.entry.packet.and_then(|id| origin(run, id)).unwrap_or(end.exchange);
        let Some(ns) = world.host(end.entry.host).filter(|_| failed(n)) else { continue };
        let met = Met { world, begun, end, ns };
        all.push((n, rules::that_ended(&met)));
        all.push((n, ways::against(&met)));
        all.push((n, services::against(&met)));
    }
    for n in (0..run.stimuli.len()).filter(|n| failed(*n)) {
        all.push((n, rules::that_changed(world, within(run, n))));
        let command = run.stimuli.get(n).and_then(|s| s.command.as_ref());
        all.extend(command.map(|(line, _)| (n, ways::unsent(world, within(run, n), line))));
    }
    for n in (0..run.stimuli.len()).filter(|n| failed(*n)) {
        all.push((n, rules::that_changed(world, within(run, n))));
    }
    let mut unique: Vec<Change> = Vec::new();
    for (n, commands) in all {
        // What a step of the lab itself has brought about is not there at setup.
        let later = run.stimuli.get(n).and_then(|s| match s.by {
            By::Step(step) if step > 0 => Some(At::Before(step)),
            _ => None,
        });
        for c in commands {
            if !unique.iter().any(|u| matches!(u, Change::Command(known, _) if *known == c)) {
                unique.push(Change::Command(c, later));
            }
        }
    }
    unique
}
