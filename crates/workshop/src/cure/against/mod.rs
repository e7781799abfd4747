//! Changes against what packets met: each for the very rule, route, neighbour, device or object at which one ended.

mod names;
mod rules;
mod services;
mod tracked;
mod tunnels;
mod ways;

use super::Change;
use super::wish::{Dropped, Wish, drops, origin, within};
use crate::lab::{Begun, By, LabRun};
use crate::query::answered;
use crate::session::{At, Session, Typed};
use kernel::Netns;
use kernel::event::What;
use sim::{Entry, World};
use std::net::{IpAddr, Ipv4Addr};

/// The end of a packet that did not come out as wanted, and where it is.
struct Met<'a> {
    world: &'a World,
    /// The cluster before the first step.
    begun: Option<&'a Begun>,
    end: Dropped<'a>,
    ns: &'a Netns,
    /// What is logged of its exchange.
    within: &'a [Entry],
}

impl<'a> Met<'a> {
    /// The last event of this kind that befell the packet in this box before its end.
    fn last(&self, is: &dyn Fn(&What) -> bool) -> Option<&'a What> {
        let log = self.world.log().entries().get(..=self.end.event.index()).unwrap_or_default();
        let mine = |e: &&Entry| e.packet == self.end.entry.packet && e.host == self.ns.id;
        log.iter().rev().filter(mine).filter_map(Entry::what).find(|what| is(what))
    }

    /// A packet was on the box of this name in the exchange.
    fn passed(&self, name: &str) -> bool {
        let Some(ns) = self.world.host_by_name(name) else { return false };
        self.within.iter().any(|e| e.host == ns && e.packet.is_some())
    }

    /// The pod or node that has this address by the objects.
    fn whose(&self, addr: Ipv4Addr) -> Option<&'a str> {
        let (objects, addr) = (&self.begun?.objects, IpAddr::V4(addr));
        let pod = objects.pods.values().find(|p| p.pod_ips.contains(&addr)).map(|p| p.metadata.name.as_str());
        let node = || {
            objects.nodes.values().find(|n| n.internal_ips.contains(&addr)).map(|n| n.metadata.name.as_str())
        };
        pod.or_else(node)
    }

    /// This box is a node of the cluster.
    fn at_node(&self) -> bool {
        self.begun.is_some_and(|b| b.objects.nodes.contains_key(&self.ns.name))
    }
}

/// What is to be tried, each once.
#[derive(Default)]
struct Tries {
    out: Vec<Change>,
    /// What a step of the lab itself has brought about is not there at setup.
    later: Option<At>,
}

impl Tries {
    /// A command on a box; on none where kubectl is.
    fn add(&mut self, on: &str, line: String) {
        self.add_all(on, line, String::new());
    }

    /// The same with what it reads.
    fn add_all(&mut self, on: &str, line: String, stdin: String) {
        let on = (!on.is_empty()).then(|| on.to_owned());
        let command = Typed { at: At::Setup, on, line, stdin };
        if !self.out.iter().any(|u| matches!(u, Change::Command(known, _) if *known == command)) {
            self.out.push(Change::Command(command, self.later));
        }
    }
}

/// The exchanges that a wish is about, and that did not come out as they should. Where a goal is missed though each command has ended well, the
/// commands do not tell which: all of them then.
pub(super) fn failed(run: &LabRun, wish: &Wish) -> Vec<usize> {
    if let Some(only) = wish.exchange(run, None) {
        return vec![only];
    }
    let named = |n: &usize| match (wish, run.stimuli.get(*n).map(|s| s.by)) {
        (Wish::Goals(steps), Some(By::Step(step))) => steps.contains(&step),
        _ => false,
    };
    let all: Vec<usize> = (0..run.stimuli.len()).collect();
    let named: Vec<usize> = all.iter().copied().filter(named).collect();
    let about = if named.is_empty() { all } else { named };
    let failed: Vec<usize> = about.iter().copied().filter(|n| !answered(&run.run, *n)).collect();
    if failed.is_empty() { about } else { failed }
}

/// When something can be changed for an exchange, if not at setup: before its step.
pub(super) fn later(run: &LabRun, exchange: usize) -> Option<At> {
    match run.stimuli.get(exchange)?.by {
        By::Step(step) if step > 0 => Some(At::Before(step)),
        _ => None,
    }
}

/// Commands of the session with other words, against names in them that nobody knows.
pub(super) fn instead(session: &Session, run: &LabRun, begun: &Begun, wish: &Wish) -> Vec<Change> {
    let mut out = Vec::new();
    for n in failed(run, wish) {
        if let Some(By::Typed(at)) = run.stimuli.get(n).map(|s| s.by)
            && let Some(typed) = session.typed.get(at)
        {
            let lines = names::instead(begun, run, n, &typed.line).into_iter();
            out.extend(lines.map(|line| Change::Instead(at, Typed { line, ..typed.clone() })));
        }
    }
    out
}

/// Commands against the ends of packets in the exchanges that a wish is about, in the order in which the ends came.
pub(super) fn against(run: &LabRun, begun: Option<&Begun>, wish: &Wish) -> Vec<Change> {
    let failed = failed(run, wish);
    let world = &run.run.world;
    let (mut tries, mut of_services, mut last) = (Tries::default(), Tries::default(), Tries::default());
    for end in drops(run) {
        // A packet may wait for its neighbour until others have long been sent.
        let n = end.entry.packet.and_then(|id| origin(run, id)).unwrap_or(end.exchange);
        let Some(ns) = world.host(end.entry.host).filter(|_| failed.contains(&n)) else { continue };
        let met = Met { world, begun, ns, within: within(run, end.exchange), end };
        tries.later = later(run, n);
        rules::that_ended(&met, &mut tries);
        ways::masquerade(&met, &mut tries);
        ways::against(&met, &mut tries);
        tunnels::against(&met, &mut tries);
        services::no_server(&met, &mut tries);
        of_services.later = tries.later;
        services::against(&met, &mut of_services);
        services::written_anew(&met, &mut of_services);
        last.later = tries.later;
        services::one_more_service(&met, &mut last);
    }
    for n in failed.iter().copied() {
        tries.later = later(run, n);
        rules::that_changed(world, within(run, n), &mut tries);
        names::in_hosts_file(run, n, &mut tries);
    }
    tries.out.append(&mut of_services.out);
    for n in failed {
        tries.later = later(run, n);
        tracked::against(world, within(run, n), &mut tries);
        if let Some((line, _)) = run.stimuli.get(n).and_then(|s| s.command.as_ref()) {
            ways::unsent(world, begun, within(run, n), line, &mut tries);
        }
        if let Some(begun) = begun {
            names::against(begun, run, n, &mut tries);
        }
    }
    tries.out.append(&mut last.out);
    tries.out
}
