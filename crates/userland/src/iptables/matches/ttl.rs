//! `-m ttl`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::unsigned;
use kernel::netfilter::xtables::matches::TtlMatch;

/// In the order in which iptables names two of them that exclude each other.
const OPTIONS: [&str; 3] = ["ttl-lt", "ttl-gt", "ttl-eq"];

impl Text for TtlMatch {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["ttl-eq", "ttl"], &["TTL"]).or_not(),
        Opt::value(&["ttl-lt"], &["TTL"]),
        Opt::value(&["ttl-gt"], &["TTL"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let n = unsigned(given.value, 0, 255).and_then(|n| u8::try_from(n).ok());
        let n = n.ok_or_else(|| {
            Fault::new(format!("{} is not a TTL", q(given.value)), "expected a number from 0 to 255")
                .usage(format!("ttl: bad value for option \"--{}\", or out of range (0-255).\n", given.name))
        })?;
        *self = match (given.name, given.not) {
            ("ttl-lt", _) => TtlMatch::Less(n),
            ("ttl-gt", _) => TtlMatch::Greater(n),
            (_, true) => TtlMatch::NotEqual(n),
            _ => TtlMatch::Equal(n),
        };
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one_of("ttl", &OPTIONS)?;
        if seen.0.is_empty() {
            let says = "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt";
            return Err(Fault::new("ttl without an option", "expected one of --ttl-eq, --ttl-lt, --ttl-gt")
                .usage(says));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        let (not, name, n) = match *self {
            TtlMatch::Equal(n) => (false, "--ttl-eq", n),
            TtlMatch::NotEqual(n) => (true, "--ttl-eq", n),
            TtlMatch::Less(n) => (false, "--ttl-lt", n),
            TtlMatch::Greater(n) => (false, "--ttl-gt", n),
        };
        out.value(0, not, name, &n.to_string());
    }

    fn list(&self, _: &Names, out: &mut String) {
        let (sign, n) = match *self {
            TtlMatch::Equal(n) => ("==", n),
            TtlMatch::NotEqual(n) => ("!=", n),
            TtlMatch::Less(n) => ("<", n),
            TtlMatch::Greater(n) => (">", n),
        };
        out.push_str(&format!(" TTL match TTL {sign} {n}"));
    }
}
