//! Races: packets that overlap in one box, as on several processors, in an order that somebody says.
//!
//! A [`Hold`] names packets and the points at which they stop. Each runs on a processor of its own. With an order, the world lets
//! them go on as soon as all have come to a stop: each number is a processor that goes on to its packet's next stop, or to its
//! end. Without one, they wait until a [`Stimulus::Release`] says so. No time passes while they overlap.

use crate::apps::{Outcome, Reply, UdpReply};
use crate::run::{Run, StepOutcome};
use crate::scenario::{Scenario, Stimulus};
use crate::world::World;
use crate::{BuildError, Seen};
use kernel::event::{ClashStep, What};
use kernel::netfilter::Hold;
use kernel::netfilter::conntrack::CtStats;
use kernel::{DropReason, Instant, NetnsId, PacketId};
use std::collections::VecDeque;
use std::time::Duration;

/// What a world knows of a hold that has an order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    host: NetnsId,
    count: usize,
    /// Who goes on next; when nobody is named any more, the lowest processor.
    cpus: VecDeque<usize>,
    /// Nobody waits longer for packets that have not come.
    patience: Instant,
}

/// How long the first packet waits for the others. It must be more than a program needs between two system calls.
const PATIENCE: Duration = Duration::from_millis(20);

impl World {
    /// Packets of a box stop from now on, see [`Hold`]. With `order` the world lets them go on; then the hold ends with its packets.
    pub fn hold_packets(&mut self, host: NetnsId, hold: Hold, order: Option<Vec<usize>>) {
        self.orders.retain(|o| o.host != host);
        if let Some(cpus) = order {
            let patience = Instant(u64::MAX);
            self.orders.push(Order { host, count: hold.count, cpus: cpus.into(), patience });
        }
        self.with(host, |ns, cx| ns.hold(hold, cx));
    }

    /// The packet on this processor goes on to its next stop; with `None` all go on to their ends, and nothing is held any more.
    /// False if nothing waited.
    pub fn release_packet(&mut self, host: NetnsId, cpu: Option<usize>) -> bool {
        let waits = self.host(host).is_some_and(|ns| !ns.held().is_empty());
        match cpu {
            Some(cpu) => self.with(host, |ns, cx| ns.release(cpu, cx)).unwrap_or(false),
            None => {
                self.orders.retain(|o| o.host != host);
                self.with(host, |ns, cx| ns.release_all(cx));
                waits
            }
        }
    }

    /// Lets one packet go on where an order says so and all that are concerned are there.
    pub(crate) fn race_step(&mut self) -> bool {
        for i in 0..self.orders.len() {
            let Some(order) = self.orders.get(i) else { break };
            let Some(ns) = self.host(order.host) else { continue };
            let (host, waiting, came) = (order.host, ns.held(), ns.held_count());
            let complete = came >= order.count || came > 0 && self.now() >= order.patience;
            if waiting.is_empty() {
                if complete {
                    self.release_packet(host, None);
                    return true;
                }
                continue;
            }
            if !complete {
                self.wait_for_others(i);
                continue;
            }
            let is_there = |cpu: &usize| waiting.iter().any(|w| w.cpu == *cpu);
            let mut next = None;
            if let Some(order) = self.orders.get_mut(i) {
                while next.is_none()
                    && let Some(cpu) = order.cpus.pop_front()
                {
                    next = Some(cpu).filter(is_there);
                }
            }
            let cpu = next.or_else(|| waiting.iter().map(|w| w.cpu).min());
            return self.release_packet(host, cpu);
        }
        false
    }

    /// The first packet has come: the others have so much time.
    fn wait_for_others(&mut self, i: usize) {
        let until = self.now() + PATIENCE;
        if let Some(order) = self.orders.get_mut(i).filter(|o| o.patience == Instant(u64::MAX)) {
            order.patience = until;
            self.wake_race(until);
        }
    }
}

/// A scenario is run for so many orders at most: three packets with four stops have 34650.
pub const MAX_ORDERS: usize = 100_000;

