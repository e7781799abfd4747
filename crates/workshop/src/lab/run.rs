//! Running a lab.

use super::effect::{Effect, file_of};
use super::history::History;
use super::kubectl::not_found;
use super::live::Live;
use super::pods::Programs;
use super::script::{box_of, is_of_box, run_script};
use super::{Act, Command, Lab, LabError, Setting, WorldSpec, apply, command_of};
use crate::exercise::Marks;
use crate::fact::Judge;
use crate::query::outcome_text;
use crate::session::{Asked, At, Typed, TypedResult};
use cluster::Objects;
use cluster::kube_proxy::{Mode, Version};
use cluster::yaml::Yaml;
use parts::pause;
use sim::operator::CommandOutput;
use sim::programs::{collect, is_endless, sh, shell, sleep, start};
use sim::{
    BuildError, EventId, HostSpec, Run, Running, Scenario, Setup, StepOutcome, Stimulus, World, command_place,
};
use std::rc::Rc;
use std::time::Duration;

/// A claim, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimResult {
    /// The fact.
    pub text: String,
    /// The condition in words, empty if there is none.
    pub when: String,
    /// The condition is met.
    pub applies: bool,
    /// It is so. A claim that does not apply counts as holding.
    pub holds: bool,
}

/// A goal, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalResult {
    /// The goal.
    pub text: String,
    /// Is it reached?
    pub reached: bool,
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The lab: a step, by its place in [`Lab::steps`].
    Step(usize),
    /// A person: a command of the session, by its place in [`crate::Session::typed`].
    Typed(usize),
    /// The lab's end, which waits for programs in the background.
    End,
}

/// A step and what it led to, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StimulusResult {
    /// Who did it.
    pub by: By,
    /// What was done.
    pub name: String,
    /// What came of it.
    pub outcome: String,
    /// The command, and what it printed; `None` for a wait, and for a program whose output is only the outcome.
    pub command: Option<(String, CommandOutput)>,
}

impl StimulusResult {
    /// The command is a line of several programs, each of which may have printed for the next.
    pub fn several(&self) -> bool {
        let script = self.command.as_ref().and_then(|(line, _)| sh::read(line).ok());
        script.is_some_and(|script| script.plain().is_none())
    }
}

/// A lab that was run.
#[derive(Clone, Debug)]
pub struct LabRun {
    /// The position of every switch.
    pub setting: Setting,
    /// The run.
    pub run: Run,
    /// What was done, and what came of it.
    pub stimuli: Vec<StimulusResult>,
    /// The claims, judged.
    pub claims: Vec<ClaimResult>,
    /// The goals, judged.
    pub goals: Vec<GoalResult>,
    /// Where the moments are in this run; those that do not occur are left out.
    pub moments: Vec<(String, EventId)>,
    /// What came of each command that was typed, in the order of the session.
    pub typed: Vec<TypedResult>,
    /// What an exercise asks of the run.
    pub marks: Option<Marks>,
    /// kube-proxy's version and mode, if the lab has one.
    pub proxy: Option<(Version, Mode)>,
    history: History,
}

impl LabRun {
    /// The world as it stood when an event had just happened, with the log so far. What a box does with a packet in one go counts
    /// as done, but for the counters of rules; see [`World::cut`]. A world that is asked for again is not made again.
    pub fn world_at(&self, event: EventId) -> Rc<World> {
        let last = self.history.world_at(self.run.world.log(), event);
        last.unwrap_or_else(|| Rc::new(self.run.world.copy()))
    }
}

/// The boxes of a lab in a setting, and the cluster behind them.
struct Made {
    scenario: Scenario,
    live: Live,
    /// What systemctl does before the steps.
    services: Vec<Command>,
}

/// A cluster as it is when the steps begin.
pub(crate) struct Begun {
    /// How the boxes were made.
    pub spec: WorldSpec,
    /// The objects as they were given.
    pub documents: Vec<Yaml>,
    /// The objects with what controllers have made of them.
    pub objects: Objects,
    /// The boxes.
    pub world: sim::World,
}

