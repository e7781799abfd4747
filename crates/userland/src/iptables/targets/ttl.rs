//! `-j TTL`.

use super::number_in;
use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use kernel::netfilter::xtables::targets::Ttl;

/// In the order in which iptables names two of them that exclude each other.
const OPERATIONS: [&str; 3] = ["ttl-set", "ttl-dec", "ttl-inc"];

impl Text for Ttl {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["ttl-set"], &["NUMBER"]),
        Opt::value(&["ttl-dec"], &["NUMBER"]),
        Opt::value(&["ttl-inc"], &["NUMBER"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let n = |min| number_in("TTL", given, min, 255).map(|n| (n & 0xff) as u8);
        *self = match given.name {
            "ttl-set" => Ttl::Set(n(0)?),
            "ttl-dec" => Ttl::Dec(n(1)?),
            _ => Ttl::Inc(n(1)?),
        };
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one_of("TTL", &OPERATIONS)?;
        if seen.0.is_empty() {
            return Err(Fault::new("TTL without an action", "expected --ttl-set, --ttl-inc or --ttl-dec")
                .usage("TTL: You must specify an action"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        let (word, n, _) = words(*self);
        out.other(format!("--ttl-{word} {n}"));
    }

    fn list(&self, _: &Names, out: &mut String) {
        let (_, n, words) = words(*self);
        out.push_str(&format!(" TTL {words} {n}"));
    }
}

fn words(ttl: Ttl) -> (&'static str, u8, &'static str) {
    match ttl {
        Ttl::Set(n) => ("set", n, "set to"),
        Ttl::Inc(n) => ("inc", n, "increment by"),
        Ttl::Dec(n) => ("dec", n, "decrement by"),
    }
}
