//! The names of ICMP's types and codes in ipset.

use packet::Port;

/// Name, type and code; the first name of a pair is the one printed.
const NAMES: &[(&str, u8, u8)] = &[
    ("echo-reply", 0, 0),
    ("pong", 0, 0),
    ("network-unreachable", 3, 0),
    ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2),
    ("port-unreachable", 3, 3),
    ("fragmentation-needed", 3, 4),
    ("source-route-failed", 3, 5),
    ("network-unknown", 3, 6),
    ("host-unknown", 3, 7),
    ("network-prohibited", 3, 9),
    ("host-prohibited", 3, 10),
    ("TOS-network-unreachable", 3, 11),
    ("TOS-host-unreachable", 3, 12),
    ("communication-prohibited", 3, 13),
    ("host-precedence-violation", 3, 14),
    ("precedence-cutoff", 3, 15),
    ("source-quench", 4, 0),
    ("network-redirect", 5, 0),
    ("host-redirect", 5, 1),
    ("TOS-network-redirect", 5, 2),
    ("TOS-host-redirect", 5, 3),
    ("echo-request", 8, 0),
    ("ping", 8, 0),
    ("router-advertisement", 9, 0),
    ("router-solicitation", 10, 0),
    ("ttl-zero-during-transit", 11, 0),
    ("ttl-zero-during-reassembly", 11, 1),
    ("ip-header-bad", 12, 0),
    ("required-option-missing", 12, 1),
    ("timestamp-request", 13, 0),
    ("timestamp-reply", 14, 0),
    ("address-mask-request", 17, 0),
    ("address-mask-reply", 18, 0),
];

fn pair(kind: u8, code: u8) -> Port {
    Port::from(kind) << 8 | Port::from(code)
}

/// Type and code of that name.
pub(super) fn port(name: &str) -> Option<Port> {
    NAMES.iter().find(|(n, ..)| *n == name).map(|(_, kind, code)| pair(*kind, *code))
}

/// The name of type and code.
pub(super) fn name(port: Port) -> Option<&'static str> {
    NAMES.iter().find(|(_, kind, code)| pair(*kind, *code) == port).map(|(n, ..)| *n)
}
