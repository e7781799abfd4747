//! The state of the load lab: its setting, the test that is going on, what tests have shown.

use super::wire;
use super::worker::{Answer, Ask, Link};
use crate::state::State;
use crate::watched::Watched;
use std::cell::RefCell;
use std::rc::Rc;
use workshop::load::{ARTICLE, DEFAULT_SCALE, Report, Setting};

/// How many iterations there are.
pub const ITERATIONS: u32 = 9;

/// What is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// Nothing.
    Idle,
    /// The worker is being started.
    Starting,
    /// A test is so far: seconds, packets.
    Going(u64, u64),
    /// Somebody has stopped it there.
    Cancelled(u64),
}

/// All signals of the load lab.
pub struct Bench {
    /// The lab is the one on the page.
    pub shown: Watched<bool>,
    /// What is set.
    pub setting: Watched<Setting>,
    /// The iteration that was asked for: some have the same setting.
    pub asked: Watched<Option<u32>>,
    /// What is going on.
    pub run: Watched<Run>,
    /// What the test in this setting has shown so far.
    pub report: Watched<Option<Rc<Report>>>,
    /// The results of the nine iterations, as far as there are any.
    pub rows: Watched<Vec<Option<Rc<Report>>>>,
    /// Iterations that are still to be run.
    queue: Watched<Vec<u32>>,
    link: RefCell<Option<Link>>,
    /// The second of the last report.
    told: RefCell<u64>,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            shown: Watched::new(false),
            setting: Watched::new(Setting::default()),
            asked: Watched::new(None),
            run: Watched::new(Run::Idle),
            report: Watched::new(None),
            rows: Watched::new(vec![None; ITERATIONS as usize]),
            queue: Watched::new(Vec::new()),
            link: RefCell::new(None),
            told: RefCell::new(0),
        }
    }
}

/// The setting of an iteration at the same scale and length as another one.
fn like(other: &Setting, iteration: u32) -> Option<Setting> {
    let setting = Setting::iteration(iteration)?;
    Some(Setting { scale: other.scale, seconds: other.seconds, ..setting })
}

/// The reports that the page can keep after a change from one setting to another: those at the same scale and length.
fn comparable(a: &Setting, b: &Setting) -> bool {
    (a.scale, a.seconds) == (b.scale, b.seconds)
}

impl Bench {
    /// The iteration whose setting this is: the one that was asked for, else the first.
    pub fn iteration(&self) -> Option<u32> {
        self.setting.with(|s| {
            let asked = self.asked.get().filter(|n| like(s, *n).as_ref() == Some(s));
            asked.or_else(|| s.which())
        })
    }

    /// A test is going on.
    pub fn running(&self) -> bool {
        self.run.with(|r| matches!(r, Run::Starting | Run::Going(..)))
    }

    /// An iteration waits for its turn.
    pub fn waits(&self, iteration: u32) -> bool {
        self.queue.with(|q| q.contains(&iteration))
    }

    /// What stands in the address.
    pub fn changes(&self) -> workshop::Setting {
        let mut out = workshop::Setting::new();
        for (name, value) in self.setting.get().changes() {
            out.insert(name.to_owned(), value);
        }
        // Two iterations have the default setting.
        if let Some(n) = self.iteration().filter(|n| *n != Setting::default().which().unwrap_or_default()) {
            out.insert("iteration".to_owned(), n.to_string());
        }
        out
    }
}

/// The lab opens with what a link asks for.
pub fn open(state: State, set: &workshop::Setting) {
    let pairs = set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (setting, error) = match wire::setting_of(pairs) {
        Ok(setting) => (setting, None),
        Err(e) => {
            let why = format!("The link asks for something that this lab does not have: {e}.");
            (Setting::default(), Some(why))
        }
    };
    let asked = set.get("iteration").and_then(|n| n.parse().ok());
    state.playing.set(false);
    state.error.set(error);
    let bench = &state.bench;
    let same = bench.shown.get_untracked()
        && bench.setting.with_untracked(|s| *s == setting)
        && (asked.is_none() || bench.asked.get_untracked() == asked);
    if !same {
        set_to(state, setting, asked);
    }
    bench.shown.set(true);
}

