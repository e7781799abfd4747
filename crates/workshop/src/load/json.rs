//! A report as JSON.

use super::{ARTICLE, Judged, Report, Series, claims, goals, sweep_claims};
use std::fmt::Write;

/// A value of JSON, as far as it is needed here.
enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
    Numbers(Vec<u64>),
    List(Vec<Value>),
    Object(Vec<(&'static str, Value)>),
    Null,
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::Number(i64::from(n))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

fn optional<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, T::into)
}

impl Value {
    fn write(&self, out: &mut String, depth: usize) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        };
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => {
                let _ = write!(out, "{n}");
            }
            Value::Text(text) => write_text(text, out),
            Value::Numbers(list) => {
                let list: Vec<String> = list.iter().map(u64::to_string).collect();
                let _ = write!(out, "[{}]", list.join(", "));
            }
            Value::List(list) if list.is_empty() => out.push_str("[]"),
            Value::List(list) => {
                for (i, value) in list.iter().enumerate() {
                    out.push(if i == 0 { '[' } else { ',' });
                    line(out, depth + 1);
                    value.write(out, depth + 1);
                }
                line(out, depth);
                out.push(']');
            }
            Value::Object(fields) => {
                for (i, (name, value)) in fields.iter().enumerate() {
                    out.push(if i == 0 { '{' } else { ',' });
                    line(out, depth + 1);
                    write_text(name, out);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
        }
    }
}

/// RFC 8259, section 7.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn judged(list: Vec<Judged>) -> Value {
    let one = |j: Judged| Value::Object(vec![("text", j.text.into()), ("holds", Value::Bool(j.holds))]);
    Value::List(list.into_iter().map(one).collect())
}

fn series(series: &Series) -> Value {
    let boxes = series.boxes.iter().map(|b| {
        Value::Object(vec![
            ("name", b.name.as_str().into()),
            ("nf_conntrack_count", Value::Numbers(b.count.clone())),
            ("expectations", Value::Numbers(b.expectations.clone())),
            ("drop", Value::Numbers(b.dropped.clone())),
            ("early_drop", Value::Numbers(b.early_dropped.clone())),
        ])
    });
    Value::Object(vec![
        ("offered", Value::Numbers(series.offered.clone())),
        ("served", Value::Numbers(series.served.clone())),
        ("failed", Value::Numbers(series.failed.clone())),
        ("busy_percent", Value::Numbers(series.busy.clone())),
        ("namespaces", Value::List(boxes.collect())),
    ])
}

fn article(report: &Report) -> Value {
    let Some(a) = report.article else { return Value::Null };
    Value::Object(vec![
        ("iteration", a.iteration.into()),
        ("setting", a.setting.into()),
        ("served", a.served.into()),
        ("table_full", Value::Bool(a.table_full)),
        ("expectations_full", Value::Bool(a.expectations_full)),
        ("node_peak", optional(a.node_peak)),
        ("expect_peak", optional(a.expect_peak)),
    ])
}

fn setting(report: &Report) -> Value {
    let s = &report.setting;
    let udp = |t: super::UdpTimeouts| Value::Numbers(vec![u64::from(t.first), u64::from(t.stream)]);
    Value::Object(vec![
        ("kubernetes", Value::Bool(s.kubernetes)),
        ("replicas", s.replicas.into()),
        ("nf_conntrack_max", s.max.into()),
        ("nf_conntrack_expect_max", s.expect_max.into()),
        ("nf_conntrack_buckets", s.buckets.into()),
        ("node_udp_timeouts", udp(s.node_udp)),
        ("pod_udp_timeouts", udp(s.pod_udp)),
        ("allowedUnsafeSysctls", Value::Bool(s.allowed)),
        ("externalTrafficPolicy", if s.local { "Local" } else { "Cluster" }.into()),
        ("scale", s.scale.into()),
        ("seconds", s.seconds.into()),
    ])
}

fn report(report: &Report, with_series: bool) -> Value {
    let commands = report.setting.commands().into_iter();
    let commands = commands
        .map(|(place, command)| Value::Object(vec![("on", place.into()), ("command", Value::Text(command))]));
    let log = report.log.iter().map(|(at, host, line)| {
        Value::Object(vec![
            ("us", (*at).into()),
            ("in", host.as_str().into()),
            ("line", line.as_str().into()),
        ])
    });
    let mut fields = vec![
        ("model", Value::Bool(true)),
        ("setting", setting(report)),
        ("commands", Value::List(commands.collect())),
        ("article", article(report)),
        ("served", report.served().into()),
        ("served_first_two_minutes", report.served_at_first().into()),
        ("deviation_percent", report.deviation().map_or(Value::Null, Value::Number)),
        ("failed_percent", report.failed_percent().into()),
        ("node_peak", report.node().map_or(Value::Null, |n| n.peak().into())),
        ("pod_peaks", Value::Numbers(report.pods().iter().map(super::BoxSeries::peak).collect())),
        ("expect_peak", report.node().map_or(Value::Null, |n| n.expect_peak().into())),
        ("table_full_at", optional(report.table_full())),
        ("expectations_full_at", optional(report.expectations_full())),
        ("packets", report.packets.into()),
        ("claims", judged(claims(report))),
        ("goals", judged(goals(report))),
    ];
    if with_series {
        fields.push(("log", Value::List(log.collect())));
        fields.push(("series", series(&report.series)));
    }
    Value::Object(fields)
}

fn printed(value: &Value) -> String {
    let mut out = String::new();
    value.write(&mut out, 0);
    out.push('\n');
    out
}

/// A report with all its figures.
pub fn json(of: &Report) -> String {
    printed(&report(of, true))
}

/// All reports, without the figures of each second.
pub fn sweep_json(reports: &[Report]) -> String {
    let of = |r: &Report| report(r, false);
    let article: Vec<u64> = ARTICLE.iter().map(|a| a.served).collect();
    printed(&Value::Object(vec![
        ("lab", super::NAME.into()),
        ("article_served", Value::Numbers(article)),
        ("iterations", Value::List(reports.iter().map(of).collect())),
        ("claims", sweep_claims(reports).map_or(Value::Null, judged)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut out = String::new();
        write_text("a \"b\" \\ \n\u{1}", &mut out);
        assert_eq!(out, r#""a \"b\" \\ \n\u0001""#);
    }

    #[test]
    fn values_are_nested() {
        let value = Value::Object(vec![
            ("a", Value::List(vec![Value::Number(-1), Value::Null])),
            ("b", Value::Numbers(vec![1, 2])),
        ]);
        assert_eq!(printed(&value), "{\n  \"a\": [\n    -1,\n    null\n  ],\n  \"b\": [1, 2]\n}\n");
    }
}
