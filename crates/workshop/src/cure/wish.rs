//! What is wished for, and whether a run grants it.

use super::Wanted;
use crate::lab::{By, Lab, LabRun};
use crate::query::answered;
use kernel::event::What;
use kernel::{DropReason, PacketId};
use packet::{Frame, L4};
use sim::view::{frame_at, unclaimed, waiting};
use sim::{Entry, EventId};
use std::rc::Rc;

/// What a run is to come to.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// Every goal is reached. With the steps, by their places in the lab, of which those speak that are not.
    Goals(Vec<usize>),
    /// The exchange of this step or command succeeds.
    Exchange(By),
    /// In it, a packet like this comes past this box, on which one ended for this reason, or to its end.
    Packet(By, Box<Frame>, String, DropReason),
}

impl Wish {
    /// What is wanted, as a thing that other runs of the lab can be asked for. `None` if there is nothing to be wished for.
    pub fn of(lab: &Lab, run: &LabRun, wanted: Wanted) -> Option<Wish> {
        let by = |n: usize| run.stimuli.get(n).map(|s| s.by);
        match wanted {
            Wanted::Goals if !run.goals.is_empty() => {
                let missed = lab.goals.iter().zip(&run.goals).filter(|(_, g)| !g.reached);
                let mut ids = Vec::new();
                missed.for_each(|(goal, _)| goal.that.steps(&mut ids));
                let steps = (0..).zip(&lab.steps).filter(|(_, s)| ids.contains(&s.id.as_str()));
                let steps = steps.map(|(at, _)| at).collect();
                run.goals.iter().any(|g| !g.reached).then_some(Wish::Goals(steps))
            }
            Wanted::Goals => {
                let failed = (0..run.stimuli.len()).find(|n| {
                    run.stimuli.get(*n).is_some_and(|s| s.command.is_some()) && !answered(&run.run, *n)
                });
                failed.and_then(by).map(Wish::Exchange)
            }
            Wanted::Exchange(n) => by(n).map(Wish::Exchange),
            Wanted::Packet(id) => {
                let end = drops(run).into_iter().find(|d| d.entry.packet == Some(id))?;
                let host = run.run.world.host(end.entry.host)?.name.clone();
                Some(Wish::Packet(by(end.exchange)?, Box::new(made(run, id)?.clone()), host, end.reason))
            }
        }
    }

    /// The exchange that it is about; all for goals. `undone` is the command of the session without which the run is.
    pub fn exchange(&self, run: &LabRun, undone: Option<usize>) -> Option<usize> {
        let by = match self {
            Wish::Goals(_) => return None,
            Wish::Exchange(by) | Wish::Packet(by, ..) => *by,
        };
        let by = match (by, undone) {
            (By::Typed(n), Some(gone)) if n == gone => return None,
            (By::Typed(n), Some(gone)) if n > gone => By::Typed(n - 1),
            (by, _) => by,
        };
        run.stimuli.iter().position(|s| s.by == by)
    }

    /// Whether it has come to that.
    pub fn granted(&self, run: &LabRun, undone: Option<usize>) -> bool {
        let exchange = self.exchange(run, undone);
        match (self, exchange) {
            (Wish::Goals(_), _) => run.goals.iter().all(|g| g.reached),
            (_, None) => false,
            (Wish::Exchange(_), Some(n)) => answered(&run.run, n) && !unnoticed(run, n),
            (Wish::Packet(_, frame, host, reason), Some(n)) => {
                let (world, like) = (&run.run.world, shape(frame));
                let there = |e: &Entry| world.host(e.host).is_some_and(|h| h.name == *host);
                let made = world.log().entries().iter().filter(|e| match e.what() {
                    Some(What::Created { frame, .. }) => shape(frame) == like,
                    _ => false,
                });
                let like: Vec<_> = made.map(|e| e.packet).collect();
                let mut ends = drops(run);
                ends.retain(|d| d.exchange == n && like.contains(&d.entry.packet));
                // It comes past the place, or ends nowhere.
                let passes = |id: &Option<PacketId>| {
                    let mut all = within(run, n).iter().filter(|e| e.packet == *id).peekable();
                    let is_there = all.peek().is_some();
                    let comes = all.any(there);
                    is_there && ends.iter().all(|d| d.entry.packet != *id || comes && !there(d.entry))
                };
                like.iter().any(passes) && !ends.iter().any(|d| d.reason == *reason && there(d.entry))
            }
        }
    }

