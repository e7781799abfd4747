//! What iptables 1.8.9 accepts and this crate refuses, with the reason. A test fails when a difference disappears.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::{Store, shell_words};
use userland::iptables::{iptables, iptables_restore};

#[track_caller]
fn refused(command: &str, reason: &str, message: &str) {
    let mut store = Store::default();
    for setup in ["iptables -N T", "iptables -t nat -N T"] {
        assert_eq!(iptables(&mut store, &shell_words(setup)).status, 0);
    }
    let out = iptables(&mut store, &shell_words(command));
    let Some(d) = out.diagnostics.first() else { panic!("accepted: {command} ({reason})") };
    assert_eq!(d.message, message, "{command}");
}

#[track_caller]
fn text_refused(text: &str, reason: &str, message: &str) {
    let out = iptables_restore(&mut Store::default(), &["iptables-restore"], text);
    let Some(d) = out.diagnostics.first() else { panic!("accepted: {text} ({reason})") };
    assert_eq!(d.message, message, "{text}");
}

#[test]
fn names_are_not_looked_up() {
    let reason = "there is no resolver; the recordings know localhost only";
    refused("iptables -A T -s localhost", reason, "\"localhost\" is a name, not an address");
    refused("iptables -A T -s loopback", reason, "\"loopback\" is a name, not an address");
}

#[test]
fn names_of_devices() {
    let reason = "only a warning";
    refused("iptables -A T -i 'eth 0'", reason, "\"eth 0\" cannot be the name of a device");
    refused("iptables -A T -i eth0/1", reason, "\"eth0/1\" cannot be the name of a device");
}

#[test]
fn values_that_iptables_misunderstands() {
    let reason = "taken modulo 65536";
    refused("iptables -A T -p udp --dport 65537", reason, "\"65537\" is not a port");
    refused("iptables -A T -m conntrack --ctorigdstport 70000", reason, "\"70000\" is not a port");
    let reason = "the mask is dropped";
    let message = "\"10.0.0.1/255.0.255.0\" has a mask with holes";
    refused("iptables -A T -m conntrack --ctorigsrc 10.0.0.1/255.0.255.0", reason, message);
    refused("iptables -A T -m conntrack --ctorigsrc 10.0.0.1/33", reason, "\"33\" is not a mask");
}

#[test]
fn spellings_of_numbers() {
    let reason = "strtod and strtoul know them, nobody writes them";
    let message = "\"5e-1\" is not a value for --probability";
    refused("iptables -A T -m statistic --mode random --probability 5e-1", reason, message);
    refused("iptables -A T -p tcp --dport +5", reason, "\"+5\" is not a port");
}

#[test]
fn chain_names_that_cannot_be_used() {
    let reason = "the chain could not be named in iptables-restore any more";
    refused("iptables -E T 'a b'", reason, "blank in the chain name \"a b\"");
    refused("iptables -E T LOG", reason, "\"LOG\" is the name of a target");
}

#[test]
fn parts_of_modelled_extensions() {
    let reason = "not modelled";
    let message = "timeout policy \"slow\" does not exist";
    refused("iptables -t raw -A PREROUTING -p tcp -j CT --timeout slow", reason, message);
}

#[test]
fn bases_and_masks_that_are_lost() {
    let reason = "the kernel's base is whatever stood in memory, and iptables prints 0";
    let message = "a shifted port range (PORT-PORT/BASE)";
    refused("iptables -t nat -A T -p tcp -j MASQUERADE --to-ports 80-90/8080", reason, message);
    let reason = "iptables makes it a single address";
    let message = "\"10.0.0.0/255.0.255.0\" is a mask with holes";
    refused("iptables -t nat -A T -j NETMAP --to 10.0.0.0/255.0.255.0", reason, message);
    refused("iptables -t nat -A T -j NETMAP --to 10.0.0.0/33", reason, "\"33\" is not a mask");
    let reason = "iptables takes it for 0.0.0.10";
    refused("iptables -t nat -A T -j NETMAP --to 10/8", reason, "\"10\" is not an IPv4 address");
}

#[test]
fn texts() {
    let reason = "the rest of the line becomes a part of the comment";
    let text = "*filter\n-A INPUT -m comment --comment \"a -j DROP\nCOMMIT\n";
    text_refused(text, reason, "a quoted text is never closed");
    let reason = "ignored without --counters";
    text_refused("*filter\n:INPUT ACCEPT [x:y]\nCOMMIT\n", reason, "\"[x:y]\" is not a pair of counters");
    let reason = "lists in the middle of loading";
    text_refused("*filter\n-L INPUT\nCOMMIT\n", reason, "-L changes nothing");
    // --test does not ask the kernel there; here it does.
    let text = "*nat\n-A PREROUTING -j MASQUERADE\nCOMMIT\n";
    let out = iptables_restore(&mut Store::default(), &["iptables-restore", "--test"], text);
    assert_eq!(out.status, 1);
}
