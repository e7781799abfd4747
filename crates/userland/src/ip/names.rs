//! Names for the numbers of routing: /etc/iproute2/rt_tables, rt_protos, rt_scopes.

use crate::diagnostic::{Fault, q};
use crate::names::number;
use kernel::route::{FibTable, Scope};

const TABLES: [(&str, u32); 4] = [("local", 255), ("main", 254), ("default", 253), ("unspec", 0)];

const PROTOCOLS: [(&str, u32); 22] = [
    ("unspec", 0),
    ("redirect", 1),
    ("kernel", 2),
    ("boot", 3),
    ("static", 4),
    ("gated", 8),
    ("ra", 9),
    ("mrt", 10),
    ("zebra", 11),
    ("bird", 12),
    ("dnrouted", 13),
    ("xorp", 14),
    ("ntk", 15),
    ("dhcp", 16),
    ("keepalived", 18),
    ("babel", 42),
    ("openr", 99),
    ("bgp", 186),
    ("isis", 187),
    ("ospf", 188),
    ("rip", 189),
    ("eigrp", 192),
];

const SCOPES: [(&str, u32, Scope); 5] = [
    ("global", 0, Scope::Universe),
    ("nowhere", 255, Scope::Nowhere),
    ("host", 254, Scope::Host),
    ("link", 253, Scope::Link),
    ("site", 200, Scope::Site),
];

fn named(list: &[(&str, u32)], text: &str, max: u32) -> Option<u32> {
    let by_name = list.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    by_name.or_else(|| number::u32_of(text).filter(|n| *n <= max))
}

fn name(list: &[(&'static str, u32)], n: u32) -> String {
    list.iter().find(|(_, m)| *m == n).map_or_else(|| n.to_string(), |(name, _)| (*name).to_owned())
}

/// `table NAME`
pub(crate) fn table(text: &str) -> Result<FibTable, Fault> {
    let help = "expected local, main, default or a number from 1 to 4294967295";
    named(&TABLES, text, u32::MAX)
        .map(FibTable)
        .ok_or_else(|| Fault::new(format!("{} is not a table", q(text)), help))
}

/// The name of a table.
pub fn table_name(table: FibTable) -> String {
    name(&TABLES, table.0)
}

/// `proto NAME`
pub(crate) fn protocol(text: &str) -> Result<u8, Fault> {
    let help = "expected kernel, boot, static, another name of rt_protos, or a number from 0 to 255";
    let n = named(&PROTOCOLS, text, 255).and_then(|n| u8::try_from(n).ok());
    n.ok_or_else(|| Fault::new(format!("{} is not a protocol of routes", q(text)), help))
}

/// The name of who made a route.
pub fn protocol_name(proto: u8) -> String {
    name(&PROTOCOLS, u32::from(proto))
}

/// `scope NAME`
pub(crate) fn scope(text: &str) -> Result<Scope, Fault> {
    let number = number::u32_of(text);
    let found = SCOPES.iter().find(|(name, n, _)| *name == text || Some(*n) == number);
    found.map(|(_, _, s)| *s).ok_or_else(|| {
        Fault::new(format!("unknown scope {}", q(text)), "expected one of global, site, link, host, nowhere")
    })
}

/// The name of a scope.
pub fn scope_name(scope: Scope) -> &'static str {
    SCOPES.iter().find(|(_, _, s)| *s == scope).map_or("global", |(name, ..)| name)
}