    /// Whether the exchange of a packet comes out well; of what else is wished for nothing more is asked.
    pub fn answers(&self, run: &LabRun, undone: Option<usize>) -> bool {
        let well = |n: usize| answered(&run.run, n) && !unnoticed(run, n);
        !matches!(self, Wish::Packet(..)) || self.exchange(run, undone).is_some_and(well)
    }
}

/// A program that says nothing has ended well, but a packet that its box has sent is lost: the program was not told.
fn unnoticed(run: &LabRun, exchange: usize) -> bool {
    let silent = run
        .stimuli
        .get(exchange)
        .and_then(|s| s.command.as_ref())
        .is_some_and(|(_, output)| output.stdout.is_empty());
    let own = |packet| {
        within(run, exchange)
            .iter()
            .find(|e| matches!(e.what(), Some(What::Created { .. })))
            .is_some_and(|e| e.packet == packet)
    };
    silent && drops(run).iter().any(|d| d.exchange == exchange && own(d.entry.packet))
}

/// What tells packets of one kind from others.
fn shape(frame: &Frame) -> Option<(String, Option<u16>, String)> {
    let ip = frame.ip()?;
    let (port, kind) = match &ip.l4 {
        L4::Tcp(t) => (Some(t.dport), format!("tcp {:?}", t.flags)),
        L4::Udp(u) => (Some(u.dport), "udp".to_owned()),
        _ => (None, "other".to_owned()),
    };
    Some((format!("{} {}", ip.src, ip.dst), port, kind))
}

/// The packet as it was made.
fn made(run: &LabRun, id: PacketId) -> Option<&Frame> {
    run.run.world.log().entries().iter().find_map(|e| match e.what() {
        Some(What::Created { frame, .. }) if e.packet == Some(id) => Some(&**frame),
        _ => None,
    })
}

/// What is logged of an exchange.
pub(super) fn within(run: &LabRun, exchange: usize) -> &[Entry] {
    let entries = run.run.world.log().entries();
    let record = run.run.steps.get(exchange);
    record.and_then(|r| entries.get(r.first.index()..r.end.index())).unwrap_or_default()
}

/// The exchange in which a packet was made.
pub(super) fn origin(run: &LabRun, packet: PacketId) -> Option<usize> {
    let makes = |e: &Entry| e.packet == Some(packet) && matches!(e.what(), Some(What::Created { .. }));
    (0..run.stimuli.len()).find(|n| within(run, *n).iter().any(makes))
}

/// The end of a packet.
#[derive(Clone)]
pub(super) struct Dropped<'a> {
    /// The exchange in which it came, which may be later than that in which the packet was made.
    pub exchange: usize,
    /// Where it stands in the log.
    pub event: EventId,
    /// What is logged.
    pub entry: &'a Entry,
    /// Why.
    pub reason: DropReason,
    /// The packet as it was then.
    pub frame: Rc<Frame>,
}

/// The ends of packets. A frame for another host is an end only if no host takes it; what waits for a neighbour to the last has ended.
pub(super) fn drops(run: &LabRun) -> Vec<Dropped<'_>> {
    let world = &run.run.world;
    let (lost, waits) = (unclaimed(world), waiting(world));
    let mut out = Vec::new();
    for (exchange, step) in run.run.steps.iter().enumerate().take(run.stimuli.len()) {
        for (event, entry) in (step.first.0..).map(EventId).zip(within(run, exchange)) {
            let (reason, frame) = match (entry.what(), entry.packet) {
                (Some(What::Drop { reason, frame, .. }), _)
                    if *reason != DropReason::OtherHost || lost.contains(&event) =>
                {
                    (*reason, Some(Rc::clone(frame)))
                }
                (Some(What::Neigh { .. }), Some(id)) if waits.contains(&event) => {
                    (DropReason::NeighFailed, frame_at(world, id, event))
                }
                _ => continue,
            };
            out.extend(frame.map(|frame| Dropped { exchange, event, entry, reason, frame }));
        }
    }
    out
}
