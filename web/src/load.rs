//! A lab that has been run, with everything that the page shows of it.

use parts::pause;
use sim::view::{Alert, CaptureLine, Step, Story, TermLine, Tone, capture, frame_at};
use sim::{EventId, World};
use std::cell::OnceCell;
use std::rc::Rc;
use workshop::query::answered;
use workshop::{By, Lab, LabRun, Session};

/// A lab's run.
#[derive(Debug)]
pub struct Loaded {
    /// The lab.
    pub lab: Rc<Lab>,
    /// What was done with it.
    pub session: Session,
    /// Its run.
    pub run: LabRun,
    /// The run as people look at it.
    pub story: Story,
    /// What was done, one after the other.
    pub exchanges: Vec<Exchange>,
    captured: OnceCell<Vec<CaptureLine>>,
}

/// Something that was done, with all packets that came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was done.
    pub name: String,
    /// What came of it.
    pub outcome: String,
    /// Who did it.
    pub by: By,
    /// Its first step, and one past its last.
    pub steps: (usize, usize),
}

impl Loaded {
    /// Runs a session, in parts. `Err` says why it cannot be run. `told` hears how many of the lab's steps are done, and of how many.
    pub async fn new(session: Session, told: fn(usize, usize)) -> Result<Rc<Loaded>, String> {
        let lab = Rc::clone(&session.lab);
        let run = session.run_in_parts(told).await.map_err(|e| e.to_string())?;
        pause().await;
        let story = Story::new(&run.run.world);
        pause().await;
        if story.steps.is_empty() {
            return Err(format!("nothing happens in the lab {}", lab.name));
        }
        let at = |event: EventId| story.steps.partition_point(|s| s.event < event);
        let exchanges = run.run.steps.iter().zip(&run.stimuli).map(|(record, s)| Exchange {
            name: s.name.clone(),
            outcome: s.outcome.clone(),
            by: s.by,
            steps: (at(record.first), at(record.end)),
        });
        let exchanges = exchanges.collect();
        Ok(Rc::new(Loaded { lab, session, run, story, exchanges, captured: OnceCell::new() }))
    }

    /// What captures saw: it is written when somebody looks.
    pub fn capture(&self) -> &[CaptureLine] {
        self.captured.get_or_init(|| capture(self.world()))
    }

    /// Whether this and another run tell the same up to a step's event: when what happens, to which packet, and in which words.
    pub fn same_until(&self, other: &Loaded, event: EventId) -> bool {
        let told = |s: &Step| s.event <= event;
        let is_same = |(a, b): (&Step, &Step)| {
            (a.event, a.at, a.host, a.packet) == (b.event, b.at, b.host, b.packet)
                && (&a.title, &a.note) == (&b.title, &b.note)
        };
        let [mine, theirs] = [self, other].map(|l| &l.story.steps[..l.story.steps.partition_point(told)]);
        self.lab.name == other.lab.name && mine.len() == theirs.len() && mine.iter().zip(theirs).all(is_same)
    }

    /// The lines of the terminal in their order: what programs of the log print, and what commands printed that were typed and that no
    /// program of the log has printed. Of a line of several programs it is what is left of it in the end.
    pub fn terminal(&self) -> Vec<TermLine> {
        let steps = self.run.run.steps.iter().zip(&self.run.stimuli);
        let exchanges: Vec<_> = steps.map(|(r, s)| (r.first..r.end, s, s.several())).collect();
        let inner =
            |event: EventId| exchanges.iter().any(|(range, _, several)| *several && range.contains(&event));
        let mut out: Vec<TermLine> =
            self.story.terminal.iter().filter(|l| !inner(l.event)).cloned().collect();
        for (range, s, several) in &exchanges {
            let Some((line, output)) = &s.command else { continue };
            let on = match s.by {
                By::Typed(n) => self.session.typed.get(n).and_then(|t| t.on.as_deref()),
                By::Step(_) | By::End => None,
            };
            if out.iter().any(|l| l.command && range.contains(&l.event)) {
                continue;
            }
            let on = on.filter(|on| *on != "nodes");
            let named = s.name.split(": ").next().filter(|_| s.name != *line);
            let host = on.or(named).and_then(|name| self.world().host_by_name(name));
            // It is there as soon as what was before it is over; so is what it prints, unless time passes meanwhile.
            let typed = EventId(range.start.0.saturating_sub(1));
            let printed = if *several { EventId(range.end.0.saturating_sub(1)).max(typed) } else { typed };
            let term = |event, command, text: &String, tone| TermLine {
                event,
                host,
                command,
                text: text.clone(),
                tone,
            };
            out.push(term(typed, true, line, Tone::Plain));
            out.extend(output.stdout.iter().map(|l| term(printed, false, l, Tone::Plain)));
            out.extend(output.stderr.iter().map(|l| term(printed, false, l, Tone::Bad)));
        }
        sorted::sort_by_key(&mut out, |l| l.event);
        out
    }

