//! The lab `conntrack-load`: a load test on a model of a machine, in a worker of its own.
//!
//! Its page is another one than that of the labs with single packets: there are no steps to walk through, but figures over time.

mod chart;
mod charts;
mod settings;
mod state;
mod table;
mod wire;
mod worker;

pub use state::{Bench, close, open};
pub use worker::{failed, work};

use crate::dom::{El, NONE, View, el, part, text};
use crate::panes::{copy_button, heading, judged, space};
use crate::state::State;
use chart::grouped;
use leptos::prelude::*;
use state::{Run, iteration_title, run, run_all, scale_words, set_switch, stop};
use workshop::load::{COST, PROSE, Report, Setting, TITLE, claims, goals};

/// Where the model is described.
const MODEL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/LOAD-MODEL.md");

/// The panes.
pub fn page(state: State) -> View {
    let lesson =
        el("section").class("card lesson").id("lesson").attr("aria-label", "Lesson").add(lesson(state));
    let set = el("section")
        .class("card load-settings")
        .attr("aria-labelledby", "settings-title")
        .add(el("div").class("head").add(heading("h2", "settings-title", "Settings")))
        .add(settings::forbidden(state))
        .add(settings::settings(state));
    let results =
        el("div").class("results").add(bench(state)).add(part(move || results(state))).add(nine(state));
    el("div").class("load").add(lesson).add(results).add(set).into()
}

// ---------------------------------------------------------------------- running

/// What is run, and how far it is.
fn bench(state: State) -> El {
    let title = text(move || match state.bench.iteration() {
        Some(n) => format!("Iteration {n}: {}", iteration_title(n)),
        None => "A setting of your own".to_owned(),
    });
    let buttons = part(move || {
        if state.bench.running() {
            let cancel = el("button").class("btn").id("cancel").click(move || stop(state)).add("Cancel");
            return cancel.into();
        }
        let idle = state.bench.setting.with(|s| s.forbidden().is_some());
        let button = |id, class, name: &'static str, f: fn(State)| {
            el("button").class("btn").class(class).id(id).click(move || f(state)).add(name)
        };
        let one = button("run", "primary", "Run this test", run);
        let one = if idle { one.attr("disabled", "") } else { one };
        View::All(vec![one.into(), button("run-all", "ghost", "Run all nine", run_all).into()])
    });
    el("section")
        .class("card bench")
        .attr("aria-labelledby", "bench-title")
        .add(el("h2").id("bench-title").add(title))
        .add(settings::iterations(state))
        .add(el("p").class("quiet").add(
            "A model, no measurement: every packet is simulated, what it costs is reckoned. Figures are told at full size.",
        ))
        .add(el("div").class("row").add(buttons).add(scale(state)).add(space()).add(part(move || position(state))))
        .add(part(move || progress(state)))
}

fn scale(state: State) -> View {
    let mut select = el("select").id("scale").on("change", move |e| {
        set_switch(state, "scale", &event_target_value(e));
    });
    for scale in ["10", "1"] {
        let words = scale_words(scale.parse().unwrap_or(1));
        let chosen = move || state.bench.setting.with(|s| s.scale.to_string() == scale);
        select = select.add(el("option").attr("value", scale).maybe("selected", "", chosen).add(words));
    }
    let other = part(move || {
        let scale = state.bench.setting.with(|s| s.scale);
        if [1, 10].contains(&scale) {
            return NONE;
        }
        el("option").attr("value", scale.to_string()).attr("selected", "").add(scale_words(scale)).into()
    });
    let select = select.add(other).input(move || state.bench.setting.with(|s| s.scale.to_string()));
    let slow = part(move || {
        if state.bench.setting.with(|s| s.scale > 1) {
            return NONE;
        }
        el("span").class("quiet").add("takes up to two minutes").into()
    });
    View::All(vec![el("label").class("row").add("Machine of").add(select).into(), slow])
}

fn position(state: State) -> View {
    let of = state.bench.setting.with(|s| s.seconds);
    let words = state.bench.run.with(|run| match run {
        Run::Idle => String::new(),
        Run::Starting => "starting…".to_owned(),
        Run::Going(second, packets) => format!("{second} / {of} s, {} packets", grouped(*packets)),
        Run::Cancelled(second) => format!("cancelled at {second} s"),
    });
    el("span").class("mono").id("load-position").add(words).into()
}

