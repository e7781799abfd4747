//! `ip rule`

use super::names;
use crate::args::Token;
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::names::number;
use crate::words::{Words, destination};
use ipnet::Ipv4Net;
use kernel::route::{FibRule, FibTable, RuleAction, proto};

/// `ip rule ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleCommand {
    /// `ip rule add`
    Add(RuleSpec),
    /// `ip rule del`: the first that fits what is said.
    Del(RuleSpec),
    /// `ip rule show`
    Show {
        /// `table`
        table: Option<FibTable>,
        /// `pref`
        pref: Option<u32>,
    },
    /// `ip rule flush`: all but the rule of priority 0.
    Flush,
}

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    /// `pref`
    pub pref: Option<u32>,
    /// The rest; what is not said is as in a rule that matches everything.
    pub rule: FibRule,
    /// `table`, `goto` or another action was said.
    pub action: bool,
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Del,
    Show,
    Flush,
}

const VERBS: &[(&str, Verb)] = &[
    ("list", Verb::Show),
    ("lst", Verb::Show),
    ("show", Verb::Show),
    ("add", Verb::Add),
    ("delete", Verb::Del),
    ("flush", Verb::Flush),
];

const KNOWN: &[&str] = &[
    "not",
    "from",
    "to",
    "iif",
    "oif",
    "fwmark",
    "tos",
    "ipproto",
    "sport",
    "dport",
    "pref",
    "table",
    "goto",
    "nop",
    "blackhole",
    "unreachable",
    "prohibit",
    "suppress_prefixlength",
    "proto",
];
const NOT_MODELLED: &[&str] =
    &["l3mdev", "uidrange", "tun_id", "realms", "nat", "map-to", "suppress_ifgroup", "sup_ifgroup", "vrf"];

pub(super) fn command(words: &mut Words<'_>) -> Result<RuleCommand, Diagnostic> {
    if words.peek().is_none() {
        return Ok(RuleCommand::Show { table: None, pref: None });
    }
    let verb = words.verb("ip rule", "add, del, show or flush", VERBS, &["save", "restore"])?;
    if words.peek().is_none()
        && let Some(verb) = match verb {
            Verb::Add => Some("add"),
            Verb::Del => Some("del"),
            Verb::Show | Verb::Flush => None,
        }
    {
        let says = format!("\"ip rule {verb}\" requires arguments.");
        return words.blame_last(Fault::new(says.as_str(), "expected a rule").exits(1, says));
    }
    Ok(match verb {
        Verb::Add => RuleCommand::Add(spec(words, proto::BOOT)?),
        Verb::Del => RuleCommand::Del(spec(words, 0)?),
        Verb::Show => {
            let (mut table, mut pref) = (None, None);
            while let Some(token) = words.next() {
                match token.text.as_ref() {
                    "table" | "lookup" => {
                        table =
                            Some(words.argument("a table", "table id value is invalid\n", names::table)?);
                    }
                    "pref" | "preference" | "order" | "prio" | "priority" => {
                        pref = Some(words.number_or("a priority", PREF)?)
                    }
                    _ => return Err(no_selector(words, &token)),
                }
            }
            RuleCommand::Show { table, pref }
        }
        Verb::Flush => match words.next() {
            None => RuleCommand::Flush,
            Some(token) => return Err(no_selector(words, &token)),
        },
    })
}

/// A word by which rules cannot be chosen.
fn no_selector(words: &Words<'_>, token: &Token<'_>) -> Diagnostic {
    let known = [KNOWN, NOT_MODELLED].concat();
    let text = token.text.as_ref();
    let help = "expected one of table, pref";
    words.diagnostic(
        token,
        match known.contains(&text) {
            true => Fault::new(format!("{} is not modelled", q(text)), help),
            false => Fault::new(format!("unknown word {}", q(text)), help).expected("inet prefix", text),
        },
    )
}

/// What the tool says of what is no priority.
const PREF: &str = "preference value is invalid\n";

