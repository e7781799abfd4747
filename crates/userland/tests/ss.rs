//! `ss` against a recording of the real one: the sockets are read from one listing, all others are printed from them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;
use userland::ss::{SsKind, SsRow, SsState, parse_ss, show};

const RECORDED: &str = include_str!("data/ss.session");

/// The sessions: command, what was printed, status.
fn sessions() -> Vec<(&'static str, &'static str, i32)> {
    let blocks = RECORDED.split("=== ").skip(1);
    blocks
        .map(|b| {
            let (command, rest) = b.split_once('\n').unwrap();
            let (body, status) = rest.rsplit_once("rc=").unwrap();
            (command, body, status.trim().parse().unwrap())
        })
        .collect()
}

fn end(addr: &str) -> Option<(std::net::Ipv4Addr, u16)> {
    let (ip, port) = addr.rsplit_once(':').unwrap();
    (port != "*").then(|| (ip.parse().unwrap(), port.parse().unwrap()))
}

/// The sockets of the recording.
fn rows() -> Vec<SsRow> {
    let (_, body, _) = sessions().into_iter().find(|(c, ..)| *c == "ss -tuanp").unwrap();
    let row = |line: &str| {
        let w: Vec<&str> = line.split_whitespace().collect();
        let (kind, state) = (w[0], SsState::named(w[1]).unwrap());
        let user = w.get(6).map(|u| {
            let parts: Vec<&str> = u.split(['"', '=', ',', ')']).collect();
            (parts[1].to_owned(), parts[4].parse().unwrap(), parts[6].parse().unwrap())
        });
        SsRow {
            kind: if kind == "udp" { SsKind::Udp } else { SsKind::Tcp },
            state,
            recv: w[2].parse().unwrap(),
            send: w[3].parse().unwrap(),
            local: end(w[4]).unwrap(),
            remote: end(w[5]),
            user,
            // FIN-WAIT-2 of an orphan is a TIME-WAIT socket in the kernel.
            timer: matches!(state.name(), "TIME-WAIT" | "FIN-WAIT-2").then_some((
                "timewait",
                Duration::from_millis(59_064),
                0,
            )),
        }
    };
    let mut rows: Vec<SsRow> = body.lines().skip(1).map(row).collect();
    rows.push(SsRow {
        kind: SsKind::Raw,
        state: SsState::named("UNCONN").unwrap(),
        recv: 0,
        send: 0,
        local: ([0, 0, 0, 0].into(), 1),
        remote: None,
        user: None,
        timer: None,
    });
    rows
}

#[test]
fn every_listing_is_printed_as_recorded() {
    let rows = rows();
    assert_eq!(rows.len(), 17);
    for (command, body, status) in sessions() {
        let argv: Vec<&str> = command.split_whitespace().collect();
        let (got, code) = match parse_ss(&argv) {
            Ok(c) => (show(&c, &rows, 0), 0),
            Err(e) => (e.lines, e.status),
        };
        let expected: Vec<&str> = body.lines().collect();
        assert_eq!((got, code), (expected.iter().map(|l| (*l).to_owned()).collect(), status), "{command}");
    }
}

#[test]
fn what_is_not_modelled_is_refused_by_name() {
    for option in ["-i", "-m", "-x", "-e", "-K", "--info", "--tos"] {
        let error = parse_ss(&["ss", option]).unwrap_err();
        assert!(error.lines[0].starts_with(&format!("ss {option} is not modelled")), "{error:?}");
    }
}

/// Held against the real tool: `and` and `or` bind alike, from the left.
#[test]
fn the_filter_is_read_from_the_left() {
    let argv = "ss -tanH sport = :80 or sport = :53 and dst 9.9.9.9";
    let command = parse_ss(&argv.split(' ').collect::<Vec<_>>()).unwrap();
    assert_eq!(show(&command, &rows(), 0), Vec::<String>::new());
}

