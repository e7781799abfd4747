//! What ss prints when nobody looks at a terminal: each column is as wide as its widest field.

use super::{SsCommand, SsKind, SsRow, filter};
use crate::names::{protocol_name, service_name};
use packet::Protocol;
use std::time::Duration;

/// A column: its title, what stands before it, whether it is set to the right.
const COLUMNS: [(&str, &str, bool); 9] = [
    ("Netid", "", false),
    ("State", " ", false),
    ("Recv-Q", " ", false),
    ("Send-Q", " ", false),
    ("Local Address:", " ", true),
    ("Port", "", false),
    ("Peer Address:", " ", true),
    ("Port", "", false),
    ("Process", "", false),
];

/// The lines of a summary and of a listing. So many datagrams wait for fragments.
pub fn show(command: &SsCommand, rows: &[SsRow], fragments: usize) -> Vec<String> {
    if command.version {
        return vec!["ss utility, iproute2-6.1.0".to_owned()];
    }
    let mut out = if command.summary { summary(rows, fragments) } else { Vec::new() };
    if !command.listing {
        return out;
    }
    let mut lines: Vec<[String; 9]> = Vec::new();
    if !command.no_header {
        lines.push(COLUMNS.map(|(title, ..)| title.to_owned()));
    }
    for kind in SsKind::ALL {
        let of_kind = rows.iter().filter(|r| r.kind == kind);
        let shown = of_kind.filter(|r| filter::shown(r, command.kinds, command.states, &command.filter));
        lines.extend(shown.map(|r| fields(r, command)));
    }
    // A column that says the same of all is not shown.
    let one = |bits: u32| bits <= 1;
    let hidden = [one(command.kinds.count_ones()), one(command.shown_states().count_ones())];
    let width = |i: usize| lines.iter().map(|l| l[i].len()).max().unwrap_or(0);
    let widths: Vec<Option<usize>> =
        (0..COLUMNS.len()).map(|i| (hidden.get(i) != Some(&true)).then(|| width(i))).collect();
    out.extend(lines.iter().map(|line| rendered(line, &widths)));
    out
}

/// What `-s` counts, as /proc/net/sockstat does: which sockets the kernel still has in a table of its own when nobody has them open
/// (`inet_timewait_sock`), and requests that are no sockets yet, are told apart.
fn summary(rows: &[SsRow], fragments: usize) -> Vec<String> {
    let (mut in_use, mut established, mut orphaned, mut waiting) = (0, 0, 0, 0);
    for row in rows.iter().filter(|r| r.kind == SsKind::Tcp) {
        match (row.state.name(), row.user.is_some()) {
            ("SYN-RECV", _) => continue,
            ("TIME-WAIT", _) | ("FIN-WAIT-2", false) => {
                waiting += 1;
                continue;
            }
            ("ESTAB" | "CLOSE-WAIT", _) => established += 1,
            ("FIN-WAIT-1" | "CLOSING" | "LAST-ACK", false) => orphaned += 1,
            _ => {}
        }
        in_use += 1;
    }
    let count = |kind| rows.iter().filter(|r| r.kind == kind).count();
    let (raw, udp) = (count(SsKind::Raw), count(SsKind::Udp));
    let all = raw + udp + in_use;
    let mut out = vec![
        format!("Total: {all}"),
        // ss takes those that wait from the ones that are in use, which they are not among.
        format!(
            "TCP:   {} (estab {established}, closed {waiting}, orphaned {orphaned}, timewait {waiting})",
            in_use + waiting
        ),
        String::new(),
        "Transport Total     IP        IPv6".to_owned(),
    ];
    for (name, n) in [("RAW", raw), ("UDP", udp), ("TCP", in_use), ("INET", all), ("FRAG", fragments)] {
        out.push(format!("{name}\t  {n:<9} {n:<9} {:<9}", 0));
    }
    out.push(String::new());
    out
}

fn rendered(line: &[String; 9], widths: &[Option<usize>]) -> String {
    let mut out = String::new();
    for ((field, (_, before, right)), width) in line.iter().zip(COLUMNS).zip(widths) {
        let Some(width) = *width else { continue };
        if !out.is_empty() {
            out += before;
        }
        out += &if right { format!("{field:>width$}") } else { format!("{field:<width$}") };
    }
    out
}

fn fields(row: &SsRow, command: &SsCommand) -> [String; 9] {
    let port = |port: Option<u16>| match (port, row.kind) {
        (None | Some(0), _) => "*".to_owned(),
        (Some(p), _) if command.numeric => p.to_string(),
        (Some(p), SsKind::Raw) => {
            let name = u8::try_from(p).ok().and_then(|p| protocol_name(Protocol(p)));
            name.map_or_else(|| p.to_string(), str::to_owned)
        }
        (Some(p), kind) => {
            let proto = if kind == SsKind::Udp { Protocol::UDP } else { Protocol::TCP };
            service_name(p, proto).map_or_else(|| p.to_string(), str::to_owned)
        }
    };
    let mut process = String::new();
    if let Some((timer, left, again)) = row.timer.filter(|_| command.timers) {
        process += &format!(" timer:({timer},{},{again})", time(left));
    }
    if let Some((name, pid, fd)) = row.user.as_ref().filter(|_| command.processes) {
        process += &format!(" users:((\"{name}\",pid={pid},fd={fd}))");
    }
    [
        row.kind.name().to_owned(),
        row.state.name().to_owned(),
        format!("{:<6}", row.recv),
        format!("{:<6}", row.send),
        format!("{}:", row.local.0),
        port(Some(row.local.1)),
        row.remote.map_or_else(|| "0.0.0.0:".to_owned(), |r| format!("{}:", r.0)),
        port(row.remote.map(|r| r.1)),
        process,
    ]
}

/// `59sec`, `1.204ms` (sic), `204ms`, `1min5sec`
fn time(left: Duration) -> String {
    let (seconds, mut ms) = (left.as_secs(), left.subsec_millis());
    let (minutes, mut seconds) = (seconds / 60, seconds % 60);
    let mut out = String::new();
    if minutes > 0 {
        ms = 0;
        out += &format!("{minutes}min");
        if minutes > 9 {
            seconds = 0;
        }
    }
    if seconds > 0 {
        if seconds > 9 {
            ms = 0;
        }
        out += &format!("{seconds}{}", if ms > 0 { "." } else { "sec" });
    }
    if ms > 0 {
        out += &format!("{ms:03}ms");
    }
    out
}
