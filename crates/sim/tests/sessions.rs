//! Sessions of ip(8), bridge(8) and conntrack(8), iproute2 6.1 on Linux 6.18: the box prints what the real tools printed, to the byte.
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
    same(&played(session), session);
}

fn same(got: &str, session: &str) {
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
fn ways_that_depend_on_protocol_ports_and_tos() {
    prints(include_str!("data/route-get.txt"));
}

#[test]
fn gateways_that_a_table_does_not_lead_to() {
    prints(include_str!("data/route-gateway.txt"));
}

#[test]
fn sizes_addresses_and_lifetimes_that_do_not_fit() {
    prints(include_str!("data/limits.txt"));
}

#[test]
fn addresses_and_the_routes_that_follow_from_them() {
    prints(include_str!("data/addr.txt"));
}

#[test]
fn addresses_in_words_that_are_wrong_or_odd() {
    prints(include_str!("data/addr-words.txt"));
}

#[test]
fn routes_and_rules_in_words_that_are_wrong_or_odd() {
    prints(include_str!("data/route-words.txt"));
}

#[test]
fn devices_and_neighbours_in_words_that_are_wrong_or_odd() {
    prints(include_str!("data/link-words.txt"));
}

#[test]
fn more_of_ip_in_words_that_are_wrong_or_odd() {
    prints(include_str!("data/ip-words.txt"));
}

#[test]
fn bridge_in_words_that_are_wrong_or_odd() {
    prints(include_str!("data/bridge-words.txt"));
}

#[test]
fn addresses_in_the_database_of_a_bridge_and_in_the_filter_of_a_device() {
    prints(include_str!("data/bridge-fdb.txt"));
}

#[test]
fn bridges_and_their_ports() {
    prints(include_str!("data/bridge.txt"));
}

#[test]
fn routes_rules_and_neighbours_in_json_and_in_detail() {
    prints(include_str!("data/route-json.txt"));
}

/// Recorded on two processors, which a veth has as many queues as; the bridge's timers stand at 0.
#[test]
fn devices_ports_and_addresses_behind_them_in_json_and_in_detail() {
    prints(include_str!("data/details.txt"));
}

/// A line without the seconds that are left and the number of the entry.
fn unmasked(text: &str) -> String {
    let line = |line: &str| {
        let mut out = line.to_owned();
        for (from, to) in [("-t ", " "), ("<timeout>", "<"), ("<id>", "<")] {
            if let Some(at) = out.find(from).filter(|_| !line.starts_with('$'))
                && let Some(len) = out[at + from.len()..].find(to)
            {
                out.replace_range(at + from.len()..at + from.len() + len, "N");
            }
        }
        // Of a plain line the number behind the protocol's.
        let mut words: Vec<&str> = out.split(' ').collect();
        if let Some(at) = words.iter().position(|w| w.starts_with("src=")).filter(|_| !line.starts_with('$'))
        {
            let at = if words[at - 1].parse::<u32>().is_ok() { at - 1 } else { at - 2 };
            words[at] = "N";
        }
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

/// conntrack-tools 1.4.7; one entry at a time, as Linux lists several in the order of its hashes.
#[test]
fn connections_as_commands_and_as_xml() {
    let session = include_str!("data/conntrack-formats.txt");
    same(&unmasked(&played(session)), &unmasked(session));
}