/// Recorded in a namespace of its own on Linux 6.18, with one raw socket besides. What Linux counts of the whole machine is taken off: 51
/// sockets of TCP (`alloc` of /proc/net/sockstat), and two of other families.
#[test]
fn a_summary_counts_as_sockstat_does() {
    let program = Some(("python3".to_owned(), 1, 3));
    let tcp = [
        ("LISTEN", true),
        ("ESTAB", true),
        ("CLOSE-WAIT", true),
        ("TIME-WAIT", false),
        ("FIN-WAIT-2", false),
        ("ESTAB", true),
    ];
    let row = |kind, state: &str, open| SsRow {
        kind,
        state: SsState::named(state).unwrap(),
        user: program.clone().filter(|_| open),
        ..rows().remove(0)
    };
    let mut all: Vec<SsRow> = tcp.iter().map(|(state, open)| row(SsKind::Tcp, state, *open)).collect();
    all.push(row(SsKind::Raw, "UNCONN", true));
    let told = |line: &str, fragments| {
        show(&parse_ss(&line.split(' ').collect::<Vec<_>>()).unwrap(), &all, fragments)
    };
    let summary = [
        "Total: 5",
        "TCP:   6 (estab 3, closed 2, orphaned 0, timewait 2)",
        "",
        "Transport Total     IP        IPv6",
        "RAW\t  1         1         0        ",
        "UDP\t  0         0         0        ",
        "TCP\t  4         4         0        ",
        "INET\t  5         5         0        ",
        "FRAG\t  0         0         0        ",
        "",
    ];
    assert_eq!(told("ss -s", 0), summary);
    assert_eq!(told("ss -s", 2)[8], "FRAG\t  2         2         0        ");
    // With a kind or a filter the sockets follow.
    let both = told("ss -s -tnH state listening", 0);
    assert_eq!((both[..10].to_vec(), both.len()), (summary.map(str::to_owned).to_vec(), 11));
    assert_eq!(told("ss -st", 0).len(), 15);
}

/// What is on its way out and belongs to nobody is an orphan; a request is no socket yet.
#[test]
fn orphans_are_counted_and_requests_are_not() {
    let row = |state: &str| SsRow {
        state: SsState::named(state).unwrap(),
        user: None,
        kind: SsKind::Tcp,
        ..rows().remove(0)
    };
    let rows = ["FIN-WAIT-1", "CLOSING", "LAST-ACK", "SYN-RECV"].map(row);
    let lines = show(&parse_ss(&["ss", "-s"]).unwrap(), &rows, 0);
    assert_eq!(lines[1], "TCP:   3 (estab 0, closed 0, orphaned 3, timewait 0)");
}

#[test]
fn mistakes_in_a_filter_have_the_words_of_the_tool() {
    let said = |line: &str| parse_ss(&line.split(' ').collect::<Vec<_>>()).unwrap_err();
    for (line, status, first) in [
        ("ss -tan state", 255, "Command line is not complete. Try option \"help\""),
        ("ss -tan state listen", 255, "ss: wrong state name: listen"),
        ("ss -tan sport = foo", 1, "Error: \"foo\" does not look like a port."),
        ("ss -tan dst foo.bar", 1, "Error: an inet prefix is expected rather than \"foo.bar\"."),
        ("ss -tan ( sport = :80", 255, "ss: bison bellows (while parsing filter): \"syntax error!\" Sorry."),
        ("ss -tan 127.0.0.1", 255, "ss: bison bellows (while parsing filter): \"syntax error!\" Sorry."),
        ("ss --ip", 255, "ss: option '--ip' is ambiguous; possibilities: '--ipv4' '--ipv6'"),
        ("ss --tcp=3", 255, "ss: option '--tcp' doesn't allow an argument"),
    ] {
        let error = said(line);
        assert_eq!((error.status, error.lines[0].as_str()), (status, first), "{line}");
    }
}