/// Another lab is opened.
pub fn close(state: State) {
    if state.bench.shown.get_untracked() {
        stop(state);
        state.bench.shown.set(false);
    }
}

/// Another setting. A test that is going on was one of the old setting, and ends.
fn set_to(state: State, setting: Setting, asked: Option<u32>) {
    stop(state);
    change(state, setting, asked);
}

fn change(state: State, setting: Setting, asked: Option<u32>) {
    let bench = &state.bench;
    if !bench.setting.with_untracked(|s| comparable(s, &setting)) {
        bench.rows.set(vec![None; ITERATIONS as usize]);
    }
    bench.asked.set(asked);
    bench.setting.set(setting);
    let iteration = leptos::prelude::untrack(|| bench.iteration());
    let known =
        iteration.and_then(|n| bench.rows.with_untracked(|r| r.get(n as usize - 1).cloned().flatten()));
    bench.report.set(known);
    bench.run.set(Run::Idle);
}

/// Moves a switch.
pub fn set_switch(state: State, name: &str, value: &str) {
    let mut setting = state.bench.setting.get_untracked();
    match setting.set(name, value) {
        Ok(()) => {
            let asked =
                if name == "iteration" { value.parse().ok() } else { state.bench.asked.get_untracked() };
            state.error.set(None);
            set_to(state, setting, asked);
        }
        Err(e) => state.error.set(Some(format!("{e}."))),
    }
}

/// Shows the result of an iteration, or what it would be run with.
pub fn choose(state: State, iteration: u32) {
    let now = state.bench.setting.get_untracked();
    if let Some(setting) = like(&now, iteration) {
        set_to(state, setting, Some(iteration));
    }
}

/// Runs the test in this setting.
pub fn run(state: State) {
    stop(state);
    begin(state);
}

/// Runs all iterations that have not been run yet; all of them if all have been.
pub fn run_all(state: State) {
    stop(state);
    let bench = &state.bench;
    let missing = |rows: &Vec<Option<Rc<Report>>>| -> Vec<u32> {
        (1..=ITERATIONS).zip(rows).filter(|(_, r)| r.is_none()).map(|(n, _)| n).collect()
    };
    let mut queue = bench.rows.with_untracked(missing);
    if queue.is_empty() {
        bench.rows.set(vec![None; ITERATIONS as usize]);
        queue = (1..=ITERATIONS).collect();
    }
    bench.queue.set(queue);
    next(state);
}

/// The next iteration that is to be run, if there is one. One with the setting of another has its result by now.
fn next(state: State) {
    let bench = &state.bench;
    let done = |n: &u32| bench.rows.with_untracked(|r| r.get(*n as usize - 1).is_some_and(Option::is_some));
    let mut queue = bench.queue.get_untracked();
    queue.retain(|n| !done(n));
    if queue.is_empty() {
        bench.queue.set(queue);
        // The worker has kept what it needed for the last test.
        *bench.link.borrow_mut() = None;
        bench.run.set(Run::Idle);
        return;
    }
    let n = queue.remove(0);
    bench.queue.set(queue);
    if let Some(setting) = like(&bench.setting.get_untracked(), n) {
        change(state, setting, Some(n));
        begin(state);
    }
}

/// Ends the test that is going on, and forgets those that wait.
pub fn stop(state: State) {
    let bench = &state.bench;
    bench.queue.set(Vec::new());
    let link = bench.link.borrow_mut().take();
    drop(link);
    match bench.run.get_untracked() {
        Run::Going(second, _) => bench.run.set(Run::Cancelled(second)),
        Run::Starting => bench.run.set(Run::Cancelled(0)),
        Run::Idle | Run::Cancelled(_) => {}
    }
}

