//! Sessions of ip(8) and bridge(8), iproute2 6.1 on Linux 6.18: the box prints what the real tools printed, to the byte.
//!
//! A session is `$ COMMAND`, what it printed, and `[exit N]` if it failed. Each was made in a fresh namespace without IPv6.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sim::World;
use sim::operator::command;

/// What a box prints for the commands of a session.
fn played(session: &str) -> String {
    let mut world = World::new(1);
    let host = world.add_host("box");
    let mut out = String::new();
    for line in session.lines().filter_map(|l| l.strip_prefix("$ ")) {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let done = command(&mut world, host, &argv, None).unwrap_or_else(|e| panic!("{line}: {e}"));
        out += &format!("$ {line}\n");
        for text in done.stdout.iter().chain(&done.stderr) {
            out += text;
            out.push('\n');
        }
        if done.status != 0 {
            out += &format!("[exit {}]\n", done.status);
        }
    }
    out
}

fn prints(session: &str) {
    let got = played(session);
    for (n, (want, got)) in session.lines().zip(got.lines()).enumerate() {
        let before: Vec<&str> = session.lines().take(n).filter(|l| l.starts_with('$')).collect();
        assert_eq!(got, want, "line {}, behind {:?}", n + 1, before.last());
    }
    assert_eq!(got.lines().count(), session.lines().count());
}

#[test]
fn routes_and_rules() {
    prints(include_str!("data/route.txt"));
}

#[test]
fn addresses_and_the_routes_that_follow_from_them() {
    prints(include_str!("data/addr.txt"));
}

#[test]
fn bridges_and_their_ports() {
    prints(include_str!("data/bridge.txt"));
}
