//! `-j CT`.

use crate::diagnostic::{Fault, ToolError, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, words_text};
use crate::names::number::unsigned;
use kernel::netfilter::conntrack::{Direction, EventMask, Helper, HelperKind, Zone};
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::targets::CtTarget;
use packet::Protocol;

/// Messages about entries by the number of their bit.
const EVENTS: [(&str, u16); 10] = [
    ("new", 1),
    ("related", 1 << 1),
    ("destroy", 1 << 2),
    ("reply", 1 << 3),
    ("assured", 1 << 4),
    ("protoinfo", 1 << 5),
    ("helper", 1 << 6),
    ("mark", 1 << 7),
    ("natseqinfo", 1 << 8),
    ("secmark", 1 << 9),
];

/// Messages about expectations.
const EXPECT_EVENTS: [(&str, u16); 1] = [("new", 1)];

impl Text for CtTarget {
    const OPTIONS: &'static [Opt] = &[
        Opt::flag(&["notrack"]),
        Opt::value(&["helper"], &["NAME"]),
        Opt::value(&["timeout"], &["NAME"]),
        Opt::value(&["ctevents"], &["EVENT[,EVENT...]"]),
        Opt::value(&["expevents"], &["EVENT[,EVENT...]"]),
        Opt::value(&["zone"], &["{NUMBER|mark}"]),
        Opt::value(&["zone-orig"], &["{NUMBER|mark}"]),
        Opt::value(&["zone-reply"], &["{NUMBER|mark}"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let t = &mut self.template;
        let mask = t.events.unwrap_or(EventMask { conntrack: 0, expect: 0 });
        match given.name {
            "notrack" => self.notrack = true,
            "helper" => t.helper = helper(given)?,
            "timeout" => {
                let message = format!("timeout policy {} does not exist", q(given.value));
                return Err(Fault::new(
                    message,
                    "expected a rule without --timeout: policies are not modelled",
                )
                .says(ToolError::NO_CHAIN));
            }
            "ctevents" => {
                t.events = Some(EventMask { conntrack: events(given.value, &EVENTS)?, ..mask });
            }
            "expevents" => {
                t.events = Some(EventMask { expect: events(given.value, &EXPECT_EVENTS)?, ..mask });
            }
            name => {
                // Both directions, however they were named, are every direction; of several numbers the last counts.
                let named = |word: &str| name == word || given.seen.has(word);
                let only = match (named("zone-orig"), named("zone-reply")) {
                    (true, false) => Some(Direction::Original),
                    (false, true) => Some(Direction::Reply),
                    _ => None,
                };
                let (id, from_mark) = zone(given.value)?;
                t.zone_from_mark |= from_mark;
                t.zone = Zone { id: id.unwrap_or(t.zone.id), only };
            }
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        let _ = seen;
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        for (word, value) in words(self) {
            out.other(["--", word, if value.is_empty() { "" } else { " " }, &value].concat());
        }
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(" CT");
        for (word, value) in words(self) {
            out.push_str(&[" ", word, if value.is_empty() { "" } else { " " }, &value].concat());
        }
    }
}

/// The options in the order in which they are printed.
fn words(ct: &CtTarget) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let t = &ct.template;
    if ct.notrack {
        out.push(("notrack", String::new()));
    }
    if let Some(helper) = t.helper {
        out.push(("helper", helper.name()));
    }
    if let Some(mask) = t.events {
        let texts = [
            ("ctevents", words_text(mask.conntrack, &EVENTS)),
            ("expevents", words_text(mask.expect, &EXPECT_EVENTS)),
        ];
        out.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()));
    }
    let word = match t.zone.only {
        None => "zone",
        Some(Direction::Original) => "zone-orig",
        Some(Direction::Reply) => "zone-reply",
    };
    match (t.zone_from_mark, t.zone.id) {
        (true, _) => out.push((word, "mark".to_owned())),
        (false, 0) => {}
        (false, id) => out.push((word, id.to_string())),
    }
    out
}

/// A helper; the empty name is none. Whether it is there is the kernel's business, which says so when it loads the rule.
fn helper(given: &Given<'_>) -> Result<Option<Helper>, Fault> {
    let name = given.value;
    if name.is_empty() {
        return Ok(None);
    }
    Helper::from_name(name).map(Some).ok_or_else(|| {
        let known: Vec<&str> = HelperKind::ALL.iter().map(|h| h.name()).collect();
        let help = format!("expected {}", known.join(" or "));
        refused(Fault::new(format!("no helper {} is known", q(name)), help), name, given.proto)
    })
}

/// What the kernel says of a helper that it refuses, and the line in its ring buffer (`xt_ct_set_helper`).
pub fn refused(fault: Fault, name: &str, proto: Option<Neg<Protocol>>) -> Fault {
    let line = match proto {
        Some(Neg { not: false, .. }) => format!("xt_CT: No such helper \"{name}\""),
        _ => "xt_CT: You must specify a L4 protocol and not use inversions on it".to_owned(),
    };
    fault.says(ToolError::NO_CHAIN).logs(line)
}

/// A list of words that are written in full and in small letters.
fn events(text: &str, known: &[(&'static str, u16)]) -> Result<u16, Fault> {
    text.split(',').try_fold(0, |bits, word| {
        let found = known.iter().find(|(name, _)| *name == word);
        found.map(|(_, bit)| bits | bit).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
            let message = format!("unknown event {}", q(word));
            Fault::new(message, format!("expected a list of {}", names.join(", ")))
                .usage(format!("Unknown event type \"{word}\""))
        })
    })
}

/// A number, or `mark`: the zone is the lower half of the packet's mark.
fn zone(text: &str) -> Result<(Option<u16>, bool), Fault> {
    if text.eq_ignore_ascii_case("mark") {
        return Ok((None, true));
    }
    let number = unsigned(text.trim_start(), 0, u64::from(u16::MAX)).and_then(|n| u16::try_from(n).ok());
    number.map(|n| (Some(n), false)).ok_or_else(|| {
        Fault::new(format!("{} is not a zone", q(text)), "expected a number from 0 to 65535, or mark")
            .usage(format!("Cannot parse {text} as a zone ID"))
    })
}