fn progress(state: State) -> View {
    let (of, run) = (state.bench.setting.with(|s| s.seconds), state.bench.run.get());
    let second = match run {
        Run::Idle | Run::Cancelled(_) => return NONE,
        Run::Starting => 0,
        Run::Going(second, _) => second,
    };
    el("progress")
        .id("progress")
        .attr("max", of.to_string())
        .attr("value", second.to_string())
        .attr("aria-label", "Seconds of the test")
        .into()
}

// ---------------------------------------------------------------------- results

fn results(state: State) -> View {
    let Some(report) = state.bench.report.get() else {
        let words = if state.bench.running() {
            "The first figures come in a moment."
        } else {
            "This setting has not been run yet."
        };
        return el("p").class("card empty quiet").add(words).into();
    };
    let copy_log =
        move || state.bench.report.with_untracked(|r| r.as_deref().map(charts::log_text)).unwrap_or_default();
    let log = el("section")
        .class("card log-card")
        .attr("aria-labelledby", "log-title")
        .add(
            el("div")
                .class("head")
                .add(heading("h2", "log-title", "Kernel log"))
                .add(space())
                .add(copy_button(state, "log", copy_log)),
        )
        .add(charts::log(&report));
    View::All(vec![
        el("section").class("card").attr("aria-label", "Figures").add(charts::figures(&report)).into(),
        charts::all(&report, log).into(),
    ])
}

fn nine(state: State) -> El {
    el("section")
        .class("card nine-card")
        .attr("aria-labelledby", "nine-title")
        .add(
            el("div")
                .class("head")
                .add(heading("h2", "nine-title", "The nine iterations, files a second"))
                .add(space())
                .add(copy_button(state, "nine", move || table::as_text(state))),
        )
        .add(table::table(state))
        .add(table::claims(state))
}

// ---------------------------------------------------------------------- words

fn lesson(state: State) -> View {
    let goals = part(move || judged_goals(state));
    let prose = PROSE.iter().map(|p| el("p").add(*p).into()).collect();
    let claims = part(move || judged_claims(state));
    View::All(vec![
        el("h2").class("title").add(TITLE).into(),
        goals,
        View::All(prose),
        el("h3").add("The model’s constants").into(),
        constants().into(),
        claims,
    ])
}

/// The report, if it is that of a whole test: nothing is judged before.
fn whole(state: State) -> Option<std::rc::Rc<Report>> {
    let report = state.bench.report.get()?;
    (report.seconds >= u64::from(report.setting.seconds)).then_some(report)
}

fn judged_goals(state: State) -> View {
    let report = whole(state);
    let judge = report.as_deref().map(goals);
    // Nothing has been run: nothing is reached.
    let judge = judge.unwrap_or_else(|| {
        let empty = Report {
            setting: Setting::default(),
            article: None,
            seconds: 0,
            packets: 0,
            series: workshop::load::Series::default(),
            log: Vec::new(),
        };
        goals(&empty)
    });
    let all =
        judge.iter().map(|g| judged(g.holds, g.text, "reached: ", "not reached: ").class("goal").into());
    View::All(vec![
        el("h3").class("sr").add("Goal").into(),
        el("ul").class("goals").add(View::All(all.collect())).into(),
    ])
}

fn judged_claims(state: State) -> View {
    let Some(report) = whole(state) else { return NONE };
    let all = claims(&report);
    if all.is_empty() {
        return NONE;
    }
    let list = all.iter().map(|c| judged(c.holds, c.text, "holds: ", "does not hold: ").into()).collect();
    View::All(vec![
        el("h3").add("Checked on this run").into(),
        el("ul").class("claims").id("claims").add(View::All(list)).into(),
    ])
}

fn constants() -> El {
    let row = |name: &'static str, value: String, what: &'static str| {
        el("li").add(el("code").add(name)).add(" = ").add(el("b").add(value)).add(what)
    };
    let link = el("a").attr("href", MODEL).attr("rel", "noreferrer").add("docs/LOAD-MODEL.md");
    let slowness = format!("{}.{:02}", COST.slowness / 100, COST.slowness % 100);
    el("div")
        .add(
            el("p")
                .add("Two are calibrated, all others are measured or known; ")
                .add(link)
                .add(" has the reasons."),
        )
        .add(
            el("ul")
                .class("constants")
                .id("constants")
                .add(row(
                    "slowness",
                    slowness,
                    " times slower than the machine on which a packet’s way was measured",
                ))
                .add(row(
                    "turn",
                    format!("{} ns", grouped(COST.turn)),
                    " for the server to read a datagram and to answer it",
                )),
        )
}