impl Lab {
    /// The cluster before the first step. Commands that are refused are left out.
    pub(crate) fn begin(&self, changes: &Setting, typed: &[Typed]) -> Result<Begun, LabError> {
        self.begin_with(changes, Asked::new(typed, self.steps.len()))
    }

    /// The same without what the lab's own set-up and these commands do to boxes and objects. `None` if that is nothing.
    pub(crate) fn begin_bare(&self, changes: &Setting, typed: &[Typed]) -> Option<Begun> {
        let about = |t: &&Typed| command_of(&t.line, Vec::new(), None).is_ok_and(|c| makes_cluster(&c));
        let kept: Vec<Typed> = typed.iter().filter(about).cloned().collect();
        let mut asked = Asked::new(&kept, self.steps.len());
        asked.bare = true;
        let touched = kept.len() < typed.len() || !self.setup.iter().all(makes_cluster);
        touched.then(|| self.begin_with(changes, asked).ok()).flatten()
    }

    fn begin_with(&self, changes: &Setting, mut asked: Asked) -> Result<Begun, LabError> {
        let setting = self.setting(changes)?;
        let Made { scenario, mut live, services } = self.make_with(&setting, &mut asked)?;
        let world = parts::finish(begin(&scenario, &mut live, &services, &mut asked));
        let world = world.map_err(|e| self.placed(e))?;
        let world = scenario.resume(world).finish().world;
        let (spec, documents, objects) = live.into_parts();
        Ok(Begun { spec, documents, objects, world })
    }

    /// Runs the lab; switches that `changes` does not name stand at their defaults.
    pub fn run(&self, changes: &Setting) -> Result<LabRun, LabError> {
        parts::finish(self.run_in_parts(changes, &[], unheard))
    }

    /// The same in parts, with commands that were typed. One that is refused is left out, and the result says why. `told` hears how
    /// many of the lab's steps are done, and of how many.
    pub(crate) async fn run_in_parts(
        &self,
        changes: &Setting,
        typed: &[Typed],
        told: fn(usize, usize),
    ) -> Result<LabRun, LabError> {
        let setting = self.setting(changes)?;
        let mut asked = Asked::new(typed, self.steps.len());
        let Made { scenario, mut live, services } = self.make_with(&setting, &mut asked)?;
        let world = begin(&scenario, &mut live, &services, &mut asked).await;
        let world = world.map_err(|e| self.placed(e))?;
        let mut running = scenario.resume(world);
        let mut done = Done::default();
        for (at, step) in self.steps.iter().enumerate() {
            told(at, self.steps.len());
            type_in(&mut asked, At::Before(at), &mut running, &mut live, &mut done).await;
            if !step.when.met(&setting) {
                continue;
            }
            let n = done.names.len();
            let line = match &step.act {
                Act::Run(c) => Some(c.run.clone()),
                _ => None,
            };
            done.names.push((By::Step(at), step.title.clone(), line));
            done.ids.push((step.id.clone(), n));
            let act = live.resolved(&step.act);
            perform(&mut running, &mut live, &mut done, &act).await;
            done.note(&act, n);
            live.look_after(running.world_mut());
            pause().await;
        }
        join(&mut running, &mut live, &mut done).await;
        type_in(&mut asked, At::End, &mut running, &mut live, &mut done).await;
        join(&mut running, &mut live, &mut done).await;
        let history = std::mem::take(&mut done.history);
        let proxy = live.proxy();
        let Done { names, ids, .. } = &done;
        let mut run = running.finish();
        done.give(&mut run);
        let run = run;
        let judge = Judge::new(&run, ids, shell);
        let mut claims = Vec::with_capacity(self.claims.len());
        for c in &self.claims {
            let applies = c.when.met(&setting);
            let holds = !applies || judge.holds(&c.that);
            claims.push(ClaimResult { text: c.text.clone(), when: c.when.text(), applies, holds });
            pause().await;
        }
        let mut goals = Vec::with_capacity(self.goals.len());
        for g in &self.goals {
            goals.push(GoalResult { text: g.text.clone(), reached: judge.holds(&g.that) });
            pause().await;
        }
        let mut moments = Vec::with_capacity(self.moments.len());
        for m in &self.moments {
            moments.extend(judge.first(&m.that).map(|event| (m.key.clone(), event)));
            pause().await;
        }
        let marks = self.exercise.as_ref().map(|e| Marks::of(e, &judge));
        let stimuli = names.iter().zip(&run.steps).map(|((by, name, line), s)| {
            let command = match &s.outcome {
                StepOutcome::Command(output) => line.clone().map(|line| (line, output.clone())),
                // A `wait` that was typed.
                StepOutcome::Ended(_) => line.clone().map(|line| (line, CommandOutput::default())),
                _ => None,
            };
            StimulusResult { by: *by, name: name.clone(), outcome: outcome_text(&s.outcome), command }
        });
        let stimuli: Vec<StimulusResult> = stimuli.collect();
        let typed = asked.results(&stimuli);
        Ok(LabRun { setting, stimuli, claims, goals, moments, marks, typed, run, proxy, history })
    }

