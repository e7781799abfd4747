//! A message as dig prints it.

use super::shows;
use crate::programs::Run;
use crate::programs::dns_server::{flags, rcode_name, type_name};
use packet::{Dns, DnsData, dns_type};

/// A time of the run as dig writes it; runs begin with 1970.
pub(super) fn when(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (day, s) = (seconds / 86_400, seconds % 86_400);
    let name = DAYS.get((day % 7) as usize).copied().unwrap_or("Thu");
    format!("{name} Jan {:02} {:02}:{:02}:{:02} UTC 1970", day % 31 + 1, s / 3600, s / 60 % 60, s % 60)
}

/// A record's data.
pub(super) fn data_text(data: &DnsData) -> String {
    match data {
        DnsData::A(a) => a.to_string(),
        DnsData::Aaaa(a) => a.to_string(),
        DnsData::Name(name) => name.to_string(),
        DnsData::Srv(a, b, c, to) => format!("{a} {b} {c} {to}"),
        DnsData::Soa(soa) => {
            let numbers: Vec<String> = soa.2.iter().map(ToString::to_string).collect();
            format!("{} {} {}", soa.0, soa.1, numbers.join(" "))
        }
        DnsData::Txt(strings) => {
            let quoted = strings.iter().map(|s| format!("\"{}\"", String::from_utf8_lossy(s)));
            quoted.collect::<Vec<_>>().join(" ")
        }
        DnsData::Raw(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
            format!("\\# {} {hex}", bytes.len())
        }
    }
}

/// A message by those of its sections that `show` has.
pub(super) fn print_message(run: &mut Run<'_, '_>, m: &Dns, show: u8) {
    let comments = shows(show, "comments");
    if comments {
        print_head(run, m);
    }
    if shows(show, "question") && !m.questions.is_empty() {
        let lines =
            m.questions.iter().map(|q| columns(&format!(";{}", q.name), None, "IN", &type_name(q.kind)));
        section(run, comments, "QUESTION", lines.collect());
    }
    for (title, name, list) in [
        ("ANSWER", "answer", &m.answers),
        ("AUTHORITY", "authority", &m.authority),
        ("ADDITIONAL", "additional", &m.additional),
    ] {
        let list = list.iter().filter(|r| r.kind != dns_type::OPT && shows(show, name));
        let lines = list.map(|r| {
            let head = columns(&r.name.to_string(), Some(r.ttl), "IN", &type_name(r.kind));
            format!("{head}{}", data_text(&r.data))
        });
        section(run, comments, title, lines.collect());
    }
}

/// A section's lines, between its title and a blank line if comments are shown.
fn section(run: &mut Run<'_, '_>, comments: bool, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    if comments {
        run.print(format!(";; {title} SECTION:"));
    }
    lines.into_iter().for_each(|line| run.print(line));
    if comments {
        run.print("");
    }
}

fn print_head(run: &mut Run<'_, '_>, m: &Dns) {
    run.print(";; Got answer:");
    if m.questions.first().is_some_and(|q| q.name.below("local").is_some()) {
        run.print(";; WARNING: .local is reserved for Multicast DNS");
        run.print(";; You are currently testing what happens when an mDNS query is leaked to DNS");
    }
    let opcode = if m.opcode == 0 { "QUERY".to_owned() } else { format!("RESERVED{}", m.opcode) };
    run.print(format!(";; ->>HEADER<<- opcode: {opcode}, status: {}, id: {}", rcode_name(m.rcode), m.id));
    let flags: String = flags(m).iter().map(|flag| format!(" {flag}")).collect();
    let (q, a, n, r) = (m.questions.len(), m.answers.len(), m.authority.len(), m.additional.len());
    run.print(format!(";; flags:{flags}; QUERY: {q}, ANSWER: {a}, AUTHORITY: {n}, ADDITIONAL: {r}"));
    if m.recursion_desired && !m.recursion_available {
        run.print(";; WARNING: recursion requested but not available");
    }
    run.print("");
    if let Some(opt) = m.additional.iter().find(|r| r.kind == dns_type::OPT) {
        run.print(";; OPT PSEUDOSECTION:");
        run.print(format!("; EDNS: version: 0, flags:; udp: {}", opt.class));
    }
}

/// Moves to a column by tabs as far as they go and then by blanks, at least by one (masterdump.c, `indent`).
fn indent(out: &mut String, from: usize, to: usize) {
    let to = to.max(from + 1);
    let tabs = to / 8 - from / 8;
    let at = if tabs > 0 { to / 8 * 8 } else { from };
    *out += &"\t".repeat(tabs);
    *out += &" ".repeat(to - at);
}

/// Name, time, class and type in columns (`dns_master_style_debug`): at 24, 32 and 40.
fn columns(name: &str, ttl: Option<u32>, class: &str, kind: &str) -> String {
    let mut out = name.to_owned();
    // The sign in front of a question does not count.
    let mut at = name.trim_start_matches(';').chars().count();
    let ttl = ttl.map(|t| t.to_string());
    for (column, text) in [(24, ttl.as_deref()), (32, Some(class)), (40, Some(kind))] {
        let Some(text) = text else { continue };
        indent(&mut out, at, column);
        at = column.max(at + 1) + text.chars().count();
        out.push_str(text);
    }
    // The data stand at 48.
    if ttl.is_some() {
        indent(&mut out, at, 48);
    }
    out
}
