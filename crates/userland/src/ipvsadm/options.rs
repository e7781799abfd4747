//! The options of ipvsadm, and which command takes which.

/// An option: the letter by which this table knows it, the spellings behind one or two dashes, whether it takes a value,
/// and the name that messages use.
pub(super) struct OptionRow {
    pub letter: char,
    pub long: &'static str,
    pub value: Value,
    pub name: &'static str,
}

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    No,
    Yes,
    Optional,
}

const fn row(letter: char, long: &'static str, value: Value, name: &'static str) -> OptionRow {
    OptionRow { letter, long, value, name }
}

use Value::{No, Optional, Yes};

/// Commands first: their letters are in [`COMMANDS`]. Letters that ipvsadm does not have stand for options that it knows
/// by their long names only: those are beyond ASCII.
pub(super) const OPTIONS: [OptionRow; 41] = [
    row('A', "add-service", No, "add-service"),
    row('E', "edit-service", No, "edit-service"),
    row('D', "delete-service", No, "delete-service"),
    row('C', "clear", No, "flush"),
    row('L', "list", No, "list"),
    row('l', "list", No, "list"),
    row('Z', "zero", No, "zero"),
    row('a', "add-server", No, "add-server"),
    row('e', "edit-server", No, "edit-server"),
    row('d', "delete-server", No, "delete-server"),
    row('§', "set", No, "set"),
    row('R', "restore", No, "restore"),
    row('S', "save", No, "save"),
    row('h', "help", No, "help"),
    row('v', "version", No, "version"),
    row('t', "tcp-service", Yes, "service-address"),
    row('u', "udp-service", Yes, "service-address"),
    row('f', "fwmark-service", Yes, "service-address"),
    row('s', "scheduler", Yes, "scheduler"),
    row('p', "persistent", Optional, "persistent"),
    row('M', "netmask", Yes, "netmask"),
    row('r', "real-server", Yes, "real-server"),
    row('m', "masquerading", No, "forwarding-method"),
    row('g', "gatewaying", No, "forwarding-method"),
    row('w', "weight", Yes, "weight"),
    row('x', "u-threshold", Yes, "u-threshold"),
    row('y', "l-threshold", Yes, "l-threshold"),
    row('n', "numeric", No, "numeric"),
    row('c', "connection", No, "connection"),
    row('τ', "timeout", No, "timeout"),
    row('δ', "daemon", No, "daemon"),
    row('σ', "stats", No, "stats"),
    row('ρ', "rate", No, "rate"),
    row('θ', "thresholds", No, "thresholds"),
    row('π', "persistent-conn", No, "persistent-conn"),
    row('ν', "nosort", No, "nosort"),
    row('ω', "sort", No, "sort"),
    row('X', "exact", No, "exact"),
    row('o', "ops", No, "ops"),
    row('b', "sched-flags", Yes, "sched-flags"),
    row('i', "ipip", No, "forwarding-method"),
];

/// Options of ipvsadm that are not modelled, by both spellings.
pub(super) const NOT_MODELLED: [&str; 17] = [
    "ipip",
    "i",
    "ipv6",
    "6",
    "sctp-service",
    "pe",
    "start-daemon",
    "stop-daemon",
    "mcast-interface",
    "syncid",
    "sync-maxlen",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "tun-type",
    "tun-port",
    "tun-nocsum",
];

/// What a command needs, and what it may have besides, by the names of messages in the order in which ipvsadm checks them.
pub(super) struct CommandRow {
    pub letter: char,
    pub needs: &'static [&'static str],
    pub takes: &'static [&'static str],
    /// Of these only one.
    pub one_of: &'static [&'static str],
}

const fn command(
    letter: char,
    needs: &'static [&'static str],
    takes: &'static [&'static str],
    one_of: &'static [&'static str],
) -> CommandRow {
    CommandRow { letter, needs, takes, one_of }
}

const SERVICE: &[&str] = &["service-address"];
const SERVER: &[&str] = &["service-address", "real-server"];
const HOW: &[&str] = &["scheduler", "persistent", "netmask", "ops", "sched-flags"];
const WHERE: &[&str] = &["forwarding-method", "weight", "u-threshold", "l-threshold"];

pub(super) const COMMANDS: [CommandRow; 13] = [
    command('A', SERVICE, HOW, &[]),
    command('E', SERVICE, HOW, &[]),
    command('D', SERVICE, &[], &[]),
    command('C', &[], &[], &[]),
    command(
        'L',
        &[],
        &["numeric", "stats", "rate", "thresholds", "persistent-conn", "nosort", "sort", "exact"],
        &["connection", "service-address", "timeout", "daemon"],
    ),
    command('Z', &[], SERVICE, &[]),
    command('a', SERVER, WHERE, &[]),
    command('e', SERVER, WHERE, &[]),
    command('d', SERVER, &[], &[]),
    command('§', &[], &[], &[]),
    command('R', &[], &[], &[]),
    command('S', &[], &["numeric"], &[]),
    command('v', &[], &[], &[]),
];

/// The order in which ipvsadm checks its options.
pub(super) const CHECKED: [&str; 22] = [
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "sort",
    "exact",
    "ops",
    "sched-flags",
];