    /// A world that cannot be built, with the place of the lab's command that fails, if it is one.
    fn placed(&self, e: BuildError) -> LabError {
        let switches = self.switches.iter().flat_map(|s| &s.positions).flat_map(|p| &p.commands);
        let fails = |c: &Command| c.on.iter().find(|on| command_place(on, &c.argv) == e.place).cloned();
        match self.setup.iter().chain(switches).find_map(|c| Some((c, fails(c)?))) {
            Some((c, on)) => LabError::SetUp(c.place.blame(&c.run, format!("{on}: {}", e.message))),
            None => LabError::Build(e),
        }
    }

    /// The boxes in a setting, with the steps that are no affair of the cluster's.
    ///
    /// # Errors
    /// As for [`Lab::run`].
    pub fn scenario(&self, changes: &Setting) -> Result<Scenario, LabError> {
        let setting = self.setting(changes)?;
        let Made { mut scenario, .. } = self.make(&setting).map_err(LabError::Scenario)?;
        let steps = self.steps.iter().filter(|s| s.when.met(&setting));
        let boxes = steps.filter(|s| !matches!(&s.act, Act::Run(c) if c.on.is_empty() || !is_of_box(c)));
        scenario.stimuli = boxes.map(|s| stimulus(&s.act)).collect();
        Ok(scenario)
    }

    /// The boxes in a setting and after commands that were typed. Of these the last one is refused as long as nothing can be made.
    fn make_with(&self, setting: &Setting, asked: &mut Asked) -> Result<Made, LabError> {
        loop {
            match self.make_asked(setting, asked) {
                Ok(made) => return Ok(made),
                Err(e) if asked.refuse_last(&e) => {}
                Err(e) => return Err(LabError::Scenario(e)),
            }
        }
    }

    /// The boxes in a setting. `Err` says which of the lab's texts is wrong.
    fn make(&self, setting: &Setting) -> Result<Made, String> {
        self.make_asked(setting, &mut Asked::new(&[], 0))
    }