    /// The number of the lab's step that an exchange is, or that comes next.
    pub fn lab_step(&self, exchange: usize) -> Option<usize> {
        self.exchanges.iter().skip(exchange).find_map(|e| match e.by {
            By::Step(n) => Some(n),
            By::Typed(_) | By::End => None,
        })
    }

    /// What must not be missed at a step, of what is going on there.
    pub fn alert_at(&self, step: usize) -> Option<&Alert> {
        let begun = self.exchanges.get(self.exchange_at(step)).map_or(0, |e| e.steps.0);
        self.story.alert_at(step).filter(|a| a.step >= begun)
    }

    /// The goals that are not reached, once the run has come to its end.
    pub fn missed_at(&self, step: usize) -> Vec<String> {
        let over = step + 1 >= self.story.steps.len();
        self.run.goals.iter().filter(|g| over && !g.reached).map(|g| g.text.clone()).collect()
    }

    /// The last typed command that has failed.
    pub fn failed_command(&self) -> Option<usize> {
        let typed = |n: &usize| matches!(self.exchanges.get(*n).map(|e| e.by), Some(By::Typed(_)));
        (0..self.exchanges.len()).rev().filter(typed).find(|n| !answered(&self.run.run, *n))
    }

    /// A step is the last one of that command.
    pub fn complains_at(&self, step: usize) -> bool {
        let ended = self.failed_command().and_then(|n| self.exchanges.get(n));
        ended.is_some_and(|e| e.steps.1 == step + 1)
    }

    /// The step at which the first packet of an exchange sets out; where there is none, the exchange's first step.
    pub fn first_packet(&self, exchange: usize) -> Option<usize> {
        let (first, end) = self.exchanges.get(exchange)?.steps;
        let steps = self.story.steps.get(first..end)?;
        let at = steps.iter().position(|s| s.packet.is_some() && !s.noise).unwrap_or(0);
        Some(first + at)
    }

    /// The exchange that a step belongs to.
    pub fn exchange_at(&self, step: usize) -> usize {
        self.exchanges.partition_point(|e| e.steps.0 <= step).saturating_sub(1)
    }

    /// The world at the end of the run, with its log.
    pub fn world(&self) -> &World {
        &self.run.run.world
    }

    /// The event of a moment.
    pub fn moment(&self, key: &str) -> Option<EventId> {
        self.run.moments.iter().find(|(k, _)| *k == key).map(|(_, id)| *id)
    }

    /// The step at which a visitor begins: the lab's, or the first with a packet, as there is nothing on the map before.
    pub fn start(&self) -> usize {
        let steps = &self.story.steps;
        // A route is looked up before there is a packet.
        let made = |s: &Step| s.packet.is_some_and(|p| frame_at(self.world(), p, s.event).is_some());
        let first = || steps.iter().position(|s| !s.noise && made(s)).unwrap_or(0);
        // Under another setting what a lab begins with may not come about: then it is the first of what it speaks of.
        let moment = self.moment("start").or_else(|| self.run.moments.iter().map(|(_, id)| *id).min());
        moment.map_or_else(first, |id| self.story.step_at(id))
    }
}