/// How many orders there are of `n` packets that have `stops` stops each; `None` for more than [`MAX_ORDERS`].
fn order_count(n: usize, stops: usize) -> Option<usize> {
    // A packet's stops are put among those of the packets before it: one after the other, and every order of its own is the same.
    let mut count: usize = 1;
    for place in 1..=n.checked_mul(stops)? {
        let of_own = (place - 1) % stops + 1;
        count = count.checked_mul(place)? / of_own;
        if count > MAX_ORDERS {
            return None;
        }
    }
    Some(count)
}

/// Every order in which `n` packets can go on that have `stops` stops each: at each stop it is asked who goes next.
pub fn orders(n: usize, stops: usize) -> Vec<Vec<usize>> {
    let mut out = Vec::new();
    let mut left = vec![stops; n];
    extend(&mut Vec::new(), &mut left, &mut out);
    out
}

fn extend(order: &mut Vec<usize>, left: &mut [usize], out: &mut Vec<Vec<usize>>) {
    if left.iter().all(|l| *l == 0) {
        return out.push(order.clone());
    }
    for cpu in 0..left.len() {
        if left[cpu] > 0 {
            left[cpu] -= 1;
            order.push(cpu);
            extend(order, left, out);
            order.pop();
            left[cpu] += 1;
        }
    }
}

/// How the way of one of the packets through the box ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has passed its last stop; `Some` if its entry had a rival.
    Passed(Option<ClashStep>),
    /// It was dropped.
    Dropped(DropReason),
}

/// What came of a race.
#[derive(Clone, Debug, PartialEq)]
pub struct RaceOutcome {
    /// Of each packet, by its processor.
    pub packets: Vec<Fate>,
    /// The counters of `conntrack -S` that have changed, summed over the processors.
    pub counters: Vec<(&'static str, u64)>,
    /// How many answers each client has had since.
    pub answers: Vec<usize>,
}

/// Orders that lead to the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Explored {
    /// What they lead to.
    pub outcome: RaceOutcome,
    /// All of them, in the order of [`orders`].
    pub orders: Vec<Vec<usize>>,
}

impl Scenario {
    /// Runs the scenario once for each order in which the packets of its first hold can go on, whatever order that has, and says
    /// which come to the same.
    ///
    /// # Errors
    /// The description is wrong, or holds nothing, or so much that there are more than [`MAX_ORDERS`] orders.
    pub fn explore(&self) -> Result<Vec<Explored>, BuildError> {
        let nothing = || BuildError {
            place: "stimuli".to_owned(),
            message: "expected a hold, whose packets can go on in more than one order".to_owned(),
        };
        let is_hold = |s: &Stimulus| matches!(s, Stimulus::Hold { .. });
        let Some(at) = self.stimuli.iter().position(is_hold) else {
            return Err(nothing());
        };
        let Some(Stimulus::Hold { host, hold, .. }) = self.stimuli.get(at) else {
            return Err(nothing());
        };
        let (n, stops) = (hold.count, hold.stops.len());
        if order_count(n, stops).is_none() {
            let message = format!(
                "{n} packets with {stops} stops can go on in more than {MAX_ORDERS} orders; expected fewer packets (count) or stops (at)"
            );
            return Err(BuildError { place: format!("stimuli[{at}]"), message });
        }
        let mut found: Vec<Explored> = Vec::new();
        for order in orders(hold.count, hold.stops.len()) {
            let mut scenario = self.clone();
            scenario.stimuli[at] =
                Stimulus::Hold { host: host.clone(), hold: hold.clone(), order: Some(order.clone()) };
            let run = scenario.run()?;
            let outcome = outcome(&run, at, host, hold);
            match found.iter_mut().find(|e| e.outcome == outcome) {
                Some(e) => e.orders.push(order),
                None => found.push(Explored { outcome, orders: vec![order] }),
            }
        }
        Ok(found)
    }
}

