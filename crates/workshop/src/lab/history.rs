//! The world of a run as it stood at any event.

use super::Act;
use super::live::Live;
use super::run::step;
use sim::{EventId, Keyframe, Log, Running, Scenario, StepOutcome, World};
use std::cell::RefCell;
use std::rc::Rc;

/// The world at the beginning of each step of a run, to go on from there once more.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    starts: Vec<Start>,
    /// The worlds that were asked for last.
    asked: RefCell<Vec<(EventId, Rc<World>)>>,
}

/// So many worlds are kept.
const KEPT: usize = 4;

/// The beginning of a step.
#[derive(Clone, Debug)]
struct Start {
    keyframe: Keyframe,
    /// What the log calls it.
    n: usize,
    act: Act,
    /// The cluster then, if the step is about it.
    live: Option<Live>,
}

impl History {
    /// A step begins.
    pub fn begin(&mut self, running: &mut Running<'_>, n: usize, act: &Act, live: Option<Live>) {
        self.starts.push(Start { keyframe: running.keyframe(), n, act: act.clone(), live });
    }

    /// The world when an event had just happened; `log` is that of the whole run. `None` if nothing is done in the run.
    pub fn world_at(&self, log: &Log, event: EventId) -> Option<Rc<World>> {
        let known = self.asked.borrow().iter().find(|(e, _)| *e == event).map(|(_, w)| Rc::clone(w));
        if known.is_some() {
            return known;
        }
        let world = match self.starts.partition_point(|s| s.keyframe.next() <= event).checked_sub(1) {
            Some(at) => self.starts.get(at)?.replay(log, event),
            // It happened while the boxes were set up.
            None => {
                let mut world = self.starts.first()?.keyframe.resume(log, event);
                world.cut(event);
                world
            }
        };
        let world = Rc::new(world);
        let mut asked = self.asked.borrow_mut();
        asked.insert(0, (event, Rc::clone(&world)));
        asked.truncate(KEPT);
        Some(world)
    }
}

impl Start {
    fn replay(&self, log: &Log, event: EventId) -> World {
        let scenario = Scenario::default();
        let mut running = scenario.resume(self.keyframe.resume(log, event));
        match &self.act {
            // The step has only been announced. A command of the operator has no events of its own: it is done then.
            act if event == self.keyframe.next() && !matches!(act, Act::Run(_)) => {
                let host = match act {
                    Act::Hold(host, ..) | Act::Release(host, _) | Act::Send(host, _) => Some(host),
                    Act::Run(_) | Act::Wait(_) | Act::Join => None,
                };
                let host = host.and_then(|name| running.world().host_by_name(name));
                let begun = running.begin(self.n, host);
                parts::finish(running.end(begun, StepOutcome::Done));
            }
            act => parts::finish(step(&mut running, self.live.clone().as_mut(), self.n, act)),
        }
        let mut world = running.finish().world;
        world.cut(event);
        world
    }
}