/// Starts a worker if there is none, and a test in it.
fn begin(state: State) {
    let bench = &state.bench;
    bench.report.set(None);
    bench.run.set(Run::Starting);
    *bench.told.borrow_mut() = 0;
    let there = bench.link.borrow().is_some();
    if there {
        return ask_for_run(state);
    }
    match Link::new(move |answer| heard(state, answer)) {
        Ok(link) => *bench.link.borrow_mut() = Some(link),
        Err(e) => fail(state, format!("The test cannot be run here: {e}.")),
    }
}

fn ask(state: State, ask: &Ask) {
    if let Some(link) = &*state.bench.link.borrow() {
        link.ask(ask);
    }
}

fn ask_for_run(state: State) {
    ask(state, &Ask::Run(state.bench.setting.with_untracked(wire::print_setting)));
}

fn fail(state: State, why: String) {
    stop(state);
    state.bench.run.set(Run::Idle);
    state.error.set(Some(why));
}

/// Seconds of the test that are asked for at a time: a fraction of a second's work.
fn piece(setting: &Setting) -> u64 {
    u64::from((setting.scale / 2).clamp(1, 5).min(setting.seconds.div_ceil(10)))
}

/// The charts are drawn anew so many times in a test.
const DRAWN: u64 = 40;

fn heard(state: State, answer: Answer) {
    let bench = &state.bench;
    let setting = bench.setting.get_untracked();
    match answer {
        Answer::Ready => ask_for_run(state),
        Answer::At(second, packets, done) => {
            bench.run.set(Run::Going(second, packets));
            let told = *bench.told.borrow();
            if done || second >= told + (u64::from(setting.seconds) / DRAWN).max(1) {
                *bench.told.borrow_mut() = second;
                ask(state, &Ask::Tell);
            }
            if !done {
                ask(state, &Ask::Go(second + piece(&setting)));
            }
        }
        Answer::Report(text) => match wire::read(&text) {
            Some(report) => shown(state, &setting, report),
            None => fail(state, "The worker has sent something that is no report.".to_owned()),
        },
        Answer::Refused(why) => fail(state, why),
        Answer::Failed(why) => fail(state, format!("The test has stopped: {why}.")),
    }
}

/// A report has come; the last one has all seconds.
fn shown(state: State, setting: &Setting, report: Report) {
    let bench = &state.bench;
    let done = report.seconds >= u64::from(setting.seconds);
    let iteration = leptos::prelude::untrack(|| bench.iteration());
    let report = Rc::new(match iteration {
        Some(n) => report.as_iteration(n),
        None => report,
    });
    bench.report.set(Some(Rc::clone(&report)));
    if !done {
        return;
    }
    let mut rows = bench.rows.get_untracked();
    for (n, row) in (1..).zip(&mut rows) {
        if like(setting, n).as_ref() == Some(setting) {
            *row = Some(Rc::new((*report).clone().as_iteration(n)));
        }
    }
    bench.rows.set(rows);
    state.spoken.set(said(iteration, &report));
    next(state);
}

/// The result in a sentence.
fn said(iteration: Option<u32>, report: &Report) -> String {
    let of = iteration.map_or("The test".to_owned(), |n| format!("Iteration {n}"));
    let mut out = format!("{of}: {} files a second in the model", report.served());
    if let Some(a) = report.article {
        out.push_str(&format!(", {} in the article", a.served));
    }
    out
}

/// What an iteration is, in the article's words.
pub fn iteration_title(n: u32) -> &'static str {
    ARTICLE.iter().find(|a| a.iteration == n).map_or("", |a| a.setting)
}

/// How big the machine is, in words.
pub fn scale_words(scale: u32) -> String {
    match scale {
        1 => "full size".to_owned(),
        DEFAULT_SCALE => "a tenth of its size".to_owned(),
        n => format!("1/{n} of its size"),
    }
}