/// What came of the hold that is stimulus `at`.
fn outcome(run: &Run, at: usize, host: &str, hold: &Hold) -> RaceOutcome {
    let world = &run.world;
    let id = world.host_by_name(host).unwrap_or_default();
    let from = run.steps.get(at).map_or(0, |s| s.first.index());
    let mut packets: Vec<(PacketId, Fate)> = Vec::new();
    for entry in world.log().entries().iter().skip(from).filter(|e| e.host == id) {
        let (Seen::Kernel(what), Some(packet)) = (&*entry.seen, entry.packet) else { continue };
        let came = packets.len();
        let known = packets.iter_mut().find(|(p, _)| *p == packet);
        match (what, known) {
            (What::Parked { .. }, None) if came < hold.count => {
                packets.push((packet, Fate::Passed(None)));
            }
            (What::Clash { step, .. }, Some((_, fate))) => *fate = Fate::Passed(Some(*step)),
            (What::Drop { reason, .. }, Some((_, fate))) => *fate = Fate::Dropped(*reason),
            _ => {}
        }
    }
    let stats = world.host(id).map(|ns| ns.ct.stats()).unwrap_or_default();
    let answers = run.steps.iter().skip(at + 1).flat_map(|s| answers(&s.outcome)).collect();
    RaceOutcome {
        packets: packets.into_iter().map(|(_, fate)| fate).collect(),
        counters: counters(stats),
        answers,
    }
}

/// How many answers each client of a stimulus has had.
fn answers(outcome: &StepOutcome) -> Vec<usize> {
    match outcome {
        StepOutcome::App(Outcome::Udp { got, .. }) => {
            vec![got.iter().filter(|r| matches!(r, UdpReply::From(..))).count()]
        }
        StepOutcome::App(Outcome::Tcp { reply, .. }) => {
            vec![usize::from(matches!(reply, Some(Reply::Data(d)) if !d.is_empty()))]
        }
        StepOutcome::App(Outcome::Ping(answer)) => vec![usize::from(answer.is_some())],
        StepOutcome::App(_) => vec![0],
        StepOutcome::Together(all) => all.iter().flat_map(answers).collect(),
        _ => Vec::new(),
    }
}

fn counters(s: CtStats) -> Vec<(&'static str, u64)> {
    let all = [
        ("found", s.found),
        ("invalid", s.invalid),
        ("insert_failed", s.insert_failed),
        ("drop", s.drop),
        ("clash_resolve", s.clash_resolve),
    ];
    all.into_iter().filter(|(_, n)| *n > 0).collect()
}

impl Fate {
    /// In a few words.
    pub fn text(self) -> String {
        match self {
            Fate::Passed(None) => "passed".to_owned(),
            Fate::Passed(Some(ClashStep::Merged)) => "passed with the other's entry".to_owned(),
            Fate::Passed(Some(ClashStep::ReplyOnly)) => "passed, its entry sees answers only".to_owned(),
            Fate::Passed(Some(ClashStep::Lost)) => "lost".to_owned(),
            Fate::Dropped(reason) => format!("dropped: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_orders_as_ways_to_mix_two_rows() {
        assert_eq!(orders(2, 1), [[0, 1], [1, 0]]);
        assert_eq!(orders(2, 2).len(), 6);
        assert_eq!(orders(2, 4).len(), 70);
        assert_eq!(orders(3, 1).len(), 6);
    }

    #[test]
    fn orders_are_counted_before_they_are_made() {
        for (n, stops) in [(1, 1), (1, 4), (2, 1), (2, 4), (3, 1), (3, 2), (4, 2), (5, 1), (0, 4), (3, 0)] {
            assert_eq!(order_count(n, stops), Some(orders(n, stops).len()), "{n} {stops}");
        }
        assert_eq!(order_count(3, 4), Some(34_650));
        assert_eq!((order_count(4, 4), order_count(9, 4), order_count(usize::MAX, 5)), (None, None, None));
    }
}
