//! Which charts a report has, and the words around them.

use super::chart::{Chart, Level, Line, grouped};
use crate::dom::{El, View, el};
use workshop::load::{BoxSeries, Report};

fn line(name: &str, values: &[u64]) -> Line {
    Line { name: name.to_owned(), values: values.to_vec() }
}

fn boxes(report: &Report, of: fn(&BoxSeries) -> &Vec<u64>) -> Vec<Line> {
    report.series.boxes.iter().map(|b| line(&b.name, of(b))).collect()
}

/// A limit, and the article's figure of the same; if both are one value, they are one level.
fn limit(name: &str, value: u32, article: Option<u64>) -> Vec<Level> {
    let value = u64::from(value);
    let level = |name: String, value, article| Level { name, value, article };
    match article {
        Some(a) if a == value => vec![level(format!("{name}, and the article’s peak"), value, false)],
        Some(a) => {
            vec![level(name.to_owned(), value, false), level("the article’s peak".to_owned(), a, true)]
        }
        None => vec![level(name.to_owned(), value, false)],
    }
}

/// What happened to packets in the node, and in all pods together.
fn drops(report: &Report) -> Vec<Line> {
    let sum = |of: fn(&BoxSeries) -> &Vec<u64>| {
        let mut out: Vec<u64> = Vec::new();
        for pod in report.pods() {
            out.resize(of(pod).len().max(out.len()), 0);
            out.iter_mut().zip(of(pod)).for_each(|(sum, n)| *sum += n);
        }
        out
    };
    let Some(node) = report.node() else { return Vec::new() };
    vec![
        line("drop, node", &node.dropped),
        line("drop, pods", &sum(|b| &b.dropped)),
        line("early_drop, node", &node.early_dropped),
        line("early_drop, pods", &sum(|b| &b.early_dropped)),
    ]
}

fn charts(report: &Report) -> Vec<Chart> {
    let (s, series) = (&report.setting, &report.series);
    let seconds = u64::from(s.seconds);
    let article = report.article;
    let served = article.map(|a| Level { name: "the article".to_owned(), value: a.served, article: true });
    let chart = |id, title, lines, levels| Chart { id, title, lines, levels, seconds, top: None };
    let mut out = vec![chart(
        "chart-files",
        "Transfers: files a second",
        vec![line("served", &series.served), line("given up", &series.failed)],
        served.into_iter().collect(),
    )];
    if s.kubernetes {
        let peak = article.and_then(|a| a.node_peak);
        out.push(chart(
            "chart-count",
            "nf_conntrack_count",
            boxes(report, |b| &b.count),
            limit("nf_conntrack_max", s.max, peak),
        ));
        out.push(chart(
            "chart-expect",
            "Expectations",
            boxes(report, |b| &b.expectations),
            limit("nf_conntrack_expect_max", s.expect_max, article.and_then(|a| a.expect_peak)),
        ));
        out.push(chart(
            "chart-drop",
            "Packets dropped, entries dropped early, each second",
            drops(report),
            Vec::new(),
        ));
    }
    let busy = chart("chart-busy", "Processors, how busy in %", vec![line("busy", &series.busy)], Vec::new());
    out.push(Chart { top: Some(100), ..busy });
    out
}

/// All charts of a report, and beside them the kernel's log.
pub fn all(report: &Report, log: El) -> El {
    let figures = charts(report).iter().map(|c| c.figure().into()).collect();
    el("section").class("charts").attr("aria-label", "Charts").add(View::All(figures)).add(log)
}

fn fact(name: &'static str, value: String, more: String) -> El {
    el("div").add(el("dt").add(name)).add(el("dd").add(el("b").add(value)).add(" ").add(more))
}

/// The difference to the article, in words: sign and figure.
pub fn difference(report: &Report) -> Option<String> {
    report.deviation().map(|d| match d {
        0 => "±0 %".to_owned(),
        d if d < 0 => format!("−{} %", d.abs()),
        d => format!("+{d} %"),
    })
}

/// The figures in a row.
pub fn figures(report: &Report) -> El {
    let article = report.article.zip(difference(report));
    let article = article.map(|(a, d)| format!("the article: {} ({d})", grouped(a.served)));
    el("dl")
        .class("facts-of")
        .add(fact("files a second, model", grouped(report.served()), article.unwrap_or_default()))
        .add(fact("first two minutes", grouped(report.served_at_first()), String::new()))
        .add(fact("given up", format!("{} %", report.failed_percent()), String::new()))
        .add(fact("packets simulated", grouped(report.packets), String::new()))
}

/// Lines of the log that are drawn; all of them can be copied.
const LOGGED: usize = 200;

fn log_line((at, host, line): &(u64, String, String)) -> String {
    format!("[{:>5}.{:06}] {line}    # in {host}\n", at / 1_000_000, at % 1_000_000)
}

/// The kernel's log as dmesg prints it, with the namespace that the kernel was busy with.
pub fn log_text(report: &Report) -> String {
    report.log.iter().map(log_line).collect()
}

/// The kernel's log.
pub fn log(report: &Report) -> View {
    if report.log.is_empty() {
        return el("p").class("quiet").id("log").add("The kernel has logged nothing.").into();
    }
    let mut text: String = report.log.iter().take(LOGGED).map(log_line).collect();
    let rest = report.log.len().saturating_sub(LOGGED);
    if rest > 0 {
        text.push_str(&format!("… and {} more lines\n", grouped(rest as u64)));
    }
    let lines =
        el("pre").class("term dmesg").id("log").attr("tabindex", "0").attr("aria-label", "Kernel log");
    lines.add(text).into()
}