    fn make_asked(&self, setting: &Setting, asked: &mut Asked) -> Result<Made, String> {
        let (files, mut documents): (Vec<Yaml>, Vec<Yaml>) =
            self.objects.iter().cloned().partition(|d| file_of(d).is_some());
        apply::complete(&mut documents);
        let mut spec = self.world.clone();
        let done = |c: &&Command| c.when.met(setting) && (!asked.bare || makes_cluster(c));
        let mut commands: Vec<&Command> = self.setup.iter().filter(done).collect();
        for switch in &self.switches {
            let value = setting.get(&switch.name).filter(|v| **v != switch.default);
            let position = value.and_then(|v| switch.position(v));
            commands.extend(position.into_iter().flat_map(|p| &p.commands).filter(|c| c.when.met(setting)));
        }
        let mut on_boxes = Vec::new();
        for c in commands {
            match Effect::of(c)? {
                Some(effects) => {
                    for effect in effects {
                        effect.set_up(&mut documents, &mut spec, &files)?;
                    }
                }
                None => on_boxes.push(c),
            }
        }
        asked.change(&mut documents, &mut spec, &files);
        let kube = spec.kube(&documents)?;
        let mut boxes = kube.boxes()?;
        let files_there = self.files.iter().filter(|f| f.when.met(setting)).cloned().collect();
        let apps = self.apps.iter().filter(|a| a.when.met(setting)).cloned().collect();
        let programs = Programs { files: files_there, apps };
        programs.give(&mut boxes, &kube.objects)?;
        let (services, on_boxes): (Vec<&Command>, Vec<&Command>) =
            on_boxes.into_iter().partition(|c| c.program() == "systemctl");
        let services = services.into_iter().cloned().collect();
        on_boxes.into_iter().for_each(|c| set_up(&mut boxes.hosts, c));
        let live = Live::new(spec, (documents, files), kube, programs, shell)?;
        let settle_ms = live.spec().settle_ms;
        let scenario = Scenario { hosts: boxes.hosts, links: boxes.links, stimuli: Vec::new(), settle_ms };
        Ok(Made { scenario, live, services })
    }
}

/// For a run of which nobody asks how far it is.
pub(crate) fn unheard(_: usize, _: usize) {}

/// A command that says how the cluster is made, and not what is in it.
fn makes_cluster(c: &Command) -> bool {
    c.program() != "kubectl" && super::is_about_cluster(c.program())
}

/// A command that sets boxes up.
fn set_up(hosts: &mut [HostSpec], c: &Command) {
    for host in hosts.iter_mut().filter(|h| c.on.contains(&h.name)) {
        host.setup.push(Setup::Command { shell, argv: c.argv.clone(), stdin: c.stdin.clone() });
    }
}

/// The boxes, after what is done before the steps: systemctl of the lab's own, then what was typed. The log is empty.
async fn begin(
    scenario: &Scenario,
    live: &mut Live,
    services: &[Command],
    asked: &mut Asked,
) -> Result<World, BuildError> {
    let mut world = scenario.build().await?;
    live.begin(&mut world);
    for c in services {
        c.on.iter().for_each(|node| drop(live.systemctl(&mut world, node, &c.argv)));
    }
    for (n, c) in asked.take(At::Setup) {
        let done = done_at_setup(&mut world, live, &c).await;
        asked.ran(n, done);
    }
    world.forget_log();
    Ok(world)
}

/// What a command printed that was typed before the log listens.
async fn done_at_setup(
    world: &mut sim::World,
    live: &mut Live,
    c: &Command,
) -> Result<CommandOutput, String> {
    let name = c.on.first().map_or("", String::as_str);
    if let Some(script) = &c.script {
        return Ok(run_script(world, live, c, script).await);
    }
    let Some(host) = world.host_by_name(name) else { return Err(no_box(world, c)) };
    if needs_cluster(c) {
        Ok(live.command(world, c))
    } else {
        shell(world, host, &c.argv, c.stdin.as_deref()).await
    }
}

/// What is said of a command whose box is not there, or was not named.
pub(crate) fn no_box(world: &World, c: &Command) -> String {
    let known: Vec<&str> = world.hosts().iter().map(|h| h.name.as_str()).collect();
    let (name, known) = (c.on.first().map_or("", String::as_str), known.join(", "));
    if !name.contains('/') && c.run.starts_with("kubectl ") && c.program() != "kubectl" && c.script.is_none()
    {
        return not_found("pod", name);
    }
    match c.lacks_box() {
        true => format!(
            "{} is run on a box: write it as `BOX: {}`, with one of {known} as BOX",
            if c.script.is_some() { "this" } else { c.program() },
            c.run
        ),
        false => format!("there is no box {name:?}; expected one of {known}"),
    }
}

