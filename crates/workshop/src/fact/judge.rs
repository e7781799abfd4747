//! Whether a fact holds.

use super::events::{entries, happened, packets};
use super::words::{fits, has};
use super::{Fact, Happening, Printed, Walk};
use kernel::PacketId;
use kernel::event::What;
use sim::operator::CommandOutput;
use sim::view::Story;
use sim::{EventId, Run, Shell, StepOutcome, World};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Holds facts against a run.
pub struct Judge<'r> {
    run: &'r Run,
    /// The ids of the lab's steps with what was recorded of them.
    steps: &'r [(String, usize)],
    shell: Shell,
    story: RefCell<Option<Rc<Story>>>,
    /// What names no step is about this one, if there is one.
    within: Cell<Option<usize>>,
    /// A copy of the world in which commands are run, and what they printed.
    asked: RefCell<Option<Box<Asked>>>,
}

/// A box, and a command line.
type Question = (String, Vec<String>);

struct Asked {
    world: World,
    answers: Vec<(Question, Option<CommandOutput>)>,
}

impl<'r> Judge<'r> {
    /// For this run. `steps` are the ids of the lab's steps with their places in `run.steps`.
    pub fn new(run: &'r Run, steps: &'r [(String, usize)], shell: Shell) -> Judge<'r> {
        Judge {
            run,
            steps,
            shell,
            story: RefCell::new(None),
            within: Cell::new(None),
            asked: RefCell::new(None),
        }
    }

    /// Does it hold?
    pub fn holds(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Happened(what, times) => times.has(self.events(what).len()),
            Fact::Chains(walk) => self.walked(walk, |e| match e {
                What::Rule(step) if step.n == 1 => Some(format!("{} {}", step.table, step.chain)),
                What::Nft(step) if step.n == 1 => Some(format!("{} {}", step.table, step.chain)),
                _ => None,
            }),
            Fact::Hooks(walk) => self.walked(walk, |e| match e {
                What::Hook(ctx) => Some(ctx.hook.chain().to_owned()),
                _ => None,
            }),
            Fact::Prints(want) => self.prints(want),
            Fact::Before(a, b) => match (self.first(a), self.first(b)) {
                (Some(a), Some(b)) => a < b,
                _ => false,
            },
            Fact::Every(both, all) => self.every(&both.0, &both.1, *all),
            Fact::EachStep(what, fact) => self.each_step(what, fact),
            Fact::Not(fact) => !self.holds(fact),
            Fact::All(all) => all.iter().all(|f| self.holds(f)),
            Fact::Any(any) => any.iter().any(|f| self.holds(f)),
        }
    }

    /// The first event that a fact speaks of.
    pub fn first(&self, fact: &Fact) -> Option<EventId> {
        match fact {
            Fact::Happened(what, _) => self.events(what).first().copied(),
            Fact::Every(both, _) => self.events(&both.0).first().copied(),
            Fact::EachStep(what, _) => self.events(what).first().copied(),
            Fact::Chains(walk) | Fact::Hooks(walk) => {
                let packet = self.packet(walk)?;
                let host = self.run.world.host_by_name(&walk.on)?;
                let mut all = entries(&self.run.world, self.span(&walk.step));
                let first = all.find(|(_, e)| e.host == host && e.packet == Some(packet));
                first.map(|(id, _)| id)
            }
            Fact::Before(a, _) => self.first(a),
            Fact::All(all) | Fact::Any(all) => all.iter().filter_map(|f| self.first(f)).min(),
            Fact::Prints(printed) => {
                let (_, at) = self.steps.iter().find(|(id, _)| *id == printed.step)?;
                Some(self.run.steps.get(*at)?.first)
            }
            Fact::Not(_) => None,
        }
    }

    /// How often something happened. `None` for a fact that is about something else.
    pub(super) fn times(&self, fact: &Fact) -> Option<usize> {
        match fact {
            Fact::Happened(what, _) => Some(self.events(what).len()),
            _ => None,
        }
    }

    pub(super) fn world(&self) -> &'r World {
        &self.run.world
    }

    fn events(&self, what: &Happening) -> Vec<EventId> {
        happened(self.run, self.span(&what.step), what, || self.story())
    }

    fn story(&self) -> Rc<Story> {
        Rc::clone(self.story.borrow_mut().get_or_insert_with(|| Rc::new(Story::new(&self.run.world))))
    }

    /// The part of the log that belongs to a step.
    fn span(&self, step: &str) -> (EventId, EventId) {
        let named = self.steps.iter().find(|(id, _)| !step.is_empty() && id == step).map(|(_, at)| *at);
        let at = named.or(self.within.get().filter(|_| step.is_empty()));
        match at.and_then(|at| self.run.steps.get(at)) {
            Some(record) => (record.first, record.end),
            // A step that was not done has no events.
            None if !step.is_empty() => (EventId(0), EventId(0)),
            None => (EventId(0), EventId(u32::MAX)),
        }
    }

    fn packet(&self, walk: &Walk) -> Option<PacketId> {
        let host = self.run.world.host_by_name(&walk.on)?;
        packets(&self.run.world, Some(host), self.span(&walk.step), &walk.packet).first().copied()
    }

    fn walked(&self, walk: &Walk, name: impl Fn(&What) -> Option<String>) -> bool {
        let Some(packet) = self.packet(walk) else { return false };
        let host = self.run.world.host_by_name(&walk.on);
        let all = entries(&self.run.world, self.span(&walk.step));
        let names = all.filter(|(_, e)| Some(e.host) == host && e.packet == Some(packet));
        let names: Vec<String> = names.filter_map(|(_, e)| name(e.what()?)).collect();
        if walk.exactly {
            return names.len() == walk.names.len() && walk.names.iter().zip(&names).all(|(p, n)| fits(p, n));
        }
        let mut rest = names.iter();
        walk.names.iter().all(|pattern| rest.any(|n| fits(pattern, n)))
    }

    fn each_step(&self, what: &Happening, fact: &Fact) -> bool {
        let before = self.within.get();
        let mut found = false;
        let all = (0..self.run.steps.len()).all(|n| {
            self.within.set(Some(n));
            let is = !self.events(what).is_empty();
            found |= is;
            !is || self.holds(fact)
        });
        self.within.set(before);
        found && all
    }

    fn every(&self, of: &Happening, then: &Happening, all: bool) -> bool {
        let packets_of = |what: &Happening| -> Vec<PacketId> {
            let log = self.run.world.log();
            self.events(what).into_iter().filter_map(|id| log.get(id)?.packet).collect()
        };
        let (these, those) = (packets_of(of), packets_of(then));
        !these.is_empty() && these.iter().all(|p| those.contains(p) == all)
    }

    fn prints(&self, want: &Printed) -> bool {
        let output = match &want.command {
            Some((host, argv)) => self.ask(host, argv),
            None => {
                let step = self.steps.iter().find(|(id, _)| *id == want.step);
                step.and_then(|(_, at)| match &self.run.steps.get(*at)?.outcome {
                    StepOutcome::Command(output) => Some(output.clone()),
                    other => {
                        let text = crate::query::outcome_text(other);
                        Some(CommandOutput::lines(vec![text]))
                    }
                })
            }
        };
        let Some(output) = output else { return false };
        let lines: Vec<&String> = output.stdout.iter().chain(&output.stderr).collect();
        let mut rest = lines.iter();
        let counted = match want.lines.first() {
            Some(text) => lines.iter().filter(|l| has(text, l)).count(),
            None => lines.len(),
        };
        want.status.is_none_or(|s| s == output.status)
            && match want.times {
                Some(times) => times.has(counted),
                None => want.lines.iter().all(|text| rest.any(|l| has(text, l))),
            }
    }

    /// What a command prints at the end of the run; `None` if it cannot be run.
    pub fn ask(&self, host: &str, argv: &[String]) -> Option<CommandOutput> {
        let mut asked = self.asked.borrow_mut();
        let asked = asked
            .get_or_insert_with(|| Box::new(Asked { world: self.run.world.copy(), answers: Vec::new() }));
        let key = (host.to_owned(), argv.to_vec());
        if let Some((_, answer)) = asked.answers.iter().find(|(k, _)| *k == key) {
            return answer.clone();
        }
        let id = asked.world.host_by_name(host)?;
        let answer = parts::finish((self.shell)(&mut asked.world, id, argv, None)).ok();
        asked.answers.push((key, answer.clone()));
        answer
    }
}
