//! A report as text, with charts.

use super::chart::chart;
use super::{Judged, Report, claims, goals, sweep_claims};
use std::fmt::Write;

/// What the lab tells, a paragraph each.
pub const PROSE: [&str; 7] = [
    "This is a model and no measurement. Every packet is simulated, on the node and in the pod; what a packet costs is reckoned, \
     with two constants that are calibrated (docs/LOAD-MODEL.md).",
    "A file takes two entries of conntrack in each namespace through which it goes: the request is a flow that is never answered \
     (nf_conntrack_udp_timeout, 30 s), the data a flow of its own that is answered and ASSURED (nf_conntrack_udp_timeout_stream, \
     180 s on this kernel). So r files a second ask for 210 r entries: a table of 131,072 carries 624 of them for ever.",
    "A full table gives up an entry that is not ASSURED, if there is one among the eight that it looks at; otherwise the packet is \
     dropped, and the client waits for its time-out. The data of a request that was let in may find no room; its expectation \
     then stays until the request's entry ends, and that is how the expectation table comes to be full after the other one.",
    "nf_conntrack_max and nf_conntrack_expect_max are one value for the machine, but each namespace counts for itself. Time-outs belong to \
     the namespace: those of the node leave the pod at 30 and 180 seconds.",
    "A pod sets them by its securityContext, which the kubelet refuses (SysctlForbidden) until allowedUnsafeSysctls has them.",
    "A larger table with the same number of buckets has longer chains: with 1,048,576 entries and 65,536 buckets a look-up passes sixteen \
     entries, each an access to memory.",
    "What a full table lets through in ten minutes can be counted: an entry that is ASSURED stays 180 seconds, so each serves four files at \
     most, at 0, 180, 360 and 540 seconds. That is 874 files a second for 131,072 entries and 3,495 for 524,288, whatever the \
     processor does. The article tells 1,000, 4,000 and (with the pod's table full) 4,600: figures of shorter tests, or of \
     sources that come again.",
];

fn list(out: &mut String, title: &str, judged: &[Judged], yes: &str, no: &str) {
    if judged.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for j in judged {
        let _ = writeln!(out, "  [{}] {}", if j.holds { yes } else { no }, j.text);
    }
}

/// A test with its charts, log, claims and goals.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}: a model, no measurement\n", super::TITLE);
    let article = report.article;
    if let Some(a) = article {
        let _ = writeln!(out, "iteration {}: {}", a.iteration, a.setting);
    }
    let _ = writeln!(
        out,
        "scale 1/{}: clients, processors and limits; figures are told at full size",
        report.setting.scale
    );
    for (place, command) in report.setting.commands() {
        let _ = writeln!(out, "  {place}# {command}");
    }
    let _ = write!(out, "\nserved {} files a second for {} s", report.served(), report.seconds);
    if let (Some(a), Some(d)) = (article, report.deviation()) {
        let _ = write!(out, "; the article {} ({d:+} %)", a.served);
    }
    let _ = writeln!(
        out,
        "\nthe first two minutes {}; given up {} %",
        report.served_at_first(),
        report.failed_percent()
    );
    let _ = writeln!(out, "{} packets simulated\n", report.packets);
    let series = &report.series;
    out += &chart("files a second", &series.served, article.map(|a| a.served));
    for (i, b) in series.boxes.iter().enumerate().filter(|(_, b)| b.peak() > 0) {
        let mark = |n: Option<u64>| n.filter(|_| i == 0);
        out.push('\n');
        out += &chart(
            &format!("nf_conntrack_count, {}", b.name),
            &b.count,
            mark(article.and_then(|a| a.node_peak)),
        );
        if b.dropped.iter().any(|n| *n > 0) {
            out += &chart(&format!("dropped each second, {}", b.name), &b.dropped, None);
            out += &chart(&format!("early_drop each second, {}", b.name), &b.early_dropped, None);
        }
        if i == 0 || report.expectations_full().is_some() {
            let mark = mark(article.and_then(|a| a.expect_peak));
            out += &chart(&format!("expectations, {}", b.name), &b.expectations, mark);
        }
    }
    if !report.log.is_empty() {
        let _ = writeln!(out, "\nthe kernel's log, {} lines; first:", report.log.len());
        let mut seen: Vec<&str> = Vec::new();
        for (at, host, line) in &report.log {
            if seen.contains(&line.as_str()) || line.starts_with("net_ratelimit") {
                continue;
            }
            seen.push(line);
            let _ = writeln!(out, "  [{:>5}.{:06}] {line}    # in {host}", at / 1_000_000, at % 1_000_000);
        }
    }
    list(&mut out, "claims", &claims(report), "holds", "FAILS");
    list(&mut out, "goals", &goals(report), "reached", "not reached");
    out
}

/// The table of all iterations.
pub fn sweep_text(reports: &[Report]) -> String {
    let mut out = format!("{}: a model, no measurement\n\n", super::TITLE);
    let head = ["model", "article", "", "2 min", "node", "pod", "expect"];
    let [model, article, deviation, short, node, pod, expect] = head;
    let _ = writeln!(
        out,
        "    {:<48}{model:>7}{article:>9}{deviation:>6}{short:>8}{node:>10}{pod:>10}{expect:>8}  log: table, expectations full after",
        "files a second",
    );
    for report in reports {
        let (n, setting, served) = report.article.map_or((0, "", 0), |a| (a.iteration, a.setting, a.served));
        let after = |s: Option<u64>| s.map_or("-".to_owned(), |s| format!("{s} s"));
        let pod = report.pods().iter().map(super::BoxSeries::peak).max().unwrap_or(0);
        let node = report.node();
        let _ = writeln!(
            out,
            "{n:>2}  {setting:<48}{:>7}{served:>9}{:>+5}%{:>8}{:>10}{pod:>10}{:>8}  {}, {}",
            report.served(),
            report.deviation().unwrap_or(0),
            report.served_at_first(),
            node.map_or(0, super::BoxSeries::peak),
            node.map_or(0, super::BoxSeries::expect_peak),
            after(report.table_full()),
            after(report.expectations_full()),
        );
    }
    out.push('\n');
    for report in reports {
        if let Some(a) = report.article {
            out += &format!("iteration {}, ", a.iteration);
        }
        out += &chart("files a second", &report.series.served, report.article.map(|a| a.served));
    }
    for paragraph in PROSE {
        let _ = write!(out, "\n{paragraph}\n");
    }
    for report in reports {
        let n = report.article.map_or(0, |a| a.iteration);
        list(&mut out, &format!("claims of iteration {n}"), &claims(report), "holds", "FAILS");
    }
    list(&mut out, "claims of all", &sweep_claims(reports).unwrap_or_default(), "holds", "FAILS");
    out
}