/// Waits for the programs in the background, if there are any.
async fn join(running: &mut Running<'_>, live: &mut Live, done: &mut Done) {
    if done.running.is_empty() {
        return;
    }
    let n = done.names.len();
    done.names.push((By::End, END_OF_BACKGROUND.to_owned(), None));
    perform(running, live, done, &Act::Join).await;
    done.note(&Act::Join, n);
}

/// Runs the commands that were typed for this moment. What runs until somebody stops it has a terminal of its own.
async fn type_in(asked: &mut Asked, at: At, running: &mut Running<'_>, live: &mut Live, done: &mut Done) {
    for (typed, mut c) in asked.take(at) {
        live.name_boxes(&mut c);
        let host = c.on.first();
        if host.is_some_and(|name| running.world().host_by_name(name).is_none()) {
            let why = no_box(running.world(), &c);
            let said = why.starts_with("Error from server");
            asked.ran(typed, if said { Ok(CommandOutput::failed(1, why)) } else { Err(why) });
            continue;
        }
        let name = host.map_or_else(|| c.run.clone(), |host| format!("{host}: {}", c.run));
        match live.forwarded(&c) {
            Some(Ok(to_pod)) => c = to_pod,
            Some(Err(why)) => {
                asked.ran(typed, Ok(CommandOutput::failed(1, why)));
                continue;
            }
            None => {}
        }
        c.background |= c.may_be_beside() && is_endless(&c.argv);
        let n = done.names.len();
        done.names.push((By::Typed(typed), name, Some(c.run.clone())));
        let act = c.act();
        perform(running, live, done, &act).await;
        done.note(&act, n);
    }
}

/// Does the step that was named last, and keeps the world as it is before.
async fn perform(running: &mut Running<'_>, live: &mut Live, done: &mut Done, act: &Act) {
    let n = done.names.len().saturating_sub(1);
    let cluster = is_live(act).then(|| live.clone());
    done.history.begin(running, n, act, cluster);
    step(running, Some(live), n, act).await;
}

/// Does a step. `live` is needed for what is about the cluster.
pub(super) async fn step(running: &mut Running<'_>, live: Option<&mut Live>, n: usize, act: &Act) {
    match (act, live) {
        (Act::Run(c), Some(live)) if is_sleep(act) => {
            let begun = running.begin(n, box_of(running.world(), c));
            let done = match sleep::time(&c.argv) {
                Ok(time) => {
                    live.wait(running.world_mut(), time).await;
                    CommandOutput::default()
                }
                Err(refused) => refused,
            };
            running.end(begun, StepOutcome::Command(done)).await;
        }
        (Act::Run(c), Some(live)) if c.script.is_some() || needs_cluster(c) => {
            run_with_cluster(running, live, n, c).await;
        }
        (Act::Wait(ms), Some(live)) => {
            let begun = running.begin(n, None);
            live.wait(running.world_mut(), Duration::from_millis(*ms)).await;
            running.end(begun, StepOutcome::Done).await;
        }
        (act, _) => {
            let stimulus = stimulus_in(act, running.world());
            running.step(n, &stimulus).await;
        }
    }
}

/// A step that the cluster has to do with.
fn is_live(act: &Act) -> bool {
    match act {
        Act::Run(c) => c.script.is_some() || needs_cluster(c) || is_sleep(act),
        Act::Wait(_) => true,
        Act::Join | Act::Hold(..) | Act::Release(..) | Act::Send(..) => false,
    }
}

/// A command about the cluster, or one of several programs, while the steps are done.
async fn run_with_cluster(running: &mut Running<'_>, live: &mut Live, n: usize, c: &Command) {
    let host = box_of(running.world(), c);
    let begun = running.begin(n, host);
    let world = running.world_mut();
    let output = match &c.script {
        Some(script) => run_script(world, live, c, script).await,
        None => live.command(world, c),
    };
    running.end(begun, StepOutcome::Command(output)).await;
}