fn spec(words: &mut Words<'_>, proto: u8) -> Result<RuleSpec, Diagnostic> {
    let mut spec =
        RuleSpec { pref: None, rule: FibRule { proto, ..FibRule::lookup(0, FibTable::MAIN) }, action: false };
    while let Some(token) = words.next() {
        let r = &mut spec.rule;
        let action = match token.text.as_ref() {
            "nop" => Some(RuleAction::Nop),
            "blackhole" => Some(RuleAction::Blackhole),
            "unreachable" => Some(RuleAction::Unreachable),
            "prohibit" => Some(RuleAction::Prohibit),
            "type" => {
                let kind = words.argument("a type", NO_TYPE, |text| {
                    let found = TYPES.iter().find(|(name, _)| *name == text).map(|(_, action)| *action);
                    found.ok_or_else(|| {
                        Fault::new(format!("unknown type {}", q(text)), "expected unicast, ...")
                    })
                });
                match kind? {
                    Some(action) => Some(action),
                    None => continue,
                }
            }
            "goto" => Some(RuleAction::Goto(words.number_or("a priority", "invalid target\n")?)),
            "table" | "lookup" => {
                Some(RuleAction::Lookup(words.argument("a table", "invalid table ID\n", names::table)?))
            }
            _ => None,
        };
        if let Some(action) = action {
            (r.action, spec.action) = (action, true);
            continue;
        }
        match token.text.as_ref() {
            "not" => r.not = true,
            "from" => r.from = words.value("a prefix", prefix)?,
            "to" => r.to = words.value("a prefix", prefix)?,
            "iif" | "dev" => r.iif = Some(words.device()?),
            "oif" => r.oif = Some(words.device()?),
            "fwmark" => {
                r.fwmark = Some(words.argument(
                    "a mark such as 0x1 or 0x1/0xff",
                    "fwmark value is invalid\n",
                    mark,
                )?);
            }
            "tos" | "dsfield" => {
                r.tos = words.argument("a type of service", "TOS value is invalid\n", tos)?
            }
            "ipproto" => r.ipproto = words.argument("a protocol", "Invalid \"ipproto\" value\n", ipproto)?,
            "sport" => r.sport = Some(words.argument("a port or a range", PORTS, ports)?),
            "dport" => r.dport = Some(words.argument("a port or a range", PORTS, ports)?),
            "pref" | "preference" | "order" | "prio" | "priority" => {
                spec.pref = Some(words.number_or("a priority", PREF)?);
            }
            "protocol" | "proto" => r.proto = words.value("a protocol", names::protocol)?,
            "suppress_prefixlength" | "sup_pl" => {
                r.suppress_prefixlen = Some(words.number("a prefix length")?);
            }
            word if NOT_MODELLED.contains(&word) => return words.unexpected(&token, KNOWN, NOT_MODELLED),
            word => {
                let help = format!("expected one of {}", KNOWN.join(", "));
                let fault = Fault::new(format!("unknown word {}", q(word)), help);
                return words.blame(&token, fault.wrong_argument(word, NO_TYPE));
            }
        }
    }
    Ok(spec)
}

const NO_TYPE: &str = "Failed to parse rule type";
const PORTS: &str = "invalid port range\n";
const TYPES: &[(&str, Option<RuleAction>)] = &[
    ("unicast", None),
    ("blackhole", Some(RuleAction::Blackhole)),
    ("unreachable", Some(RuleAction::Unreachable)),
    ("prohibit", Some(RuleAction::Prohibit)),
];

/// A prefix; the bits behind it stay.
fn prefix(text: &str) -> Result<Ipv4Net, Fault> {
    if ["all", "any", "default"].contains(&text) {
        destination(text)
    } else {
        crate::words::address_with_prefix(text)
    }
}

fn mark(text: &str) -> Result<(u32, u32), Fault> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    let bad =
        || Fault::new(format!("{} is not a mark", q(text)), "expected VALUE or VALUE/MASK, such as 0x1/0xff");
    Ok((number::u32_of(value).ok_or_else(bad)?, number::u32_of(mask).ok_or_else(bad)?))
}

/// iproute2 reads it as a hexadecimal number, with or without 0x.
pub(super) fn tos(text: &str) -> Result<u8, Fault> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bad =
        || Fault::new(format!("{} is not a type of service", q(text)), "expected a number such as 0x10");
    u8::from_str_radix(digits, 16).map_err(|_| bad())
}

pub(super) fn ipproto(text: &str) -> Result<u8, Fault> {
    let bad = || Fault::new(format!("{} is not a protocol", q(text)), "expected tcp, udp, icmp or a number");
    let known = [("icmp", 1), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ah", 51), ("sctp", 132)];
    let by_name = known.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    by_name.or_else(|| number::u32_of(text).and_then(|n| u8::try_from(n).ok())).ok_or_else(bad)
}

/// A port, or 0.
pub(super) fn port(text: &str) -> Result<u16, Fault> {
    let bad = || Fault::new(format!("{} is not a port", q(text)), "expected PORT or FIRST-LAST");
    number::u32_of(text).and_then(|n| u16::try_from(n).ok()).ok_or_else(bad)
}

fn ports(text: &str) -> Result<(u16, u16), Fault> {
    let (lo, hi) = text.split_once('-').unwrap_or((text, text));
    let (lo, hi) = (port(lo)?, port(hi)?);
    let bad = || Fault::new(format!("{} is not a port", q(text)), "expected PORT or FIRST-LAST");
    if lo == 0 || hi < lo { Err(bad()) } else { Ok((lo, hi)) }
}

/// The name of a protocol as `ip rule` prints it.
pub fn ipproto_name(n: u8) -> String {
    let known = [(1, "icmp"), (6, "tcp"), (17, "udp"), (47, "gre"), (50, "esp"), (51, "ah"), (132, "sctp")];
    known.iter().find(|(m, _)| *m == n).map_or_else(|| n.to_string(), |(_, name)| (*name).to_owned())
}