/// Time passes, and the cluster goes on meanwhile.
fn is_sleep(act: &Act) -> bool {
    matches!(act, Act::Run(c) if c.program() == "sleep" && !c.background)
}

/// A command that a box does not do by itself.
fn needs_cluster(c: &Command) -> bool {
    c.on.is_empty() || c.program() == "systemctl"
}

/// The same in a world: of several boxes that a command may be meant for, such as a Deployment's pods, the first that is there.
fn stimulus_in(act: &Act, world: &World) -> Stimulus {
    match act {
        Act::Run(c) if c.on.len() > 1 => {
            let there = c.on.iter().find(|name| world.host_by_name(name).is_some());
            let on = there.or(c.on.first()).cloned().into_iter().collect();
            stimulus(&Act::Run(Command { on, ..c.clone() }))
        }
        act => stimulus(act),
    }
}

/// What a box does by itself.
fn stimulus(act: &Act) -> Stimulus {
    match act {
        Act::Wait(ms) => Stimulus::Sleep { ms: *ms },
        Act::Join => Stimulus::Wait { collect },
        Act::Hold(host, hold, order) => {
            Stimulus::Hold { host: host.clone(), hold: hold.clone(), order: order.clone() }
        }
        Act::Send(host, segment) => segment.stimulus(host),
        Act::Release(host, cpu) => Stimulus::Release { host: host.clone(), cpu: *cpu },
        Act::Run(c) => {
            let (host, argv) = (c.on.first().cloned().unwrap_or_default(), c.argv.clone());
            match c.background {
                true => Stimulus::Background { start, host, argv },
                false => Stimulus::Command { shell, host, argv, stdin: c.stdin.clone() },
            }
        }
    }
}

/// A run of so many parts is short: a page need not say that it is at work.
pub const PARTS_AT_ONCE: u32 = 100;

/// What the end of the programs in the background is called.
const END_OF_BACKGROUND: &str = "the programs in the background end";

/// The steps that have been done.
#[derive(Default)]
struct Done {
    /// Who did each, its title and command line.
    names: Vec<(By, String, Option<String>)>,
    /// Their ids and places.
    ids: Vec<(String, usize)>,
    /// Those whose programs run in the background.
    running: Vec<usize>,
    /// Steps that waited for such programs, and those whose programs they were.
    joined: Vec<(usize, Vec<usize>)>,
    /// The world before each.
    history: History,
}

impl Done {
    fn note(&mut self, act: &Act, n: usize) {
        match act {
            Act::Run(c) if c.background => self.running.push(n),
            Act::Join => self.joined.push((n, std::mem::take(&mut self.running))),
            _ => {}
        }
    }

    /// Gives each program in the background what it has printed.
    fn give(&self, run: &mut Run) {
        for (at, whose) in &self.joined {
            let Some(StepOutcome::Ended(outputs)) = run.steps.get(*at).map(|s| s.outcome.clone()) else {
                continue;
            };
            // One that could not be started is not among them.
            let mut outputs = outputs.into_iter();
            for n in whose {
                let Some(record) = run.steps.get_mut(*n) else { continue };
                if record.outcome == StepOutcome::Started
                    && let Some((_, _, output)) = outputs.next()
                {
                    record.outcome = StepOutcome::Command(output);
                }
            }
        }
    }
}

impl Live {
    pub(super) fn command(&mut self, world: &mut sim::World, c: &Command) -> CommandOutput {
        match (Effect::of(c), c.on.first()) {
            (Ok(Some(effects)), _) => self.effects(world, &effects),
            (Err(why), _) => CommandOutput::failed(1, why),
            (_, Some(node)) => self.systemctl(world, node, &c.argv),
            _ => CommandOutput { status: 127, ..CommandOutput::default() },
        }
    }
}
